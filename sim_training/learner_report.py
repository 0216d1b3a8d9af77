"""LearnerReport: what a learner tells people, on /diagnostics (REP 107) and in TensorBoard."""

import contextlib
import json
import time
from collections import Counter
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import String

from sac_ros.diagnostic_message import diagnostic_array
from sac_ros.fault import Fault
from sac_ros.messages import DIAGNOSTICS
from sim_training.fine_tuner import FineTuner
from sim_training.learner_board import LearnerBoard
from sim_training.progress import update_metrics
from sim_training.transitions import EpisodeReturn


class LearnerReport:
    """Counts what happens, and tells it."""

    def __init__(self, node: Node, folder: Path, dt: float) -> None:
        """Advertise /diagnostics of `node`; `dt` [s] is one transition of the robot."""
        self.offered = 0  # candidates
        self.failed = 0  # candidates that could not be made a model
        self.warning: Fault | None = None
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', DIAGNOSTICS)
        self._episodes = 0
        self._newest_return = float('nan')
        self._decisions: Counter[str] = Counter()
        self._last_decision = ''
        self._told = (time.monotonic(), 0)  # when, and updates until then
        self._board = LearnerBoard(folder, dt)

    def add_episode(self, episode: EpisodeReturn) -> None:
        """Note an episode that has ended."""
        self._episodes += 1
        self._newest_return = episode.reward_sum
        self._board.add_episode(episode.reward_sum, episode.length)

    def close(self) -> None:
        """Write what TensorBoard has not written yet."""
        self._board.close()

    def take_decision(self, message: String) -> None:
        """Note what the policy node has decided on a candidate; any other text is left out."""
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            decision = json.loads(message.data)
            line = f'{decision["decision"]}: {decision["text"]}'
            self._decisions[str(decision['decision'])] += 1
            self._last_decision = line
            self._board.add_decision(f'{str(decision["sha256"])[:12]} {line}')

    def publish(self, state: str, tuner: FineTuner | None) -> None:
        """Tell how things are; `state` is what the learner is doing."""
        losses = {} if tuner is None else tuner.agent.losses._asdict()
        rate = self._rate(tuner.updates if tuner else 0)
        if tuner is not None:
            self._show(tuner, rate)
        warning = self.warning or self._board.problem
        values: dict[str, object] = {
            'state': state,
            'transitions': tuner.transitions if tuner else 0,
            'updates': tuner.updates if tuner else 0,
            'updates_per_second': round(rate, 1),
            'updates_due': tuner.updates_due if tuner else 0,
            'episodes': self._episodes,
            'newest_return': self._newest_return,
            'candidates_offered': self.offered,
            'candidates_failed': self.failed,
            'last_decision': self._last_decision,
            'warning': warning or '',
            **{f'loss.{name}': f'{float(value):.4g}' for name, value in losses.items()},
            **{f'decisions.{name}': count for name, count in sorted(self._decisions.items())},
        }
        status = DiagnosticStatus(
            name=f'{self._node.get_fully_qualified_name()}: learning',
            level=DiagnosticStatus.OK if warning is None else DiagnosticStatus.WARN,
            message=state if warning is None else f'{state}: {warning}',
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        now = self._node.get_clock().now().nanoseconds * 1e-9
        self._publisher.publish(diagnostic_array(status, now))

    def _show(self, tuner: FineTuner, rate: float) -> None:
        self._board.transitions = tuner.transitions
        numbers = {'learner/transitions': tuner.transitions, 'learner/updates': tuner.updates}
        self._board.add_row(
            {
                **numbers,
                'learner/updates_per_second': rate,
                **(update_metrics(tuner.agent.losses) if tuner.updates else {}),
            }
        )

    def _rate(self, updates: int) -> float:
        """Return the updates in a second since the last call."""
        (then, before), now = self._told, time.monotonic()
        self._told = now, updates
        return (updates - before) / max(now - then, 1e-9)
