"""Model files made by hand with the onnx package: good ones, and ones that no exporter writes."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from onnx import (
    ModelProto,
    NodeProto,
    StringStringEntryProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from sac_ros.model_error import ModelError
from sac_ros.model_metadata import NO_DIGEST, ORIGIN_KEY, SPEC_KEY, with_digest
from sac_ros.policy import OnnxPolicy
from sac_ros.spec import TaskSpec


def onnx_model(
    spec: TaskSpec,
    *,
    nodes: Sequence[NodeProto] | None = None,
    constants: Sequence[TensorProto] = (),
    metadata: Mapping[str, str] | None = None,
    **more: object,
) -> bytes:
    """Return a model file made by hand: action 0 for every observation, unless told otherwise.

    What the nodes call `action` is kept within the bounds of the contract behind them.
    """
    nodes = nodes or [helper.make_node('MatMul', ['observation', 'zeros'], ['action'])]
    keepers = [
        helper.make_node('Max', ['unbounded', 'lower'], ['above']),
        helper.make_node('Min', ['above', 'upper'], ['action']),
    ]
    lower, upper = inner_bounds(spec)
    model = raw_model(
        spec,
        nodes=[*(_renamed(node) for node in nodes), *keepers],
        constants=[*constants, constant('lower', lower), constant('upper', upper)],
        metadata=metadata,
        **more,
    )
    return bytes(model.SerializeToString(deterministic=True))


def constant_model(spec: TaskSpec, action: Sequence[float]) -> bytes:
    """Return a model file made by hand that always answers `action`."""
    nodes = [
        helper.make_node('MatMul', ['observation', 'zeros'], ['nothing']),
        helper.make_node('Add', ['nothing', 'constant'], ['action']),
    ]
    golden = {'observation': [[0.0] * spec.observation_size], 'action': [list(action)]}
    return onnx_model(
        spec,
        nodes=nodes,
        constants=[constant('constant', action)],
        metadata=make_metadata(spec, golden),
    )


def raw_model(
    spec: TaskSpec,
    *,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto] | None = None,
    outputs: Sequence[ValueInfoProto] | None = None,
    constants: Sequence[TensorProto] = (),
    metadata: Mapping[str, str] | None = None,
    opset: int = 17,
    ir_version: int = 8,
) -> ModelProto:
    """Return a model as just these nodes make it, and zeros, float32 (n, m), among constants."""
    zeros = np.zeros((spec.observation_size, spec.action_size), dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        'by_hand',
        inputs or [tensor('observation', spec.observation_size)],
        outputs or [tensor('action', spec.action_size)],
        [constant('zeros', zeros), *constants],
    )
    imports = [helper.make_opsetid('', opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
    helper.set_model_props(model, dict(make_metadata(spec) if metadata is None else metadata))
    return model


def make_metadata(spec: TaskSpec, golden: object = None, **overrides: str) -> dict[str, str]:
    """Return the two keys of a model that answers 0; the golden pair agrees unless given."""
    zero_pair = {
        'observation': [[0.0] * spec.observation_size],
        'action': [[0.0] * spec.action_size],
    }
    origin = {'golden': zero_pair if golden is None else golden}
    return {SPEC_KEY: spec.to_json(), ORIGIN_KEY: json.dumps(origin), **overrides}


def edit_model(data: bytes, edit: Callable[[ModelProto], None]) -> bytes:
    """Return a model file after `edit` has changed it, with a digest that fits if it had one."""
    model = ModelProto.FromString(data)
    edit(model)
    digest = json.loads(_entry(model, ORIGIN_KEY).value).get('digest')
    edited = bytes(model.SerializeToString(deterministic=True))
    if digest is None:
        return edited
    return with_digest(edited.replace(digest.encode(), NO_DIGEST.encode()))


def without_digest(data: bytes) -> bytes:
    """Return a model file as it was before there were digests."""

    def edit(model: ModelProto) -> None:
        entry = _entry(model, ORIGIN_KEY)
        origin = json.loads(entry.value)
        del origin['digest']
        entry.value = json.dumps(origin, sort_keys=True)

    return edit_model(data, edit)


def tensor(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """Return the signature of an input or output with one row of `shape` elements."""
    return helper.make_tensor_value_info(name, kind, [1, *shape])


def constant(name: str, value: Sequence[float] | np.ndarray | float) -> TensorProto:
    """Return a weight, float32."""
    return numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)


def inner_bounds(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the action as float32 numbers that lie inside them."""
    lower, upper = (spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper))
    low, high = lower.astype(np.float32), upper.astype(np.float32)
    low[low < lower] = np.nextafter(low, np.float32(np.inf))[low < lower]
    high[high > upper] = np.nextafter(high, np.float32(-np.inf))[high > upper]
    return low, high


def refusal_of(data: bytes) -> tuple[str, str]:
    """Return the code and the text by which model `m` is refused; fail when it is not."""
    with pytest.raises(ModelError) as caught:
        OnnxPolicy(data, 'm')
    return caught.value.code, str(caught.value)


def _renamed(node: NodeProto) -> NodeProto:
    """Return a node whose `action` is not yet the one that leaves the graph."""
    renamed = NodeProto()
    renamed.CopyFrom(node)
    for names in (renamed.input, renamed.output):
        names[:] = ['unbounded' if name == 'action' else name for name in names]
    return renamed


def _entry(model: ModelProto, key: str) -> StringStringEntryProto:
    return next(entry for entry in model.metadata_props if entry.key == key)
