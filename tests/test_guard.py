"""guard.py: each way in which a measurement is unfit, by its code, and which of two is told."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state, topic

from sac_ros.fault import Fault
from sac_ros.guard import FUTURE_TOLERANCE, Guard
from sac_ros.state import RobotState

NOW = 100.0  # [s]


def test_a_fresh_and_plausible_state_has_no_fault() -> None:
    assert _find(make_state(NOW)) is None


def test_an_empty_state_is_told_by_its_first_topic() -> None:
    assert _find(RobotState()) == ('E_OBS_MISSING', 'no message on joint_states yet')


@pytest.mark.parametrize('source', ['joint_states', 'tool_pose', 'goal'])
def test_each_topic_of_the_contract_is_waited_for(source: str) -> None:
    state = make_state(NOW)
    stamps = {name: stamp for name, stamp in state.stamps.items() if name != source}

    assert _find(RobotState(**{**vars(state), 'stamps': stamps})) == (
        'E_OBS_MISSING',
        f'no message on {source} yet',
    )


@pytest.mark.parametrize(
    ('changed', 'code', 'text'),
    [
        ({'joint_velocity': None}, 'E_OBS_MISSING_FIELD', 'joint_states brings no joint_velocity'),
        ({'tool_position': None}, 'E_OBS_MISSING_FIELD', 'tool_pose brings no tool_position'),
        ({'goal': None}, 'E_OBS_MISSING_FIELD', 'goal brings no goal'),
        (
            {'joint_position': (1.0,)},
            'E_OBS_SHAPE',
            'joint_position has shape (1,), (2,) is needed',
        ),
        ({'goal': np.zeros((1, 3))}, 'E_OBS_SHAPE', 'goal has shape (1, 3), (3,) is needed'),
        ({'goal': 5.0}, 'E_OBS_SHAPE', 'goal has shape (), (3,) is needed'),
        ({'joint_position': (0, math.nan)}, 'E_OBS_NONFINITE', 'joint_position of elbow is nan'),
        (
            {'joint_velocity': (math.inf, 0)},
            'E_OBS_NONFINITE',
            'joint_velocity of shoulder is inf',
        ),
        ({'tool_position': (0, 0, -math.inf)}, 'E_OBS_NONFINITE', 'tool_position[2] is -inf'),
        ({'joint_velocity': (0, 1e39)}, 'E_OBS_NONFINITE', 'joint_velocity of elbow is 1e+39'),
        (
            {'joint_position': (0, 2.5)},
            'E_OBS_RANGE',
            'joint_position of elbow 2.5 is outside [-2.0, 2.0]',
        ),
        (
            {'joint_position': (-3.1, 0)},
            'E_OBS_RANGE',
            'joint_position of shoulder -3.1 is outside [-3.0, 3.0]',
        ),
        (
            {'tool_position': (0, 1.6, 0)},
            'E_OBS_RANGE',
            'tool_position[1] 1.6 is outside [-1.5, 1.5]',
        ),
    ],
)
def test_an_unfit_value_is_told_with_its_name_and_what_is_allowed(
    changed: dict, code: str, text: str
) -> None:
    assert _find(make_state(NOW, **changed)) == (code, text)


def test_a_value_on_its_limit_is_plausible() -> None:
    assert _find(make_state(NOW, joint_position=(3.0, -2.0))) is None


@pytest.mark.parametrize('kind', [np.float32, np.int64])
def test_measurements_may_come_in_any_number_type(kind: type) -> None:
    state = make_state(NOW)
    fields = {**vars(state), 'joint_position': np.array([1, -1], dtype=kind)}
    assert _find(RobotState(**fields)) is None

    fields['joint_position'] = np.array([1, -5], dtype=kind)
    assert _find(RobotState(**fields)) == (
        'E_OBS_RANGE',
        'joint_position of elbow -5 is outside [-2.0, 2.0]',
    )


@pytest.mark.parametrize('wrong', [math.nan, math.inf, 1e39])
def test_nan_is_found_before_any_limit_could_let_it_through(wrong: float) -> None:
    with np.errstate(all='raise'):
        fault = _find(make_state(NOW, joint_position=(wrong, 9.0)))

    assert fault is not None
    assert fault[0] == 'E_OBS_NONFINITE'


def test_what_the_contract_does_not_observe_is_not_looked_at() -> None:
    state = make_state(NOW, joint_effort=(math.nan, 1.0, 2.0), vector=(math.inf,))

    assert _find(state) is None


def test_a_limit_is_kept_even_by_what_is_not_observed() -> None:
    limits = {'joint_effort': {'lower': -10.0, 'upper': 10.0}}
    observation = [{'term': 'joint_velocity'}]

    def find(effort: tuple[float, float] | None) -> tuple[str, str] | None:
        state = make_state(NOW, joint_effort=effort)
        return _find(state, observation=observation, limits=limits)

    assert find((5.0, -5.0)) is None
    assert find((5.0, -15.0)) == (
        'E_OBS_RANGE',
        'joint_effort of elbow -15 is outside [-10.0, 10.0]',
    )
    assert find((math.nan, 0.0)) == ('E_OBS_NONFINITE', 'joint_effort of shoulder is nan')
    assert find(None) == ('E_OBS_MISSING_FIELD', 'joint_states brings no joint_effort')


def test_a_whole_vector_is_guarded_too() -> None:
    contract = {
        'joints': [],
        'observation': [{'term': 'vector', 'size': 3}],
        'interface': 'generic',
        'limits': {'vector': {'lower': [-1.0, -1.0, -1.0], 'upper': 1.0}},
    }

    assert _find(make_state(NOW, vector=(0.0, 1.0, -1.0)), **contract) is None
    assert _find(make_state(NOW, vector=(0.0, 1.0, -2.0)), **contract) == (
        'E_OBS_RANGE',
        'vector[2] -2 is outside [-1.0, 1.0]',
    )
    assert _find(make_state(NOW, vector=(0.0, 1.0)), **contract) == (
        'E_OBS_SHAPE',
        'vector has shape (2,), (3,) is needed',
    )


def test_a_topic_may_be_as_old_as_its_timeout_and_no_older() -> None:
    # 0.125 s and 100 s are exact in binary, so that the border is exact as well
    topics = {
        'joint_states': topic('joint_states', timeout=0.125),
        'command': topic('command'),
    }
    contract = {'observation': [{'term': 'joint_position'}], 'topics': topics}

    assert _find(_stamped(NOW - 0.125), **contract) is None
    older = math.nextafter(NOW - 0.125, 0.0)
    assert _find(_stamped(older), **contract) == (
        'E_OBS_STALE',
        'joint_states is 0.125 s old (limit 0.125 s)',
    )
    assert _find(_stamped(NOW - 0.31), **contract) == (
        'E_OBS_STALE',
        'joint_states is 0.310 s old (limit 0.125 s)',
    )


def test_a_stamp_may_be_a_little_in_the_future_and_no_more() -> None:
    assert FUTURE_TOLERANCE == 0.05
    assert _find(_stamped(NOW + 0.049)) is None
    assert _find(_stamped(NOW + 0.06)) == (
        'E_STAMP_FUTURE',
        'joint_states is stamped 0.060 s in the future (limit 0.05 s)',
    )
    assert _find(_stamped(NOW + 1e9)) == (
        'E_STAMP_FUTURE',
        'joint_states is stamped 1000000000.000 s in the future (limit 0.05 s)',
    )


@pytest.mark.parametrize('stamp', [math.nan, math.inf, -math.inf])
def test_a_stamp_that_is_no_time_is_never_fresh(stamp: float) -> None:
    for source in ('joint_states', 'goal'):  # goal has no timeout: even then
        fault = _find(make_state(NOW, stamps={source: stamp}))

        assert fault is not None
        assert fault[0] == 'E_OBS_STALE'
        assert fault[1].startswith(f'the age of {source} is ')


@pytest.mark.parametrize('stamp', [-1e9, 0.0, NOW + 10.0])
def test_a_topic_without_a_timeout_never_goes_stale(stamp: float) -> None:
    assert _find(make_state(NOW, stamps={'goal': stamp})) is None


def test_a_message_that_was_refused_is_told_as_it_was_refused() -> None:
    fault = Fault('E_OBS_DUP_JOINT', "joint_states names 'elbow' twice")

    state = make_state(NOW, refused={'joint_states': fault}, joint_position=(math.nan, 0.0))

    assert Guard(make_spec()).find_fault(state, NOW) is fault


def test_a_refused_message_on_a_topic_that_nobody_reads_is_no_fault() -> None:
    fault = Fault('E_OBS_SHAPE', 'vector has shape (1,)')

    assert _find(make_state(NOW, refused={'vector': fault})) is None


@pytest.mark.parametrize(
    ('changed', 'code'),
    [
        # everything is wrong with joint_states; each case takes the first reason away
        ({'joint_position': (9.0,), 'joint_velocity': (math.nan, 0.0)}, 'E_OBS_SHAPE'),
        ({'joint_position': (9.0, 0.0), 'joint_velocity': (math.nan, 0.0)}, 'E_OBS_NONFINITE'),
        ({'joint_position': (9.0, 0.0)}, 'E_OBS_STALE'),
        ({'joint_position': (9.0, 0.0), 'stamps': {}}, 'E_OBS_RANGE'),
    ],
)
def test_shape_is_told_before_finite_before_age_before_range(changed: dict, code: str) -> None:
    state = make_state(NOW, **{'stamps': {'joint_states': 0.0}, **changed})

    fault = _find(state)

    assert fault is not None
    assert fault[0] == code


def test_of_two_topics_the_first_of_the_contract_is_told() -> None:
    state = make_state(NOW, stamps={'joint_states': 0.0, 'tool_pose': 0.0}, goal=(math.nan, 0, 0))

    assert _find(state) == ('E_OBS_STALE', 'joint_states is 100.000 s old (limit 0.1 s)')


def _find(state: RobotState, **overrides: object) -> tuple[str, str] | None:
    """Return code and text of the fault that the tiny contract's guard finds at NOW."""
    fault = Guard(make_spec(**overrides)).find_fault(state, NOW)
    return None if fault is None else (fault.code, fault.text)


def _stamped(stamp: float) -> RobotState:
    return make_state(NOW, stamps={'joint_states': stamp})
