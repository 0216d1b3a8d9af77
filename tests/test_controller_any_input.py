"""controller.py: whatever is measured, answered, explored and said, commands stay in order."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_ros.control_step import Mode
from sac_ros.controller import PolicyController
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState

SPECS = {
    'velocity': make_spec(),
    'velocity without limits': make_spec(limits={}),
    'a stop that is not zero': make_spec(stop=[0.5, -1.0], max_rate=[3.0, math.inf]),
    'position': make_spec(interface='position', stop='hold', lower=[-2.0, -1.0], max_rate=2.0),
    'one joint by effort': make_spec(
        interface='effort', action_joints=['elbow'], lower=-7.0, upper=11.0, max_rate=100.0
    ),
}

_any_float = st.floats(width=64)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_usual = st.floats(-1.0, 1.0)
_number = st.one_of(_usual, _usual, _any_float)
_ages = st.one_of(st.just(0.0), st.floats(0.0, 0.1), _any_float)


def _vectors(size: int) -> st.SearchStrategy[tuple[float, ...] | None]:
    """Draw a measured vector: mostly right, or with odd values, of another size, or missing."""
    whole = st.tuples(*[_number] * size)
    usual = st.tuples(*[_usual] * size)
    return st.one_of(
        usual, usual, usual, whole, st.lists(_number, max_size=5).map(tuple), st.none()
    )


@st.composite
def _measurements(draw: st.DrawFn) -> tuple[RobotState, float]:
    """Draw a state and the time at which it is looked at [s]."""
    now = draw(st.one_of(st.floats(0.0, 1e6), st.floats(0.0, 1e6), _any_float))
    state = make_state(
        now,
        joint_position=draw(_vectors(2)),
        joint_velocity=draw(_vectors(2)),
        tool_position=draw(_vectors(3)),
        goal=draw(_vectors(3)),
    )
    if draw(st.integers(0, 3)) == 3:  # each fits float32, and their difference does not
        state = make_state(now, tool_position=(-3e38, 0.0, 0.0), goal=(3e38, 0.0, 0.0))
    stamps = {source: now - draw(_ages) for source in draw(st.sets(st.sampled_from(_SOURCES)))}
    refused = draw(st.one_of(st.just([]), st.just([]), st.lists(st.sampled_from(_SOURCES))))
    why = Fault('E_OBS_FRAME', 'in frame world; base is needed')
    fields = {**vars(state), 'stamps': {**state.stamps, **stamps}}
    return RobotState(**{**fields, 'refused': dict.fromkeys(refused, why)}), now


_SOURCES = ('joint_states', 'tool_pose', 'goal')
_ticks = st.lists(
    st.tuples(
        _measurements(), st.tuples(_number, _number), st.sampled_from(['', '', '', 'reset'])
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize('name', SPECS)
@given(ticks=_ticks)
@settings(max_examples=40)
def test_any_measurements_and_any_answers_leave_commands_finite_bounded_and_rate_limited(
    name: str, ticks: list[tuple[tuple[RobotState, float], tuple[float, float], str]]
) -> None:
    spec = SPECS[name]
    answers = iter([np.array(answer)[: spec.action_size] for _, answer, _ in ticks])
    answer = next(answers)
    controller = PolicyController(spec, lambda observation: answer)
    assert controller.activate(make_state(), 0.0) is None
    before = controller.step(make_state(), 0.0).command if np.isfinite(answer).all() else None

    with np.errstate(over='ignore'):  # an action of 1e308
        for (state, now), wanted, operator in ticks:
            answer = np.array(wanted)[: spec.action_size]
            if operator == 'reset':
                controller.reset(state, now)
            step = controller.step(state, now)

            assert step.mode is not Mode.INACTIVE
            assert (step.fault is None) or (step.mode is not Mode.ACTIVE)
            assert (step.observation is None) or np.isfinite(step.observation).all()
            _assert_in_order(spec, before, step.command)
            before = step.command
        for command in controller.deactivate():
            _assert_in_order(spec, before, command)
            before = command
    if spec.action.stop == 'zero':
        np.testing.assert_array_equal(before, np.zeros(spec.action_size))


@pytest.mark.fault('F13', 'ACTIVE', '')
@pytest.mark.parametrize('name', SPECS)
@given(
    exploration=st.floats(0.0, 1e6),
    correlation_time=st.floats(0.0, 1e6),
    answers=st.lists(st.tuples(_finite, _finite), min_size=1, max_size=25),
)
@settings(max_examples=40)
def test_noise_of_any_size_leaves_commands_finite_bounded_and_rate_limited(
    name: str, exploration: float, correlation_time: float, answers: list[tuple[float, float]]
) -> None:
    spec = SPECS[name]
    generator = np.random.default_rng(0)
    answer = np.zeros(spec.action_size)
    controller = PolicyController(spec, lambda observation: answer)
    controller.noise = SmoothNoise(spec, exploration, correlation_time, generator)
    assert controller.activate(make_state(), 0.0) is None
    before = None

    for wanted in answers:
        answer = np.array(wanted)[: spec.action_size]
        step = controller.step(make_state(), 0.0)

        assert (step.mode, step.fault) == (Mode.ACTIVE, None)
        _assert_in_order(spec, before, step.command)
        before = step.command


@pytest.mark.fault('F09 F10', 'ACTIVE or SAFE', 'E_TAKEOVER_LOST')
@pytest.mark.parametrize('name', SPECS)
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(['take', 'take', 'let go', 'nonsense', 'silence', 'reset']),
            st.tuples(_finite, _finite),
            st.lists(_any_float, max_size=4),
            st.integers(0, 12),
        ),
        max_size=25,
    )
)
@settings(max_examples=60)
def test_a_person_may_do_anything_and_commands_stay_finite_bounded_and_rate_limited(
    name: str, events: list[tuple[str, tuple[float, float], list[float], int]]
) -> None:
    spec = SPECS[name]
    policy_says, now = np.full(spec.action_size, 0.125, dtype=np.float32), 0.0
    controller = PolicyController(spec, lambda observation: policy_says)
    assert controller.activate(make_state(), now) is None
    before, acting = None, True  # the policy's action may be carried out

    for event, action, values, ticks in events:
        if event == 'take':
            assert controller.takeover.take(action[: spec.action_size], now) is None
            acting = False
        elif event == 'nonsense':
            refusal = controller.takeover.take([*values, math.nan], now)
            assert refusal is not None
            assert refusal.code == 'W_TAKEOVER_REFUSED'
        elif event == 'let go':
            assert controller.takeover.take([], now) is None
            acting = True
        elif event == 'reset':
            assert controller.reset(make_state(now), now) is None
            acting = acting or controller.takeover.action is None
        for _ in range(ticks):
            now += spec.dt
            step = controller.step(make_state(now), now)

            _assert_in_order(spec, before, step.command)
            assert step.fault is None or step.fault.code == 'E_TAKEOVER_LOST'
            assert step.mode in (Mode.ACTIVE, Mode.SAFE)
            assert step.is_takeover == (step.mode is Mode.ACTIVE and not acting)
            before = step.command


def _assert_in_order(spec: TaskSpec, before: np.ndarray | None, command: np.ndarray) -> None:
    assert command.shape == (spec.action_size,)
    assert np.isfinite(command).all()
    assert (command >= spec.per_action(spec.action.lower)).all()
    assert (command <= spec.per_action(spec.action.upper)).all()
    if before is not None:
        rounding = np.spacing(np.maximum(np.abs(before), np.abs(command)))
        limit = spec.per_action(spec.action.max_rate) * spec.dt
        assert (np.abs(command - before) - rounding <= limit).all()
