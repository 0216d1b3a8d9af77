"""ControlLoop: a loaded policy on its topics.  State in, tick, command out; nothing else.

The arrival of the state makes the tick, so that no state waits for a timer; a timer makes it
only when the state is late or lost, so that a command leaves each period whatever happens.
"""

import time
from functools import partial

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.timer import Timer
from std_msgs.msg import Float64MultiArray

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from sac_ros.command_messages import command_message, command_type
from sac_ros.controller import ControlStep, Mode, PolicyController
from sac_ros.fault import Fault
from sac_ros.fault_log import FaultLog
from sac_ros.messages import (
    COMMAND,
    GOAL,
    MESSAGE_TYPES,
    RECORD,
    STATE,
    Measurements,
    StateMessage,
    stamp_of,
)
from sac_ros.policy import OnnxPolicy
from sac_ros.run_node import steady_clock
from sac_ros.step_message import step_layout, step_message
from sac_ros.timing import TickSchedule, TickStatistics

MIN_WAIT = 100_000  # [ns]: a timer that is overdue must not starve the state
ACKNOWLEDGE_TIMEOUT = 500_000_000  # [ns]: a dead robot must not keep the node from ending


class ControlLoop:
    """Subscriptions, publishers and the tick between them, from configure to cleanup."""

    def __init__(self, node: LifecycleNode, policy: OnnxPolicy) -> None:
        """Subscribe to the topics that the contract of `policy` needs, and to no other."""
        self.policy = policy
        self.spec = spec = policy.spec
        self.controller = PolicyController(spec, policy)
        self.statistics = TickStatistics(spec.dt)
        self.fault_log = FaultLog()
        self.last_step: ControlStep | None = None
        self._node = node
        self._clock = node.get_clock()
        self._has_simulated_time = bool(node.get_parameter('use_sim_time').value)
        self._measurements = Measurements(spec)
        self._schedule = TickSchedule(spec.dt)
        self._layout = step_layout(spec)
        self._deadline: Timer | None = None  # runs from start to stop
        self._sent_at = 0.0  # [s], steady clock: when the last command left
        # No warnings about publishers that do not match: one of a goal's two readers never does.
        self._subscriptions = [
            node.create_subscription(
                MESSAGE_TYPES[spec.source_type(source)],
                spec.topics[source].name,
                partial(self._pace if source == spec.sources[0] else self._store, source),
                qos,
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
            for source in reversed(spec.sources)  # the pacing one last: when two are ready, it is
            for qos in (GOAL if source == 'goal' else (STATE,))
        ]
        self._command: LifecyclePublisher[object] = node.create_lifecycle_publisher(
            command_type(spec), spec.topics['command'].name, COMMAND
        )
        self._record = node.create_lifecycle_publisher(Float64MultiArray, '~/control_step', RECORD)

    def find_fault(self) -> Fault | None:
        """Return why the robot could not be activated now, or None."""
        return self.controller.find_fault(self._measurements.state(), self._now())

    def ages(self) -> dict[str, float]:
        """Return how old the newest measurement of each source is [s]."""
        now = self._now()
        stamps = self._measurements.state().stamps
        return {source: now - stamp for source, stamp in stamps.items()}

    def emergency_stop(self, text: str) -> None:
        """Lead the robot to the stop command from the next tick on, until `reset`."""
        self.controller.emergency_stop(text)

    def reset(self) -> None:
        """Take back an emergency stop, or another latched fault."""
        self.controller.reset()

    def activate(self) -> Fault | None:
        """Prepare to tick from the state as it is, unless there is a fault, which is returned."""
        return self.controller.activate(self._measurements.state(), self._now())

    def start(self) -> None:
        """Begin to tick: the publishers are active from now on."""
        self.statistics.restart()
        self._schedule.start(self._pace_time(self._now()))
        # A steady clock, because the watchdog must run on when somebody sets the computer's time.
        clock = self._clock if self._has_simulated_time else steady_clock()
        self._deadline = self._node.create_timer(self.spec.dt, self._miss, clock=clock)
        self._arm(self._deadline)

    def stop(self) -> None:
        """End ticking and lead the robot to the stop command, one command each period.

        The publishers must still be active.  Does nothing when the loop does not run.
        """
        if self._deadline is not None:
            self._node.destroy_timer(self._deadline)
            self._deadline = None
        if self.controller.mode is Mode.INACTIVE:
            return
        for i, command in enumerate(self.controller.deactivate()):
            if i > 0:
                time.sleep(self.spec.dt)
            self._command.publish(command_message(self.spec, command, self._now()))

    def flush(self) -> None:
        """Wait until the last command has arrived, as far as anybody confirms it."""
        self._command.wait_for_all_acked(Duration(nanoseconds=ACKNOWLEDGE_TIMEOUT))

    def destroy(self) -> None:
        """Leave the topics."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in (self._command, self._record):
            self._node.destroy_lifecycle_publisher(publisher)

    def _store(self, source: str, message: StateMessage) -> None:
        self._measurements.update(source, message, self._now())

    def _pace(self, source: str, message: StateMessage) -> None:
        """Store the state, and tick when it is the one that this period was waiting for."""
        arrival = time.monotonic()
        now = self._now()
        if self._has_simulated_time:
            now = max(now, stamp_of(message))  # a state may overtake the clock that it belongs to
        self._measurements.update(source, message, now)
        pace_time = self._pace_time(now)
        self._schedule.arrived(pace_time)
        if self._deadline is not None and self._schedule.is_due(pace_time):
            late = self._schedule.tick_with_state(pace_time)
            self._tick(self._deadline, now, pace_time, late)
            self.statistics.add_latency(
                self._sent_at - arrival, self._now() - self._measurements.stamp(source)
            )

    def _miss(self) -> None:
        """Tick without a new state: it is late, or gone."""
        if self._deadline is not None:
            now = self._now()
            pace_time = self._pace_time(now)
            late = self._schedule.tick_at_deadline(pace_time)
            self._tick(self._deadline, now, pace_time, late)

    def _tick(self, deadline: Timer, now: float, pace_time: float, late: float) -> None:
        step = self.controller.step(self._measurements.state(), now)
        self._command.publish(command_message(self.spec, step.command, now))
        self._sent_at = time.monotonic()
        self._record.publish(step_message(step, self._layout))
        self._arm(deadline)
        self.statistics.add_tick(pace_time, late)
        self.last_step = step
        line = self.fault_log.note(step.mode.value, step.fault, self._sent_at)
        if line is not None:
            logger = self._node.get_logger()
            logger.info(line) if step.fault is None else logger.error(line)

    def _arm(self, deadline: Timer) -> None:
        """Let the timer fire when the next tick must go without a new state."""
        wait = self._schedule.deadline - self._pace_time(self._now())
        deadline.timer_period_ns = max(int(wait * 1e9), MIN_WAIT)
        deadline.reset()

    def _now(self) -> float:
        """Return the time that stamps are compared with [s]."""
        return self._clock.now().nanoseconds * 1e-9

    def _pace_time(self, now: float) -> float:
        """Return the time that periods are measured in [s]: simulated, or one that never jumps."""
        return now if self._has_simulated_time else time.monotonic()
