"""The presets: the numbers of their papers, and that each of them learns with what it has."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sac_ros.errors import UserError
from sim_training.presets import PRESETS, find_preset
from sim_training.replay_buffer import Batch
from sim_training.sac import SAC

torch.set_num_threads(1)
BATCH = 16
# Every number of `sac`, spelled out: a default that is changed must be meant, for all of these.
DEFAULTS = {
    'hidden_sizes': (256, 256), 'critic_sizes': None, 'critics': 2, 'target_subset': None,
    'actor_value': 'min', 'head': 'scalar', 'atoms': 25, 'dropped_atoms': 2, 'value_bound': 5.0,
    'norm': 'none', 'unit_weights': False, 'dropout': 0.0, 'target': 'critics', 'gamma': 0.98,
    'tau': 0.02, 'learning_rate': 0.0007, 'final_learning_rate': None, 'adam_beta1': 0.9,
    'batch_size': 256, 'learning_starts': 1000, 'replay_capacity': 1000000, 'utd_ratio': 1.0,
    'policy_delay': 1, 'n_step': 1, 'reset_every': 0, 'learn_alpha': True, 'initial_alpha': 0.1,
    'target_entropy': -1.0, 'final_target_entropy': None, 'backup_entropy': True,
    'exploration': 'white',
    'normalise_observation': False, 'normalise_reward': False, 'average_actor': 0,
    'precision': 'float32', 'prior_fraction': 0.0,
}  # fmt: skip
# What is not here is as in DEFAULTS; the numbers that most papers share are in PAPER below.
OWN = {
    # Ours: see SACConfig.
    'sac': {},
    # Haarnoja et al. 2018a, tables 1 and 2; the reward scale 5 is a fixed temperature of 1 / 5.
    'sac_v1': {'target': 'value', 'learn_alpha': False, 'initial_alpha': 1.0 / 5.0},
    # Haarnoja et al. 2018b, table 1, which is in PAPER; ten random episodes, as in their code
    'sac_v2': {'learning_starts': 10_000},
    # Chen et al. 2021, table 3: N = 10, M = 2, G = 20
    'redq': {
        'critics': 10, 'target_subset': 2, 'actor_value': 'mean', 'utd_ratio': 20.0,
        'policy_delay': 20, 'learning_starts': 5_000,
    },
    # Kuznetsov et al. 2020, table 4: 5 networks of 3 x 512, 25 atoms, 2 dropped of each
    'tqc': {
        'critics': 5, 'critic_sizes': (512, 512, 512), 'head': 'quantile', 'atoms': 25,
        'dropped_atoms': 2, 'actor_value': 'mean',
    },
    # Hiraoka et al. 2022, table 4: 2 critics, G = 20, layer norms, dropout
    'droq': {
        'critics': 2, 'norm': 'layer', 'dropout': 0.01, 'actor_value': 'mean', 'utd_ratio': 20.0,
        'policy_delay': 20, 'learning_starts': 5_000,
    },
    # Bhatt et al. 2024, table 2: no target, critics of 2 x 2048, beta1 0.5, policy delay 3
    'crossq': {
        'critic_sizes': (2048, 2048), 'norm': 'batch_renorm', 'target': 'none',
        'policy_delay': 3, 'learning_rate': 1e-3, 'adam_beta1': 0.5, 'utd_ratio': 1.0,
        'learning_starts': 5_000, 'tau': DEFAULTS['tau'],
    },
    # FlashSAC and XQC: 101 bins on (-5, 5), batch norms, unit weights, scaled rewards
    'flash': {
        'head': 'categorical', 'atoms': 101, 'value_bound': 5.0, 'norm': 'batch',
        'unit_weights': True, 'normalise_reward': True, 'policy_delay': 2, 'tau': 0.01,
        'final_learning_rate': 1.5e-4, 'initial_alpha': 0.01, 'exploration': 'repeated',
        # log(0.15 sqrt(2 pi e)) = -0.4782 for each element
        'target_entropy': pytest.approx(-0.47818, abs=1e-5), 'learning_starts': 5_000,
    },
    # Luo et al. 2024, after Ball et al. 2023: prior data, layer norms, little noise from the start
    # (all else is of `sac`: see presets.py)
    'robot': {
        **{name: DEFAULTS[name] for name in ('gamma', 'tau', 'learning_rate', 'target_entropy')},
        'norm': 'layer', 'initial_alpha': 0.005, 'prior_fraction': 0.25,
        'learning_starts': 256, 'replay_capacity': 200_000, 'average_actor': 2_000,
    },
}  # fmt: skip
# What most of the papers share: learning rate, discount, share of the target, 2 x 256 units,
# batches of 256, a temperature that begins with 1 and holds the entropy at -1 for each element of
# the action.  docs/presets.md says where a paper, or its authors' code, differs from its preset.
PAPER = {
    'learning_rate': 3e-4, 'gamma': 0.99, 'tau': 0.005, 'hidden_sizes': (256, 256),
    'batch_size': 256, 'initial_alpha': 1.0, 'target_entropy': -1.0, 'adam_beta1': 0.9,
    'replay_capacity': 1_000_000,
}  # fmt: skip


def tiny_agent(name: str) -> SAC:
    """Return the agent of a preset with little networks, for 3 observations and 2 actions."""
    preset = PRESETS[name]
    wide = None if preset.critic_sizes is None else tuple(12 for _ in preset.critic_sizes)
    config = dataclasses.replace(
        preset, hidden_sizes=(12, 12), critic_sizes=wide, batch_size=BATCH
    )
    return SAC(config, 3, np.array([-1.0, -1.0]), np.array([3.0, 3.0]), seed=0)


def batches(count: int) -> Batch:
    """Return the batches of so many updates."""
    generator = torch.Generator().manual_seed(5)
    rows = count * BATCH
    return Batch(
        observation=torch.randn(rows, 3, generator=generator),
        unit_action=torch.rand(rows, 2, generator=generator) * 2.0 - 1.0,
        reward=torch.randn(rows, generator=generator),
        next_observation=torch.randn(rows, 3, generator=generator),
        discount=0.97 * (torch.rand(rows, generator=generator) > 0.1).float(),
    )


@pytest.mark.parametrize('name', PRESETS)
def test_a_preset_is_what_its_paper_says(name: str):
    paper = {} if name == 'sac' else PAPER
    expected = {**DEFAULTS, **paper, **OWN[name]}
    assert dataclasses.asdict(find_preset(name)) == expected


def test_an_unknown_preset_is_refused_with_the_nearest_known_one():
    with pytest.raises(UserError) as refusal:
        find_preset('redk')
    assert str(refusal.value) == (
        "preset 'redk' is unknown; did you mean 'redq'?; known: sac, sac_v1, sac_v2, redq, tqc, "
        'droq, crossq, flash, robot'
    )


@pytest.mark.parametrize('name', PRESETS)
def test_a_preset_learns_every_weight_that_counts_and_stays_finite(name: str):
    agent = tiny_agent(name)
    before = {
        f'{network}.{key}': value.detach().clone()
        for network, module in agent.networks().items()
        for key, value in module.named_parameters()
    }
    losses = agent.update(batches(5), progress=0.1)
    assert agent.updates == 5
    assert all(torch.isfinite(loss) for loss in losses)
    moves_actor = agent.config.policy_delay <= 5
    for network, module in agent.networks().items():
        for key, value in module.named_parameters():
            name = f'{network}.{key}'
            assert torch.isfinite(value).all(), name
            has_moved = bool((value != before[name]).any())
            # A bias in front of a batch norm would be taken away by it, and stays 0.
            last = f'body.biases.{len(module.body.biases) - 1}'
            is_idle = module.body.norm == 'batch' and 'biases' in key and key != last
            assert has_moved == ((moves_actor or network != 'actor') and not is_idle), name
        for key, value in module.named_buffers():
            assert torch.isfinite(value).all(), f'{network}.{key}'
    assert (agent.alpha.item() != pytest.approx(agent.config.initial_alpha)) == (
        moves_actor and agent.config.learn_alpha
    )
    assert np.isfinite(agent.explore(np.ones((4, 3), np.float32))).all()


@pytest.mark.parametrize('name', ['redq', 'droq'])
def test_where_the_actor_moves_once_in_twenty_updates_it_moves_in_the_twentieth(name: str):
    agent = tiny_agent(name)
    before = [value.detach().clone() for value in agent.actor.parameters()]
    agent.update(batches(19))
    assert all(map(torch.equal, agent.actor.parameters(), before))
    assert agent.alpha.item() == 1.0
    losses = agent.update(batches(1))
    moved = [(a != b).any() for a, b in zip(agent.actor.parameters(), before, strict=True)]
    assert all(moved)
    assert agent.alpha.item() != 1.0
    assert math.isfinite(losses.actor.item())


def test_units_of_flash_keep_the_length_one():
    agent = tiny_agent('flash')
    agent.update(batches(6))
    for network in (agent.actor, agent.critic):
        for weight in network.body.weights:
            torch.testing.assert_close(
                weight.norm(dim=1), torch.ones(weight.shape[0], weight.shape[2])
            )


@pytest.mark.parametrize('name', PRESETS)
def test_the_same_seed_and_batches_give_the_same_agent(name: str):
    one, other = tiny_agent(name), tiny_agent(name)
    for _ in range(2):
        first, second = one.update(batches(3)), other.update(batches(3))
        assert all(map(torch.equal, first, second))
