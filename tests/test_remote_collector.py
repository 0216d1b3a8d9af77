"""What a collector plays: whole, chained steps, by the weights that it was sent, or a refusal."""

import dataclasses
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import PENDULUM, SMALL

from sac_ros.errors import UserError
from sim_training.env import make_env
from sim_training.exploration import repeated_noise
from sim_training.networks import Actor
from sim_training.remote_collector import Chunk, Place, RemoteCollector, Weights
from sim_training.replay_buffer import ReplayBuffer
from sim_training.train_command import TrainCommand


def make_collector(task: str = PENDULUM, seed: int = 0) -> RemoteCollector:
    command = TrainCommand(task, steps=300, out=Path('x'), sac=SMALL)
    collector = RemoteCollector(command, make_env(task).contract.to_json(), seed)
    collector.begin()
    return collector


def make_weights(version: int, mean: float) -> Weights:
    """Weights of an actor that always wants tanh(mean), with next to no noise."""
    actor = Actor(3, SMALL.hidden_sizes, np.array([-2.0]), np.array([2.0]))
    for head, bias in ((actor.mean_head, mean), (actor.log_std_head, -20.0)):
        head.weight.fill_(0.0)
        head.bias.fill_(bias)
    arrays = {name: value.detach().numpy() for name, value in actor.state_dict().items()}
    return Weights(version, arrays)


def pendulum_rewards(chunk: Chunk) -> np.ndarray:
    """Return -(angle^2 + 0.1 velocity^2 + 0.001 torque^2), as the docs of Pendulum-v1 say."""
    cosine, sine, velocity = chunk.columns['observation'].T
    torque = 2.0 * chunk.columns['unit_action'][:, 0]
    return -(np.arctan2(sine, cosine) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2)


def test_a_chunk_is_one_step_after_the_other_with_their_rewards():
    collector = make_collector()
    first, second = collector.play(50, None), collector.play(50, None)
    for chunk in (first, second):
        shapes = [column.shape for column in chunk.columns.values()]
        assert shapes == [(50, 3), (50, 1), (50,), (50, 3), (50,)]
        assert {column.dtype for column in chunk.columns.values()} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(
            chunk.columns['next_observation'][:-1], chunk.columns['observation'][1:]
        )
        np.testing.assert_allclose(chunk.columns['reward'], pendulum_rewards(chunk), atol=1e-4)
        assert (chunk.columns['terminated'] == 0.0).all()
        assert (chunk.episode_return, chunk.version) == (None, 0)
    np.testing.assert_array_equal(
        first.columns['next_observation'][-1], second.columns['observation'][0]
    )


def test_a_chunk_ends_with_its_episode_whose_return_it_tells():
    collector = make_collector()
    chunks = [collector.play(150, None) for _ in range(3)]
    assert [len(chunk.columns['reward']) for chunk in chunks] == [150, 50, 150]
    assert [chunk.episode_return is None for chunk in chunks] == [True, False, True]
    rewards = [*chunks[0].columns['reward'], *chunks[1].columns['reward']]
    assert chunks[1].episode_return == pytest.approx(np.sum(rewards), rel=1e-5)
    assert not np.array_equal(
        chunks[2].columns['observation'][0], chunks[0].columns['observation'][0]
    )
    assert not np.array_equal(
        chunks[2].columns['observation'][0], chunks[1].columns['next_observation'][-1]
    )


def test_without_weights_actions_are_uniform_and_the_seed_decides_all():
    one, same, other = (make_collector(seed=seed).play(200, None) for seed in (5, 5, 6))
    assert one.columns['unit_action'].min() < -0.9
    assert one.columns['unit_action'].max() > 0.9
    assert abs(one.columns['unit_action'].mean()) < 0.15
    for ours, theirs in zip(one.columns.values(), same.columns.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(one.columns['observation'][0], other.columns['observation'][0])
    assert not np.array_equal(one.columns['unit_action'], other.columns['unit_action'])


def test_the_weights_that_were_sent_last_choose_the_actions():
    collector = make_collector()
    for version, mean in ((1, 0.5), (2, -1.0)):
        chunk = collector.play(20, make_weights(version, mean))
        np.testing.assert_allclose(chunk.columns['unit_action'], np.tanh(mean), atol=1e-6)
        assert chunk.version == version


def test_noise_that_is_held_is_that_of_the_collectors_own_seed_and_episode():
    sac = dataclasses.replace(SMALL, exploration='repeated')
    command = TrainCommand(PENDULUM, steps=300, out=Path('x'), sac=sac)
    collector = RemoteCollector(command, make_env(PENDULUM).contract.to_json(), seed=5)
    collector.begin()
    weights = make_weights(1, 0.0)
    actor = Actor(3, SMALL.hidden_sizes, np.array([-2.0]), np.array([2.0]))
    weights.arrays['body.biases.2'][..., 1] = -1.0  # log sigma
    actor.load_state_dict({name: torch.from_numpy(a) for name, a in weights.arrays.items()})
    collector.play(10, None)
    chunk = collector.play(20, weights)
    noise = torch.from_numpy(repeated_noise(5, 0, 0, 1)[10:30])
    with torch.no_grad():
        expected, _ = actor.draw(torch.from_numpy(chunk.columns['observation']), noise)
    np.testing.assert_allclose(chunk.columns['unit_action'], expected, atol=1e-6)


def test_a_collector_tells_where_it_is():
    command = TrainCommand(PENDULUM, steps=300, out=Path('x'), sac=SMALL)
    collector = RemoteCollector(command, make_env(PENDULUM).contract.to_json(), seed=0)
    assert collector.begin() == Place(socket.gethostname(), os.getpid())


def test_a_number_that_is_not_finite_is_the_last_of_its_chunk():
    collector = make_collector('cluster_envs:Infinite-v0')
    chunk = collector.play(200, None)
    assert len(chunk.columns['reward']) == 70
    assert np.isfinite(chunk.columns['observation']).all()
    assert not np.isfinite(chunk.columns['next_observation'][-1]).all()


def test_another_contract_than_the_learners_is_refused():
    command = TrainCommand('balance', out=Path('x'))
    learners = make_env('balance').contract.model_copy(update={'control_rate': 60.0})
    with pytest.raises(UserError) as refusal:
        RemoteCollector(command, learners.to_json(), seed=0).begin()
    assert str(refusal.value) == (
        "the contract 'balance' here is not the learner's: they differ in control_rate; "
        'install the same sac_ros and task on every machine'
    )


def test_what_is_sent_is_as_large_as_the_docs_say():
    actor = Actor(26, (256, 256), -np.ones(6), np.ones(6))
    weights = sum(value.numpy().nbytes for value in actor.state_dict().values())
    replay = ReplayBuffer(50, 26, 6, gamma=0.99)
    answer = sum(array.nbytes for array in replay.arrays.values())
    page = (Path(__file__).parents[1] / 'docs' / 'cluster.md').read_text(encoding='utf-8')
    for size in (answer // 50, answer, weights):
        assert f'| {size:,} |' in page
