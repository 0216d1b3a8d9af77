"""The fields of an ONNX file: which are read, which are refused.  Bytes in, a message out.

The onnx package is not on robots, protobuf is: onnxruntime comes with it.  Names and numbers are
those of onnx.proto (github.com/onnx/onnx).  Text is read as bytes and decoded by who needs it.
"""

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from sac_ros.model_error import ModelError

# Message -> number -> name and kind.  `*`: repeated.  `refused`: no policy needs it, and much of
# it has been a way to crash or to deceive a loader, so a file that has it is not loaded.
FIELDS: dict[str, dict[int, str]] = {
    'Model': {
        1: 'ir_version int64',
        2: 'producer_name bytes',
        3: 'producer_version bytes',
        4: 'domain bytes',
        5: 'model_version int64',
        6: 'doc_string bytes',
        7: 'graph Graph',
        8: 'opset_import *Opset',
        14: 'metadata_props *Entry',
        20: 'training_info refused',
        25: 'functions refused',
        26: 'configuration refused',
    },
    'Opset': {1: 'domain bytes', 2: 'version int64'},
    'Entry': {1: 'key bytes', 2: 'value bytes'},
    'Graph': {
        1: 'node *Node',
        2: 'name bytes',
        5: 'initializer *Tensor',
        10: 'doc_string bytes',
        11: 'input *Value',
        12: 'output *Value',
        13: 'value_info *Value',
        14: 'quantization_annotation refused',
        15: 'sparse_initializer refused',
        16: 'metadata_props *Entry',
    },
    'Node': {
        1: 'input *bytes',
        2: 'output *bytes',
        3: 'name bytes',
        4: 'op_type bytes',
        5: 'attribute *Attribute',
        6: 'doc_string bytes',
        7: 'domain bytes',
        8: 'overload refused',
        9: 'metadata_props *Entry',
        10: 'device_configurations refused',
    },
    'Attribute': {
        1: 'name bytes',
        2: 'f float',
        3: 'i int64',
        4: 's refused',
        5: 't Tensor',
        6: 'g refused',
        7: 'floats refused',
        8: 'ints refused',
        9: 'strings refused',
        10: 'tensors refused',
        11: 'graphs refused',
        13: 'doc_string bytes',
        14: 'tp refused',
        15: 'type_protos refused',
        20: 'type int32',
        21: 'ref_attr_name refused',
        22: 'sparse_tensor refused',
        23: 'sparse_tensors refused',
    },
    'Tensor': {
        1: 'dims *int64',
        2: 'data_type int32',
        3: 'segment refused',
        4: 'float_data *float',
        5: 'int32_data refused',
        6: 'string_data refused',
        7: 'int64_data refused',
        8: 'name bytes',
        9: 'raw_data bytes',
        10: 'double_data refused',
        11: 'uint64_data refused',
        12: 'doc_string bytes',
        13: 'external_data refused',
        14: 'data_location int32',
        16: 'metadata_props *Entry',
    },
    'Value': {1: 'name bytes', 2: 'type Type', 3: 'doc_string bytes', 4: 'metadata_props *Entry'},
    'Type': {
        1: 'tensor_type TensorType',
        4: 'sequence_type refused',
        5: 'map_type refused',
        6: 'denotation bytes',
        7: 'opaque_type refused',
        8: 'sparse_tensor_type refused',
        9: 'optional_type refused',
    },
    'TensorType': {1: 'elem_type int32', 2: 'shape Shape'},
    'Shape': {1: 'dim *Dimension'},
    'Dimension': {1: 'dim_value int64', 2: 'dim_param bytes', 3: 'denotation bytes'},
}


def parse_model(data: bytes) -> Message:
    """Return a file as a message of the table above.  Raises ModelError."""
    if not data:
        raise ModelError('is empty', 'E_MODEL_PARSE')
    try:
        model = _MODEL.FromString(data)
    except DecodeError as error:
        raise ModelError(
            'is not an ONNX model that can be run: it is cut, damaged or of another kind',
            'E_MODEL_PARSE',
        ) from error
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        raise ModelError(
            'is not an ONNX model that can be run: it is damaged, or has fields of a newer ONNX',
            'E_MODEL_PARSE',
        )
    return model


def refused_field(message: Message) -> str:
    """Return the name of a field of `message` itself that the table refuses, or nothing."""
    table = FIELDS[message.DESCRIPTOR.name]
    for field, _ in message.ListFields():
        if table[field.number].endswith(' refused'):
            return str(field.name)
    return ''


def _build() -> type[Message]:
    """Return the class of a whole file, made from the table."""
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {
        'int64': field.TYPE_INT64,
        'int32': field.TYPE_INT32,  # enumerations too: a number that is not known stays visible
        'float': field.TYPE_FLOAT,
        'bytes': field.TYPE_BYTES,
    }
    file = descriptor_pb2.FileDescriptorProto(
        name='sac_ros/model.proto', package='sac_ros', syntax='proto2'
    )
    for message, fields in FIELDS.items():
        declared = file.message_type.add(name=message)
        for number, text in fields.items():
            name, kind = text.replace('refused', '*bytes').split()
            element = kind.lstrip('*')
            row = declared.field.add(name=name, number=number)
            row.label = field.LABEL_REPEATED if element != kind else field.LABEL_OPTIONAL
            row.type = kinds.get(element, field.TYPE_MESSAGE)
            if element not in kinds:
                row.type_name = f'.sac_ros.{element}'
    pool = descriptor_pool.DescriptorPool()  # its own: nothing here meets the onnx package's
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('sac_ros.Model'))


_MODEL = _build()
