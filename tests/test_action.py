"""action.py: whatever is asked for, what is sent is finite, within bounds and within the rate."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state, slowest_rate
from hypothesis import given
from hypothesis import strategies as st

from sac_ros.action import ActionMap
from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_a_command_changes_no_faster_than_max_rate() -> None:
    action_map = _started(make_spec(control_rate=50.0, max_rate=5.0))

    # 0.0 + 5.0 rad/s^2 * 0.02 s = 0.1 rad/s, then 0.2, and down again
    np.testing.assert_allclose(action_map.to_command(np.array([1.0, -1.0])), [0.1, -0.1])
    np.testing.assert_allclose(action_map.to_command(np.array([1.0, -1.0])), [0.2, -0.2])
    np.testing.assert_allclose(action_map.to_command(np.array([-1.0, -1.0])), [0.1, -0.3])


def test_each_element_has_a_rate_of_its_own() -> None:
    action_map = _started(make_spec(control_rate=10.0, max_rate=[1.0, math.inf]))

    # 1.0 * 0.1 s = 0.1; without a limit the command is the action
    np.testing.assert_allclose(action_map.to_command(np.array([1.0, 1.0])), [0.1, 1.0])


def test_an_action_that_is_near_enough_is_sent_as_it_is() -> None:
    action_map = _started(make_spec())

    np.testing.assert_array_equal(action_map.to_command(np.array([0.05, -0.07])), [0.05, -0.07])


def test_a_command_never_leaves_its_bounds() -> None:
    action_map = _started(make_spec(lower=[-0.15, -1.0], upper=[0.15, 1.0], max_rate=math.inf))

    np.testing.assert_array_equal(action_map.to_command(np.array([9.0, -9.0])), [0.15, -1.0])
    np.testing.assert_array_equal(action_map.to_command(np.array([-9.0, 9.0])), [-0.15, 1.0])


@pytest.mark.parametrize('wrong', [math.nan, math.inf, -math.inf])
def test_an_action_that_is_not_finite_raises_and_changes_nothing(wrong: float) -> None:
    action_map = _started(make_spec())
    action_map.to_command(np.array([0.05, 0.05]))

    with pytest.raises(ValueError, match=r'^action \[ *0\.  *-?(nan|inf)\] is not finite$'):
        action_map.to_command(np.array([0.0, wrong]))

    np.testing.assert_array_equal(action_map.previous, [0.05, 0.05])


def test_a_velocity_starts_from_the_stop_command_wherever_the_joints_are() -> None:
    action_map = ActionMap(make_spec(stop=[0.2, 0.0]))
    np.testing.assert_array_equal(action_map.previous, [0.2, 0.0])
    action_map.to_command(np.array([1.0, 1.0]))

    action_map.reset(make_state(joint_position=(1.0, 1.0), joint_velocity=(1.0, 1.0)))

    np.testing.assert_array_equal(action_map.previous, [0.2, 0.0])


def test_a_position_starts_where_the_driven_joints_are() -> None:
    spec = make_spec(interface='position', stop='hold', action_joints=['elbow'])
    action_map = ActionMap(spec)

    action_map.reset(make_state(joint_position=(0.7, -0.3)))

    np.testing.assert_array_equal(action_map.previous, [-0.3])
    # towards 0.9 at 5 rad/s: 5.0 * 0.02 s = 0.1 rad
    np.testing.assert_allclose(action_map.to_command(np.array([0.9])), [-0.2])


def test_a_position_starts_inside_the_bounds() -> None:
    action_map = ActionMap(make_spec(interface='position', stop='hold'))

    action_map.reset(make_state(joint_position=(1.7, -2.0)))

    np.testing.assert_array_equal(action_map.previous, [1.0, -1.0])


def test_a_position_cannot_start_without_measured_joints() -> None:
    action_map = ActionMap(make_spec(interface='position', stop='hold'))

    with pytest.raises(ValueError, match='a position interface starts from measured joint pos'):
        action_map.reset(make_state(joint_position=None))


@pytest.mark.parametrize(
    ('joint_position', 'text'),
    [
        ((0.0, 1.0), None),
        ((1.09, -1.09), None),  # 5.0 rad/s * 0.02 s = 0.1 rad outside is a step that is allowed
        (
            (0.0, 1.5),
            'joint_position of elbow 1.5 is 0.5 outside the bounds of the action [-1.0, 1.0]; '
            '0.1 is allowed, the step of a period at max_rate',
        ),
        (
            (-1.25, 1.5),
            'joint_position of shoulder -1.25 is 0.25 outside the bounds of the action '
            '[-1.0, 1.0]; 0.1 is allowed, the step of a period at max_rate',
        ),
    ],
)
def test_a_position_does_not_start_further_out_of_bounds_than_one_step(
    joint_position: tuple[float, float], text: str | None
) -> None:
    action_map = ActionMap(make_spec(interface='position', stop='hold'))

    fault = action_map.find_start_fault(make_state(joint_position=joint_position))

    assert fault == (None if text is None else Fault('E_OBS_RANGE', text))


def test_only_the_joints_that_are_driven_must_be_near_their_bounds() -> None:
    spec = make_spec(interface='position', stop='hold', action_joints=['elbow'])
    action_map = ActionMap(spec)

    assert action_map.find_start_fault(make_state(joint_position=(2.9, 0.0))) is None
    fault = action_map.find_start_fault(make_state(joint_position=(0.0, 1.5)))
    assert fault is not None
    assert fault.text.startswith('joint_position of elbow 1.5 is 0.5 outside the bounds')


def test_where_max_rate_allows_any_step_a_position_starts_anywhere() -> None:
    action_map = ActionMap(make_spec(interface='position', stop='hold', max_rate=[math.inf, 5.0]))

    assert action_map.find_start_fault(make_state(joint_position=(2.9, 0.0))) is None
    assert action_map.find_start_fault(make_state(joint_position=(2.9, 1.5))) is not None


@pytest.mark.parametrize('interface', ['velocity', 'effort'])
def test_what_is_no_position_starts_wherever_the_joints_are(interface: str) -> None:
    action_map = ActionMap(make_spec(interface=interface))

    assert action_map.find_start_fault(make_state(joint_position=(2.9, -1.9))) is None
    assert action_map.find_start_fault(make_state(joint_position=None)) is None


def test_stopping_goes_to_the_stop_command_as_fast_as_the_rate_allows_and_stays() -> None:
    action_map = _started(make_spec())
    action_map.remember(np.array([0.25, -1.0]))

    commands = np.array([action_map.to_stop() for _ in range(12)])

    # 0.25, then 0.15, 0.05, 0: never across it
    np.testing.assert_allclose(commands[:4, 0], [0.15, 0.05, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(commands[:3, 1], [-0.9, -0.8, -0.7])
    np.testing.assert_array_equal(commands[-1], [0.0, 0.0])


def test_stopping_by_holding_sends_the_last_command_again() -> None:
    action_map = ActionMap(make_spec(interface='position', stop='hold'))
    action_map.reset(make_state(joint_position=(0.4, 0.5)))
    last = action_map.to_command(np.array([0.45, 0.5]))

    for _ in range(3):
        np.testing.assert_array_equal(action_map.to_stop(), last)


@pytest.mark.parametrize('stop', [{'stop': 'zero'}, {'interface': 'position', 'stop': 'hold'}])
def test_commands_cannot_be_changed_afterwards(stop: dict[str, object]) -> None:
    action_map = ActionMap(make_spec(**stop))
    mine = np.array([0.1, 0.1])

    for command in (action_map.previous, action_map.to_command(mine), action_map.to_stop()):
        with pytest.raises(ValueError, match='read-only'):
            command[0] = 9.0
    action_map.remember(mine)
    mine[:] = 9.0
    np.testing.assert_array_equal(action_map.previous, [0.1, 0.1])


@given(
    ends=st.lists(finite, min_size=2, max_size=2, unique=True).map(sorted),
    times=st.one_of(st.just(math.inf), st.floats(1.0, 1e6)),  # the slowest rate
    actions=st.lists(st.tuples(finite, finite), max_size=20),
)
def test_any_finite_actions_give_commands_within_bounds_and_rate(
    ends: list[float], times: float, actions: list[tuple[float, float]]
) -> None:
    lower, upper = ends
    max_rate = times * slowest_rate(lower, upper)
    spec = make_spec(lower=lower, upper=upper, max_rate=max_rate, stop=[lower, upper])
    action_map = _started(spec)
    before = action_map.previous

    with np.errstate(over='ignore'):  # 1.7e308 - (-1.7e308) is as far away as infinity
        for action in actions:
            command = action_map.to_command(np.array(action))
            _assert_limited(spec, before, command)
            before = command


@given(
    start=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)),
    stop=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)),
    max_rate=st.one_of(st.just(math.inf), st.floats(0.5, 1e6)),
)
def test_stopping_ends_at_the_stop_command_exactly(
    start: tuple[float, float], stop: tuple[float, float], max_rate: float
) -> None:
    spec = make_spec(max_rate=max_rate, stop=list(stop))
    action_map = _started(spec)
    action_map.remember(np.array(start))
    before = action_map.previous
    distance = max(abs(a - b) for a, b in zip(start, stop, strict=True))

    for _ in range(math.ceil(distance / (max_rate * spec.dt)) + 1):  # and one for rounding
        command = action_map.to_stop()
        _assert_limited(spec, before, command)
        before = command

    np.testing.assert_array_equal(action_map.to_stop(), stop)


def _started(spec: TaskSpec) -> ActionMap:
    action_map = ActionMap(spec)
    action_map.reset(make_state())
    return action_map


def _assert_limited(spec: TaskSpec, before: np.ndarray, command: np.ndarray) -> None:
    """Check one step of commands; only the last digit of the larger one may differ by rounding."""
    assert command.shape == (2,)
    assert np.isfinite(command).all()
    assert (command >= spec.per_action(spec.action.lower)).all()
    assert (command <= spec.per_action(spec.action.upper)).all()
    rounding = np.spacing(np.maximum(np.abs(before), np.abs(command)))
    step = np.abs(command - before) - rounding
    assert (step <= spec.per_action(spec.action.max_rate) * spec.dt).all()
