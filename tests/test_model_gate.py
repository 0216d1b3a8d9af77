"""model_gate.py: only a model that fits the running one, and acts like it, may take over."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import export_model, make_actor, make_spec, onnx_model
from model_builders import constant, constant_model, edit_model
from onnx import ModelProto, helper, numpy_helper

from sac_ros.model_error import ModelError
from sac_ros.model_gate import check_action_change, check_candidate, load_candidate
from sac_ros.policy import OnnxPolicy
from sim_training.export import build_policy

SPEC = make_spec(lower=[-1.0, -2.0], upper=[1.0, 2.0])
RANDOM = np.random.default_rng(0)
RECENT = RANDOM.uniform(-1.0, 1.0, size=(40, 9)).astype(np.float32)


@pytest.fixture(scope='module')
def base(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('models') / 'base.onnx'
    export_model(path, SPEC)
    return path.read_bytes()


@pytest.fixture(scope='module')
def running(base: bytes) -> OnnxPolicy:
    return OnnxPolicy(base, 'running')


def shifted(by: float) -> bytes:
    """Return a model whose first action element is higher by (about) `by` before tanh."""
    actor = make_actor(SPEC)
    actor.mean_head.bias[0] += by
    return build_policy(actor, SPEC, {}, 'shifted')[1]


def refusal(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ModelError) as caught:
        act()
    return caught.value.code, str(caught.value)


def no_child(data: bytes, where: str) -> None:
    """Try nothing: what is tested here comes after it."""


def test_a_model_that_acts_alike_takes_over(running: OnnxPolicy, tmp_path: Path) -> None:
    path = tmp_path / 'next.onnx'
    path.write_bytes(shifted(0.05))

    candidate = load_candidate(path, running, RECENT, 0.1, '')
    assert candidate.sha256 != running.sha256
    change = np.abs(candidate.answers(RECENT) - running.answers(RECENT)) / [2.0, 4.0]
    assert 0.0 < change.max() <= 0.1
    assert load_candidate(path, running, RECENT, 0.1, candidate.sha256).sha256 == candidate.sha256


def test_what_is_tried_is_what_is_loaded(running: OnnxPolicy, base: bytes) -> None:
    tried: list[tuple[bytes, str]] = []

    candidate = check_candidate(
        base, 'm', running, RECENT, 0.0, lambda data, where: tried.append((data, where))
    )
    assert tried == [(base, 'm')]
    assert candidate.sha256 == running.sha256
    assert candidate is not running


@pytest.mark.fault('B19', 'refused', 'E_MODEL_UNTRUSTED')
def test_a_file_with_another_sha256_is_not_even_tried(
    running: OnnxPolicy, base: bytes, tmp_path: Path
) -> None:
    path = tmp_path / 'next.onnx'
    path.write_bytes(base)

    code, text = refusal(lambda: load_candidate(path, running, RECENT, 1.0, 'f' * 64))
    assert code == 'E_MODEL_UNTRUSTED'
    assert text == f'model {path} has sha256 {running.sha256[:12]}...; ffffffffffff... is expected'


def test_a_candidate_is_tried_in_a_child_first(running: OnnxPolicy, tmp_path: Path) -> None:
    path = tmp_path / 'next.onnx'
    path.write_bytes(b'')

    assert refusal(lambda: load_candidate(path, running, RECENT, 1.0, '')) == (
        'E_MODEL_PARSE',
        f'model {path} is empty',
    )


@pytest.mark.parametrize(
    ('other', 'keys'),
    [
        ({'joints': ['elbow', 'shoulder'], 'limits': {}}, 'joints, limits'),
        ({'control_rate': 40.0}, 'control_rate'),
        ({'upper': [1.0, 1.5]}, 'action'),
        ({'max_rate': 4.0}, 'action'),
        ({'stop': [0.0, 0.0]}, 'action'),
        ({'name': 'other', 'control_rate': 25.0}, 'name, control_rate'),
        (
            {
                'observation': [
                    {'term': 'joint_velocity'},
                    {'term': 'joint_position'},
                    {'term': 'goal_from_tool'},
                    {'term': 'previous_action'},
                ]
            },
            'observation',
        ),
    ],
)
@pytest.mark.fault('B17', 'refused', 'E_SPEC_MISMATCH')
def test_another_contract_is_refused_with_the_keys_that_differ(
    other: dict[str, object], keys: str, running: OnnxPolicy
) -> None:
    spec = make_spec(**{'lower': [-1.0, -2.0], 'upper': [1.0, 2.0], **other})
    data = onnx_model(spec)

    assert refusal(lambda: check_candidate(data, 'm', running, RECENT, 1.0, no_child)) == (
        'E_SPEC_MISMATCH',
        f'm has another contract than the running model: they differ in {keys}',
    )


@pytest.mark.fault('F04', 'refused', 'E_MODEL_CHANGE')
def test_a_jump_of_the_action_is_refused_by_its_element_and_its_size() -> None:
    zero = OnnxPolicy(onnx_model(SPEC), 'running')
    data = constant_model(SPEC, [0.0, 1.0])

    # 1.0 of the elbow's range of 4.0
    assert refusal(lambda: check_candidate(data, 'm', zero, RECENT, 0.2, no_child)) == (
        'E_MODEL_CHANGE',
        'm changes elbow from 0 to 1 on a recent observation: 0.25 of its range, 0.2 is allowed',
    )
    check_candidate(data, 'm', zero, RECENT, 0.25, no_child)


@pytest.mark.fault('F04', 'refused', 'E_MODEL_CHANGE')
def test_a_jump_on_one_recent_observation_of_many_is_enough() -> None:
    gate = [  # nothing but where the first joint is beyond 0.9 rad
        helper.make_node('Sub', ['observation', 'threshold'], ['beyond']),
        helper.make_node('Relu', ['beyond'], ['only']),
        helper.make_node('MatMul', ['only', 'pick'], ['action']),
    ]
    threshold, pick = np.zeros(9), np.zeros((9, 2))
    threshold[0], pick[0, 0] = 0.9, 100.0
    data = onnx_model(
        SPEC, nodes=gate, constants=[constant('threshold', threshold), constant('pick', pick)]
    )
    zero = OnnxPolicy(onnx_model(SPEC), 'running')
    quiet = np.zeros((30, 9), dtype=np.float32)
    loud = quiet.copy()
    loud[17, 0] = 1.0

    check_candidate(data, 'm', zero, quiet, 0.1, no_child)
    code, text = refusal(lambda: check_candidate(data, 'm', zero, loud, 0.1, no_child))
    assert code == 'E_MODEL_CHANGE'
    assert text.startswith('m changes shoulder from 0 to 1 on a recent observation: 0.5 of its')


@pytest.mark.parametrize('limit', [float('nan'), -1.0])
@pytest.mark.fault('F04', 'refused', 'E_MODEL_CHANGE')
def test_a_limit_that_is_no_limit_lets_nothing_pass(
    limit: float, running: OnnxPolicy, base: bytes
) -> None:
    code, _ = refusal(lambda: check_candidate(base, 'm', running, RECENT, limit, no_child))
    assert code == 'E_MODEL_CHANGE'


def test_without_recent_observations_nothing_is_compared(running: OnnxPolicy) -> None:
    check_candidate(shifted(3.0), 'm', running, np.empty((0, 9)), 0.01, no_child)


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf])
@pytest.mark.fault('F03', 'refused', 'E_MODEL_NONFINITE')
def test_a_candidate_with_a_weight_that_is_no_number_is_refused(
    number: float, running: OnnxPolicy, base: bytes, tmp_path: Path
) -> None:
    def spoil(model: ModelProto) -> None:
        bias = next(each for each in model.graph.initializer if each.name == 'body.1.bias')
        weights = numpy_helper.to_array(bias).copy()
        weights[5] = number
        bias.CopyFrom(numpy_helper.from_array(weights, bias.name))

    path = tmp_path / 'next.onnx'
    path.write_bytes(edit_model(base, spoil))

    assert refusal(lambda: load_candidate(path, running, RECENT, 1.0, '')) == (
        'E_MODEL_NONFINITE',
        f"model {path} has constant 'body.1.bias': element 5 is {number}; finite numbers are "
        'needed',
    )


@pytest.mark.fault('F03', 'refused', 'E_ACT_NONFINITE')
def test_a_candidate_that_answers_nan_only_where_the_robot_was_is_refused() -> None:
    nodes = [
        helper.make_node('Sub', ['observation', 'far'], ['beyond']),
        helper.make_node('Relu', ['beyond'], ['only']),
        helper.make_node('Mul', ['only', 'large'], ['infinite']),
        helper.make_node('MatMul', ['infinite', 'mixed'], ['action']),
    ]
    large, mixed = np.full(9, 3e38), np.zeros((9, 2))
    mixed[0], mixed[1] = 1.0, -1.0  # infinity minus infinity
    constants = [constant('far', 50.0), constant('large', large), constant('mixed', mixed)]
    data = onnx_model(SPEC, nodes=nodes, constants=constants)
    zero = OnnxPolicy(onnx_model(SPEC), 'running')
    far = np.full((1, 9), 60.0, dtype=np.float32)

    check_candidate(data, 'm', zero, RECENT, 0.1)  # the child has not looked so far either
    assert refusal(lambda: check_candidate(data, 'm', zero, far, 0.1, no_child)) == (
        'E_ACT_NONFINITE',
        'm answers shoulder with NaN or infinity on a recent observation',
    )


@pytest.mark.fault('F04', 'refused', 'E_MODEL_CHANGE')
def test_what_the_running_model_cannot_answer_cannot_be_compared(base: bytes) -> None:
    nodes = [
        helper.make_node('Mul', ['observation', 'large'], ['larger']),
        helper.make_node('Mul', ['larger', 'large'], ['largest']),
        helper.make_node('Sub', ['largest', 'largest'], ['nothing']),
        helper.make_node('MatMul', ['nothing', 'zeros'], ['action']),
    ]
    sick = OnnxPolicy(onnx_model(SPEC, nodes=nodes, constants=[constant('large', 3e38)]), 'm')

    code, text = refusal(lambda: check_candidate(base, 'm', sick, RECENT, 1.0, no_child))
    assert code == 'E_MODEL_CHANGE'
    assert text.startswith('m changes shoulder from nan to ')


@pytest.mark.fault('F06', 'refused', 'E_MODEL_PARITY')
def test_a_candidate_that_is_not_what_was_trained_is_refused(
    running: OnnxPolicy, base: bytes, tmp_path: Path
) -> None:
    def shift(model: ModelProto) -> None:  # as by an exporter that rounds, or a broken kernel
        bias = next(each for each in model.graph.initializer if each.name == 'mean_head.bias')
        weights = numpy_helper.to_array(bias) + np.float32(0.01)
        bias.CopyFrom(numpy_helper.from_array(weights, bias.name))

    path = tmp_path / 'next.onnx'
    path.write_bytes(edit_model(base, shift))

    code, text = refusal(lambda: load_candidate(path, running, RECENT, 1.0, ''))
    assert code == 'E_MODEL_PARITY'
    assert text.startswith(f'model {path} fails golden pair ')


def test_the_running_model_answers_undisturbed_while_a_candidate_is_compared(
    running: OnnxPolicy, base: bytes
) -> None:
    candidate = OnnxPolicy(shifted(0.05), 'm')
    expected = running.answers(RECENT)
    thread = threading.Thread(
        target=lambda: [
            check_action_change(candidate, running, RECENT, 0.1, 'm') for _ in range(30)
        ]
    )
    thread.start()
    while thread.is_alive():
        for observation, action in zip(RECENT, expected, strict=True):
            np.testing.assert_array_equal(running(observation), action)
    thread.join()
