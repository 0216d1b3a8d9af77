"""LoopTopics: what a control loop reads from and writes to ROS, and with which quality."""

from collections.abc import Iterator
from copy import copy

import numpy as np
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray

from sac_ros.command_messages import command_message, command_type
from sac_ros.control_step import ControlStep
from sac_ros.messages import COMMAND, GOAL, RECORD, STATE
from sac_ros.own_thread import OwnThread, Reader, subscribe
from sac_ros.spec import TaskSpec
from sac_ros.state_messages import TYPES
from sac_ros.step_message import step_layout, step_message

# What the reader calls ~/takeover and /clock.
TAKEOVER = 'takeover'
CLOCK = 'clock'
ACKNOWLEDGE_TIMEOUT = 500_000_000  # [ns]: a dead robot must not keep the node from ending


class LoopTopics:
    """The subscriptions that a contract needs and no other, its command, and the record."""

    def __init__(
        self, node: LifecycleNode, spec: TaskSpec, *, is_shadow: bool, is_simulated: bool
    ) -> None:
        """Join the topics; commands go out once the node is active.

        In shadow mode to topics that no robot hears, and of which nobody learns.  /clock is among
        the topics when time `is_simulated`.
        """
        command_topic = '~/shadow_command' if is_shadow else spec.topics['command'].name
        record_topic = '~/shadow_control_step' if is_shadow else '~/control_step'
        self._node = node
        self._spec = spec
        self._layout = step_layout(spec)
        self._command: LifecyclePublisher[object] = node.create_lifecycle_publisher(
            command_type(spec), command_topic, COMMAND
        )
        self._record = node.create_lifecycle_publisher(Float64MultiArray, record_topic, RECORD)
        group = OwnThread()
        subscriptions = dict(self._subscribe(group, is_simulated=is_simulated))
        self.reader = Reader(node, group, subscriptions, first=CLOCK)

    def send(self, command: np.ndarray, stamp: float) -> None:
        """Publish a command, stamped `stamp` [s]."""
        self._command.publish(command_message(self._spec, command, stamp))

    def record(self, step: ControlStep) -> None:
        """Publish what a tick saw, asked for and sent, when somebody listens."""
        if self._record.get_subscription_count() > 0:
            self._record.publish(step_message(step, self._layout))

    def flush(self) -> None:
        """Wait until the last command has arrived, as far as anybody confirms it."""
        self._command.wait_for_all_acked(Duration(nanoseconds=ACKNOWLEDGE_TIMEOUT))

    def destroy(self) -> None:
        """Leave the topics.  Nobody may be reading."""
        self.reader.destroy()
        for publisher in (self._command, self._record):
            self._node.destroy_lifecycle_publisher(publisher)

    def _subscribe(
        self, group: OwnThread, *, is_simulated: bool
    ) -> Iterator[tuple[Subscription, str]]:
        """Subscribe to all that is read; the source that makes the tick comes last."""
        if is_simulated:  # the time of a state is known before the state
            yield subscribe(self._node, group, Clock, '/clock', STATE), CLOCK
        # A person is heard before the state makes the tick that is to obey.
        yield subscribe(self._node, group, Float64MultiArray, '~/takeover', STATE), TAKEOVER
        # Users may ask for another quality by the parameters `qos_overrides.<topic>...`, but not
        # for goals, which are heard in every quality.
        overriding = QoSOverridingOptions.with_default_policies()
        for source in reversed(self._spec.sources):
            kind = TYPES[self._spec.source_type(source)].message_type
            topic = self._spec.topics[source].name
            if source == 'goal':
                for qos in GOAL:
                    yield subscribe(self._node, group, kind, topic, qos), source
            else:
                # A copy, because rclpy writes what users ask for into it.
                reader = subscribe(self._node, group, kind, topic, copy(STATE), overriding)
                yield reader, source
