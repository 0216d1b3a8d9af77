"""SAC on a bandit with a quadratic reward lands where the Boltzmann optimum says.

One state, r = -CURVATURE / 2 (u - BEST)^2 in each of two unit actions, every step terminates, so
that Q = r.  The optimal policy exp(r / alpha) is a Gaussian of mean BEST and sigma^2 =
alpha / CURVATURE, so its entropy fixes alpha, and alpha its spread.  tanh bends it a little.
"""

import math

import numpy as np
import pytest
import torch
from tiny_agents import make_agent

from sim_training.replay_buffer import Batch
from sim_training.sac import SAC

torch.set_num_threads(1)
BEST, CURVATURE = 0.25, 16.0
UPDATES = 1_000
STATE = np.ones((4096, 3), np.float32)


def make_learned(**options: object) -> SAC:
    """Return an agent that has learned from actions anywhere and, as many, of its own."""
    agent = make_agent(
        learning_rate=3e-3, final_learning_rate=1e-4, batch_size=128, learning_starts=128,
        hidden_sizes=(64, 64), **options,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    state = torch.ones(128, 3)
    for i in range(UPDATES):
        anywhere = torch.rand(64, 2, generator=generator) * 2.0 - 1.0
        unit_action = torch.cat((anywhere, torch.from_numpy(agent.explore(STATE[:64]))))
        reward = -0.5 * CURVATURE * (unit_action - BEST).square().sum(dim=1)
        agent.update(Batch(state, unit_action, reward, state, torch.zeros(128)), i / UPDATES)
    return agent


@pytest.mark.parametrize('alpha', [0.16, 0.32])
def test_a_fixed_temperature_gives_the_spread_of_the_boltzmann_optimum(alpha: float):
    agent = make_learned(initial_alpha=alpha, learn_alpha=False)
    unit_actions = agent.explore(STATE)
    np.testing.assert_allclose(unit_actions.mean(axis=0), BEST, atol=0.02)
    expected = math.sqrt(alpha / CURVATURE)  # 0.1 and 0.14
    np.testing.assert_allclose(unit_actions.std(axis=0), expected, rtol=0.15)
    # A unit action of 0.25 within (-1, 3) is 1 + 2 * 0.25 = 1.5.
    np.testing.assert_allclose(agent.exploit(STATE[0]), 1.5, atol=0.04)


def test_a_learned_temperature_holds_the_entropy_and_lands_where_that_spread_needs_it():
    agent = make_learned(initial_alpha=0.3, target_entropy=-1.0)
    # H = 1/2 log(2 pi e sigma^2) = -1 for each element: sigma^2 = e^-3 / (2 pi) = 0.00792
    variance = math.exp(-3.0) / (2.0 * math.pi)
    assert agent.losses.entropy.item() == pytest.approx(-2.0, abs=0.3)
    assert agent.alpha.item() == pytest.approx(CURVATURE * variance, rel=0.25)  # 0.127
    np.testing.assert_allclose(agent.explore(STATE).std(axis=0), math.sqrt(variance), rtol=0.15)
