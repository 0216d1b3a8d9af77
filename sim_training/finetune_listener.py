"""FinetuneListener: hears episodes, decisions and the learner's numbers, in a ROS context."""

import json

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from sac_ros.messages import DIAGNOSTICS, LATCHED, RESULTS
from sim_training.listener_node import EpisodeListener


class FinetuneListener(EpisodeListener):
    """Listens while the `with` block runs."""

    def __init__(self, namespace: str, domain_id: int) -> None:
        """Listen to the nodes of a namespace in a ROS domain."""
        super().__init__(f'{namespace}/sim_node/episode', domain_id)
        self.acting = ''  # sha256 of the model that acts
        self.learning: dict[str, str] = {}  # what the learner has told last
        self._decisions: list[dict[str, str]] = []
        self._learner = f'{namespace}/learner_node: learning'
        policy, node = f'{namespace}/policy_node', self._node
        node.create_subscription(String, f'{policy}/policy_info', self._take_policy, LATCHED)
        node.create_subscription(String, f'{policy}/decisions', self._take_decision, RESULTS)
        node.create_subscription(
            DiagnosticArray, '/diagnostics', self._take_diagnostics, DIAGNOSTICS
        )

    def __enter__(self) -> 'FinetuneListener':
        return self

    def take_decisions(self) -> list[dict[str, str]]:
        """Return the decisions that have come since the last call."""
        decisions, self._decisions = self._decisions, []
        return decisions

    def _take_policy(self, message: String) -> None:
        self.acting = json.loads(message.data)['sha256']

    def _take_decision(self, message: String) -> None:
        self._decisions.append(json.loads(message.data))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._learner:
                self.learning = {pair.key: pair.value for pair in status.values}
