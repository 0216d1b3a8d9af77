"""LearnerReport: what a learner tells people once a second, on /diagnostics (REP 107)."""

import contextlib
import json
import time
from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import String

from sac_ros.diagnostic_message import diagnostic_array
from sac_ros.fault import Fault
from sac_ros.messages import DIAGNOSTICS
from sim_training.fine_tuner import FineTuner
from sim_training.transitions import EpisodeReturn


class LearnerReport:
    """Counts what happens, and tells it."""

    def __init__(self, node: Node) -> None:
        """Advertise /diagnostics of `node`."""
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

    def add_episode(self, episode: EpisodeReturn) -> None:
        """Note an episode that has ended."""
        self._episodes += 1
        self._newest_return = episode.reward_sum

    def take_decision(self, message: String) -> None:
        """Note what the policy node has decided on a candidate; any other text is left out."""
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            decision = json.loads(message.data)
            line = f'{decision["decision"]}: {decision["text"]}'
            self._decisions[str(decision['decision'])] += 1
            self._last_decision = line

    def publish(self, state: str, tuner: FineTuner | None) -> None:
        """Tell how things are; `state` is what the learner is doing."""
        losses = {} if tuner is None else tuner.agent.losses._asdict()
        values: dict[str, object] = {
            'state': state,
            'transitions': tuner.transitions if tuner else 0,
            'updates': tuner.updates if tuner else 0,
            'updates_per_second': round(self._rate(tuner.updates if tuner else 0), 1),
            'updates_due': tuner.updates_due if tuner else 0,
            'episodes': self._episodes,
            'newest_return': self._newest_return,
            'candidates_offered': self.offered,
            'candidates_failed': self.failed,
            'last_decision': self._last_decision,
            'warning': self.warning or '',
            **{f'loss.{name}': f'{float(value):.4g}' for name, value in losses.items()},
            **{f'decisions.{name}': count for name, count in sorted(self._decisions.items())},
        }
        status = DiagnosticStatus(
            name=f'{self._node.get_fully_qualified_name()}: learning',
            level=DiagnosticStatus.OK if self.warning is None else DiagnosticStatus.WARN,
            message=state if self.warning is None else f'{state}: {self.warning}',
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        now = self._node.get_clock().now().nanoseconds * 1e-9
        self._publisher.publish(diagnostic_array(status, now))

    def _rate(self, updates: int) -> float:
        """Return the updates in a second since the last call."""
        (then, before), now = self._told, time.monotonic()
        self._told = now, updates
        return (updates - before) / max(now - then, 1e-9)
