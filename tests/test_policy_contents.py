"""policy.py: a whole ONNX file that is no policy of ours is refused in one line."""

import math
from pathlib import Path

import numpy as np
import pytest
from builders import make_metadata, make_spec, onnx_model, tensor
from onnx import TensorProto, helper, numpy_helper

from sac_ros.policy import ORIGIN_KEY, SPEC_KEY, ModelError, OnnxPolicy, load_policy

SPEC = make_spec()
BY_HAND = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out


def test_a_model_of_another_maker_is_told_from_ours() -> None:
    for metadata in ({}, {'author': 'x'}, {SPEC_KEY: SPEC.to_json()}, {ORIGIN_KEY: '{}'}):
        with pytest.raises(ModelError) as caught:
            OnnxPolicy(onnx_model(BY_HAND, metadata=metadata), 'model x.onnx')
        assert str(caught.value) == (
            "model x.onnx carries no sac_ros contract; write it with 'sac-ros export'"
        )


@pytest.mark.parametrize(
    ('metadata', 'error'),
    [
        ({SPEC_KEY: '{'}, r'm, sac_ros\.spec: not JSON \(Expecting property name .*\)'),
        ({SPEC_KEY: '{}'}, r'm, sac_ros\.spec: schema: is missing \(and 5 more\)'),
        (
            {SPEC_KEY: BY_HAND.to_json().replace('"schema":1', '"schema":2')},
            r'm, sac_ros\.spec: schema: is 2; this sac_ros reads 1',
        ),
        (
            {SPEC_KEY: BY_HAND.to_json().replace('50.0', 'NaN')},
            r'm, sac_ros\.spec: control_rate: is nan; a finite number is needed',
        ),
        ({ORIGIN_KEY: '{'}, r'm, sac_ros\.origin: not JSON \(Expecting property name .*\)'),
        ({ORIGIN_KEY: '[]'}, r'm, sac_ros\.origin: list found; an object is needed'),
        ({ORIGIN_KEY: '[' * 100_000}, r'm, sac_ros\.origin: not JSON \(maximum recursion .*\)'),
        ({ORIGIN_KEY: '{}'}, r'm carries no golden observation/action pairs'),
        ({ORIGIN_KEY: '{"golden": []}'}, r'm carries no golden observation/action pairs'),
    ],
    ids=lambda part: str(part)[:40],
)
def test_metadata_that_cannot_be_read_is_named(metadata: dict[str, str], error: str) -> None:
    data = onnx_model(BY_HAND, metadata=make_metadata(BY_HAND, **metadata))

    with pytest.raises(ModelError, match=f'^{error}$'):
        OnnxPolicy(data, 'm')


@pytest.mark.parametrize(
    ('observation', 'action', 'error'),
    [
        (
            [[0, 0]],
            [[0.1, 0]],
            r'golden pair 0, shoulder: this machine answers 0, recorded is 0\.1',
        ),
        (
            [[0, 0], [1, 1]],
            [[0, 0], [0, -0.5]],
            r'golden pair 1, elbow: this machine answers 0, recorded is -0\.5',
        ),
        ([[0, 0]], [[0, 3e-5]], r'golden pair 0, elbow: this machine .*, recorded is 3e-05'),
        ([[0]], [[0, 0]], r'golden observation has shape \(1, 1\); \(pairs, 2\) is needed'),
        ([[0, 0]], [[0, 0, 0]], r'golden action has shape \(1, 3\); \(pairs, 2\) is needed'),
        ([[0, 0]], None, r'golden action has shape \(\); \(pairs, 2\) is needed'),
        ([], [], r'golden observation has shape \(0,\); \(pairs, 2\) is needed'),
        ([[0, 0], [0]], [[0, 0]], r'golden observation is not a table of numbers'),
        ([['a', 0]], [[0, 0]], r'golden observation is not a table of numbers'),
        ([[10**400, 0]], [[0, 0]], r'golden observation is not a table of numbers'),
        ([[0, 0], [0, 0]], [[0, 0]], r'2 golden observations and 1 actions'),
        ([[math.nan, 0]], [[0, 0]], r'golden observation holds a number that float32 does not'),
        ([[1e39, 0]], [[0, 0]], r'golden observation holds a number that float32 does not'),
        ([[0, 0]], [[math.nan, 0]], r'golden action holds a number that float32 does not'),
    ],
)
def test_golden_pairs_that_disagree_or_are_none_are_told(
    observation: object, action: object, error: str
) -> None:
    golden = {'observation': observation, 'action': action}
    data = onnx_model(BY_HAND, metadata=make_metadata(BY_HAND, golden))

    with pytest.raises(ModelError, match=f'^m: {error}$'):
        OnnxPolicy(data, 'm')


def test_a_golden_pair_may_differ_by_a_hundred_thousandth_of_the_range() -> None:
    golden = {'observation': [[0, 0]], 'action': [[0, 1.9e-5]]}  # the range is 2.0

    OnnxPolicy(onnx_model(BY_HAND, metadata=make_metadata(BY_HAND, golden)), 'm')


def test_a_model_whose_shapes_are_not_those_of_its_contract_is_refused() -> None:
    data = onnx_model(BY_HAND, metadata=make_metadata(SPEC))

    with pytest.raises(ModelError) as caught:
        OnnxPolicy(data, 'm')
    assert str(caught.value) == (
        "m: input is [('observation', 'tensor(float)', [1, 2])]; "
        "'observation' float32 [1, 9] is needed"
    )


_TO_ACTION = helper.make_node('MatMul', ['observation', 'zeros'], ['action'])


@pytest.mark.parametrize(
    ('graph', 'error'),
    [
        (
            {'inputs': [tensor('observation', 2), tensor('extra', 1)]},
            r"input is \[.*'extra'.*\]; 'observation' float32 \[1, 2\] is needed",
        ),
        (
            {'inputs': [tensor('observation', 'n')]},
            r"input is \[.*\[1, 'n'\]\)\]; 'observation' float32 \[1, 2\] is needed",
        ),
        (
            {
                'nodes': [helper.make_node('MatMul', ['o\nb', 'zeros'], ['action'])],
                'inputs': [tensor('o\nb', 2)],
            },
            r"input is \[\('o\\nb', .*\]; 'observation' float32 \[1, 2\] is needed",
        ),
        (
            {
                'nodes': [_TO_ACTION, helper.make_node('Relu', ['action'], ['torque'])],
                'outputs': [tensor('torque', 2)],
            },
            r"output is \[\('torque', .*\]; 'action' float32 \[1, 2\] is needed",
        ),
        (
            {
                'nodes': [
                    helper.make_node('MatMul', ['observation', 'zeros'], ['small']),
                    helper.make_node('Cast', ['small'], ['action'], to=TensorProto.DOUBLE),
                ],
                'outputs': [tensor('action', 2, kind=TensorProto.DOUBLE)],
            },
            r"output is \[\('action', 'tensor\(double\)', .*\]; 'action' float32 .*",
        ),
        (
            {
                'nodes': [
                    helper.make_node('Compress', ['observation', 'first'], ['action'], axis=1)
                ],
                'constants': [numpy_helper.from_array(np.array([True]), 'first')],
            },
            r'the answer has shape \(1, 1\); \(1, 2\) is needed',
        ),
        (
            {
                'nodes': [
                    helper.make_node('GatherElements', ['observation', 'far'], ['action'], axis=1)
                ],
                'constants': [numpy_helper.from_array(np.array([[98, 99]]), 'far')],
            },
            r'fails when run \(\w+\)',
        ),
        ({'nodes': [helper.make_node('Foo', ['observation'], ['action'])]}, r'is not an ONNX .*'),
        ({'opset': 99}, r'is not an ONNX model that can be run: it is cut, damaged or .*'),
    ],
)
def test_a_graph_that_is_not_a_policy_is_refused(graph: dict, error: str) -> None:
    with pytest.raises(ModelError, match=rf'^m:? {error}$'):
        OnnxPolicy(onnx_model(BY_HAND, **graph), 'm')


def test_a_model_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    weights = TensorProto(name='outside', data_type=TensorProto.FLOAT, dims=[2, 2])
    weights.data_location = TensorProto.EXTERNAL
    (tmp_path / 'weights').write_bytes(bytes(16))
    weights.external_data.add(key='location', value=str(tmp_path / 'weights'))
    nodes = [helper.make_node('MatMul', ['observation', 'outside'], ['action'])]
    (tmp_path / 'model.onnx').write_bytes(onnx_model(BY_HAND, nodes=nodes, constants=[weights]))

    with pytest.raises(ModelError, match=r'is not an ONNX model that can be run'):
        load_policy(tmp_path / 'model.onnx')


def test_a_model_that_answers_nan_is_refused_by_its_golden_pairs() -> None:
    nodes = [
        helper.make_node('MatMul', ['observation', 'zeros'], ['zero']),
        helper.make_node('Div', ['zero', 'zero'], ['action']),
    ]

    with pytest.raises(
        ModelError, match=r'^m: golden pair 0, shoulder: this machine answers nan, '
    ):
        OnnxPolicy(onnx_model(BY_HAND, nodes=nodes), 'm')
