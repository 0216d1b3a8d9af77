"""model_metadata.py: the contract, the origin, the golden pairs and the digest inside a model."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import export_model, make_metadata, make_spec, onnx_model
from model_builders import constant, edit_model, refusal_of, without_digest
from onnx import ModelProto

from sac_ros.model_metadata import NO_DIGEST, ORIGIN_KEY, SPEC_KEY, with_digest
from sac_ros.policy import OnnxPolicy

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
CONTRACT = SPEC.to_json()


@pytest.mark.parametrize(
    'metadata', [{}, {'author': 'x'}, {SPEC_KEY: CONTRACT}, {ORIGIN_KEY: '{}'}]
)
@pytest.mark.fault('B16', 'refused', 'E_MODEL_META')
def test_a_model_of_another_maker_is_told_from_ours(metadata: dict[str, str]) -> None:
    assert refusal_of(onnx_model(SPEC, metadata=metadata)) == (
        'E_MODEL_META',
        "m carries no sac_ros contract; write it with 'sac-ros export'",
    )


def test_a_model_of_another_maker_is_told_so_whatever_else_it_holds() -> None:
    data = onnx_model(SPEC, metadata={}, opset=99, constants=[constant('w', math.nan)])

    assert refusal_of(data)[1].startswith('m carries no sac_ros contract')


BAD_SPEC, BAD_ORIGIN = f'm carries a bad {SPEC_KEY}: ', f'm carries a bad {ORIGIN_KEY}: '
ESCAPE = '{"env": "\\u001b[2Jgone"}'
DEEP = '{"a":' * 900 + '1' + '}' * 900
TOO_MUCH = 'at most 100000 elements, nested at most 32 deep, are allowed'


@pytest.mark.parametrize(
    ('metadata', 'error'),
    [
        ({SPEC_KEY: '{'}, BAD_SPEC + 'not JSON (Expecting property name enclosed in double'),
        ({SPEC_KEY: ''}, BAD_SPEC + 'not JSON (Expecting value'),
        ({SPEC_KEY: '{}'}, BAD_SPEC + 'schema: is missing (and 5 more)'),
        (
            {SPEC_KEY: CONTRACT.replace('"schema":1', '"schema":2')},
            BAD_SPEC + 'schema: is 2; this sac_ros reads 1',
        ),
        (
            {SPEC_KEY: CONTRACT.replace('50.0', 'NaN')},
            BAD_SPEC + 'control_rate: is nan; a finite number is needed',
        ),
        (
            {SPEC_KEY: CONTRACT.replace('"name":"tiny"', '"name":"\\u001b[2J"')},
            BAD_SPEC + r"name: found '\x1b[2J'; string should match pattern",
        ),
        ({ORIGIN_KEY: '{'}, BAD_ORIGIN + 'not JSON (Expecting property name enclosed in double'),
        ({ORIGIN_KEY: '[]'}, BAD_ORIGIN + 'list found; an object is needed'),
        ({ORIGIN_KEY: '[' * 100_000}, BAD_ORIGIN + 'not JSON (maximum recursion depth exceeded'),
        ({ORIGIN_KEY: ESCAPE}, BAD_ORIGIN + r"'\x1b[2Jgone' has characters that steer a terminal"),
        ({ORIGIN_KEY: '{"a\\nb": 1}'}, BAD_ORIGIN + r"'a\nb' has characters that steer"),
        ({ORIGIN_KEY: DEEP}, BAD_ORIGIN + TOO_MUCH),
        ({ORIGIN_KEY: '{"return": NaN}'}, BAD_ORIGIN + 'nan found; finite numbers are needed'),
        ({ORIGIN_KEY: '{"seed": 1e999}'}, BAD_ORIGIN + 'inf found; finite numbers are needed'),
        ({ORIGIN_KEY: f'{{"seed": {"9" * 5000}}}'}, BAD_ORIGIN + 'not JSON (Exceeds the limit'),
        ({ORIGIN_KEY: '{"a": ' + '[' * 33 + ']' * 33 + '}'}, BAD_ORIGIN + TOO_MUCH),
        ({ORIGIN_KEY: json.dumps({'a': [{}] * 100_000})}, BAD_ORIGIN + TOO_MUCH),
        ({ORIGIN_KEY: '{}'}, 'm carries no golden observation/action pairs'),
        ({ORIGIN_KEY: '{"golden": []}'}, 'm carries no golden observation/action pairs'),
    ],
    ids=lambda part: str(part)[:40],
)
@pytest.mark.fault('B16', 'refused', 'E_MODEL_META')
def test_metadata_that_cannot_be_used_is_named(metadata: dict[str, str], error: str) -> None:
    code, text = refusal_of(onnx_model(SPEC, metadata=make_metadata(SPEC, **metadata)))

    assert code == 'E_MODEL_META'
    assert text.startswith(error)
    assert text.isprintable()


@pytest.mark.parametrize(
    ('observation', 'action', 'error'),
    [
        ([[0]], [[0, 0]], 'observation of shape (1, 1); (pairs, 2) is needed'),
        ([[0, 0]], [[0, 0, 0]], 'action of shape (1, 3); (pairs, 2) is needed'),
        ([[0, 0]], None, 'action of shape (); (pairs, 2) is needed'),
        ([], [], 'observation of shape (0,); (pairs, 2) is needed'),
        ([[0, 0], [0]], [[0, 0]], 'observation that is not a table of numbers'),
        ([['a', 0]], [[0, 0]], 'observation that is not a table of numbers'),
        ([[10**400, 0]], [[0, 0]], 'observation that is not a table of numbers'),
        ([[1e39, 0]], [[0, 0]], 'observation with a number that float32 does not have'),
        ([[0, 0]], [[0, -1e39]], 'action with a number that float32 does not have'),
    ],
)
@pytest.mark.fault('B16', 'refused', 'E_MODEL_META')
def test_golden_pairs_that_are_none_are_told(
    observation: object, action: object, error: str
) -> None:
    golden = {'observation': observation, 'action': action}

    assert refusal_of(onnx_model(SPEC, metadata=make_metadata(SPEC, golden))) == (
        'E_MODEL_META',
        f'm carries a golden {error}',
    )


@pytest.mark.fault('B16', 'refused', 'E_MODEL_META')
def test_golden_observations_and_actions_come_in_pairs() -> None:
    golden = {'observation': [[0, 0], [0, 0]], 'action': [[0, 0]]}

    assert refusal_of(onnx_model(SPEC, metadata=make_metadata(SPEC, golden))) == (
        'E_MODEL_META',
        'm carries 2 golden observations and 1 actions',
    )


@pytest.mark.parametrize(
    ('observation', 'action', 'pair'),
    [
        ([[0, 0]], [[0.1, 0]], '0, shoulder: this machine answers 0, recorded is 0.1'),
        ([[0, 0], [1, 1]], [[0, 0], [0, -0.5]], '1, elbow: this machine answers 0, recorded is -'),
        ([[0, 0]], [[0, 3e-5]], '0, elbow: this machine answers 0, recorded is 3e-05'),
        ([[3e38, 3e38]], [[0, 1e30]], '0, elbow: this machine answers 0, recorded is 1e+30'),
    ],
)
@pytest.mark.fault('B21', 'refused', 'E_MODEL_PARITY')
def test_a_golden_pair_that_this_machine_does_not_repeat_is_told(
    observation: object, action: object, pair: str
) -> None:
    golden = {'observation': observation, 'action': action}

    code, text = refusal_of(onnx_model(SPEC, metadata=make_metadata(SPEC, golden)))
    assert code == 'E_MODEL_PARITY'
    assert text.startswith(f'm fails golden pair {pair}')


def test_a_golden_pair_may_differ_by_a_hundred_thousandth_of_the_range() -> None:
    golden = {'observation': [[0, 0]], 'action': [[0, 1.9e-5]]}  # the range is 2.0

    OnnxPolicy(onnx_model(SPEC, metadata=make_metadata(SPEC, golden)), 'm')


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('models') / 'tiny.onnx'
    export_model(path, make_spec())
    return path.read_bytes()


def test_an_exported_model_carries_the_digest_of_its_bytes(exported: bytes) -> None:
    digest = str(OnnxPolicy(exported, 'm').origin['digest'])

    blank = exported.replace(digest.encode(), NO_DIGEST.encode())
    assert with_digest(blank) == exported
    assert len(digest) == 64


def test_a_model_from_before_there_were_digests_is_read(exported: bytes) -> None:
    assert 'digest' not in OnnxPolicy(without_digest(exported), 'm').origin


DAMAGED = 'm is damaged or was changed: its content does not fit its own digest'


@pytest.mark.parametrize('bits', range(1, 65))
@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_bits_flipped_in_the_weights_do_not_fit_the_digest(bits: int, exported: bytes) -> None:
    weights = max(
        ModelProto.FromString(exported).graph.initializer, key=lambda each: len(each.raw_data)
    ).raw_data
    start = exported.index(weights)
    damaged = bytearray(exported)
    for bit in np.random.default_rng(bits).choice(len(weights) * 8, bits, replace=False):
        damaged[start + bit // 8] ^= 1 << (bit % 8)

    assert refusal_of(bytes(damaged)) == ('E_MODEL_PARSE', DAMAGED)


def _shorten(origin: dict[str, object]) -> None:
    origin['digest'] = str(origin['digest'])[:32]


def _blank(origin: dict[str, object]) -> None:
    origin['digest'] = NO_DIGEST


def _number(origin: dict[str, object]) -> None:
    origin['digest'] = 0


def _repeat(origin: dict[str, object]) -> None:
    origin['copy'] = origin['digest']


@pytest.mark.parametrize('change', [_shorten, _blank, _number, _repeat])
@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_a_digest_that_is_none_fits_nothing(
    change: Callable[[dict[str, object]], None], exported: bytes
) -> None:
    model = ModelProto.FromString(exported)
    entry = next(each for each in model.metadata_props if each.key == ORIGIN_KEY)
    origin = json.loads(entry.value)
    change(origin)
    entry.value = json.dumps(origin)

    assert refusal_of(model.SerializeToString()) == ('E_MODEL_PARSE', DAMAGED)


def test_a_file_with_no_place_for_the_digest_is_a_mistake_in_the_program() -> None:
    with pytest.raises(ValueError, match=r'^0 places for the digest; 1 is needed$'):
        with_digest(b'no place')


def test_the_contract_that_a_model_carries_is_exact(tmp_path: Path) -> None:
    spec = make_spec(control_rate=100 / 3, upper=0.1 + 0.2, max_rate=math.inf)

    export_model(tmp_path / 'model.onnx', spec)
    data = edit_model((tmp_path / 'model.onnx').read_bytes(), lambda model: None)
    assert OnnxPolicy(data, 'm').spec == spec
