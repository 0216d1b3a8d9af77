"""onnx_fields.py: the table of fields is ONNX's, and what it does not know is refused."""

import numpy as np
import onnx
import pytest
from builders import make_spec, onnx_model
from google.protobuf.descriptor import FieldDescriptor
from model_builders import refusal_of

from sac_ros.onnx_fields import FIELDS, parse_model

SPEC = make_spec()
ONNX_NAMES = {
    'Model': onnx.ModelProto,
    'Opset': onnx.OperatorSetIdProto,
    'Entry': onnx.StringStringEntryProto,
    'Graph': onnx.GraphProto,
    'Node': onnx.NodeProto,
    'Attribute': onnx.AttributeProto,
    'Tensor': onnx.TensorProto,
    'Value': onnx.ValueInfoProto,
    'Type': onnx.TypeProto,
    'TensorType': onnx.TypeProto.Tensor,
    'Shape': onnx.TensorShapeProto,
    'Dimension': onnx.TensorShapeProto.Dimension,
}
KINDS = {
    FieldDescriptor.TYPE_INT64: 'int64',
    FieldDescriptor.TYPE_INT32: 'int32',
    FieldDescriptor.TYPE_ENUM: 'int32',
    FieldDescriptor.TYPE_FLOAT: 'float',
    FieldDescriptor.TYPE_STRING: 'bytes',
    FieldDescriptor.TYPE_BYTES: 'bytes',
}


@pytest.mark.parametrize('message', FIELDS)
def test_every_field_has_the_name_the_number_and_the_type_that_onnx_gives_it(message: str) -> None:
    theirs = {field.number: field for field in ONNX_NAMES[message].DESCRIPTOR.fields}

    assert theirs.keys() == FIELDS[message].keys()
    for number, text in FIELDS[message].items():
        name, kind = text.split()
        assert theirs[number].name == name
        if kind == 'refused':
            continue
        assert theirs[number].is_repeated == kind.startswith('*')
        message_type = theirs[number].message_type
        if message_type is None:
            assert KINDS[theirs[number].type] == kind.lstrip('*')
        else:
            assert message_type == ONNX_NAMES[kind.lstrip('*')].DESCRIPTOR


def test_a_model_is_read_as_onnx_reads_it() -> None:
    data = onnx_model(SPEC)
    ours, theirs = parse_model(data), onnx.load_from_string(data)

    assert ours.SerializeToString(deterministic=True) == data
    assert [node.op_type.decode() for node in ours.graph.node] == ['MatMul', 'Max', 'Min']
    assert [list(each.dims) for each in ours.graph.initializer] == [
        list(each.dims) for each in theirs.graph.initializer
    ]


NOT_ONNX = 'm is not an ONNX model that can be run: it is cut, damaged or of another kind'


@pytest.mark.fault('B02', 'refused', 'E_MODEL_PARSE')
def test_zero_bytes_are_refused() -> None:
    assert refusal_of(b'') == ('E_MODEL_PARSE', 'm is empty')


@pytest.mark.parametrize('percent', range(1, 100))
@pytest.mark.fault('B02', 'refused', 'E_MODEL_PARSE')
def test_a_model_cut_at_any_percent_is_refused(percent: int) -> None:
    data = onnx_model(SPEC)

    assert refusal_of(data[: len(data) * percent // 100]) == ('E_MODEL_PARSE', NOT_ONNX)


def test_a_model_cut_at_any_byte_is_refused() -> None:
    data = onnx_model(SPEC)

    codes = {refusal_of(data[:size])[0] for size in range(len(data))}
    # Cut exactly between two fields it is a whole file, which lacks a contract.
    assert codes == {'E_MODEL_PARSE', 'E_MODEL_META'}


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.fault('B02', 'refused', 'E_MODEL_PARSE')
def test_random_bytes_are_refused(seed: int) -> None:
    code, text = refusal_of(np.random.default_rng(seed).bytes(5_000))

    assert code == 'E_MODEL_PARSE'
    assert text.startswith('m is not an ONNX model that can be run: it is ')


@pytest.mark.parametrize(
    'field',
    [b'\xf8\x01\x01', b'\xfa\x01\x03abc', b'\xfb\x01\xfc\x01'],
    ids=['number', 'bytes', 'group'],
)
def test_a_field_that_onnx_does_not_have_is_refused(field: bytes) -> None:
    assert refusal_of(onnx_model(SPEC) + field) == (
        'E_MODEL_PARSE',
        'm is not an ONNX model that can be run: it is damaged, or has fields of a newer ONNX',
    )


def test_a_field_that_onnx_does_not_have_is_found_deep_inside() -> None:
    model = onnx.load_from_string(onnx_model(SPEC))
    node = model.graph.node[0].SerializeToString()
    data = model.SerializeToString()
    stranger = data.replace(  # the first node with a field 31 of 1 byte: 3 bytes more
        b'\x0a' + bytes([len(node)]) + node,
        b'\x0a' + bytes([len(node) + 3]) + node + b'\xf8\x01\x07',
    )
    size = len(model.graph.SerializeToString())
    stranger = stranger.replace(_varint(size), _varint(size + 3), 1)

    assert len(stranger) == len(data) + 3
    assert refusal_of(stranger)[1].endswith('or has fields of a newer ONNX')


def _varint(number: int) -> bytes:
    """Return a number from 128 to 16383 as a file holds it."""
    return bytes([number & 0x7F | 0x80, number >> 7])
