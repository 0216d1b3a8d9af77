"""Fixtures of the tests of policy_node: a model, a robot that is played, nodes to talk to.

A test module takes them by `pytest_plugins = ('policy_nodes',)`.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, make_state, topic
from node_process import NodeProcess, parameters, running
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from ros import Peer, Stream, policy_status, values_of, wait_for, write_constant_model
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from sac_ros.control_step import ControlStep, Mode
from sac_ros.lifecycle_node import PolicyNode
from sac_ros.spec import TaskSpec
from sac_ros.state_messages import state_message
from sac_ros.step_message import step_from_message

NODE = '/arm/policy_node'  # one process, shared by the tests of a file
LONE_NODE = '/lone/policy_node'  # a process of the test's own
TIMEOUT = 0.5  # [s]: a test machine may be slow, and a late state must not look like a lost one
# 0.9 is nine periods away from standing still: 0.9 / (5 rad/s^2 * 0.02 s).
ACTION = (0.9, -0.9)
BUSY = {'E_TICK_LATE', 'E_OBS_STALE'}  # what a test machine may do to any node
AT_ONCE = {'ramp_time': 0.0, 'discovery_time': 0.0}
SPEC = make_spec(
    observation=[
        {'term': 'joint_position'},
        {'term': 'joint_velocity'},
        {'term': 'previous_action'},
    ],
    topics={
        'joint_states': topic('joint_states', timeout=TIMEOUT),
        'command': topic('command'),
    },
)


def start(namespace: str = '/lone', **values: object) -> list[str]:
    """Return the command line of a policy node; it acts at once where it is not told to wait."""
    words = parameters(**{**AT_ONCE, **values})
    return ['-m', 'sac_ros.policy_node', *words, '-r', f'__ns:={namespace}']


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_constant_model(tmp_path_factory.mktemp('models') / 'arm.onnx', SPEC, ACTION)


@pytest.fixture(scope='module')
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def process(model: Path) -> Iterator[NodeProcess]:
    with running(*start('/arm', model=model)) as process:
        yield process


@pytest.fixture
def configured(process: NodeProcess, peer: Peer) -> Iterator[None]:
    """Let a test begin with the shared node inactive, and leave it unconfigured."""
    assert peer.change(NODE, 'configure')
    yield
    if peer.state(NODE) == 'active':
        assert peer.change(NODE, 'deactivate')
    assert peer.change(NODE, 'cleanup')


@pytest.fixture
def lone_node(peer: Peer) -> Iterator[Callable[..., PolicyNode]]:
    """Return a function that makes a policy node in this process."""
    made: list[PolicyNode] = []

    def make(**values: object) -> PolicyNode:
        arguments = [*parameters(**{**AT_ONCE, **values}), '-r', '__ns:=/lone']
        made.append(PolicyNode(context=peer.context, arguments=arguments))
        peer.executor.add_node(made[-1])
        return made[-1]

    yield make

    def end(node: PolicyNode) -> None:
        peer.executor.remove_node(node)
        node.close()
        node.destroy_node()

    while made:  # rclpy's state machine keeps a node in the graph until it is freed
        peer.do(end, made.pop())

    def has_gone() -> bool:
        gc.collect()
        return ('policy_node', '/lone') not in peer.node.get_node_names_and_namespaces()

    wait_for(has_gone, 'the node has gone: the next one has its name')


def as_sent(action: Sequence[float], spec: TaskSpec = SPEC) -> tuple[float, ...]:
    """Return an action as a model answers it, to the last digit."""
    assert len(action) == spec.action_size
    return tuple(np.array(action, dtype=np.float32).astype(float).tolist())


class Arm:
    """The robot of SPEC as its controller and its operator see it, in one namespace."""

    def __init__(self, peer: Peer, namespace: str = '/arm', record: str = 'control_step') -> None:
        self.peer = peer
        self.namespace = namespace
        self.node = f'{namespace}/policy_node'
        self.commands = peer.listen_to_commands(SPEC, f'{namespace}/arm/commands')
        self.records = peer.listen(Float64MultiArray, f'{self.node}/{record}')
        self._stream: Stream | None = None

    def send_states(
        self, make: Callable[[], JointState] | None = None, rate: float = 50.0
    ) -> Stream:
        """Send states, 50 a second; at the end of the test they stop by themselves."""
        make = make or self.joint_states
        if self._stream is not None and self._stream.is_running:
            self._stream.change(make, rate)
        else:
            self._stream = self.peer.stream(f'{self.namespace}/joint_states', make, rate)
        return self._stream

    def joint_states(self) -> JointState:
        message = state_message(SPEC, 'joint_states', make_state(), 0.0)
        message.header.stamp = self.peer.now()
        return message

    def out_of_limits(self) -> JointState:
        message = self.joint_states()
        message.position[0] = 100.0
        return message

    def publisher(self) -> Publisher:
        return self.peer.node.create_publisher(JointState, f'{self.namespace}/joint_states', 1)

    def activate(self) -> None:
        """Activate as soon as the node has seen the state, as an operator would try again."""
        wait_for(lambda: self.peer.change(self.node, 'activate'), 'activation')

    def wait_for_mode(self, mode: Mode, code: str | None = None) -> None:
        def is_there() -> bool:
            newest = self.newest()
            found = newest is not None and newest.mode is mode
            return found and (code is None or (newest.fault and newest.fault.code) == code)

        wait_for(is_there, lambda: f'{mode}, {code}; the newest step is {self.newest()}')

    def wait_for_action(self, action: Sequence[float]) -> None:
        def acts() -> bool:
            found = self.newest()
            if found is None or found.action is None:  # a late tick stops, and decides nothing
                return False
            return tuple(found.action.astype(float)) == as_sent(action)

        wait_for(acts, lambda: f'{action}; the newest step is {self.newest()}')

    def codes(self, start: int = 0) -> set[str]:
        """Return the faults that have stopped the robot."""
        return {step.fault.code for step in self.steps(start) if step.fault is not None}

    def newest(self) -> ControlStep | None:
        return step_from_message(SPEC, self.records[-1]) if self.records else None

    def steps(self, start: int = 0) -> list[ControlStep]:
        return [step_from_message(SPEC, record) for record in self.records[start:]]

    def sent(self) -> np.ndarray:
        return np.array([list(message.data) for message in self.commands])

    def call(self, name: str) -> Trigger.Response:
        return self.peer.call(Trigger, f'{self.node}/{name}', Trigger.Request())

    def enable(self, data: bool) -> SetBool.Response:
        return self.peer.call(SetBool, f'{self.node}/enable', SetBool.Request(data=data))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.stop()
        for messages in (self.commands, self.records):
            self.peer.forget(messages)


@pytest.fixture
def arm(peer: Peer) -> Iterator[Arm]:
    """Return the robot of the shared node."""
    arm = Arm(peer)
    yield arm
    arm.close()


@pytest.fixture
def lone_arm(peer: Peer) -> Iterator[Arm]:
    """Return the robot of the test's own node."""
    arm = Arm(peer, '/lone')
    yield arm
    arm.close()


def set_parameter(
    peer: Peer, node: str, name: str, value: str | bool | float
) -> SetParametersResult:
    """Set a parameter of a node, and return whether it was accepted, and why not."""
    message = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[message])
    return peer.call(SetParameters, f'{node}/set_parameters', request).results[0]


def wait_for_values(diagnostics: list, node: str, what: str, **wanted: str) -> dict[str, str]:
    """Wait until /diagnostics says `wanted` about a node; return all that it says."""
    found: dict[str, str] = {}

    def is_there() -> bool:
        status = policy_status(diagnostics, node)
        found.update({} if status is None else {**values_of(status), 'message': status.message})
        return all(found.get(key) == value for key, value in wanted.items())

    wait_for(is_there, f'{what} in /diagnostics')
    return found


def settle() -> None:
    """Give a node the time to do what it must not do."""
    time.sleep(0.5)
