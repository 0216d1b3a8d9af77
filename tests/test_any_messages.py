"""Any messages, at any time, and any operator: what is sent stays finite, bounded and limited."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from builders import make_spec
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped, PoseStamped
from sensor_msgs.msg import JointState

from sac_ros.command_messages import command_from_message, command_message
from sac_ros.control_step import Mode
from sac_ros.controller import PolicyController
from sac_ros.fault import Fault
from sac_ros.measurements import Measurements
from sac_ros.messages import time_message
from sac_ros.spec import TaskSpec

any_float = st.floats(width=64)  # NaN, infinities and denormals among them
plausible = st.floats(-1.0, 1.0)
broken = st.sampled_from([math.nan, math.inf, -math.inf, 1e39])
number = any_float | broken | plausible | plausible | plausible | plausible
names = st.lists(st.sampled_from(['shoulder', 'elbow', 'elbow', 'gripper', '']), max_size=4)
usual = st.permutations(['shoulder', 'elbow'])
stamp = st.floats(-0.2, 0.2)  # [s], against now


@st.composite
def joint_states(draw: st.DrawFn) -> Callable[[float], JointState]:
    joints = draw(usual | usual | usual | names)
    sizes = st.just(len(joints)) | st.just(len(joints)) | st.integers(0, 4)
    position, velocity = (
        draw(sizes.flatmap(lambda size: st.lists(number, min_size=size, max_size=size)))
        for _ in range(2)
    )
    age, is_stamped = draw(stamp), draw(st.booleans())

    def make(now: float) -> JointState:
        message = JointState(name=joints, position=position, velocity=velocity)
        if is_stamped:
            message.header.stamp = time_message(max(0.0, now - age))
        return message

    return make


@st.composite
def points(draw: st.DrawFn) -> Callable[[float], PointStamped]:
    x, y, z = (draw(number) for _ in range(3))
    frame = draw(st.sampled_from(['base', 'base', 'camera', '']))

    def make(now: float) -> PointStamped:
        message = PointStamped()
        message.header.frame_id = frame
        message.point.x, message.point.y, message.point.z = x, y, z
        return message

    return make


@st.composite
def poses(draw: st.DrawFn) -> Callable[[float], PoseStamped]:
    point = draw(points())

    def make(now: float) -> PoseStamped:
        message = PoseStamped(header=point(now).header)
        message.pose.position = point(now).point
        return message

    return make


EVENTS = (
    st.tuples(st.just('joint_states'), joint_states())
    | st.tuples(st.just('joint_states'), joint_states())
    | st.tuples(st.just('tool_pose'), poses())
    | st.tuples(st.just('goal'), points())
    | st.tuples(st.just('wait'), st.floats(0.0, 0.2))
    | st.tuples(st.just('clock'), st.floats(-2.0, 2.0))
    | st.tuples(st.just('answer'), st.tuples(number, number) | st.tuples(plausible, plausible))
    | st.tuples(
        st.just('operator'),
        st.sampled_from(['stop', 'reset', 'disable', 'enable', 'overrun', 'slow', 'ramp']),
    )
    | st.tuples(st.just('tick'), st.none())
    | st.tuples(st.just('tick'), st.none())
)


def spec_of(interface: str) -> TaskSpec:
    stop = 'hold' if interface == 'position' else 'zero'
    return make_spec(interface=interface, stop=stop, lower=[-1.0, -0.5], upper=[1.0, 0.25])


@pytest.mark.fault('A01 A02 A04 A08 A09', 'ACTIVE, HOLD, SAFE or FAULT', '')
@pytest.mark.parametrize('interface', ['velocity', 'position', 'effort'])
@settings(max_examples=300)
@given(events=st.lists(EVENTS, min_size=10, max_size=60))
def test_any_sequence_of_messages_leaves_commands_finite_bounded_and_rate_limited(
    interface: str, events: list[tuple[str, object]]
):
    spec = spec_of(interface)
    answer = [0.5, 0.1]
    controller = PolicyController(spec, lambda _: np.array(answer, dtype=np.float32))
    measurements = Measurements(spec)
    steady, offset = 100.0, 1000.0  # [s]; the clock of the stamps is `offset` ahead, and is set
    for source, make in _fit_messages().items():
        measurements.update(source, make(steady + offset), steady + offset, steady)
    assert controller.activate(measurements.state(), steady) is None
    previous: np.ndarray | None = None
    for kind, value in events:
        if kind == 'wait':
            assert isinstance(value, float)
            steady += value
        elif kind == 'clock':
            assert isinstance(value, float)
            offset += value
        elif kind == 'answer':
            answer[:] = value
        elif kind in ('tick', 'operator'):
            step = _act(controller, measurements, value, steady)
            if step is None:
                continue
            command = _received(spec, step)
            if previous is not None:
                assert (np.abs(command - previous) <= 5.0 * spec.dt + 1e-9).all()
            previous = command
            steady += spec.dt
        else:
            assert callable(value)
            measurements.update(kind, value(steady + offset), steady + offset, steady)


def _act(
    controller: PolicyController, measurements: Measurements, value: object, steady: float
) -> np.ndarray | None:
    """Do what an operator says, or tick; return the command, if one is sent."""
    if value is None:
        return controller.step(measurements.state(), steady).command
    if value == 'overrun':
        return controller.overrun(steady).command
    actions: dict[object, Callable[[], object]] = {
        'stop': lambda: controller.emergency_stop('the button was pressed'),
        'reset': lambda: controller.reset(measurements.state(), steady),
        'disable': lambda: controller.forbid(Fault('W_DISABLED', 'by an operator')),
        'enable': lambda: controller.permit('W_DISABLED'),
        'slow': lambda: setattr(controller, 'speed_scale', 0.3),
        'ramp': lambda: setattr(controller, 'ramp_time', 0.5),
    }
    actions[value]()
    assert controller.mode is not Mode.INACTIVE
    return None


def _received(spec: TaskSpec, command: np.ndarray) -> np.ndarray:
    """Return a command as a robot gets it; that refuses what is not finite."""
    received = command_from_message(spec, command_message(spec, command, 1.0))
    assert np.isfinite(received).all()
    assert (received >= spec.per_action(spec.action.lower)).all()
    assert (received <= spec.per_action(spec.action.upper)).all()
    return received


def _fit_messages() -> dict[str, Callable[[float], object]]:
    def joints(now: float) -> JointState:
        message = JointState(name=['shoulder', 'elbow'], position=[0.0, 0.0], velocity=[0.0, 0.0])
        message.header.stamp = time_message(now)
        return message

    def pose(now: float) -> PoseStamped:
        message = PoseStamped()
        message.header.stamp = time_message(now)
        return message

    return {'joint_states': joints, 'tool_pose': pose, 'goal': lambda now: PointStamped()}


def test_the_strategies_do_reach_nan_and_infinity():
    """Otherwise the test above would prove nothing about them."""
    found: set[str] = set()

    @settings(max_examples=200)
    @given(message=joint_states())
    def look(message: Callable[[float], JointState]):
        for value in message(1.0).position:
            found.add('nan' if math.isnan(value) else 'inf' if math.isinf(value) else 'finite')

    look()
    assert found == {'nan', 'inf', 'finite'}
