"""The operators of a policy: what each may read, and how wide the row is that it writes.

Every value that a policy computes is one row of float32, [1, width].  A new operator is one row
in `RULES` and one test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sac_ros.model_content import Node
from sac_ros.model_error import ModelError
from sac_ros.spec_fields import shown


@dataclass
class Flow:
    """What is known of each name while the nodes are followed in their order."""

    constants: dict[str, np.ndarray]
    rows: dict[str, int]  # what depends on the observation -> its width
    writers: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What a node of one operator looks like."""

    width: Callable[[Node, Flow], int]  # checks the inputs; returns how wide the output is
    inputs: tuple[int, int]  # fewest and most
    attributes: Mapping[str, type] = field(default_factory=dict)


def refusal(node: Node, text: str, code: str = 'E_MODEL_OP') -> ModelError:
    """Return the error that names a node and says what is wrong with it."""
    return ModelError(f'has {node}, which {text}', code)


def _same(node: Node, flow: Flow) -> int:
    return _row(node, flow, 0)


def _elementwise(node: Node, flow: Flow) -> int:
    """Two rows, or a row and a constant, as wide as each other or one element wide."""
    rows = [name for name in node.inputs if name in flow.rows]
    if not rows:
        raise _unread(node, flow, 0)
    return _broadcast(node, [_shape(node, flow, i) for i in range(len(node.inputs))])


def _with_constant(node: Node, flow: Flow) -> int:
    """A row and a constant, in any order."""
    if len([name for name in node.inputs if name in flow.constants]) != 1:
        raise refusal(node, 'does not compare one row with one constant')
    return _elementwise(node, flow)


def _divide(node: Node, flow: Flow) -> int:
    """A row by a constant: a standard deviation of 0 would make it infinite."""
    _row(node, flow, 0)
    if not _constant(node, flow, 1).all():
        raise refusal(
            node, f'divides by {shown(node.inputs[1])}, 0 somewhere', 'E_MODEL_NONFINITE'
        )
    return _elementwise(node, flow)


def _clip(node: Node, flow: Flow) -> int:
    for i, name in enumerate(node.inputs[1:], 1):
        if name and _constant(node, flow, i).shape not in ((), (1,)):
            raise refusal(
                node, f'has bound {shown(name)}, which is not one number', 'E_MODEL_SHAPE'
            )
    return _row(node, flow, 0)


def _product(node: Node, flow: Flow) -> int:
    """y = x W, and for Gemm y = alpha x W + beta b."""
    width, matrix = _row(node, flow, 0), _constant(node, flow, 1)
    if node.attributes.get('transA', 0) != 0:
        raise refusal(node, 'turns its row into a column', 'E_MODEL_SHAPE')
    if node.attributes.get('transB', 0) != 0:
        matrix = matrix.T
    if matrix.ndim != 2 or matrix.shape[0] != width:
        raise refusal(
            node,
            f'multiplies [1, {width}] with {shown(node.inputs[1])} {list(matrix.shape)}',
            'E_MODEL_SHAPE',
        )
    shapes: list[tuple[int, ...]] = [(1, matrix.shape[1])]
    if node.inputs[2:] not in ((), ('',)):
        shapes.append(_constant(node, flow, 2).shape)
    if _broadcast(node, shapes) != matrix.shape[1]:
        raise refusal(node, 'adds more elements than there are', 'E_MODEL_SHAPE')
    return matrix.shape[1]


def _normalise(node: Node, flow: Flow) -> int:
    """y = scale (x - mean(x)) / sqrt(var(x) + epsilon) + offset, over the row."""
    width, epsilon = _row(node, flow, 0), node.attributes.get('epsilon', 1e-5)
    if node.attributes.get('axis', -1) not in (-1, 1) or node.attributes.get('stash_type', 1) != 1:
        raise refusal(node, 'normalises something else than a row', 'E_MODEL_SHAPE')
    if not isinstance(epsilon, float) or not epsilon > 0.0:
        raise refusal(node, f'has epsilon {epsilon}', 'E_MODEL_NONFINITE')
    constants = [_constant(node, flow, i) for i in range(1, len(node.inputs)) if node.inputs[i]]
    if any(each.shape != (width,) for each in constants):
        raise refusal(node, f'needs constants of {width} elements', 'E_MODEL_SHAPE')
    return width


def _no_row(node: Node, flow: Flow) -> int:
    raise refusal(node, 'is a constant')  # followed as one, never as a row


_ALPHA = {'alpha': float}
RULES: dict[str, Rule] = {
    'Add': Rule(_elementwise, (2, 2)),
    'Clip': Rule(_clip, (1, 3)),
    'Constant': Rule(_no_row, (0, 0), {'value': np.ndarray}),
    'Div': Rule(_divide, (2, 2)),
    'Elu': Rule(_same, (1, 1), _ALPHA),
    'Gemm': Rule(_product, (2, 3), {**_ALPHA, 'beta': float, 'transA': int, 'transB': int}),
    'Identity': Rule(_same, (1, 1)),
    'LayerNormalization': Rule(
        _normalise, (2, 3), {'axis': int, 'epsilon': float, 'stash_type': int}
    ),
    'LeakyRelu': Rule(_same, (1, 1), _ALPHA),
    'MatMul': Rule(_product, (2, 2)),
    'Max': Rule(_with_constant, (2, 2)),
    'Min': Rule(_with_constant, (2, 2)),
    'Mul': Rule(_elementwise, (2, 2)),
    'Relu': Rule(_same, (1, 1)),
    'Selu': Rule(_same, (1, 1), {**_ALPHA, 'gamma': float}),
    'Sigmoid': Rule(_same, (1, 1)),
    'Softplus': Rule(_same, (1, 1)),
    'Sub': Rule(_elementwise, (2, 2)),
    'Tanh': Rule(_same, (1, 1)),
}


def _row(node: Node, flow: Flow, i: int) -> int:
    """Return the width of an input that depends on the observation."""
    if node.inputs[i] not in flow.rows:
        raise _unread(node, flow, i)
    return flow.rows[node.inputs[i]]


def _constant(node: Node, flow: Flow, i: int) -> np.ndarray:
    """Return an input that is the same for every observation."""
    name = node.inputs[i]
    if name not in flow.constants:
        if name in flow.rows:
            raise refusal(node, f'reads {shown(name)} where a constant is needed')
        raise _unread(node, flow, i)
    return flow.constants[name]


def _shape(node: Node, flow: Flow, i: int) -> tuple[int, ...]:
    name = node.inputs[i]
    return (1, flow.rows[name]) if name in flow.rows else _constant(node, flow, i).shape


def _broadcast(node: Node, shapes: list[tuple[int, ...]]) -> int:
    """Return the width of elementwise arithmetic between a row and others."""
    try:
        rows, width = np.broadcast_shapes(*shapes)
    except ValueError as error:
        found = ' and '.join(str(list(shape)) for shape in shapes)
        raise refusal(node, f'joins {found}', 'E_MODEL_SHAPE') from error
    if rows != 1:
        raise refusal(node, f'makes {rows} rows of one', 'E_MODEL_SHAPE')
    return width


def _unread(node: Node, flow: Flow, i: int) -> ModelError:
    """Return the error for an input that should be a row and is none."""
    name = node.inputs[i]
    if name in flow.constants:
        return refusal(node, f'reads constant {shown(name)} where a row is needed')
    return refusal(node, f'reads {shown(name)}, which nothing before it writes', 'E_MODEL_PARSE')
