"""Real ROS for tests: node processes, and a peer that plays the robot and the operator.

All waits have a limit and say what they waited for.  The tests of one pytest process have a ROS
domain to themselves.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from builders import make_metadata, onnx_model
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from onnx import helper, numpy_helper
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from sac_ros.spec import TaskSpec
from sim_training.ros_domain import local_environment

ROOT = Path(__file__).parents[1]
WAIT = 30.0  # [s]: far more than anything needs, also on a busy machine
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
    'shutdown inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'shutdown active': Transition.TRANSITION_ACTIVE_SHUTDOWN,
}

os.environ.update(local_environment(os.environ))


def wait_for(condition: Callable[[], object], what: str, timeout: float = WAIT) -> None:
    """Wait until a condition holds; fail with `what` when it does not."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f'waited {timeout} s in vain: {what}'
        time.sleep(0.005)


class Peer:
    """A node of the test, served by a thread of its own."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node('peer', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._streams: list[Stream] = []

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 100) -> list:
        """Return a list to which the messages on a topic will be added."""
        messages: list = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def stream(self, topic: str, make: Callable[[], object], rate: float) -> 'Stream':
        """Publish what `make` returns at `rate` [Hz] until the stream is stopped."""
        publisher = self.node.create_publisher(type(make()), topic, 1)
        self._streams.append(Stream(publisher, make, rate))
        return self._streams[-1]

    def call(self, kind: type, service: str, request: object) -> object:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(WAIT), f'no service {service}'
        future = client.call_async(request)
        wait_for(future.done, f'the answer of {service}')
        self.node.destroy_client(client)
        return future.result()

    def change(self, node: str, transition: str) -> bool:
        """Ask a lifecycle node for a transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        return self.call(ChangeState, f'{node}/change_state', request).success

    def state(self, node: str) -> str:
        """Return the state of a lifecycle node."""
        return self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.label

    def now(self) -> object:
        """Return the time as a stamp."""
        return self.node.get_clock().now().to_msg()

    def close(self) -> None:
        for stream in self._streams:
            stream.stop()
        rclpy.shutdown(context=self.context)
        self._thread.join(WAIT)
        self.node.destroy_node()

    def _spin(self) -> None:
        try:
            while self.context.ok():
                self.executor.spin_once(timeout_sec=0.05)
        except ExternalShutdownException:
            pass


class Stream:
    """Publishes again and again from a thread."""

    def __init__(self, publisher: Publisher, make: Callable[[], object], rate: float) -> None:
        self._stop = threading.Event()
        self._arguments = (publisher, make, 1.0 / rate)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WAIT)

    def _run(self) -> None:
        publisher, make, period = self._arguments
        due = time.monotonic()
        while not self._stop.is_set():
            publisher.publish(make())
            due += period
            time.sleep(max(0.0, due - time.monotonic()))


class NodeProcess:
    """A Python program that is a node, and everything that it has printed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{ROOT / "tests"}'},
        )

    def log(self) -> str:
        size = self._output.seek(0, os.SEEK_END)
        return os.pread(self._output.fileno(), size, 0).decode()

    def wait_for_log(self, text: str) -> None:
        def is_there() -> bool:
            return text in self.log() or self.process.poll() is not None

        wait_for(is_there, f'{text!r} in the log')
        assert text in self.log(), self.log()

    def end(self, number: int) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WAIT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT)
        self._output.close()


@contextmanager
def running(*arguments: str) -> Iterator[NodeProcess]:
    """Run `python arguments` while the `with` block runs."""
    node = NodeProcess(arguments)
    try:
        yield node
    finally:
        node.close()


def parameters(**values: object) -> list[str]:
    """Return parameters as the words of a command line."""
    words = [word for key, value in values.items() for word in ('-p', f'{key}:={_text(value)}')]
    return ['--ros-args', *words]


def write_constant_model(path: Path, spec: TaskSpec, action: Sequence[float]) -> Path:
    """Write a model that always answers `action`, and return its path."""
    nodes = [
        helper.make_node('MatMul', ['observation', 'zeros'], ['nothing']),
        helper.make_node('Add', ['nothing', 'constant'], ['action']),
    ]
    constant = numpy_helper.from_array(np.array([action], dtype=np.float32), 'constant')
    golden = {'observation': [[0.0] * spec.observation_size], 'action': [list(action)]}
    metadata = make_metadata(spec, golden)
    path.write_bytes(onnx_model(spec, nodes=nodes, constants=[constant], metadata=metadata))
    return path


def policy_status(diagnostics: Sequence[DiagnosticArray], node: str) -> DiagnosticStatus | None:
    """Return the newest status of a policy node."""
    found = [status for array in diagnostics for status in array.status]
    ours = [status for status in found if status.name == f'{node}: policy']
    return ours[-1] if ours else None


def values_of(status: DiagnosticStatus) -> Mapping[str, str]:
    """Return the values of a status by their names."""
    return {pair.key: pair.value for pair in status.values}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
