"""Is this graph a policy?  Known operators, one row in, one row out, bounds that can be proven.

The width of the row is followed from node to node, so that nothing about the answer is left for
onnxruntime to find out.
"""

import numpy as np

from sac_ros.model_content import ModelContent, Node, Signature
from sac_ros.model_error import ModelError
from sac_ros.model_operators import RULES, Flow, refusal
from sac_ros.spec import TaskSpec
from sac_ros.spec_fields import shown

# Exporters have written these since 2021, and the oldest onnxruntime of a robot (1.17) reads most.
IR_VERSIONS, OPSETS = range(7, 11), range(13, 22)
STANDARD = ('', 'ai.onnx')  # two names for ONNX's own operators


def check_graph(content: ModelContent, spec: TaskSpec) -> None:
    """Raise ModelError unless the graph is a policy that keeps to the contract by construction."""
    for node in content.nodes:
        _check_node(node)
    _check_versions(content)
    _check_signature('input', content.inputs, 'observation', spec.observation_size)
    _check_signature('output', content.outputs, 'action', spec.action_size)
    flow = _follow(content, spec)
    width = flow.rows.get('action', 0)  # none where a constant is called so
    if width != spec.action_size:
        raise ModelError(
            f"computes {width} elements of 'action'; {spec.action_size} are needed",
            'E_MODEL_SHAPE',
        )
    _check_bounds(flow, spec)


def _check_node(node: Node) -> None:
    rule = RULES.get(node.operator) if node.domain in STANDARD else None
    if rule is None:
        domain = '' if node.domain in STANDARD else f' of domain {shown(node.domain)}'
        raise ModelError(
            f'has {node}{domain}; the operators of a policy are {", ".join(RULES)}', 'E_MODEL_OP'
        )
    fewest, most = rule.inputs
    if not fewest <= len(node.inputs) <= most or '' in node.inputs[:fewest]:
        raise refusal(node, f'has {len(node.inputs)} inputs; {fewest} to {most} are allowed')
    if len(node.outputs) != 1:
        raise refusal(node, f'has {len(node.outputs)} outputs; 1 is allowed')
    for name, value in node.attributes.items():
        if type(value) is not rule.attributes.get(name):
            raise refusal(node, f'has attribute {shown(name)}, unknown here or of a wrong type')


def _check_versions(content: ModelContent) -> None:
    versions = [version for domain, version in content.opsets if domain in STANDARD]
    others = [domain for domain, _ in content.opsets if domain not in STANDARD]
    if content.ir_version not in IR_VERSIONS:
        raise ModelError(
            f'has ONNX IR version {content.ir_version}; '
            f'{IR_VERSIONS[0]} to {IR_VERSIONS[-1]} are read here',
            'E_MODEL_OPSET',
        )
    if others or len(versions) != 1 or versions[0] not in OPSETS:
        found = ', '.join([*map(str, versions), *map(shown, others)]) or 'nothing'
        raise ModelError(
            f'is written for operator set {found}; one of {OPSETS[0]} to {OPSETS[-1]} is needed',
            'E_MODEL_OPSET',
        )


def _check_signature(kind: str, found: tuple[Signature, ...], name: str, size: int) -> None:
    """Demand exactly `name` float32 [1, size]."""
    if found != (Signature(name, 'float32', (1, size)),):
        listed = ' and '.join(map(str, found[:4])) or 'nothing'
        raise ModelError(
            f"has {listed} as its {kind}; '{name}' float32 [1, {size}] is needed", 'E_MODEL_SHAPE'
        )


def _follow(content: ModelContent, spec: TaskSpec) -> Flow:
    """Return the width of all that is computed, each from what stands before it."""
    flow = Flow(dict(content.constants), {'observation': spec.observation_size})
    if 'observation' in flow.constants:
        raise ModelError("has a constant 'observation', which is its input", 'E_MODEL_PARSE')
    for node in content.nodes:
        output = node.outputs[0]
        if not output or output in flow.rows or output in flow.constants:
            raise refusal(node, f'writes {shown(output)}, which is taken', 'E_MODEL_PARSE')
        if node.operator == 'Constant':
            flow.constants[output] = _value(node)
        else:
            flow.rows[output] = RULES[node.operator].width(node, flow)
        flow.writers[output] = node
    return flow


def _value(node: Node) -> np.ndarray:
    value = node.attributes.get('value')
    if not isinstance(value, np.ndarray):
        raise refusal(node, "has no attribute 'value'")
    return value


def _check_bounds(flow: Flow, spec: TaskSpec) -> None:
    """Demand that the last nodes are Clip, or Max and Min, with constants inside the bounds.

    Max and Min because each element may have bounds of its own, and Clip takes one number.  All
    three let NaN through; the controller refuses an action that is not finite.
    """
    bounds = _proven_bounds(flow)
    if bounds is None:
        raise ModelError(
            "does not end in Clip, or Max and Min, with constants: 'action' is not bounded by "
            'construction',
            'E_MODEL_BOUNDS',
        )
    low, high = (np.broadcast_to(each, (1, spec.action_size))[0] for each in bounds)
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    kept = (lower <= low) & (low <= high) & (high <= upper)
    if not kept.all():
        i = int(np.argmin(kept))
        raise ModelError(
            f'keeps {spec.action_names[i]} within [{low[i]}, {high[i]}]; the contract allows '
            f'[{lower[i]}, {upper[i]}]',
            'E_MODEL_BOUNDS',
        )


def _proven_bounds(flow: Flow) -> tuple[np.ndarray, np.ndarray] | None:
    """Return constants between which 'action' always is, low and high, if there are any."""
    node: Node | None = flow.writers['action']
    if node is not None and node.operator == 'Clip':
        low, high = (*node.inputs, '', '')[1:3]
        return (flow.constants[low], flow.constants[high]) if low and high else None
    found: dict[str, np.ndarray] = {}
    while node is not None and node.operator in ('Max', 'Min') and node.operator not in found:
        constants = [name for name in node.inputs if name in flow.constants]
        (row,) = (name for name in node.inputs if name in flow.rows)
        found[node.operator] = flow.constants[constants[0]]
        node = flow.writers.get(row)
    return (found['Max'], found['Min']) if len(found) == 2 else None
