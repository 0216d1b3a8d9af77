"""model_graph.py: an action that could leave its bounds is refused before anything is run."""

from collections.abc import Sequence

import numpy as np
import pytest
from builders import make_spec
from model_builders import constant, raw_model, refusal_of
from onnx import NodeProto, TensorProto, helper

from sac_ros.policy import OnnxPolicy

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
Nodes = Sequence[NodeProto]


def raw(nodes: Nodes, constants: Sequence[TensorProto] = ()) -> bytes:
    """Return a model of just these nodes."""
    return bytes(raw_model(SPEC, nodes=nodes, constants=constants).SerializeToString())


LOW, HIGH = constant('low', -1.0), constant('high', 1.0)  # the bounds of the contract
X = helper.make_node('MatMul', ['observation', 'zeros'], ['x'])
CLIP = helper.make_node('Clip', ['x', 'low', 'high'], ['action'])
MAX_MIN = [
    helper.make_node('Max', ['x', 'low'], ['y']),
    helper.make_node('Min', ['y', 'high'], ['action']),
]
MIN_MAX = [
    helper.make_node('Min', ['high', 'x'], ['y']),
    helper.make_node('Max', ['low', 'y'], ['action']),
]


@pytest.mark.parametrize('nodes', [[X, CLIP], [X, *MAX_MIN], [X, *MIN_MAX]])
def test_an_action_that_cannot_leave_its_bounds_is_accepted(nodes: Nodes) -> None:
    policy = OnnxPolicy(raw(nodes, [LOW, HIGH]), 'm')

    np.testing.assert_array_equal(policy(np.ones(2, np.float32)), [0.0, 0.0])


@pytest.mark.parametrize('shape', [(2,), (1, 2), (1, 1), (1,), ()])
def test_bounds_may_be_one_number_or_one_for_each_element(shape: tuple[int, ...]) -> None:
    low, high = constant('low', np.full(shape, -0.5)), constant('high', np.full(shape, 0.5))
    big = helper.make_node('Add', ['observation', 'observation'], ['x'])

    policy = OnnxPolicy(raw([big, *MAX_MIN], [low, high]), 'm')
    np.testing.assert_array_equal(policy(np.float32([1, -1])), [0.5, -0.5])


NO_BOUND = (
    "m does not end in Clip, or Max and Min, with constants: 'action' is not bounded by "
    'construction'
)


def _node(operator: str, *inputs: str, to: str = 'action') -> NodeProto:
    return helper.make_node(operator, list(inputs), [to])


@pytest.mark.parametrize(
    'nodes',
    [
        [_node('MatMul', 'observation', 'zeros')],
        [_node('Tanh', 'observation')],
        [_node('Clip', 'observation')],
        [_node('Clip', 'observation', 'low')],
        [_node('Clip', 'observation', '', 'high')],
        [_node('Max', 'observation', 'low')],
        [_node('Min', 'observation', 'high')],
        [_node('Max', 'observation', 'low', to='x'), _node('Max', 'x', 'low')],
        [_node('Clip', 'observation', 'low', 'high', to='x'), _node('Identity', 'x')],
        [_node('Clip', 'observation', 'low', 'high', to='x'), _node('Add', 'x', 'x')],
        [_node('Max', 'observation', 'low', to='x'), _node('Tanh', 'x', to='y'),
         _node('Min', 'y', 'high')],
    ],
    ids=['none', 'tanh', 'Clip', 'no high', 'no low', 'Max', 'Min', 'twice', 'behind', 'doubled',
         'between'],
)  # fmt: skip
@pytest.mark.fault('B15', 'refused', 'E_MODEL_BOUNDS')
def test_an_action_whose_bounds_cannot_be_proven_is_refused(nodes: Nodes) -> None:
    assert refusal_of(raw(nodes, [LOW, HIGH])) == ('E_MODEL_BOUNDS', NO_BOUND)


@pytest.mark.parametrize(
    ('low', 'high', 'found'),
    [
        (-1.5, 1.0, 'shoulder within [-1.5, 1.0]'),
        (-1.0, 1.5, 'shoulder within [-1.0, 1.5]'),
        ([-1.0, -1.0], [1.0, 3e38], 'elbow within [-1.0, 3.00000000'),
        ([-1.0, -np.nextafter(np.float32(1), np.float32(2))], 1.0, 'elbow within [-1.0000001'),
        (0.5, -0.5, 'shoulder within [0.5, -0.5]'),
        (2.0, 3.0, 'shoulder within [2.0, 3.0]'),
    ],
)
@pytest.mark.fault('B15', 'refused', 'E_MODEL_BOUNDS')
def test_bounds_outside_of_the_contract_are_refused(low: object, high: object, found: str) -> None:
    constants = [constant('low', low), constant('high', high)]

    code, text = refusal_of(raw([X, *MAX_MIN], constants))
    assert code == 'E_MODEL_BOUNDS'
    assert text.startswith(f'm keeps {found}')
    assert text.endswith('; the contract allows [-1.0, 1.0]')


@pytest.mark.fault('B15', 'refused', 'E_MODEL_BOUNDS')
def test_a_bound_of_float32_that_lies_outside_of_its_decimal_number_is_refused() -> None:
    spec = make_spec(observation=[{'term': 'joint_position'}], lower=-0.1, upper=0.1)
    constants = [constant('low', -0.1), constant('high', 0.1)]  # 0.1 as float32 is 0.100000001
    model = raw_model(spec, nodes=[X, CLIP], constants=constants)

    assert refusal_of(model.SerializeToString())[0] == 'E_MODEL_BOUNDS'


@pytest.mark.fault('B15', 'refused', 'E_MODEL_OP')
def test_bounds_that_depend_on_the_observation_are_none() -> None:
    nodes = [X, _node('Clip', 'x', 'x', 'high')]

    assert refusal_of(raw(nodes, [HIGH])) == (
        'E_MODEL_OP',
        "m has node 'action' (Clip), which reads 'x' where a constant is needed",
    )
