"""policy.py: a model computes what it says, inside its bounds, or is refused in one line."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import export_model, make_actor, make_metadata, make_spec, onnx_model
from model_builders import constant, edit_model, refusal_of, tensor
from onnx import ModelProto, TensorProto, helper

from sac_ros.model_trial import try_model
from sac_ros.policy import (
    PARITY,
    ModelError,
    OnnxPolicy,
    action_range,
    load_policy,
)
from sac_ros.spec import TaskSpec
from sim_training.export import export_policy
from sim_training.networks import Actor

ROOT = Path(__file__).parents[1]
SPEC = make_spec(lower=[-0.1, -7.0], upper=[0.3, 5.0])
BY_HAND = make_spec(observation=[{'term': 'joint_position'}])  # 2 elements in, 2 out


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('models') / 'tiny.onnx'
    export_model(path, SPEC)
    return path.read_bytes()


def test_the_policy_computes_the_forward_pass_of_its_actor(tmp_path: Path) -> None:
    actor = make_actor(SPEC)
    random = np.random.default_rng(1)
    with torch.no_grad():  # so that a normalisation left out would show
        actor.observation_mean[:] = torch.from_numpy(random.normal(size=9))
        actor.observation_scale[:] = torch.from_numpy(random.uniform(0.5, 2.0, size=9))
    policy = export_policy(actor, SPEC, {}, tmp_path / 'model.onnx')

    for scale in (0.1, 1.0, 10.0):
        for observation in random.normal(size=(50, 9)).astype(np.float32) * np.float32(scale):
            action = policy(observation)

            assert action.dtype == np.float32
            assert action.shape == (2,)
            difference = np.abs(action - _forward(actor, observation)) / action_range(SPEC)
            assert difference.max() <= PARITY


def test_the_action_stays_inside_bounds_that_float32_does_not_have(model: bytes) -> None:
    policy = OnnxPolicy(model, 'model')
    random = np.random.default_rng(2)
    lower, upper = np.array([-0.1, -7.0]), np.array([0.3, 5.0])
    seen = []
    for size in (0.0, 1.0, 1e3, 1e10, 1e30, 1e35):
        for direction in random.choice([-1.0, 1.0], size=(50, 9)):
            action = policy((direction * size).astype(np.float32)).astype(np.float64)
            assert (action >= lower).all()
            assert (action <= upper).all()
            seen.append(action)

    near = 1e-7 * (upper - lower)  # and the bounds are reached
    assert (np.min(seen, axis=0) <= lower + near).all()
    assert (np.max(seen, axis=0) >= upper - near).all()


def test_answering_does_not_depend_on_what_was_asked_before(model: bytes) -> None:
    policy = OnnxPolicy(model, 'model')
    observation = np.linspace(-1.0, 1.0, 9, dtype=np.float32)
    first = policy(observation)

    other = policy(-observation)

    assert not np.array_equal(other, first)
    np.testing.assert_array_equal(policy(observation), first)


def test_a_model_brings_its_contract_its_origin_and_its_hash(tmp_path: Path) -> None:
    export_model(tmp_path / 'model.onnx', SPEC, seed=3)

    policy = load_policy(tmp_path / 'model.onnx')

    assert policy.spec == SPEC
    assert policy.origin['seed'] == 3
    data = (tmp_path / 'model.onnx').read_bytes()
    assert policy.sha256 == hashlib.sha256(data).hexdigest()


def test_the_range_of_the_action_is_upper_minus_lower() -> None:
    np.testing.assert_allclose(action_range(SPEC), [0.4, 12.0])


def test_a_model_made_by_hand_is_as_good_as_an_exported_one() -> None:
    policy = OnnxPolicy(onnx_model(BY_HAND), 'model')

    np.testing.assert_array_equal(policy(np.ones(2, dtype=np.float32)), [0.0, 0.0])


def test_a_model_is_loaded_by_its_path_and_by_the_sha256_that_is_expected(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    policy = export_model(path, SPEC)

    assert load_policy(path, policy.sha256).sha256 == policy.sha256
    with pytest.raises(ModelError, match=r'000000000000\.\.\. is expected$') as caught:
        load_policy(path, '0' * 64)
    assert caught.value.code == 'E_MODEL_UNTRUSTED'


def test_a_model_that_cannot_be_read_is_named_as_one_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_policy(tmp_path / 'none.onnx')
    assert str(caught.value) == (
        f'model {tmp_path}/none.onnx: nothing found; a model file (.onnx) is needed'
    )

    (tmp_path / 'two\nlines.onnx').touch()
    with pytest.raises(ModelError) as caught:
        load_policy(tmp_path / 'two\nlines.onnx')
    assert str(caught.value) == rf'model {tmp_path}/two\nlines.onnx is empty'


def _same_names(model: ModelProto) -> None:
    for node in model.graph.node:
        node.name = 'same'


def _other_type(model: ModelProto) -> None:
    model.graph.value_info.append(tensor('unbounded', 2, kind=TensorProto.INT64))


@pytest.mark.parametrize('edit', [_same_names, _other_type])
def test_what_only_onnxruntime_finds_is_refused_too(edit: Callable[[ModelProto], None]) -> None:
    assert refusal_of(edit_model(onnx_model(BY_HAND), edit)) == (
        'E_MODEL_PARSE',
        'm cannot be run by onnxruntime (Fail)',
    )


def test_an_observation_of_another_size_is_refused(model: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        OnnxPolicy(model, 'm').answers(np.zeros((2, 8)))
    assert str(caught.value) == 'fails when it is run (InvalidArgument)'


@pytest.mark.parametrize('name', ['balance', 'reach'])
def test_the_models_that_ship_are_read(name: str) -> None:
    assert load_policy(ROOT / 'models' / f'{name}.onnx').spec.name == name


def test_answers_are_those_of_one_call_after_the_other(model: bytes) -> None:
    policy = OnnxPolicy(model, 'model')
    observations = np.random.default_rng(3).normal(size=(20, 9))

    answers = policy.answers(observations)
    assert (answers.dtype, answers.shape) == (np.float32, (20, 2))
    np.testing.assert_array_equal(answers, [policy(each) for each in observations])
    assert policy.answers(np.empty((0, 9))).shape == (0, 2)


def test_others_may_ask_while_the_control_loop_does(model: bytes) -> None:
    policy = OnnxPolicy(model, 'model')
    observations = np.random.default_rng(4).normal(size=(50, 9)).astype(np.float32)
    expected = policy.answers(observations)
    ready = threading.Barrier(2)
    others: list[bool] = []

    def ask() -> None:
        ready.wait()
        others.extend(
            np.array_equal(policy.answers(observations[::-1]), expected[::-1]) for _ in range(40)
        )

    thread = threading.Thread(target=ask)
    thread.start()
    ready.wait()
    while thread.is_alive():
        for observation, action in zip(observations, expected, strict=True):
            np.testing.assert_array_equal(policy(observation), action)
    thread.join()
    assert others == [True] * 40


def overflowing(spec: TaskSpec, metadata: dict[str, str] | None = None) -> bytes:
    """Return a model of finite weights: 3e38 x 3e38 is infinite, and the same minus it is NaN."""
    nodes = [
        helper.make_node('Mul', ['observation', 'large'], ['larger']),
        helper.make_node('Mul', ['larger', 'large'], ['largest']),
        helper.make_node('Sub', ['largest', 'largest'], ['action']),
    ]
    constants = [constant('large', 3e38)]
    return onnx_model(spec, nodes=nodes, constants=constants, metadata=metadata)


@pytest.mark.parametrize('last', ['Max and Min', 'Min and Max', 'Clip'])
def test_nan_is_not_hidden_by_the_bounds(last: str) -> None:
    model = ModelProto.FromString(overflowing(BY_HAND))
    del model.graph.node[-2:]  # Max and Min
    ends = {
        'Max and Min': [('Max', 'unbounded', 'lower'), ('Min', 'x', 'upper')],
        'Min and Max': [('Min', 'unbounded', 'upper'), ('Max', 'x', 'lower')],
        'Clip': [('Clip', 'unbounded', 'low', 'high')],
    }[last]
    for (operator, *inputs), output in zip(ends, ['x', 'action'][-len(ends) :], strict=True):
        model.graph.node.append(helper.make_node(operator, inputs, [output]))
    model.graph.initializer.extend([constant('low', -1.0), constant('high', 1.0)])

    policy = OnnxPolicy(model.SerializeToString(), 'm')  # its golden pair is an observation of 0
    np.testing.assert_array_equal(policy(np.zeros(2, np.float32)), [0.0, 0.0])
    assert np.isnan(policy(np.ones(2, np.float32))).all()
    np.testing.assert_array_equal(policy(np.zeros(2, np.float32)), [0.0, 0.0])


@pytest.mark.fault('B21', 'refused', 'E_MODEL_PARITY')
def test_nan_is_no_answer_to_a_golden_pair() -> None:
    golden = make_metadata(BY_HAND, {'observation': [[1, 1]], 'action': [[0, 0]]})

    assert refusal_of(overflowing(BY_HAND, golden)) == (
        'E_MODEL_PARITY',
        'm fails golden pair 0, shoulder: this machine answers nan, recorded is 0',
    )


@pytest.mark.fault('B14', 'refused', 'E_ACT_NONFINITE')
def test_finite_weights_that_answer_nan_within_the_limits_are_refused_when_tried() -> None:
    with pytest.raises(ModelError) as caught:
        try_model(overflowing(BY_HAND), 'm')
    assert caught.value.code == 'E_ACT_NONFINITE'
    assert str(caught.value) == 'm answers [nan nan] to an observation within its limits'


def test_the_origin_is_plain_data(model: bytes) -> None:
    origin = OnnxPolicy(model, 'model').origin

    assert json.loads(json.dumps(origin, allow_nan=False)) == origin


def _forward(actor: Actor, observation: np.ndarray) -> np.ndarray:
    """Return the deterministic action, computed with numpy in float64."""
    weights = {
        name: value.numpy().astype(np.float64) for name, value in actor.state_dict().items()
    }
    features = (observation - weights['observation_mean']) * weights['observation_scale']
    for i in range(2):
        features = np.maximum(
            features @ weights[f'body.weights.{i}'][0] + weights[f'body.biases.{i}'][0, 0], 0
        )
    output = features @ weights['body.weights.2'][0] + weights['body.biases.2'][0, 0]
    mean = output[: len(output) // 2]  # the other half is log sigma
    lower, upper = _bounds(SPEC)
    # a = lower + (upper - lower) * (1 + tanh(mean)) / 2
    return lower + (upper - lower) * (1.0 + np.tanh(mean)) / 2.0


def _bounds(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    return spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)


@pytest.mark.fault('G04', 'ACTIVE', '')
def test_a_policy_brings_no_threads_that_could_spin(tmp_path: Path):
    def threads() -> int:
        return len(os.listdir('/proc/self/task'))

    before = threads()
    policy = export_model(tmp_path / 'model.onnx', make_spec())
    for _ in range(100):
        policy(np.zeros(policy.spec.observation_size, dtype=np.float32))
    assert threads() <= before
