"""model_operators.py: what each operator may read, and that onnxruntime agrees about its width."""

from collections.abc import Sequence

import numpy as np
import pytest
from builders import make_spec, onnx_model
from model_builders import constant, make_metadata, refusal_of
from onnx import NodeProto, TensorProto, helper

from sac_ros.model_operators import RULES
from sac_ros.policy import OnnxPolicy

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
OBSERVATION = np.array([0.5, -0.25], dtype=np.float32)


def node(operator: str, *inputs: str, to: str = 'action', **attributes: object) -> NodeProto:
    return helper.make_node(operator, list(inputs), [to], **attributes)


def after(first: NodeProto) -> list[NodeProto]:
    """Return nodes that turn the row 'x', which `first` writes, into an action of 0."""
    return [first, node('MatMul', 'observation', 'zeros')]


TANH = np.tanh([0.5, -0.25])
GOOD: list[tuple[NodeProto, dict[str, object], Sequence[float]]] = [
    (node('Add', 'observation', 'c'), {'c': [0.25, 0.5]}, [0.75, 0.25]),
    (node('Add', 'observation', 'observation'), {}, [1.0, -0.5]),
    (node('Sub', 'c', 'observation'), {'c': 0.25}, [-0.25, 0.5]),
    (node('Mul', 'observation', 'c'), {'c': [[2.0, 4.0]]}, [1.0, -1.0]),
    (node('Div', 'observation', 'c'), {'c': [2.0, -1.0]}, [0.25, 0.25]),
    (node('Clip', 'observation', 'c', ''), {'c': 0.0}, [0.5, 0.0]),
    (node('Clip', 'observation'), {}, [0.5, -0.25]),
    (node('Max', 'c', 'observation'), {'c': 0.0}, [0.5, 0.0]),
    (node('Min', 'observation', 'c'), {'c': [0.0, 0.0]}, [0.0, -0.25]),
    (node('Relu', 'observation'), {}, [0.5, 0.0]),
    (node('LeakyRelu', 'observation', alpha=0.5), {}, [0.5, -0.125]),
    (node('Elu', 'observation', alpha=2.0), {}, [0.5, 2.0 * np.expm1(-0.25)]),
    (node('Selu', 'observation', alpha=1.0, gamma=2.0), {}, [1.0, 2.0 * np.expm1(-0.25)]),
    (node('Tanh', 'observation'), {}, TANH.tolist()),
    (node('Sigmoid', 'observation'), {}, [1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(0.25))]),
    (node('Softplus', 'observation'), {}, [np.log1p(np.exp(0.5)), np.log1p(np.exp(-0.25))]),
    (node('Identity', 'observation'), {}, [0.5, -0.25]),
    (node('MatMul', 'observation', 'c'), {'c': [[0.0, 1.0], [1.0, 0.0]]}, [-0.25, 0.5]),
    (
        node('Gemm', 'observation', 'c', 'b', alpha=2.0, beta=0.5, transB=1),
        {'c': [[1.0, 0.0], [0.0, 1.0]], 'b': [-1.0, 1.0]},
        [0.5, 0.0],
    ),
    (node('Gemm', 'observation', 'c'), {'c': [[1.0, 0.0], [0.0, 2.0]]}, [0.5, -0.5]),
    (
        # mean 0.125, deviations +-0.375, variance 0.140625
        node('LayerNormalization', 'observation', 'c', 'b', axis=-1, epsilon=0.109375),
        {'c': [1.0, 0.5], 'b': [0.0, 0.0]},
        [0.75, -0.375],
    ),
]


@pytest.mark.parametrize(('made', 'constants', 'answer'), GOOD, ids=lambda each: '')
def test_an_operator_computes_what_its_name_says(
    made: NodeProto, constants: dict[str, object], answer: Sequence[float]
) -> None:
    tensors = [constant(name, value) for name, value in constants.items()]

    policy = _answering(made, tensors, answer)
    np.testing.assert_allclose(policy(OBSERVATION), answer, rtol=1e-6)


def test_every_operator_is_tried() -> None:
    assert {made.op_type for made, _, _ in GOOD} | {'Constant'} == RULES.keys()


def test_a_constant_node_is_a_constant() -> None:
    nodes = [
        helper.make_node('Constant', [], ['c'], value=constant('', [0.25, 0.5])),
        node('Add', 'observation', 'c'),
    ]

    policy = OnnxPolicy(onnx_model(SPEC, nodes=nodes, metadata=_golden([0.75, 0.25])), 'm')
    np.testing.assert_array_equal(policy(OBSERVATION), [0.75, 0.25])


SHAPE, OP, PARSE = 'E_MODEL_SHAPE', 'E_MODEL_OP', 'E_MODEL_PARSE'


@pytest.mark.parametrize(
    ('made', 'code', 'error'),
    [
        (node('Add', 'observation', 'three', to='x'), SHAPE, 'joins [1, 2] and [3]'),
        (node('Add', 'observation', 'column', to='x'), SHAPE, 'makes 3 rows of one'),
        (node('MatMul', 'observation', 'three', to='x'), SHAPE,
         "multiplies [1, 2] with 'three' [3]"),
        (node('MatMul', 'observation', 'column', to='x'), SHAPE,
         "multiplies [1, 2] with 'column' [3, 1]"),
        (node('Gemm', 'observation', 'zeros', 'three', to='x'), SHAPE, 'joins [1, 2] and [3]'),
        (node('Gemm', 'observation', 'narrow', 'two', to='x'), SHAPE,
         'adds more elements than there are'),
        (node('Gemm', 'observation', 'zeros', to='x', transA=1), SHAPE,
         'turns its row into a column'),
        (node('Clip', 'observation', 'three', to='x'), SHAPE,
         "has bound 'three', which is not one number"),
        (node('Clip', 'observation', '', 'matrix', to='x'), SHAPE,
         "has bound 'matrix', which is not one number"),
        (node('LayerNormalization', 'observation', 'three', to='x'), SHAPE,
         'needs constants of 2 elements'),
        (node('LayerNormalization', 'observation', 'two', to='x', axis=0), SHAPE,
         'normalises something else than a row'),
        (node('MatMul', 'two', 'zeros', to='x'), OP, "reads constant 'two' where a row is needed"),
        (node('Add', 'two', 'two', to='x'), OP, "reads constant 'two' where a row is needed"),
        (node('Div', 'two', 'observation', to='x'), OP,
         "reads constant 'two' where a row is needed"),
        (node('Div', 'observation', 'observation', to='x'), OP,
         "reads 'observation' where a constant is needed"),
        (node('MatMul', 'observation', 'observation', to='x'), OP,
         "reads 'observation' where a constant is needed"),
        (node('Max', 'observation', 'observation', to='x'), OP,
         'does not compare one row with one constant'),
        (node('Relu', 'observation', 'two', to='x'), OP, 'has 2 inputs; 1 to 1 are allowed'),
        (node('Relu', to='x'), OP, 'has 0 inputs; 1 to 1 are allowed'),
        (node('Relu', '', to='x'), OP, 'has 1 inputs; 1 to 1 are allowed'),
        (helper.make_node('Relu', ['observation'], ['x', 'y']), OP,
         'has 2 outputs; 1 is allowed'),
        (node('Relu', 'observation', to='x', alpha=1.0), OP,
         "has attribute 'alpha', unknown here or of a wrong type"),
        (node('Elu', 'observation', to='x', alpha=1), OP,
         "has attribute 'alpha', unknown here or of a wrong type"),
        (node('Constant', to='x'), OP, "has no attribute 'value'"),
        (node('Relu', 'later', to='x'), PARSE, "reads 'later', which nothing before it writes"),
        (node('Relu', 'x', to='x'), PARSE, "reads 'x', which nothing before it writes"),
        (node('Gemm', 'observation', 'nothing', to='x'), PARSE,
         "reads 'nothing', which nothing before it writes"),
        (node('Relu', 'observation', to='observation'), PARSE,
         "writes 'observation', which is taken"),
        (node('Relu', 'observation', to='two'), PARSE, "writes 'two', which is taken"),
        (node('Relu', 'observation', to=''), PARSE, "writes '', which is taken"),
    ],
)  # fmt: skip
def test_a_node_that_reads_or_writes_what_it_must_not_is_named(
    made: NodeProto, code: str, error: str
) -> None:
    constants = [
        constant('two', [1.0, 1.0]),
        constant('three', [1.0, 1.0, 1.0]),
        constant('column', np.zeros((3, 1))),
        constant('narrow', np.zeros((2, 1))),
        constant('matrix', [[1.0]]),
    ]
    name = made.output[0]

    assert refusal_of(onnx_model(SPEC, nodes=after(made), constants=constants)) == (
        code,
        f"m has node '{name}' ({made.op_type}), which {error}",
    )


def test_an_input_that_is_a_constant_too_is_refused() -> None:
    assert refusal_of(onnx_model(SPEC, constants=[constant('observation', [[1.0, 1.0]])])) == (
        PARSE,
        "m has a constant 'observation', which is its input",
    )


@pytest.mark.parametrize(
    'made',
    [
        [node('Sub', 'observation', 'mean', to='x'), node('Div', 'x', 'deviation')],
        [node('Div', 'observation', 'deviation')],
    ],
)
@pytest.mark.parametrize('deviation', [[1.0, 0.0], [-0.0, 1.0], 0.0])
@pytest.mark.fault('B18', 'refused', 'E_MODEL_NONFINITE')
def test_a_normaliser_that_divides_by_zero_is_refused(
    made: list[NodeProto], deviation: object
) -> None:
    constants = [constant('mean', [0.0, 0.0]), constant('deviation', deviation)]

    assert refusal_of(onnx_model(SPEC, nodes=made, constants=constants)) == (
        'E_MODEL_NONFINITE',
        "m has node 'unbounded' (Div), which divides by 'deviation', 0 somewhere",
    )


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('scale', np.inf),  # 1 / 0
        ('scale', np.nan),  # 1 / sqrt(-1)
        ('mean', np.nan),  # 0 / 0
    ],
    ids=['deviation 0', 'negative variance', 'count 0'],
)
@pytest.mark.fault('B18', 'refused', 'E_MODEL_NONFINITE')
def test_a_normaliser_that_became_nan_or_infinite_is_refused(name: str, value: float) -> None:
    nodes = [node('Sub', 'observation', 'mean', to='x'), node('Mul', 'x', 'scale')]
    values = {'mean': [0.0, 0.0], 'scale': [1.0, 1.0], name: [1.0, value]}
    constants = [constant(key, each) for key, each in values.items()]

    code, text = refusal_of(onnx_model(SPEC, nodes=nodes, constants=constants))
    assert code == 'E_MODEL_NONFINITE'
    assert text.startswith(f"m has constant '{name}': element 1 is ")


@pytest.mark.parametrize('epsilon', [0.0, -1.0])
@pytest.mark.fault('B18', 'refused', 'E_MODEL_NONFINITE')
def test_a_layer_norm_that_may_divide_by_zero_is_refused(epsilon: float) -> None:
    made = node('LayerNormalization', 'observation', 'c', to='x', epsilon=epsilon)

    assert refusal_of(onnx_model(SPEC, nodes=after(made), constants=[constant('c', [1, 1])])) == (
        'E_MODEL_NONFINITE',
        f"m has node 'x' (LayerNormalization), which has epsilon {epsilon}",
    )


def _answering(
    made: NodeProto, constants: Sequence[TensorProto], answer: Sequence[float]
) -> OnnxPolicy:
    data = onnx_model(SPEC, nodes=[made], constants=constants, metadata=_golden(answer))
    return OnnxPolicy(data, 'm')


def _golden(answer: Sequence[float]) -> dict[str, str]:
    pair = {'observation': [OBSERVATION.tolist()], 'action': [list(answer)]}
    return make_metadata(SPEC, pair)
