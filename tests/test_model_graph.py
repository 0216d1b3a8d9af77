"""model_graph.py: only a graph with the signature, version and bounds of a policy passes."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from builders import make_spec, onnx_model
from model_builders import constant, edit_model, raw_model, refusal_of, tensor
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from sac_ros.policy import OnnxPolicy

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
GOOD = onnx_model(SPEC)
Edit = Callable[[ModelProto], None]
Nodes = Sequence[NodeProto]


def raw(nodes: Nodes, constants: Sequence[TensorProto] = ()) -> bytes:
    """Return a model of just these nodes."""
    return bytes(raw_model(SPEC, nodes=nodes, constants=constants).SerializeToString())


def signature(*inputs: ValueInfoProto, outputs: Sequence[ValueInfoProto] = ()) -> bytes:
    """Return the good model, said to have other inputs or outputs."""

    def edit(model: ModelProto) -> None:
        for ours, theirs in ((model.graph.input, inputs), (model.graph.output, outputs)):
            if theirs:
                del ours[:]
                ours.extend(theirs)

    return edit_model(GOOD, edit)


IN, OUT = tensor('observation', 2), tensor('action', 2)
INPUT = "as its input; 'observation' float32 [1, 2] is needed"
OUTPUT = "as its output; 'action' float32 [1, 2] is needed"


@pytest.mark.parametrize(
    ('inputs', 'outputs', 'error'),
    [
        ([tensor('observation', 3)], [], f"'observation' float32 [1, 3] {INPUT}"),
        ([tensor('observation')], [], f"'observation' float32 [1] {INPUT}"),
        ([], [tensor('action', 1)], f"'action' float32 [1, 1] {OUTPUT}"),
        ([], [tensor('action', 2, 1)], f"'action' float32 [1, 2, 1] {OUTPUT}"),
        ([tensor('obs', 2)], [], f"'obs' float32 [1, 2] {INPUT}"),
        ([], [tensor('torque', 2)], f"'torque' float32 [1, 2] {OUTPUT}"),
        ([tensor('o\nb', 2)], [], rf"'o\nb' float32 [1, 2] {INPUT}"),
    ],
)
@pytest.mark.fault('B05', 'refused', 'E_MODEL_SHAPE')
def test_another_number_of_elements_or_another_name_is_refused(
    inputs: list[ValueInfoProto], outputs: list[ValueInfoProto], error: str
) -> None:
    assert refusal_of(signature(*inputs, outputs=outputs)) == ('E_MODEL_SHAPE', f'm has {error}')


@pytest.mark.fault('B05', 'refused', 'E_MODEL_SHAPE')
def test_a_model_whose_shapes_are_not_those_of_its_contract_is_refused() -> None:
    other = onnx_model(make_spec())

    def edit(model: ModelProto) -> None:
        del model.metadata_props[:]
        model.metadata_props.extend(ModelProto.FromString(other).metadata_props)

    assert refusal_of(edit_model(GOOD, edit)) == (
        'E_MODEL_SHAPE',
        "m has 'observation' float32 [1, 2] as its input; 'observation' float32 [1, 9] is needed",
    )


@pytest.mark.fault('B05', 'refused', 'E_MODEL_SHAPE')
def test_a_graph_that_computes_another_number_of_elements_than_it_says_is_refused() -> None:
    nodes = [
        helper.make_node('MatMul', ['observation', 'wide'], ['three']),
        helper.make_node('Clip', ['three', 'low', 'high'], ['action']),
    ]
    constants = [constant('wide', np.zeros((2, 3))), constant('low', -1), constant('high', 1)]

    assert refusal_of(raw(nodes, constants)) == (
        'E_MODEL_SHAPE',
        "m computes 3 elements of 'action'; 2 are needed",
    )


@pytest.mark.parametrize('nodes', [[], [helper.make_node('Relu', ['observation'], ['x'])]])
@pytest.mark.fault('B05', 'refused', 'E_MODEL_SHAPE')
def test_a_graph_that_does_not_compute_an_action_is_refused(nodes: Nodes) -> None:
    assert refusal_of(raw(nodes)) == (
        'E_MODEL_SHAPE',
        "m computes 0 elements of 'action'; 2 are needed",
    )


def _rows(*rows: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info('observation', TensorProto.FLOAT, [*rows, 2])


def _unknown_shape() -> ValueInfoProto:
    return helper.make_tensor_value_info('observation', TensorProto.FLOAT, None)


def _unknown_size() -> ValueInfoProto:
    return helper.make_tensor_value_info('observation', TensorProto.FLOAT, [1, None])


@pytest.mark.parametrize(
    ('given', 'shown'),
    [
        (_rows('batch'), '[batch, 2]'),
        (tensor('observation', 'n'), '[1, n]'),
        (_rows(), '[2]'),
        (_rows(1, 1), '[1, 1, 2]'),
        (_rows(2), '[2, 2]'),
        (_rows(0), '[0, 2]'),
        (_rows(-1), '[-1, 2]'),
        (_unknown_shape(), '[]'),
        (_unknown_size(), '[1, ?]'),
    ],
    ids=lambda part: part if isinstance(part, str) else '',
)
@pytest.mark.fault('B06', 'refused', 'E_MODEL_SHAPE')
def test_anything_but_one_row_of_a_known_size_is_refused(
    given: ValueInfoProto, shown: str
) -> None:
    assert refusal_of(signature(given)) == (
        'E_MODEL_SHAPE',
        f"m has 'observation' float32 {shown} {INPUT}",
    )


@pytest.mark.parametrize(
    ('kind', 'element'),
    [
        (TensorProto.DOUBLE, 'float64'),
        (TensorProto.FLOAT16, 'float16'),
        (TensorProto.INT64, 'int64'),
        (TensorProto.BFLOAT16, 'of type 16'),
        (0, 'of type 0'),
    ],
)
@pytest.mark.fault('B07', 'refused', 'E_MODEL_SHAPE')
def test_another_type_than_float32_is_refused(kind: int, element: str) -> None:
    assert refusal_of(signature(tensor('observation', 2, kind=kind))) == (
        'E_MODEL_SHAPE',
        f"m has 'observation' {element} [1, 2] {INPUT}",
    )
    assert refusal_of(signature(outputs=[tensor('action', 2, kind=kind)])) == (
        'E_MODEL_SHAPE',
        f"m has 'action' {element} [1, 2] {OUTPUT}",
    )


@pytest.mark.fault('B08', 'refused', 'E_MODEL_SHAPE')
def test_two_inputs_or_outputs_or_none_are_refused() -> None:
    two = "'observation' float32 [1, 2] and 'extra' float32 [1, 1]"
    assert refusal_of(signature(IN, tensor('extra', 1))) == (
        'E_MODEL_SHAPE',
        f'm has {two} {INPUT}',
    )
    assert refusal_of(signature(outputs=[OUT, OUT])) == (
        'E_MODEL_SHAPE',
        f"m has 'action' float32 [1, 2] and 'action' float32 [1, 2] {OUTPUT}",
    )

    def clear(model: ModelProto) -> None:
        del model.graph.input[:]

    assert refusal_of(edit_model(GOOD, clear)) == ('E_MODEL_SHAPE', f'm has nothing {INPUT}')


@pytest.mark.parametrize(
    ('node', 'shown'),
    [
        (helper.make_node('Foo', ['observation'], ['x']), "node 'x' (Foo)"),
        (helper.make_node('Reshape', ['observation', 's'], ['x']), "node 'x' (Reshape)"),
        (helper.make_node('If', ['observation'], ['x']), "node 'x' (If)"),
        (helper.make_node('Loop', ['observation'], ['x']), "node 'x' (Loop)"),
        (helper.make_node('Scan', ['observation'], ['x']), "node 'x' (Scan)"),
        (helper.make_node('RandomNormal', [], ['x']), "node 'x' (RandomNormal)"),
        (
            helper.make_node('Relu', ['observation'], ['x'], domain='com.evil'),
            "node 'x' (Relu) of domain 'com.evil'",
        ),
        (
            helper.make_node('Gelu', ['observation'], ['x'], domain='com.microsoft'),
            "node 'x' (Gelu) of domain 'com.microsoft'",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else '',
)
@pytest.mark.fault('B09', 'refused', 'E_MODEL_OP')
def test_an_operator_that_no_policy_needs_is_named(node: NodeProto, shown: str) -> None:
    zero = helper.make_node('MatMul', ['observation', 'zeros'], ['action'])

    code, text = refusal_of(onnx_model(SPEC, nodes=[node, zero]))
    assert code == 'E_MODEL_OP'
    assert text == (
        f'm has {shown}; the operators of a policy are Add, Clip, Constant, Div, Elu, Gemm, '
        'Identity, LayerNormalization, LeakyRelu, MatMul, Max, Min, Mul, Relu, Selu, Sigmoid, '
        'Softplus, Sub, Tanh'
    )


@pytest.mark.parametrize('version', [1, 12, 22, 99, -1, 2**40])
@pytest.mark.fault('B10', 'refused', 'E_MODEL_OPSET')
def test_an_operator_set_that_is_too_old_or_too_new_is_told(version: int) -> None:
    assert refusal_of(onnx_model(SPEC, opset=version)) == (
        'E_MODEL_OPSET',
        f'm is written for operator set {version}; one of 13 to 21 is needed',
    )


@pytest.mark.parametrize('version', [0, 6, 11, 2**40])
@pytest.mark.fault('B10', 'refused', 'E_MODEL_OPSET')
def test_a_file_version_that_is_too_old_or_too_new_is_told(version: int) -> None:
    assert refusal_of(onnx_model(SPEC, ir_version=version)) == (
        'E_MODEL_OPSET',
        f'm has ONNX IR version {version}; 7 to 10 are read here',
    )


def _import(*sets: tuple[str, int]) -> Edit:
    def edit(model: ModelProto) -> None:
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*each) for each in sets)

    return edit


@pytest.mark.parametrize(
    ('sets', 'found'),
    [
        ([], 'nothing'),
        ([('', 17), ('com.evil', 1)], "17, 'com.evil'"),
        ([('ai.onnx.ml', 3)], "'ai.onnx.ml'"),
        ([('', 17), ('ai.onnx', 13)], '17, 13'),
    ],
)
@pytest.mark.fault('B10', 'refused', 'E_MODEL_OPSET')
def test_other_operator_sets_than_one_of_onnx_are_refused(
    sets: list[tuple[str, int]], found: str
) -> None:
    assert refusal_of(edit_model(GOOD, _import(*sets))) == (
        'E_MODEL_OPSET',
        f'm is written for operator set {found}; one of 13 to 21 is needed',
    )


@pytest.mark.parametrize('opset', range(13, 22))
@pytest.mark.parametrize('ir_version', range(7, 11))
def test_every_version_in_between_is_read(opset: int, ir_version: int) -> None:
    policy = OnnxPolicy(onnx_model(SPEC, opset=opset, ir_version=ir_version), 'm')

    np.testing.assert_array_equal(policy(np.ones(2, np.float32)), [0.0, 0.0])
