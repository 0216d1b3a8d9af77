"""Experience: all that a learner hears of a robot, on the disk first, then made into transitions.

What was heard is heard again when it is opened, so a kill loses one message at most, and
transitions that were not settled yet are not lost either.
"""

import math
from enum import IntEnum
from pathlib import Path

import numpy as np

from sac_ros.control_step import ControlStep
from sac_ros.errors import UserError, WriteError
from sac_ros.spec import TaskSpec
from sac_ros.step_numbers import step_from_numbers, step_numbers
from sim_training.journal import Journal
from sim_training.learner_scores import LARGEST_BACKLOG, GivenRewards
from sim_training.transitions import EpisodeReturn, Transition, TransitionMaker

JOURNAL = 'journal'  # in the folder of a learner


class Kind(IntEnum):
    """What a row of the journal is.  The numbers stay as they are: journals hold them."""

    TICK = 0  # as on ~/control_step: step_numbers.py
    END = 1  # stamp [s] and verdict, NaN without one
    REWARD = 2  # sequence and reward
    BREAK = 3  # stamp [s] of the last tick before nothing is heard for a while


class Experience:
    """The journal, and what is made of it."""

    def __init__(
        self,
        path: Path,
        spec: TaskSpec,
        maker: TransitionMaker,
        given: GivenRewards | None,
    ) -> None:
        """Hear again what is in the journal at `path`.  Raises UserError."""
        self._spec = spec
        self._maker = maker
        self._given = given
        self._journal = Journal(path, {'sac_ros.journal': 1, 'spec': spec.sha256})
        self.is_full = False  # the newest row could not be written
        refused = 0
        for kind, numbers in self._journal.rows():
            try:
                self._hear(kind, numbers)
            except UserError:  # it was taken by a version that allowed it
                refused += 1
            maker.settle(LARGEST_BACKLOG // 2)  # or rewards would be pushed out by later ones
        self.damaged = self._journal.damaged + refused  # rows that could not be read

    def add_tick(self, step: ControlStep) -> None:
        """Take a tick.  Raises WriteError, once, when nothing can be written any more.

        It is learned from all the same, here and below, and the next one is tried again.
        """
        self._add(Kind.TICK, step_numbers(step, self._spec.observation_size))

    def add_end(self, stamp: float, verdict: float | None = None) -> None:
        """Take the end of an episode: see TransitionMaker.end_episode."""
        self._add(Kind.END, np.array([stamp, math.nan if verdict is None else verdict]))

    def add_break(self, stamp: float) -> None:
        """Take the beginning of a time in which nothing is heard: TransitionMaker.break_off."""
        self._add(Kind.BREAK, np.array([stamp]))

    def add_reward(self, numbers: np.ndarray) -> None:
        """Take a reward: see GivenRewards.add.  Raises UserError for what is none."""
        self._add(Kind.REWARD, numbers)

    def take(self) -> tuple[list[Transition], list[EpisodeReturn]]:
        """Return what is settled since the last call: see TransitionMaker."""
        return self._maker.take()

    def sync(self) -> None:
        """Have all of it on the disk itself.  Raises WriteError."""
        self._journal.sync()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _add(self, kind: Kind, numbers: np.ndarray) -> None:
        self._hear(kind, numbers)
        was_full, self.is_full = self.is_full, True
        try:
            self._journal.add(kind, numbers)
            self.is_full = False
        except WriteError:
            if not was_full:
                raise

    def _hear(self, kind: int, numbers: np.ndarray) -> None:
        if kind == Kind.TICK:
            is_anew = self._maker.add(step_from_numbers(self._spec, numbers))
            if is_anew and self._given is not None:
                self._given.forget()  # those of the activation before
        elif kind == Kind.END:
            stamp, verdict = numbers.tolist()
            self._maker.end_episode(stamp, None if math.isnan(verdict) else verdict)
        elif kind == Kind.BREAK:
            self._maker.break_off(float(numbers[0]))
        elif kind == Kind.REWARD and self._given is not None:
            self._given.add(numbers.tolist())
