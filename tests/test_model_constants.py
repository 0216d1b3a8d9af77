"""model_content.py: the constants of a model are in it, finite, and as large as they say."""

import math
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, onnx_model
from model_builders import constant, edit_model, refusal_of
from onnx import ModelProto, TensorProto, helper, numpy_helper

from sac_ros.model_content import read_content
from sac_ros.onnx_fields import parse_model

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
GOOD = onnx_model(SPEC)

Edit = Callable[[ModelProto], None]


@pytest.mark.parametrize(
    'tensor',
    [
        numpy_helper.from_array(np.array([[1.5, -2.0]], np.float32), 'x'),
        helper.make_tensor('x', TensorProto.FLOAT, [1, 2], [1.5, -2.0]),
    ],
    ids=['raw', 'listed'],
)
def test_constants_are_read_whichever_way_they_are_written(tensor: TensorProto) -> None:
    found = read_content(parse_model(onnx_model(SPEC, constants=[tensor]))).constants['x']

    np.testing.assert_array_equal(found, np.array([[1.5, -2.0]], np.float32), strict=True)
    assert not found.flags.writeable


def test_a_single_number_is_a_constant_without_dimensions() -> None:
    content = read_content(parse_model(onnx_model(SPEC, constants=[constant('x', 0.5)])))

    assert content.constants['x'].shape == ()
    assert content.constants['x'] == np.float32(0.5)


def _external(*pairs: tuple[str, str], location: int = TensorProto.EXTERNAL) -> Edit:
    def edit(model: ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField('raw_data')
        tensor.data_location = location
        for key, value in pairs:
            tensor.external_data.add(key=key, value=value)

    return edit


@pytest.mark.parametrize(
    'location',
    [
        '../../etc/passwd',
        '/etc/passwd',
        'weights',
        'link',
        'hard',
        '',
        '/dev/zero',
        '*/_ORT_MEM_ADDR_/*',
        'https://localhost/weights',
    ],
)
@pytest.mark.parametrize('kind', [TensorProto.EXTERNAL, TensorProto.DEFAULT])
@pytest.mark.fault('B11', 'refused', 'E_MODEL_OP')
def test_weights_in_another_file_are_refused_wherever_it_is(
    location: str, kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'weights').write_bytes(bytes(16))
    (tmp_path / 'link').symlink_to('/etc/passwd')
    os.link(tmp_path / 'weights', tmp_path / 'hard')
    data = edit_model(GOOD, _external(('location', location), location=kind))

    assert refusal_of(data) == (
        'E_MODEL_OP',
        "m has external_data in constant 'zeros'; no policy needs that",
    )


@pytest.mark.fault('B11', 'refused', 'E_MODEL_OP')
def test_weights_that_are_said_to_be_elsewhere_are_refused() -> None:
    assert refusal_of(edit_model(GOOD, _external())) == (
        'E_MODEL_OP',
        "m has constant 'zeros' in another file; all must be in one",
    )


@pytest.mark.fault('B11', 'refused', 'E_MODEL_OP')
def test_a_constant_node_may_not_read_another_file_either() -> None:
    tensor = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[2, 2])
    tensor.external_data.add(key='location', value='/etc/passwd')
    nodes = [
        helper.make_node('Constant', [], ['w'], value=tensor),
        helper.make_node('MatMul', ['observation', 'w'], ['action']),
    ]

    assert refusal_of(onnx_model(SPEC, nodes=nodes)) == (
        'E_MODEL_OP',
        "m has external_data in node 'w' (Constant), attribute 'value'; no policy needs that",
    )


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('length', '-1'),
        ('length', '1125899906842624'),
        ('length', '9' * 4000),
        ('offset', '-4096'),
        ('offset', '9223372036854775807'),
        ('__class__', 'x'),
        ('checksum', '\x1b[2J'),
    ],
)
@pytest.mark.fault('B12', 'refused', 'E_MODEL_OP')
def test_weights_elsewhere_of_any_length_are_refused_and_cost_no_memory(
    key: str, value: str
) -> None:
    data = edit_model(GOOD, _external(('location', 'weights'), (key, value)))

    tracemalloc.start()
    code, text = refusal_of(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == 'E_MODEL_OP'
    assert text == "m has external_data in constant 'zeros'; no policy needs that"
    assert peak < 1e6


@pytest.mark.parametrize(
    'dims',
    [[-1, -4], [-2, 2], [0, 2], [2**31, 2**31], [2**62, 4], [2], [2, 3], [4, 4]],
    ids=str,
)
@pytest.mark.fault('B12', 'refused', 'E_MODEL_PARSE')
def test_a_constant_must_be_as_large_as_it_says(dims: list[int]) -> None:
    def edit(model: ModelProto) -> None:
        model.graph.initializer[0].dims[:] = dims

    assert refusal_of(edit_model(GOOD, edit)) == (
        'E_MODEL_PARSE',
        f"m has constant 'zeros': its shape {dims} does not fit its 16 bytes",
    )


def _listed(model: ModelProto) -> None:
    model.graph.initializer[0].float_data[:] = [0.0] * 4


def _deep(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1, 2, 2]


def _twice(model: ModelProto) -> None:
    model.graph.initializer.add().CopyFrom(model.graph.initializer[0])


@pytest.mark.parametrize(
    ('edit', 'code', 'error'),
    [
        (_listed, 'E_MODEL_PARSE', "m has constant 'zeros': its numbers are there twice"),
        (
            _deep,
            'E_MODEL_SHAPE',
            "m has constant 'zeros': it has 3 dimensions; at most 2 are allowed",
        ),
        (_twice, 'E_MODEL_PARSE', "m has two constants 'zeros'"),
    ],
)
def test_a_constant_that_can_be_read_in_two_ways_is_refused(
    edit: Edit, code: str, error: str
) -> None:
    assert refusal_of(edit_model(GOOD, edit)) == (code, error)


@pytest.mark.parametrize(
    ('kind', 'element'),
    [
        (np.float64, 'float64'),
        (np.float16, 'float16'),
        (np.int64, 'int64'),
        (np.bool_, 'bool'),
        (np.uint8, 'of type 2'),
    ],
)
@pytest.mark.fault('B07', 'refused', 'E_MODEL_OP')
def test_weights_of_another_type_are_refused(kind: type, element: str) -> None:
    weights = numpy_helper.from_array(np.zeros((2, 2), kind), 'w')

    assert refusal_of(onnx_model(SPEC, constants=[weights])) == (
        'E_MODEL_OP',
        f"m has constant 'w': it is {element}; float32 is needed",
    )


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
@pytest.mark.fault('B13', 'refused', 'E_MODEL_NONFINITE')
def test_a_weight_that_is_no_number_is_named(number: float) -> None:
    error = f'element 3 is {number}; finite numbers are needed'
    raw = constant('bias', [[0, 1], [2, number]])
    listed = helper.make_tensor('bias', TensorProto.FLOAT, [4], [0, 1, 2, number])
    node = helper.make_node('Constant', [], ['w'], value=raw)

    for tensor in (raw, listed):
        assert refusal_of(onnx_model(SPEC, constants=[tensor])) == (
            'E_MODEL_NONFINITE',
            f"m has constant 'bias': {error}",
        )
    nodes = [node, helper.make_node('MatMul', ['observation', 'w'], ['action'])]
    assert refusal_of(onnx_model(SPEC, nodes=nodes)) == (
        'E_MODEL_NONFINITE',
        f"m has node 'w' (Constant), attribute 'value': {error}",
    )


@pytest.mark.parametrize('number', [math.nan, math.inf])
@pytest.mark.fault('B13', 'refused', 'E_MODEL_NONFINITE')
def test_an_attribute_that_is_no_number_is_named(number: float) -> None:
    nodes = [
        helper.make_node('Elu', ['observation'], ['e'], alpha=number),
        helper.make_node('MatMul', ['e', 'zeros'], ['action']),
    ]

    assert refusal_of(onnx_model(SPEC, nodes=nodes)) == (
        'E_MODEL_NONFINITE',
        f"m has node 'e' (Elu), attribute 'alpha': it is {number}",
    )
