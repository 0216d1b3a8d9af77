"""observation.py: the vector is what the contract says, in its order, and can be taken apart."""

import numpy as np
import pytest
from builders import make_spec, make_state
from hypothesis import given
from hypothesis import strategies as st

from sac_ros.observation import ObservationError, observe, split_observation
from sac_ros.state import SOURCES, field_size
from sac_ros.terms import TERMS

PREVIOUS = np.array([0.5, -0.5])


def test_the_terms_stand_in_the_order_of_the_contract() -> None:
    observation = observe(make_spec(), make_state(), PREVIOUS)

    assert observation.dtype == np.float32
    expected = [0.1, -0.2, 0.3, -0.4, 0.2, 0.1, -0.3, 0.5, -0.5]  # goal - tool: (0.2, 0.1, -0.3)
    np.testing.assert_array_equal(observation, np.array(expected, dtype=np.float32))


def test_another_order_in_the_contract_is_another_order_in_the_vector() -> None:
    spec = make_spec(observation=[{'term': 'previous_action'}, {'term': 'joint_position'}])

    observation = observe(spec, make_state(), PREVIOUS)

    np.testing.assert_array_equal(observation, np.array([0.5, -0.5, 0.1, -0.2], dtype=np.float32))


def test_observing_does_not_depend_on_what_was_observed_before_or_on_unused_fields() -> None:
    spec = make_spec()
    first = observe(spec, make_state(), PREVIOUS)
    observe(spec, make_state(joint_position=(2.0, 2.0)), -PREVIOUS)

    again = observe(spec, make_state(joint_effort=(np.nan, np.nan), vector=(1.0,)), PREVIOUS)

    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize(
    ('changed', 'error'),
    [
        ({'joint_velocity': None}, r"term 'joint_velocity' needs shape \(2,\), found nothing"),
        ({'goal': None}, r"term 'goal_from_tool' needs shape \(3,\), found nothing"),
        (
            {'joint_position': (0.1, 0.2, 0.3)},
            r"term 'joint_position' needs shape \(2,\), found shape \(3,\)",
        ),
        (
            {'joint_position': np.zeros((1, 2))},
            r"term 'joint_position' needs shape \(2,\), found shape \(1, 2\)",
        ),
    ],
)
def test_a_term_that_cannot_be_filled_is_named(changed: dict, error: str) -> None:
    with pytest.raises(ObservationError, match=f'^{error}$'):
        observe(make_spec(), make_state(**changed), PREVIOUS)


def test_splitting_gives_back_each_term_by_its_name() -> None:
    spec = make_spec()
    state = make_state()

    terms = split_observation(spec, observe(spec, state, PREVIOUS))

    assert list(terms) == ['joint_position', 'joint_velocity', 'goal_from_tool', 'previous_action']
    for name, value in terms.items():
        expected = TERMS[name].value(state, PREVIOUS)
        assert expected is not None
        np.testing.assert_array_equal(value, expected.astype(np.float32))


def test_a_batch_is_split_along_its_last_axis() -> None:
    batch = np.arange(4 * 5 * 9.0).reshape(4, 5, 9)

    terms = split_observation(make_spec(), batch)

    assert [value.shape for value in terms.values()] == [
        (4, 5, 2),
        (4, 5, 2),
        (4, 5, 3),
        (4, 5, 2),
    ]
    np.testing.assert_array_equal(terms['goal_from_tool'][1, 2], batch[1, 2, 4:7])


@given(st.lists(st.sampled_from(list(TERMS)), min_size=1, unique=True), st.integers(0, 2**32 - 1))
def test_splitting_is_the_inverse_of_observing_for_any_terms(names: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    terms = [{'term': name, **({'size': 4} if name == 'vector' else {})} for name in names]
    spec = make_spec(observation=terms)
    fields = (field for brought in SOURCES.values() for field in brought)
    sizes = {field: 4 if field == 'vector' else field_size(field, joints=2) for field in fields}
    state = make_state(**{field: random.normal(size=size) for field, size in sizes.items()})

    observation = observe(spec, state, PREVIOUS)
    parts = split_observation(spec, observation)

    assert list(parts) == names
    np.testing.assert_array_equal(np.concatenate(list(parts.values())), observation)
    for name, part in parts.items():
        value = TERMS[name].value(state, PREVIOUS)
        assert value is not None
        np.testing.assert_array_equal(part, value.astype(np.float32))
