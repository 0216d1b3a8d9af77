"""BenchNode: publishes states, and notes when messages arrive, as close to the wire as it can.

Messages are taken from a wait set of its own: an executor would add its time to that of every
node that is measured, and so draw their ratio towards 1.
"""

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeAlias

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.messages import DIAGNOSTICS, RECORD, STATE, stamp_of
from sim_training.bench_process import NAMESPACE
from sim_training.bench_robot_node import robot_state

Message: TypeAlias = Float64MultiArray | JointState | DiagnosticArray
Take: TypeAlias = Callable[[Message, float], None]

POLL_PERIOD = 50_000_000  # [ns]: the longest time until the thread sees that it must end


class BenchNode:
    """Topics are added first; while the `with` block runs, a thread takes what arrives.

    All times are of the steady clock [s].
    """

    def __init__(self, domain_id: int) -> None:
        """Join a ROS domain."""
        self._context = Context()
        rclpy.init(
            args=[],
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node(
            'bench', context=self._context, enable_rosout=False, start_parameter_services=False
        )
        self._takes: dict[Subscription, Take] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> 'BenchNode':
        # This process has a whole training library loaded.  To look through that for garbage
        # takes a tenth of a second, in which no state leaves and no command is taken.
        gc.collect()
        gc.freeze()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        gc.unfreeze()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def state_publisher(self, peer: str) -> Callable[[], float]:
        """Return a function that publishes a state to a peer and returns when it left."""
        publisher = self._node.create_publisher(
            JointState, f'{NAMESPACE}/{peer}/joint_states', STATE
        )
        clock = self._node.get_clock()

        def publish() -> float:
            state = robot_state(clock.now().nanoseconds)
            now = time.monotonic()
            publisher.publish(state)
            return now

        return publish

    def hear_commands(self, peer: str, take: Callable[[float, Sequence[float]], None]) -> None:
        """Call `take(arrival, command)` for each command of a peer; none is lost on the way."""
        self._listen(
            Float64MultiArray,
            f'{NAMESPACE}/{peer}/commands',
            RECORD,
            lambda message, now: take(now, message.data),
        )

    def hear_states(self, peer: str, take: Callable[[float], None]) -> None:
        """Call `take(time)` with when each state was published, by its stamp."""
        self._listen(
            JointState,
            f'{NAMESPACE}/{peer}/joint_states',
            STATE,
            lambda message, now: take(now - (time.time() - stamp_of(message))),
        )

    def hear_diagnostics(self, take: Callable[[Mapping[str, str]], None]) -> None:
        """Call `take(values)` with the values of each status of the policy node."""

        def take_all(array: DiagnosticArray, now: float) -> None:
            for status in array.status:
                if status.name == f'{NAMESPACE}/policy/policy_node: policy':
                    take({pair.key: pair.value for pair in status.values})

        self._listen(DiagnosticArray, '/diagnostics', DIAGNOSTICS, take_all)

    def _listen(self, kind: type, topic: str, qos: QoSProfile, take: Take) -> None:
        subscription = self._node.create_subscription(kind, topic, lambda _: None, qos)
        self._takes[subscription] = take

    def _run(self) -> None:
        """Take what arrives until the block is left, as rclpy.wait_for_message waits for one."""
        context = self._context.handle
        assert context is not None  # it is there from init to shutdown
        with ExitStack() as in_use:
            in_use.enter_context(context)
            for subscription in self._takes:
                in_use.enter_context(subscription.handle)
            sizes = (len(self._takes), 0, 0, 0, 0, 0)  # of all that can be waited for
            wait_set = rclpy_implementation.WaitSet(*sizes, context)
            in_use.enter_context(wait_set)
            while not self._is_over.is_set():
                wait_set.clear_entities()
                for subscription in self._takes:
                    wait_set.add_subscription(subscription.handle)
                wait_set.wait(POLL_PERIOD)
                ready = wait_set.get_ready_entities('subscription')
                for subscription, take in self._takes.items():
                    if subscription.handle.pointer in ready:
                        self._take_one(subscription, take)

    def _take_one(self, subscription: Subscription, take: Take) -> None:
        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is not None:
            take(taken[0], time.monotonic())


def middleware() -> str:
    """Return the name of the middleware that ROS runs on here, e.g. rmw_fastrtps_cpp."""
    return str(get_rmw_implementation_identifier())
