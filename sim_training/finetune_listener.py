"""FinetuneListener: hears episodes, decisions and the learner's numbers, in a ROS context."""

import json
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from sac_ros.command_messages import CommandMessage, command_from_message, command_type
from sac_ros.messages import DIAGNOSTICS, LATCHED, RECORD, RESULTS, MessageError
from sac_ros.spec import TaskSpec
from sim_training.bench_command_watch import CommandWatch
from sim_training.episode_record import EpisodeResult
from sim_training.listener_node import EpisodeListener

NO_COMMAND = np.empty(0)  # what nobody may send


class FinetuneListener(EpisodeListener):
    """Listens while the `with` block runs."""

    def __init__(
        self, namespace: str, domain_id: int, spec: TaskSpec, real_time_factor: float
    ) -> None:
        """Listen to the nodes of a namespace in a ROS domain, which run `spec` so fast."""
        super().__init__(f'{namespace}/sim_node/episode', domain_id)
        self.acting = ''  # sha256 of the model that acts; '' until it is known
        self.learning: dict[str, str] = {}  # what the learner has told last
        self.watch = CommandWatch(spec)  # what the robot is sent
        self._spec = spec
        self._factor = real_time_factor
        self._early: list[EpisodeResult] = []  # ended before it was known which model acts
        self._decisions: list[dict[str, str]] = []
        self._learner = f'{namespace}/learner_node: learning'
        policy, node = f'{namespace}/policy_node', self._node
        node.create_subscription(String, f'{policy}/policy_info', self._take_policy, LATCHED)
        node.create_subscription(String, f'{policy}/decisions', self._take_decision, RESULTS)
        command = f'{namespace}/{spec.topics["command"].name}'
        node.create_subscription(command_type(spec), command, self._take_command, RECORD)
        node.create_subscription(
            DiagnosticArray, '/diagnostics', self._take_diagnostics, DIAGNOSTICS
        )

    def __enter__(self) -> 'FinetuneListener':
        return self

    def wait(self, seconds: float) -> list[EpisodeResult]:
        """Return the results that have come, at the latest after `seconds`; each of them once.

        They are held back until it is known which model acts: topics are found in any order.
        """
        self._early += super().wait(seconds)
        if not self.acting:
            return []
        results, self._early = self._early, []
        return results

    def take_decisions(self) -> list[dict[str, str]]:
        """Return the decisions that have come since the last call."""
        decisions, self._decisions = self._decisions, []
        return decisions

    def _take_policy(self, message: String) -> None:
        self.acting = json.loads(message.data)['sha256']

    def _take_decision(self, message: String) -> None:
        self._decisions.append(json.loads(message.data))

    def _take_command(self, message: CommandMessage) -> None:
        try:
            command = command_from_message(self._spec, message)
        except MessageError:
            command = NO_COMMAND
        self.watch.add(time.monotonic() * self._factor, command)  # [s] of the robot

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._learner:
                self.learning = {pair.key: pair.value for pair in status.values}
