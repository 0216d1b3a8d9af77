"""Reports: what the node tells people about itself: diagnostics, statistics, the model in use."""

import json
import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import String

from sac_ros.control_loop import ControlLoop
from sac_ros.diagnostic_message import (
    diagnostic_array,
    policy_status,
    statistics_status,
    unconfigured_status,
)
from sac_ros.fault import Fault
from sac_ros.messages import DIAGNOSTICS, LATCHED
from sac_ros.policy import OnnxPolicy

REPORT_PERIOD = 1.0  # [s], as REP 107 asks for
STARVED = 1.5 * REPORT_PERIOD  # [s] between two reports, from which on the executor is starved


class Reports:
    """Publishes /diagnostics, ~/statistics and ~/policy_info."""

    def __init__(self, node: LifecycleNode) -> None:
        """Advertise the topics of `node`."""
        self._node = node
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', DIAGNOSTICS)
        self._statistics = node.create_publisher(DiagnosticArray, '~/statistics', DIAGNOSTICS)
        self._policy_info = node.create_publisher(String, '~/policy_info', LATCHED)
        self._published_at = time.monotonic()

    def publish(
        self, loop: ControlLoop | None, refusal: Fault | None, learning: Mapping[str, object]
    ) -> None:
        """Tell how things are, and how `learning` goes; called once in REPORT_PERIOD."""
        self._notice_starvation(loop)
        name = self._node.get_fully_qualified_name()
        now = self._node.get_clock().now().nanoseconds * 1e-9
        if loop is None:
            self._diagnostics.publish(diagnostic_array(unconfigured_status(name, refusal), now))
            return
        status = policy_status(name, loop, refusal, learning)
        self._diagnostics.publish(diagnostic_array(status, now))
        self._statistics.publish(diagnostic_array(statistics_status(name, loop), now))

    def tell_policy(self, policy: OnnxPolicy) -> None:
        """Tell, also to whoever comes later, which model acts, with contract and origin."""
        origin = {key: value for key, value in policy.origin.items() if key != 'golden'}
        info = {
            'sha256': policy.sha256,
            'spec': json.loads(policy.spec.to_json()),
            'origin': origin,
        }
        self._policy_info.publish(String(data=json.dumps(info)))

    def _notice_starvation(self, loop: ControlLoop | None) -> None:
        now = time.monotonic()
        wait, self._published_at = now - self._published_at, now
        if wait < STARVED or loop is None:
            return
        warning = Fault('W_EXEC_STARVED', f'services and timers had to wait for {wait:.1f} s')
        if loop.fault_log.note_warning(warning, now):
            self._node.get_logger().warning(f'{warning}; control did not')


def contract_lines(node: LifecycleNode, loop: ControlLoop) -> list[str]:
    """Return the contract in the few lines that tell an operator what will happen."""
    spec = loop.spec
    topics = {key: node.resolve_topic_name(topic.name) for key, topic in spec.topics.items()}
    if loop.options.is_shadow:
        topics['command'] = node.resolve_topic_name('~/shadow_command')
    sources = [f'{topics[source]} [{spec.source_type(source)}]' for source in spec.sources]
    lower, upper = (
        ', '.join(f'{value:g}' for value in sorted(set(spec.per_action(bound).tolist())))
        for bound in (spec.action.lower, spec.action.upper)
    )
    return [
        f"task '{spec.name}' at {spec.control_rate:g} Hz, model {loop.policy.sha256[:12]}",
        f'observes {", ".join(term.term for term in spec.observation)} '
        f'from {", ".join(sources) or "nothing"}',
        f'commands {spec.action.interface} of {", ".join(spec.action_names)} '
        f'in [{lower}, {upper}] on {topics["command"]} [{spec.command_type}]',
    ]
