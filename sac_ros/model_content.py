"""ModelContent: what a model file holds, as plain data: nodes, constants, signature; metadata.

Whatever else a file may hold is refused here; whether the graph is a policy is asked elsewhere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import Message  # type: ignore[import-untyped]

from sac_ros.model_error import ModelError
from sac_ros.onnx_fields import refused_field
from sac_ros.spec_fields import shown

MAX_NODES = 256  # an actor of 2 layers has 12
MAX_ENTRIES = 64  # of metadata
MAX_ENTRY_BYTES = 4 * 2**20  # golden pairs of 10,000 elements
# Names, shapes and notes.  A file could be filled with empty parts that nobody reads: parsing them
# would hold up the control loop.
MAX_OTHER_BYTES = 256 * 2**10
FLOAT = 1
_ELEMENTS = {FLOAT: 'float32', 6: 'int32', 7: 'int64', 9: 'bool', 10: 'float16', 11: 'float64'}
_ATTRIBUTES = {1: 'f', 2: 'i', 4: 't'}  # type -> the field that holds it

Attribute = float | int | np.ndarray


@dataclass(frozen=True)
class Node:
    """One operator of the graph."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]  # '' where an optional one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def __str__(self) -> str:
        """Return how errors name it."""
        name = self.name or (self.outputs[0] if self.outputs else '')
        return f'node {shown(name)} ({self.operator[:40]})'


@dataclass(frozen=True)
class Signature:
    """An input or output of the graph."""

    name: str
    element: str  # float32, ...
    shape: tuple[int | str, ...]  # a text where it is symbolic

    def __str__(self) -> str:
        """Return how errors show it."""
        sizes = ', '.join(str(size)[:40] for size in self.shape[:8])
        return f'{shown(self.name)} {self.element} [{sizes}]'


@dataclass(frozen=True)
class ModelContent:
    """What a model file holds."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]  # domain and version
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]  # float32, finite, read-only, at most two dimensions
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]


def read_content(model: Message) -> ModelContent:
    """Return what a parsed model file holds.  Raises ModelError."""
    _check_fields(model, '')
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise ModelError(
            f'has {len(graph.node)} nodes; at most {MAX_NODES} are allowed', 'E_MODEL_OP'
        )
    _check_fields(graph, 'the graph')
    other = _other_bytes(model)
    if other > MAX_OTHER_BYTES:
        raise ModelError(
            f'has {other} bytes that are neither weights nor metadata; at most {MAX_OTHER_BYTES} '
            'are allowed',
            'E_MODEL_PARSE',
        )
    nodes = tuple(_node(each) for each in graph.node)
    constants = {}
    for each in graph.initializer:
        name = _text(each.name)
        if name in constants:
            raise ModelError(f'has two constants {shown(name)}', 'E_MODEL_PARSE')
        constants[name] = _array(each, f'constant {shown(name)}')
    for each in graph.value_info:  # known from the operators anyway, but it will be read
        _signature(each)
    return ModelContent(
        model.ir_version,
        tuple((_text(each.domain), each.version) for each in model.opset_import),
        nodes,
        constants,
        tuple(_signature(each) for each in graph.input),
        tuple(_signature(each) for each in graph.output),
    )


def read_entries(model: Message) -> dict[str, str]:
    """Return the metadata of a parsed model file.  Raises ModelError."""
    metadata: dict[str, str] = {}
    for entry in model.metadata_props:
        key = _text(entry.key)
        size = len(entry.key) + len(entry.value)
        if size > MAX_ENTRY_BYTES:
            raise ModelError(
                f'has {size} bytes of metadata {shown(key)}; {MAX_ENTRY_BYTES} are allowed',
                'E_MODEL_META',
            )
        if key in metadata:
            raise ModelError(f'has metadata {shown(key)} twice', 'E_MODEL_META')
        metadata[key] = _text(entry.value)
        if len(metadata) > MAX_ENTRIES:
            raise ModelError(f'has more than {MAX_ENTRIES} entries of metadata', 'E_MODEL_META')
    return metadata


def _other_bytes(model: Message) -> int:
    tensors = [*model.graph.initializer]
    tensors += [each.t for node in model.graph.node for each in node.attribute if each.type == 4]
    weights = sum(len(each.raw_data) + 5 * len(each.float_data) for each in tensors)
    entries = sum(len(entry.key) + len(entry.value) for entry in model.metadata_props)
    return int(model.ByteSize()) - weights - entries


def _node(message: Message) -> Node:
    bare = Node(
        _text(message.name),
        _text(message.op_type),
        _text(message.domain),
        tuple(_text(each) for each in message.input),
        tuple(_text(each) for each in message.output),
        {},
    )
    _check_fields(message, str(bare))
    attributes: dict[str, Attribute] = {}
    for each in message.attribute:
        name = _text(each.name)
        what = f'{bare}, attribute {shown(name)}'
        if name in attributes:
            raise ModelError(f'has {what} twice', 'E_MODEL_PARSE')
        attributes[name] = _attribute(each, what)
    return Node(bare.name, bare.operator, bare.domain, bare.inputs, bare.outputs, attributes)


def _attribute(message: Message, what: str) -> Attribute:
    _check_fields(message, what)
    kept = _ATTRIBUTES.get(message.type, '')
    if [field for field in _ATTRIBUTES.values() if message.HasField(field)] != [kept]:
        raise ModelError(
            f'has {what}: it is not one number or tensor of the type that it says', 'E_MODEL_OP'
        )
    if kept == 't':
        return _array(message.t, what)
    number: float | int = getattr(message, kept)
    if not math.isfinite(number):
        raise ModelError(f'has {what}: it is {number}', 'E_MODEL_NONFINITE')
    return number


def _array(message: Message, what: str) -> np.ndarray:
    """Return a constant: float32, finite, read-only, and just as large as it says."""
    _check_fields(message, what)
    if message.data_location != 0:
        raise ModelError(f'has {what} in another file; all must be in one', 'E_MODEL_OP')
    if message.data_type != FLOAT:
        element = _ELEMENTS.get(message.data_type, f'of type {message.data_type}')
        raise ModelError(f'has {what}: it is {element}; float32 is needed', 'E_MODEL_OP')
    shape = tuple(message.dims)
    if len(shape) > 2:
        raise ModelError(
            f'has {what}: it has {len(shape)} dimensions; at most 2 are allowed', 'E_MODEL_SHAPE'
        )
    is_raw = message.HasField('raw_data')
    found = len(message.raw_data) if is_raw else 4 * len(message.float_data)
    if min(shape, default=1) < 1 or found != 4 * math.prod(shape):
        raise ModelError(
            f'has {what}: its shape {list(shape)} does not fit its {found} bytes', 'E_MODEL_PARSE'
        )
    if is_raw and message.float_data:
        raise ModelError(f'has {what}: its numbers are there twice', 'E_MODEL_PARSE')
    array = (
        np.frombuffer(message.raw_data, dtype='<f4').astype(np.float32)
        if is_raw
        else np.array(message.float_data, dtype=np.float32)
    )
    if not np.isfinite(array).all():
        place = int(np.argmin(np.isfinite(array)))
        raise ModelError(
            f'has {what}: element {place} is {array[place]}; finite numbers are needed',
            'E_MODEL_NONFINITE',
        )
    array.setflags(write=False)
    return array.reshape(shape)


def _signature(message: Message) -> Signature:
    name = _text(message.name)
    what = f'{shown(name)} as an input, output or value'
    _check_fields(message.type, what)
    tensor = message.type.tensor_type
    shape = tuple(
        _text(each.dim_param) or '?' if not each.HasField('dim_value') else each.dim_value
        for each in tensor.shape.dim
    )
    element = _ELEMENTS.get(tensor.elem_type, f'of type {tensor.elem_type}')
    return Signature(name, element, shape)


def _check_fields(message: Message, what: str) -> None:
    """Refuse a message with a field that no policy needs."""
    field = refused_field(message)
    if field:
        place = f' in {what}' if what else ''
        raise ModelError(f'has {field}{place}; no policy needs that', 'E_MODEL_OP')


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ModelError(
            'is damaged: a name or metadata in it is not UTF-8 text', 'E_MODEL_PARSE'
        ) from error
