"""Real ROS for tests: a peer that plays the robot and the operator (processes: node_process.py).

All waits have a limit and say what they waited for.  The tests of one pytest process have a ROS
domain to themselves.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from model_builders import constant_model
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.task import Future

from sac_ros.command_messages import command_from_message, command_type
from sac_ros.messages import MessageError
from sac_ros.spec import TaskSpec
from sim_training.ros_domain import enter_local_domain

T = TypeVar('T')
ROOT = Path(__file__).parents[1]
WAIT = 90.0  # [s]: far more than anything needs, also beside others on each core
TRANSITIONS = {
    'configure': (Transition.TRANSITION_CONFIGURE, 'inactive'),
    'activate': (Transition.TRANSITION_ACTIVATE, 'active'),
    'deactivate': (Transition.TRANSITION_DEACTIVATE, 'inactive'),
    'cleanup': (Transition.TRANSITION_CLEANUP, 'unconfigured'),
    'shutdown inactive': (Transition.TRANSITION_INACTIVE_SHUTDOWN, 'finalized'),
    'shutdown active': (Transition.TRANSITION_ACTIVE_SHUTDOWN, 'finalized'),
}

COMMANDS_SEEN: Counter[str] = Counter()  # over all tests of this process, and what was wrong

enter_local_domain()


def wait_for(
    condition: Callable[[], object], what: str | Callable[[], str], timeout: float = WAIT
) -> None:
    """Wait until a condition holds; fail with `what` when it does not."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= end:
            pytest.fail(f'waited {timeout} s in vain: {what if isinstance(what, str) else what()}')
        time.sleep(0.005)


class Peer:
    """A node of the test, served by a thread of its own."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node('peer', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._streams: list[Stream] = []
        self._chores: deque[tuple[Callable[[], object], futures.Future]] = deque()
        self._subscriptions: list[tuple[list, Subscription]] = []
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 100) -> list:
        """Return a list to which the messages on a topic will be added."""
        messages: list = []
        subscription = self.node.create_subscription(kind, topic, messages.append, qos)
        self._subscriptions.append((messages, subscription))
        return messages

    def listen_to_commands(self, spec: TaskSpec, topic: str) -> list:
        """Return a list to which commands will be added; all of them must be finite and in bounds.

        What is not is told when the peer is closed, whatever the test has looked for.
        """
        lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
        commands: list = []

        def take(message: object) -> None:
            command = command_from_message(spec, message)  # raises on NaN and on a wrong size
            COMMANDS_SEEN['all'] += 1
            if ((command < lower) | (command > upper)).any():
                COMMANDS_SEEN['out of bounds'] += 1
            commands.append(message)

        def take_all(message: object) -> None:
            try:
                take(message)
            except MessageError as error:
                COMMANDS_SEEN[str(error)] += 1

        subscription = self.node.create_subscription(command_type(spec), topic, take_all, 100)
        self._subscriptions.append((commands, subscription))
        return commands

    def forget(self, messages: list) -> None:
        """Listen no longer to what comes into a list."""
        for pair in [pair for pair in self._subscriptions if pair[0] is messages]:
            self._subscriptions.remove(pair)
            self.do(self.node.destroy_subscription, pair[1])

    def stream(self, topic: str, make: Callable[[], object], rate: float) -> 'Stream':
        """Publish what `make` returns at `rate` [Hz] until the stream is stopped."""
        publisher = self.node.create_publisher(type(make()), topic, 1)
        self._streams.append(Stream(self, publisher, make, rate))
        return self._streams[-1]

    def call(self, kind: type, service: str, request: object) -> object:
        """Call a service and return its response."""
        future = self._ask(kind, service, request, WAIT)
        assert future.done(), f'waited {WAIT} s in vain: the answer of {service}'
        return future.result()

    def change(self, node: str, transition: str) -> bool:
        """Ask a lifecycle node for a transition; return whether it succeeded.

        Fast DDS loses the answer when the node does not know us yet; the state then tells.
        """
        number, goal = TRANSITIONS[transition]
        request = ChangeState.Request(transition=Transition(id=number))
        for _ in range(5):
            future = self._ask(ChangeState, f'{node}/change_state', request, WAIT / 5)
            if future.done():
                return future.result().success
            if self.state(node) == goal:
                return True
        pytest.fail(f'{node} does not answer when told to {transition}')

    def _ask(self, kind: type, service: str, request: object, timeout: float) -> Future:
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(WAIT), f'no service {service}'
        future = client.call_async(request)
        end = time.monotonic() + timeout
        while not future.done() and time.monotonic() < end:
            time.sleep(0.005)
        self.do(self.node.destroy_client, client)
        return future

    def state(self, node: str) -> str:
        """Return the state of a lifecycle node."""
        return self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.label

    def now(self) -> object:
        """Return the time as a stamp."""
        return self.node.get_clock().now().to_msg()

    def close(self) -> None:
        for stream in self._streams:
            stream.stop()
        self._is_closing.set()
        self._thread.join(WAIT)
        rclpy.shutdown(context=self.context)
        self.node.destroy_node()
        assert COMMANDS_SEEN.keys() <= {'all'}, f'commands that must not be: {COMMANDS_SEEN}'

    def unpublish(self, publisher: Publisher) -> None:
        """Leave a topic."""
        self.do(self.node.destroy_publisher, publisher)

    def do(self, act: Callable[..., T], *arguments: object) -> T:
        """Let the thread that serves entities change or destroy one: rclpy has no lock."""
        done: futures.Future[T] = futures.Future()
        self._chores.append((partial(act, *arguments), done))
        del arguments  # else they would outlive their destruction here
        while not futures.wait([done], 0.1).done:
            assert self._thread.is_alive(), 'the thread of the peer has died'
        return done.result()

    def _spin(self) -> None:
        while not self._is_closing.is_set():
            self.executor.spin_once(timeout_sec=0.02)
            while self._chores:
                _run(*self._chores.popleft())


def _run(act: Callable[[], object], done: futures.Future) -> None:
    """Do a chore; afterwards nothing here keeps alive what it has destroyed."""
    done.set_result(act())


class Stream:
    """Publishes again and again from a thread."""

    def __init__(
        self, peer: Peer, publisher: Publisher, make: Callable[[], object], rate: float
    ) -> None:
        self._stop = threading.Event()
        self._peer = peer
        self._publisher = publisher
        self._what = make, 1.0 / rate
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return not self._stop.is_set()

    def change(self, make: Callable[[], object], rate: float) -> None:
        """Publish something else from now on, without the pause that a new publisher needs."""
        self._what = make, 1.0 / rate

    def stop(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(WAIT)
            self._peer.unpublish(self._publisher)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            make, period = self._what
            self._publisher.publish(make())
            due += period
            time.sleep(max(0.0, due - time.monotonic()))


def write_constant_model(path: Path, spec: TaskSpec, action: Sequence[float]) -> Path:
    """Write a model that always answers `action`, and return its path."""
    path.write_bytes(constant_model(spec, action))
    return path


def policy_status(diagnostics: Sequence[DiagnosticArray], node: str) -> DiagnosticStatus | None:
    """Return the newest status of a policy node."""
    found = [status for array in diagnostics for status in array.status]
    ours = [status for status in found if status.name == f'{node}: policy']
    return ours[-1] if ours else None


def values_of(status: DiagnosticStatus) -> Mapping[str, str]:
    """Return the values of a status by their names."""
    return {pair.key: pair.value for pair in status.values}
