"""policy.py: a model computes what it says, inside its bounds, or is refused in one line."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import export_model, make_actor, make_spec, onnx_model

from sac_ros.policy import (
    MAX_BYTES,
    PARITY,
    ModelError,
    OnnxPolicy,
    action_range,
    load_policy,
)
from sac_ros.spec import TaskSpec
from sim_training.export import export_policy
from sim_training.networks import Actor

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


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'none.onnx'

    with pytest.raises(ModelError) as caught:
        load_policy(path)
    assert str(caught.value) == f'model {path}: nothing found; a model file (.onnx) is needed'


@pytest.mark.parametrize('path', ['/', '/dev/zero'])
def test_a_folder_or_a_device_is_no_model(path: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_policy(Path(path))
    assert str(caught.value) == (
        f'model {path}: a folder or device found; a model file (.onnx) is needed'
    )


def test_a_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ModelError, match=r'^cannot read model m+: File name too long$'):
        load_policy(Path('m' * 300))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / 'large.onnx'
    path.touch()
    os.truncate(path, MAX_BYTES + 1)

    with pytest.raises(ModelError) as caught:
        load_policy(path)
    assert str(caught.value) == f'model {path} has 16777217 bytes; at most 16777216 are allowed'


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'empty.onnx').touch()

    with pytest.raises(ModelError, match=r'^model .*/empty\.onnx is empty$'):
        load_policy(tmp_path / 'empty.onnx')


def test_a_model_cut_anywhere_is_refused_in_one_line(model: bytes) -> None:
    for size in [*range(1, 60), *range(60, len(model), 61), *range(len(model) - 20, len(model))]:
        with pytest.raises(ModelError, match=r'^half a model [^\n]+$'):
            OnnxPolicy(model[:size], 'half a model')


@pytest.mark.parametrize('seed', range(5))
def test_random_bytes_are_refused(seed: int) -> None:
    data = np.random.default_rng(seed).bytes(5_000)

    with pytest.raises(
        ModelError, match=r'^noise is not an ONNX model that can be run: it is cut'
    ):
        OnnxPolicy(data, 'noise')


CHANGE_BYTES = """
import random, sys
from pathlib import Path
from sac_ros.policy import ModelError, OnnxPolicy

model, refused = Path(sys.argv[1]).read_bytes(), 0
random.seed(0)
for mutant in range(600):
    data = bytearray(model)
    for _ in range(1 + mutant % 8):
        data[random.randrange(len(data))] = random.randrange(256)
    try:
        OnnxPolicy(bytes(data), 'mutant')
    except ModelError as error:
        assert str(error).startswith('mutant') and '\\n' not in str(error), error
        refused += 1
print(refused)
"""


def test_a_model_with_changed_bytes_never_ends_the_process(tmp_path: Path, model: bytes) -> None:
    (tmp_path / 'model.onnx').write_bytes(model)

    child = subprocess.run(
        [
            sys.executable,
            '-W',
            'error::RuntimeWarning',
            '-c',
            CHANGE_BYTES,
            str(tmp_path / 'model.onnx'),
        ],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (child.returncode, child.stderr) == (0, '')
    assert int(child.stdout) > 450  # nothing else was printed, and most were refused


def test_the_origin_is_plain_data(model: bytes) -> None:
    origin = OnnxPolicy(model, 'model').origin

    assert json.loads(json.dumps(origin, allow_nan=False)) == origin


def _forward(actor: Actor, observation: np.ndarray) -> np.ndarray:
    """Return the deterministic action, computed with numpy in float64."""
    weights = {
        name: value.numpy().astype(np.float64) for name, value in actor.state_dict().items()
    }
    features = (observation - weights['observation_mean']) * weights['observation_scale']
    for layer in ('body.0', 'body.2'):
        features = np.maximum(
            features @ weights[f'{layer}.weight'].T + weights[f'{layer}.bias'], 0
        )
    mean = features @ weights['mean_head.weight'].T + weights['mean_head.bias']
    lower, upper = _bounds(SPEC)
    # a = lower + (upper - lower) * (1 + tanh(mean)) / 2
    return lower + (upper - lower) * (1.0 + np.tanh(mean)) / 2.0


def _bounds(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    return spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
