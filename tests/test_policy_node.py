"""The policy node as a process on real topics: its states, its silence, its last word."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, make_state, onnx_model, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from ros import (
    NodeProcess,
    Peer,
    Stream,
    parameters,
    policy_status,
    running,
    values_of,
    wait_for,
    write_constant_model,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from sac_ros.controller import ControlStep, Mode, PolicyController
from sac_ros.lifecycle_node import PolicyNode
from sac_ros.messages import LATCHED, state_message
from sac_ros.step_message import step_from_message

pytestmark = pytest.mark.ros

NODE = '/arm/policy_node'  # one process, shared by many tests
LONE_NODE = '/lone/policy_node'  # a process of the test's own
TIMEOUT = 0.5  # [s]: a test machine may be slow, and a late state must not look like a lost one
# 0.9 is nine periods away from standing still: 0.9 / (5 rad/s^2 * 0.02 s).
ACTION = (0.9, -0.9)
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
REACH = make_spec(
    topics={
        'joint_states': topic('joint_states', timeout=TIMEOUT),
        'tool_pose': topic('tool_pose', timeout=TIMEOUT),
        'goal': topic('goal', frame='base'),
        'command': topic('command'),
    }
)


def start(namespace: str = '/lone', **values: object) -> list[str]:
    """Return the command line of a policy node."""
    return ['-m', 'sac_ros.policy_node', *parameters(**values), '-r', f'__ns:={namespace}']


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


def joint_states(peer: Peer) -> JointState:
    message = state_message(SPEC, 'joint_states', make_state(), 0.0)
    message.header.stamp = peer.now()
    return message


def stream_states(peer: Peer, namespace: str = '/arm') -> Stream:
    return peer.stream(f'{namespace}/joint_states', lambda: joint_states(peer), 50.0)


def activate(peer: Peer) -> None:
    """Activate as soon as the node has seen the state, as an operator would try again."""
    wait_for(lambda: peer.change(NODE, 'activate'), 'activation')


def commands_in(messages: list[Float64MultiArray]) -> np.ndarray:
    return np.array([list(message.data) for message in messages])


def test_the_node_walks_through_the_states_of_a_lifecycle(model: Path, peer: Peer):
    name = LONE_NODE
    with running(*start(model=model)) as node:
        states = stream_states(peer, '/lone')
        assert peer.state(name) == 'unconfigured'
        assert peer.change(name, 'configure')
        assert peer.state(name) == 'inactive'
        wait_for(lambda: peer.change(name, 'activate'), 'activation')
        assert peer.state(name) == 'active'
        assert peer.change(name, 'deactivate')
        assert peer.state(name) == 'inactive'
        assert peer.change(name, 'cleanup')
        assert peer.state(name) == 'unconfigured'
        assert peer.change(name, 'configure')
        wait_for(lambda: peer.change(name, 'activate'), 'activation')
        commands = peer.listen(Float64MultiArray, '/lone/arm/commands')
        wait_for(lambda: len(commands) > 20, 'commands')
        assert peer.change(name, 'shutdown active')
        assert peer.state(name) == 'finalized'
        np.testing.assert_array_equal(commands_in(commands)[-1], [0.0, 0.0])
        states.stop()
        assert node.end(signal.SIGTERM) == 0


def test_nothing_is_sent_before_activation_and_after_deactivation(configured, peer: Peer):
    commands = peer.listen(Float64MultiArray, '/arm/arm/commands')
    steps = peer.listen(Float64MultiArray, f'{NODE}/control_step')
    states = stream_states(peer)
    wait_for(lambda: peer.node.count_publishers('/arm/arm/commands') == 1, 'the publisher')
    time.sleep(0.3)
    assert commands == steps == []
    activate(peer)
    wait_for(lambda: len(commands) > 20, 'commands')
    assert peer.change(NODE, 'deactivate')
    wait_for(lambda: commands_in(commands)[-1].any() == 0, 'the stop command')
    count = len(commands)
    time.sleep(0.3)
    assert len(commands) == count
    states.stop()


def test_commands_grow_and_stop_as_fast_as_max_rate_allows(configured, peer: Peer):
    commands = peer.listen(Float64MultiArray, '/arm/arm/commands')
    states = stream_states(peer)
    wait_for(lambda: peer.node.count_publishers('/arm/arm/commands') == 1, 'the publisher')
    activate(peer)
    wait_for(lambda: len(commands) > 30, 'commands')
    assert peer.change(NODE, 'deactivate')
    wait_for(lambda: not commands_in(commands)[-1].any(), 'the stop command')
    states.stop()
    sent = commands_in(commands)
    assert np.abs(np.diff(sent, axis=0)).max() <= 0.1 + 1e-12  # 5 rad/s^2 * 0.02 s
    np.testing.assert_allclose(sent.max(axis=0), [0.9, 0.0], atol=1e-7)
    np.testing.assert_allclose(sent[-10:, 0], np.arange(9, -1, -1) / 10, atol=1e-6)


def test_each_control_step_tells_what_was_sent(configured, peer: Peer):
    commands = peer.listen(Float64MultiArray, '/arm/arm/commands')
    steps = peer.listen(Float64MultiArray, f'{NODE}/control_step')
    states = stream_states(peer)
    wait_for(lambda: peer.node.count_publishers(f'{NODE}/control_step') == 1, 'the publisher')
    activate(peer)
    wait_for(lambda: len(steps) > 20 and len(commands) > 20, 'control steps')
    states.stop()
    read = {step.sequence: step for step in (step_from_message(SPEC, step) for step in steps)}
    step = read[15]
    assert step.mode is Mode.ACTIVE
    assert step.observation is not None
    assert step.action is not None
    previous = np.array([1.0, -1.0]) * 0.9  # reached after nine periods
    np.testing.assert_allclose(step.observation, [0.1, -0.2, 0.3, -0.4, *previous], atol=1e-6)
    np.testing.assert_allclose(step.action, ACTION)
    np.testing.assert_allclose(step.command, previous, atol=1e-6)
    assert step.command.tolist() in commands_in(commands).tolist()
    assert sorted(read) == list(range(min(read), max(read) + 1))


def test_without_a_state_the_node_is_not_activated_and_says_which_topic(
    configured, process: NodeProcess, peer: Peer
):
    assert not peer.change(NODE, 'activate')
    assert peer.state(NODE) == 'inactive'
    process.wait_for_log('not activated: E_OBS_MISSING: no message on joint_states yet')


def test_an_absent_joint_keeps_the_node_inactive_and_is_named_everywhere(
    configured, process: NodeProcess, peer: Peer
):
    def without_elbow() -> JointState:
        return JointState(name=['shoulder', 'gripper'], position=[0.0, 0.0], velocity=[0.0, 0.0])

    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    states = peer.stream('/arm/joint_states', without_elbow, 50.0)
    text = (
        "E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states: it has shoulder, gripper"
    )

    def code() -> str:
        status = policy_status(diagnostics, NODE)
        return '' if status is None else values_of(status).get('code', '')

    wait_for(lambda: code() == 'E_OBS_MISSING_JOINT', 'the code in /diagnostics')
    status = policy_status(diagnostics, NODE)
    assert status is not None
    assert status.name == f'{NODE}: policy'
    assert status.level == DiagnosticStatus.WARN
    assert status.message == f'inactive: {text}'
    assert not peer.change(NODE, 'activate')
    process.wait_for_log(f'not activated: {text}')
    states.stop()


def test_a_joint_that_vanishes_while_active_ends_in_safe_and_in_the_log(
    configured, process: NodeProcess, peer: Peer
):
    names = ['shoulder', 'elbow']
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')

    def states_of_names() -> JointState:
        message = joint_states(peer)
        message.name = list(names)
        return message

    states = peer.stream('/arm/joint_states', states_of_names, 50.0)
    activate(peer)
    names[1] = 'wrist'
    wait_for(
        lambda: (status := policy_status(diagnostics, NODE)) and status.message.startswith('safe'),
        'SAFE in /diagnostics',
    )
    status = policy_status(diagnostics, NODE)
    assert status is not None
    assert status.level == DiagnosticStatus.ERROR
    assert int(values_of(status)['count.E_OBS_MISSING_JOINT']) > 1
    process.wait_for_log("safe: E_OBS_MISSING_JOINT: joint 'elbow' is absent from joint_states")
    lines = [line for line in process.log().splitlines() if 'safe: E_OBS_MISSING_JOINT' in line]
    assert len(lines) <= 2  # not fifty a second
    states.stop()


def test_a_lost_state_brings_stop_commands_each_period_until_it_is_back(configured, peer: Peer):
    steps = peer.listen(Float64MultiArray, f'{NODE}/control_step')

    def newest() -> object:
        return step_from_message(SPEC, steps[-1]).mode

    states = stream_states(peer)
    activate(peer)
    wait_for(lambda: len(steps) > 20 and newest() is Mode.ACTIVE, 'ACTIVE')
    states.stop()
    wait_for(lambda: newest() is Mode.SAFE, 'SAFE')
    count = len(steps)
    wait_for(lambda: len(steps) > count + 30, 'stop commands go on without a state')
    safe = [step_from_message(SPEC, step) for step in steps[count + 15 :]]
    assert all(step.mode is Mode.SAFE for step in safe)
    assert {step.fault.code for step in safe if step.fault} == {'E_OBS_STALE'}
    np.testing.assert_array_equal([step.command for step in safe], np.zeros((len(safe), 2)))
    periods = np.diff([step.stamp for step in safe])
    assert np.median(periods) == pytest.approx(0.02, rel=0.05)
    states = stream_states(peer)
    wait_for(lambda: newest() is Mode.ACTIVE, 'ACTIVE again')
    states.stop()


@pytest.mark.parametrize('way', ['service', 'topic'])
def test_an_emergency_stop_lasts_until_reset(configured, peer: Peer, way: str):
    steps = peer.listen(Float64MultiArray, f'{NODE}/control_step')

    def newest() -> ControlStep:
        return step_from_message(SPEC, steps[-1])

    states = stream_states(peer)
    activate(peer)
    wait_for(lambda: len(steps) > 20 and newest().mode is Mode.ACTIVE, 'ACTIVE')
    if way == 'service':
        assert peer.call(Trigger, f'{NODE}/estop', Trigger.Request()).success
    else:
        estop = peer.node.create_publisher(Bool, f'{NODE}/estop', 1)
        wait_for(lambda: estop.get_subscription_count() > 0, 'the node listens')
        estop.publish(Bool(data=True))
    wait_for(lambda: newest().mode is Mode.FAULT, 'FAULT')
    wait_for(lambda: not newest().command.any(), 'the stop command')
    if way == 'topic':
        estop.publish(Bool(data=False))  # letting go is no reset
    count = len(steps)
    wait_for(lambda: len(steps) > count + 30, 'stop commands go on')
    stopped = [step_from_message(SPEC, step) for step in steps[count:]]
    assert {step.fault.code for step in stopped if step.fault} == {'E_ESTOP'}
    assert not any(step.command.any() for step in stopped)
    assert peer.call(Trigger, f'{NODE}/reset', Trigger.Request()).message == 'reset'
    wait_for(lambda: newest().mode is Mode.ACTIVE, 'ACTIVE again')
    changes = np.abs(np.diff([step_from_message(SPEC, step).command for step in steps], axis=0))
    assert changes.max() <= 5.0 * 0.02 + 1e-12  # max_rate * dt, into the stop and out of it
    states.stop()


def test_an_emergency_stop_forbids_activation_until_reset(configured, peer: Peer):
    states = stream_states(peer)
    activate(peer)
    assert peer.change(NODE, 'deactivate')
    assert peer.call(Trigger, f'{NODE}/estop', Trigger.Request()).success
    assert not peer.change(NODE, 'activate')
    assert peer.call(Trigger, f'{NODE}/reset', Trigger.Request()).success
    activate(peer)
    states.stop()


def test_estop_and_reset_say_when_there_is_nothing_to_stop(process, peer: Peer):
    for service in ('estop', 'reset'):
        answer = peer.call(Trigger, f'{NODE}/{service}', Trigger.Request())
        assert not answer.success
        assert answer.message.startswith('not configured')


def test_a_state_of_500_hertz_makes_one_command_in_ten(configured, peer: Peer):
    steps = peer.listen(Float64MultiArray, f'{NODE}/control_step')
    sent: list[float] = []

    def counted() -> JointState:
        sent.append(time.monotonic())
        return joint_states(peer)

    states = peer.stream('/arm/joint_states', counted, 500.0)
    activate(peer)
    wait_for(lambda: len(steps) > 5, 'control steps')
    first, count, began = len(steps), len(sent), time.monotonic()
    wait_for(lambda: len(steps) >= first + 100, 'control steps')
    seconds, states_sent = time.monotonic() - began, len(sent) - count
    states.stop()
    # In time, not in states: a busy machine may send fewer than 500 a second.
    assert 25.0 < (len(steps) - first) / seconds < 55.0
    assert states_sent > 150


def test_the_node_listens_to_the_topics_of_its_terms_and_to_no_other(configured, peer: Peer):
    topics = peer.node.get_subscriber_names_and_types_by_node('policy_node', '/arm')
    heard = {name for name, _ in topics} - {'/parameter_events'}
    assert heard == {'/arm/joint_states', f'{NODE}/estop'}


def test_the_model_cannot_be_changed_under_a_configured_node(configured, peer: Peer):
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value='other.onnx')
    request = SetParameters.Request(parameters=[Parameter(name='model', value=value)])
    result = peer.call(SetParameters, f'{NODE}/set_parameters', request).results[0]
    assert not result.successful
    assert result.reason == "'model' is read by configure: deactivate, clean up first"


def test_parameters_explain_themselves(process: NodeProcess, peer: Peer):
    request = DescribeParameters.Request(names=['model', 'autostart'])
    descriptors = peer.call(DescribeParameters, f'{NODE}/describe_parameters', request).descriptors
    assert all(descriptor.description.endswith('.') for descriptor in descriptors)
    assert [descriptor.read_only for descriptor in descriptors] == [False, True]


@pytest.fixture
def lone_node(peer: Peer) -> Iterator[Callable[..., PolicyNode]]:
    """Return a function that makes a policy node in this process."""
    made: list[PolicyNode] = []

    def make(**values: object) -> PolicyNode:
        arguments = [*parameters(**values), '-r', '__ns:=/lone']
        made.append(PolicyNode(context=peer.context, arguments=arguments))
        peer.executor.add_node(made[-1])
        return made[-1]

    yield make
    for node in made:
        peer.executor.remove_node(node)
        node.close()
        node.destroy_node()


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, r'model .*bad.onnx: nothing found; a model file \(.onnx\) is needed'),
        (b'not an onnx file', r'model .*bad.onnx is not an ONNX model that can be run.*'),
        (onnx_model(SPEC, metadata={}), r'model .*bad.onnx carries no sac_ros contract.*'),
    ],
)
def test_a_bad_model_is_told_in_one_line_and_the_node_lives_on(
    content, reason, tmp_path: Path, peer: Peer, lone_node
):
    path = tmp_path / 'bad.onnx'
    if content is not None:
        path.write_bytes(content)
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    node = lone_node(model=path)
    assert node.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert node.crash is None
    assert peer.state(LONE_NODE) == 'unconfigured'
    wait_for(
        lambda: (
            (status := policy_status(diagnostics, LONE_NODE))
            and status.level == DiagnosticStatus.ERROR
            and re.fullmatch(reason, status.message)
        ),
        'the reason in /diagnostics',
    )


def test_without_a_model_the_node_says_which_parameter_it_needs(peer: Peer, lone_node):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    lone_node(autostart=True)
    text = "parameter 'model' is empty; the path of a model file is needed"
    wait_for(
        lambda: (status := policy_status(diagnostics, LONE_NODE)) and status.message == text,
        'the reason in /diagnostics',
    )


def test_after_an_operator_has_stepped_in_the_node_does_not_start_by_itself(
    model: Path, peer: Peer, lone_node
):
    lone_node(model=model, autostart=True)
    wait_for(lambda: peer.state(LONE_NODE) == 'inactive', 'the node configures itself')
    assert peer.change(LONE_NODE, 'cleanup')
    states = stream_states(peer, '/lone')
    time.sleep(0.5)  # five looks of the autostart
    assert peer.state(LONE_NODE) == 'unconfigured'
    states.stop()


def test_a_node_that_starts_by_itself_does_so_once(model: Path, peer: Peer, lone_node):
    states = stream_states(peer, '/lone')
    lone_node(model=model, autostart=True)
    wait_for(lambda: peer.state(LONE_NODE) == 'active', 'the node activates itself')
    assert peer.change(LONE_NODE, 'deactivate')
    time.sleep(0.5)
    assert peer.state(LONE_NODE) == 'inactive'
    states.stop()


def test_a_bug_in_a_transition_is_kept_for_the_process_to_die_of(
    model: Path, lone_node, monkeypatch: pytest.MonkeyPatch
):
    node = lone_node(model=model)
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS

    def broken(self, state, now):
        raise ZeroDivisionError('a bug in activation')

    monkeypatch.setattr(PolicyController, 'activate', broken)
    node.trigger_activate()
    assert isinstance(node.crash, ZeroDivisionError)


def test_the_last_command_before_the_end_is_the_stop_command(model: Path, peer: Peer):
    commands = peer.listen(Float64MultiArray, '/lone/arm/commands')
    states = stream_states(peer, '/lone')
    with running(*start(model=model, autostart=True)) as node:
        wait_for(lambda: len(commands) > 20, 'commands')
        assert node.end(signal.SIGTERM) == 0
        wait_for(lambda: not commands_in(commands)[-1].any(), 'the stop command')
        states.stop()
        assert np.abs(np.diff(commands_in(commands), axis=0)).max() <= 0.1 + 1e-12
        assert 'Traceback' not in node.log()
        # Nor do the others go on believing in a node that has ended.
        wait_for(lambda: peer.node.count_publishers('/lone/arm/commands') == 0, 'farewell', 5.0)


BROKEN = """
import sys
from sac_ros.control_loop import PolicyController
from sac_ros.policy_node import main

whole = PolicyController.step

def broken(self, state, now):
    if self._sequence >= 20:
        raise ZeroDivisionError('a bug in the tick')
    return whole(self, state, now)

PolicyController.step = broken
sys.exit(main())
"""


def test_a_bug_in_the_tick_stops_the_robot_and_ends_the_process_loudly(model: Path, peer: Peer):
    commands = peer.listen(Float64MultiArray, '/lone/arm/commands')
    states = stream_states(peer, '/lone')
    words = start(model=model, autostart=True)[2:]
    with running('-c', BROKEN, *words) as node:
        assert node.process.wait(30.0) == 1
        states.stop()
        assert 'ZeroDivisionError: a bug in the tick' in node.log()
        sent = commands_in(commands)
        np.testing.assert_allclose(sent.max(axis=0), [0.9, 0.0], atol=1e-6)
        np.testing.assert_array_equal(sent[-1], [0.0, 0.0])


def test_goals_are_heard_whether_latched_before_or_sent_once_later(tmp_path: Path, peer: Peer):
    model = write_constant_model(tmp_path / 'reach.onnx', REACH, ACTION)
    state = make_state()

    def goal(x: float) -> PointStamped:
        message = state_message(REACH, 'goal', make_state(goal=(x, 0.0, 0.0)), 0.0)
        assert message.header.frame_id == 'base'
        return message

    def moving(source: str) -> object:
        return state_message(REACH, source, state, 0.0)  # no stamp: dated by its arrival

    steps = peer.listen(Float64MultiArray, f'{LONE_NODE}/control_step')
    latched = peer.node.create_publisher(PointStamped, '/lone/goal', LATCHED)
    latched.publish(goal(1.0))
    streams = [
        peer.stream(f'/lone/{source}', lambda source=source: moving(source), 50.0)
        for source in ('tool_pose', 'joint_states')
    ]

    def distance() -> float:
        """Return x of goal_from_tool as the policy observes it; the tool is at 0.3 m."""
        step = step_from_message(REACH, steps[-1])
        return float('nan') if step.observation is None else float(step.observation[4])

    with running(*start(model=model, autostart=True)):
        wait_for(lambda: steps and distance() == pytest.approx(0.7), 'the latched goal')
        once = peer.node.create_publisher(PointStamped, '/lone/goal', 1)
        wait_for(lambda: once.get_subscription_count() >= 1, 'the reader of goals')
        once.publish(goal(0.8))
        wait_for(lambda: distance() == pytest.approx(0.5), 'the goal that was sent once')
        wrong = goal(0.1)
        wrong.header.frame_id = 'camera'
        once.publish(wrong)
        wait_for(
            lambda: step_from_message(REACH, steps[-1]).mode is Mode.SAFE, 'SAFE: frame camera'
        )
        step = step_from_message(REACH, steps[-1])
        assert step.fault is not None
        assert step.fault.code == 'E_OBS_FRAME'
        once.publish(goal(0.7))
        wait_for(lambda: distance() == pytest.approx(0.4), 'the goal in the right frame')
    for stream in streams:
        stream.stop()


def test_with_simulated_time_the_ticks_follow_the_clock_and_not_the_wall(model: Path, peer: Peer):
    steps = peer.listen(Float64MultiArray, f'{LONE_NODE}/control_step')
    commands = peer.listen(Float64MultiArray, '/lone/arm/commands')
    clock = peer.node.create_publisher(Clock, '/clock', 10)
    publisher = peer.node.create_publisher(JointState, '/lone/joint_states', 10)

    def advance(period: int) -> None:
        now = state_message(SPEC, 'joint_states', make_state(), period * SPEC.dt)
        clock.publish(Clock(clock=now.header.stamp))
        publisher.publish(now)

    with running(*start(model=model, autostart=True, use_sim_time=True)) as node:
        period = 0

        def is_active() -> bool:
            nonlocal period
            period += 1
            advance(period)
            time.sleep(0.02)
            return 'active: the policy' in node.log()

        wait_for(is_active, 'activation on simulated time')
        first = None
        for i in range(1, 101):  # ten times faster than the wall, if the machine can
            advance(period + i)
            count = len(steps)
            wait_for(lambda count=count: len(steps) > count, 'the tick of this period')
            first = first or step_from_message(SPEC, steps[-1])
        last = step_from_message(SPEC, steps[-1])
        assert first is not None
        assert last.sequence - first.sequence == 99
        assert last.stamp - first.stamp == pytest.approx(99 * 0.02)
        count = len(steps)
        time.sleep(0.5)  # the clock stands still, and so do we
        assert len(steps) <= count + 1
        assert node.end(signal.SIGINT) == 0
        wait_for(lambda: not commands_in(commands)[-1].any(), 'the stop command')
        assert 'Traceback' not in node.log()
