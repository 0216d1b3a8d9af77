"""model_trial.py: the child answers for each model, and lets it act before it accepts it."""

import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from builders import make_spec, onnx_model
from model_builders import constant
from onnx import helper

from sac_ros.model_error import ModelError
from sac_ros.model_file import MAX_BYTES
from sac_ros.model_trial import LENGTH, READY, dry_observations, serve, try_model

SPEC = make_spec()
GOOD = onnx_model(SPEC)
ACCEPTED = {'code': '', 'text': ''}


def framed(*parts: bytes) -> bytes:
    return b''.join(LENGTH.pack(len(part)) + part for part in parts)


def answers_to(source: bytes) -> list[dict[str, str]]:
    """Return all that the child says about what it reads."""
    answers, prepared = io.BytesIO(), []
    serve(io.BytesIO(source), answers, lambda: prepared.append(1))
    lines = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert len(prepared) == len(lines) - 1  # once before each model
    return lines


def test_each_model_gets_one_answer() -> None:
    source = framed(b'one', GOOD, b'two', GOOD[:-9], b'three\xff', b'', b'four', GOOD)

    assert answers_to(source) == [
        READY,
        ACCEPTED,
        {
            'code': 'E_MODEL_PARSE',
            'text': 'two is not an ONNX model that can be run: it is cut, damaged or of another '
            'kind',
        },
        {'code': 'E_MODEL_PARSE', 'text': 'three\ufffd is empty'},
        ACCEPTED,
    ]


def test_a_model_that_would_make_every_tick_late_is_refused() -> None:
    fast = make_spec(control_rate=1_000.0)
    wide = constant('wide', np.zeros((1_000, 1_000)))
    nodes = [
        helper.make_node('MatMul', ['observation', 'in'], ['x0']),
        *(helper.make_node('MatMul', [f'x{i}', 'wide'], [f'x{i + 1}']) for i in range(50)),
        helper.make_node('MatMul', ['x50', 'out'], ['action']),
    ]
    ends = np.zeros((fast.observation_size, 1_000)), np.zeros((1_000, fast.action_size))
    constants = [wide, constant('in', ends[0]), constant('out', ends[1])]
    data = onnx_model(fast, nodes=nodes, constants=constants)

    line = r'^m needs [0-9.]+ ms of processor for an action; at most 0.5 ms are allowed, half a '
    with pytest.raises(ModelError, match=line) as refusal:
        try_model(data, 'm')
    assert refusal.value.code == 'E_TICK_LATE'
    try_model(onnx_model(fast), 'm')


@pytest.mark.parametrize(
    'source',
    [
        b'',
        b'1234567',
        framed(b'name'),
        framed(b'name', GOOD)[:-1],
        framed(b'name') + LENGTH.pack(MAX_BYTES + 1) + GOOD,
        LENGTH.pack(2**64 - 1),
    ],
    ids=['nothing', 'half a length', 'no model', 'cut', 'too large', 'huge'],
)
def test_it_ends_when_its_input_does(source: bytes) -> None:
    assert answers_to(source) == [READY]


def test_a_good_model_is_returned() -> None:
    assert try_model(GOOD, 'm').spec == SPEC


def test_a_model_that_cannot_be_loaded_is_not_run() -> None:
    with pytest.raises(ModelError, match=r'^m is empty$'):
        try_model(b'', 'm')


def test_observations_are_zeros_corners_and_anything_in_between() -> None:
    observations = dry_observations(SPEC)

    # joint_position 3, 2; joint_velocity and goal_from_tool have no limits; previous_action 1
    upper = [3.0, 2.0, 10.0, 10.0, 10.0, 10.0, 10.0, 1.0, 1.0]
    assert (observations.dtype, observations.shape) == (np.float32, (67, 9))
    np.testing.assert_array_equal(observations[0], np.zeros(9))
    np.testing.assert_array_equal(observations[1], np.negative(upper))
    np.testing.assert_array_equal(observations[2], upper)
    np.testing.assert_array_equal(np.abs(observations[3:35]), np.tile(upper, (32, 1)))
    assert (np.abs(observations) <= upper).all()
    assert len(np.unique(observations[35:], axis=0)) == 32
    np.testing.assert_array_equal(dry_observations(SPEC), observations)


@pytest.mark.parametrize(('lower', 'upper'), [(-0.5, 0.25), ([-0.5, -0.5], [0.25, 0.25])])
def test_limits_may_be_one_number_or_one_for_each_element(
    lower: float | Sequence[float], upper: float | Sequence[float]
) -> None:
    limits = {'joint_position': {'lower': lower, 'upper': upper}}
    spec = make_spec(observation=[{'term': 'joint_position'}], limits=limits)

    observations = dry_observations(spec)
    np.testing.assert_array_equal(observations[1:3], [[-0.5, -0.5], [0.25, 0.25]])
