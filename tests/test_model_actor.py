"""From a model back to an actor: it does the same, and what cannot be read is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import export_model, make_actor, make_spec, onnx_model

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training.export import build_policy
from sim_training.model_actor import actor_from_model

MODELS = Path(__file__).parent.parent / 'models'


@pytest.mark.parametrize('name', ['balance', 'reach'])
def test_the_actor_of_a_shipped_model_does_what_the_model_does(name: str):
    data = (MODELS / f'{name}.onnx').read_bytes()
    actor = actor_from_model(data, name, deviation=0.15)
    policy = load_policy(MODELS / f'{name}.onnx')
    observation = np.full((1, policy.spec.observation_size), 0.05, np.float32)
    found = actor.mean_action(torch.from_numpy(observation)).detach().numpy()
    assert found == pytest.approx(policy.answers(observation), rel=1e-4, abs=1e-5)
    assert any(parameter.requires_grad for parameter in actor.parameters())


def test_it_has_the_deviation_that_was_asked_for_everywhere(tmp_path: Path):
    export_model(tmp_path / 'model.onnx', make_spec())
    actor = actor_from_model((tmp_path / 'model.onnx').read_bytes(), 'it', deviation=0.15)
    _, log_std = actor(torch.randn(5, 9))
    assert log_std.detach().exp().numpy() == pytest.approx(np.full((5, 2), 0.15), rel=0.02)


def test_observations_stay_normalised():
    spec = make_spec()
    actor = make_actor(spec)
    actor.observation_mean.fill_(0.5)
    actor.observation_scale.fill_(2.0)
    _, data = build_policy(actor, spec, {'seed': 0, 'steps': 0}, 'it')
    found = actor_from_model(data, 'it', deviation=0.1)
    assert found.observation_mean.tolist() == [0.5] * 9
    assert found.observation_scale.tolist() == [2.0] * 9


def test_a_model_of_another_make_is_refused_by_what_it_lacks():
    data = onnx_model(make_spec())
    with pytest.raises(
        UserError, match='it cannot learn on: its graph is MatMul, Max, Min; those'
    ):
        actor_from_model(data, 'it', 0.1)
