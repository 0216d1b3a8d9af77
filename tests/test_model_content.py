"""model_content.py: what a model holds, and all that it must not hold."""

from collections.abc import Callable

import numpy as np
import pytest
from builders import make_spec, onnx_model
from model_builders import constant, edit_model, refusal_of
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sac_ros.model_content import MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_NODES, read_content
from sac_ros.onnx_fields import parse_model
from sac_ros.policy import OnnxPolicy

SPEC = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out
GOOD = onnx_model(SPEC)

Edit = Callable[[ModelProto], None]


def test_a_model_is_read_whole() -> None:
    content = read_content(parse_model(GOOD))

    assert (content.ir_version, content.opsets) == (8, (('', 17),))
    assert [str(node) for node in content.nodes] == [
        "node 'unbounded' (MatMul)",
        "node 'above' (Max)",
        "node 'action' (Min)",
    ]
    assert content.nodes[0].inputs == ('observation', 'zeros')
    assert {name: array.shape for name, array in content.constants.items()} == {
        'zeros': (2, 2),
        'lower': (2,),
        'upper': (2,),
    }
    assert [str(each) for each in content.inputs] == ["'observation' float32 [1, 2]"]
    assert [str(each) for each in content.outputs] == ["'action' float32 [1, 2]"]


def _with_graph(operator: str, attribute: str) -> NodeProto:
    graph = helper.make_graph([], 'inner', [], [])
    return helper.make_node(operator, ['observation'], ['action'], name='n', **{attribute: graph})


@pytest.mark.parametrize(
    ('node', 'field'),
    [
        (_with_graph('If', 'then_branch'), "g in node 'n' (If), attribute 'then_branch'"),
        (_with_graph('Loop', 'body'), "g in node 'n' (Loop), attribute 'body'"),
        (_with_graph('Scan', 'body'), "g in node 'n' (Scan), attribute 'body'"),
        (_with_graph('Relu', 'body'), "g in node 'n' (Relu), attribute 'body'"),
        (
            helper.make_node('Relu', ['observation'], ['action'], name='n', overload='x'),
            "overload in node 'n' (Relu)",
        ),
        (
            helper.make_node('LSTM', ['observation'], ['y'], activations=['Tanh']),
            "strings in node 'y' (LSTM), attribute 'activations'",
        ),
        (
            helper.make_node('Constant', [], ['y'], value_string='x'),
            "s in node 'y' (Constant), attribute 'value_string'",
        ),
    ],
    ids=['If', 'Loop', 'Scan', 'hidden graph', 'overload', 'texts', 'text'],
)
@pytest.mark.fault('B09', 'refused', 'E_MODEL_OP')
def test_a_node_with_a_graph_or_text_inside_is_named(node: NodeProto, field: str) -> None:
    assert refusal_of(onnx_model(SPEC, nodes=[node])) == (
        'E_MODEL_OP',
        f'm has {field}; no policy needs that',
    )


def _function(model: ModelProto) -> None:
    node = helper.make_node('Relu', ['x'], ['y'])
    imports = [helper.make_opsetid('', 17)]
    model.functions.append(helper.make_function('own', 'f', ['x'], ['y'], [node], imports))


def _training(model: ModelProto) -> None:
    model.training_info.add()


def _sparse(model: ModelProto) -> None:
    values, indices = constant('v', [1.0]), numpy_helper.from_array(np.array([0]), 'i')
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))


def _annotated(model: ModelProto) -> None:
    model.graph.quantization_annotation.add(tensor_name='zeros')


def _sequence(model: ModelProto) -> None:
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 2])
    model.graph.value_info.append(
        helper.make_value_info('unbounded', helper.make_sequence_type_proto(inner))
    )


def _segment(model: ModelProto) -> None:
    model.graph.initializer[0].segment.begin = 0


def _text_data(model: ModelProto) -> None:
    model.graph.initializer[0].string_data.append(b'x')


@pytest.mark.parametrize(
    ('edit', 'error'),
    [
        (_function, 'm has functions; no policy needs that'),
        (_training, 'm has training_info; no policy needs that'),
        (_sparse, 'm has sparse_initializer in the graph; no policy needs that'),
        (_annotated, 'm has quantization_annotation in the graph; no policy needs that'),
        (
            _sequence,
            "m has sequence_type in 'unbounded' as an input, output or value; "
            'no policy needs that',
        ),
        (_segment, "m has segment in constant 'zeros'; no policy needs that"),
        (_text_data, "m has string_data in constant 'zeros'; no policy needs that"),
    ],
)
@pytest.mark.fault('B09', 'refused', 'E_MODEL_OP')
def test_what_no_policy_needs_is_named(edit: Edit, error: str) -> None:
    assert refusal_of(edit_model(GOOD, edit)) == ('E_MODEL_OP', error)


def test_what_exporters_write_for_people_does_no_harm() -> None:
    def edit(model: ModelProto) -> None:
        model.doc_string = model.graph.doc_string = 'any \x1b text'
        model.producer_version, model.model_version = '2.0', 3
        model.graph.node[0].doc_string = 'traced from file x'
        model.graph.node[0].metadata_props.add(key='stack', value='line 1\nline 2')
        model.graph.initializer[0].doc_string = 'weights'
        model.graph.value_info.append(
            helper.make_tensor_value_info('unbounded', TensorProto.FLOAT, [1, 2])
        )
        model.metadata_props.add(key='author', value='somebody')

    policy = OnnxPolicy(edit_model(GOOD, edit), 'm')
    np.testing.assert_array_equal(policy(np.ones(2, np.float32)), [0.0, 0.0])


def test_an_attribute_of_two_minds_is_refused() -> None:
    def edit(model: ModelProto) -> None:
        attribute = model.graph.node[0].attribute.add(name='alpha', f=1.0, i=1)
        attribute.type = 1

    assert refusal_of(edit_model(GOOD, edit)) == (
        'E_MODEL_OP',
        "m has node 'unbounded' (MatMul), attribute 'alpha': it is not one number or tensor of "
        'the type that it says',
    )


def test_an_attribute_given_twice_is_refused() -> None:
    def edit(model: ModelProto) -> None:
        for _ in range(2):
            model.graph.node[0].attribute.append(helper.make_attribute('alpha', 1.0))

    assert refusal_of(edit_model(GOOD, edit)) == (
        'E_MODEL_PARSE',
        "m has node 'unbounded' (MatMul), attribute 'alpha' twice",
    )


def test_a_name_that_is_no_text_is_refused() -> None:
    data = edit_model(GOOD, lambda model: model.graph.node[0].MergeFrom(NodeProto(name='QQQQ')))

    assert refusal_of(data.replace(b'QQQQ', b'\xff\xfe\xfd\xfc')) == (
        'E_MODEL_PARSE',
        'm is damaged: a name or metadata in it is not UTF-8 text',
    )


def test_names_that_would_steer_a_terminal_are_escaped() -> None:
    nodes = [helper.make_node('Fo\x1b[2Jo', ['observation'], ['action'], name='a\nb')]

    code, text = refusal_of(onnx_model(SPEC, nodes=nodes))
    assert code == 'E_MODEL_OP'
    assert text.startswith(r"m has node 'a\nb' (Fo\x1b[2Jo); the operators of a policy are ")


@pytest.mark.parametrize('part', ['graph', 'node', 'initializer', 'input'])
def test_a_file_that_is_filled_with_empty_parts_is_refused(part: str) -> None:
    def fill(model: ModelProto) -> None:
        one = model.graph if part == 'graph' else getattr(model.graph, part)[0]
        for _ in range(150_000):  # two bytes each
            one.metadata_props.add()

    code, text = refusal_of(edit_model(GOOD, fill))
    assert code == 'E_MODEL_PARSE'
    assert 'bytes that are neither weights nor metadata; at most 262144 are allowed' in text


def test_more_nodes_than_any_policy_has_are_refused() -> None:
    nodes = [helper.make_node('Relu', ['observation'], [f'r{i}']) for i in range(MAX_NODES)]

    assert refusal_of(onnx_model(SPEC, nodes=nodes)) == (
        'E_MODEL_OP',
        'm has 258 nodes; at most 256 are allowed',
    )


def _large(model: ModelProto) -> None:
    model.metadata_props.add(key='k', value='x' * MAX_ENTRY_BYTES)


def _many(model: ModelProto) -> None:
    for i in range(MAX_ENTRIES - 1):
        model.metadata_props.add(key=f'{i}')


def _second_spec(model: ModelProto) -> None:
    model.metadata_props.add(key='sac_ros.spec', value='{}')


@pytest.mark.parametrize(
    ('edit', 'error'),
    [
        (_large, "m has 4194305 bytes of metadata 'k'; 4194304 are allowed"),
        (_many, 'm has more than 64 entries of metadata'),
        (_second_spec, "m has metadata 'sac_ros.spec' twice"),
    ],
)
@pytest.mark.fault('B16', 'refused', 'E_MODEL_META')
def test_metadata_has_a_size_and_one_value_for_each_key(edit: Edit, error: str) -> None:
    assert refusal_of(edit_model(GOOD, edit)) == ('E_MODEL_META', error)
