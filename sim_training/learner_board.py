"""LearnerBoard: TensorBoard of a learner, over the time of the robot that it has learned from."""

import time
from collections.abc import Mapping
from pathlib import Path

from sac_ros.fault import Fault
from sim_training.event_writer import EventWriter

PERIOD = 5.0  # [s] from one row of numbers to the next


class LearnerBoard:
    """Shows returns, decisions and the numbers of the updates."""

    def __init__(self, folder: Path, dt: float) -> None:
        """Write into the folder of a learner; `dt` [s] is one transition of the robot."""
        self.transitions = 0  # of the robot, that were learned from
        self._dt = dt
        self._next_row = 0.0  # [s], on the steady clock
        self._events = EventWriter(folder)

    @property
    def problem(self) -> Fault | None:
        """Return why nothing is written at present."""
        return self._events.problem

    def add_episode(self, reward_sum: float, length: int) -> None:
        """Show an episode that has ended: its return and how many transitions it had."""
        numbers = {'episode/return': reward_sum, 'episode/length': length}
        self._events.add(numbers, self._second())

    def add_decision(self, text: str) -> None:
        """Show what was decided on a candidate."""
        self._events.add_text('decisions', text, self._second())

    def add_row(self, numbers: Mapping[str, float]) -> None:
        """Show the newest numbers of the learner, at most every PERIOD seconds."""
        if time.monotonic() >= self._next_row:
            self._next_row = time.monotonic() + PERIOD
            self._events.open()
            self._events.add(numbers, self._second())

    def close(self) -> None:
        """Write what is left."""
        self._events.close()

    def _second(self) -> int:
        """Return the time of the robot [s]."""
        return round(self.transitions * self._dt)
