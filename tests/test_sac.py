"""The update of SAC against hand-computed numbers, and the values that it must converge to."""

import copy

import numpy as np
import pytest
import torch
from tiny_agents import SMALL, make_agent, make_batch, parameters, set_constant_q

from sac_ros.errors import UserError
from sim_training.adam import Adam
from sim_training.draws import Draws
from sim_training.replay_buffer import Batch
from sim_training.sac_config import SACConfig
from sim_training.sac_state import restore_sac, sac_arrays

torch.set_num_threads(1)
RATE = torch.tensor(1e-3)


def test_target_of_a_terminated_step_is_its_reward():
    agent, batch = make_agent(), make_batch(discount=torch.zeros(32))
    torch.testing.assert_close(agent.target(batch, agent.draws()), batch.reward)


def test_target_otherwise_adds_the_discounted_smallest_value_and_the_entropy():
    agent = make_agent(initial_alpha=0.5)
    set_constant_q(agent, 7.0, 4.0)
    batch, draws = make_batch(discount=torch.full((32,), 0.9)), agent.draws()
    with torch.no_grad():
        _, log_pi = agent.actor.draw(batch.next_observation, draws.next_noise)
    # y = r + 0.9 (min(7, 4) - 0.5 log pi)
    expected = batch.reward + 0.9 * (4.0 - 0.5 * log_pi)
    torch.testing.assert_close(agent.target(batch, draws), expected)


def test_target_is_terminated_row_by_row():
    agent = make_agent(initial_alpha=1e-9, batch_size=2)
    set_constant_q(agent, 4.0, 4.0)
    batch = make_batch(2, reward=torch.tensor([1.0, 1.0]), discount=torch.tensor([0.9, 0.0]))
    # 1 + 0.9 * 4 = 4.6, and 1 alone
    torch.testing.assert_close(agent.target(batch, agent.draws()), torch.tensor([4.6, 1.0]))


def test_target_critics_follow_by_the_share_tau():
    agent = make_agent(tau=0.25)
    before = [p.clone() for p in agent.target_critic.parameters()]
    agent.update(make_batch())
    rows = zip(before, agent.critic.parameters(), agent.target_critic.parameters(), strict=True)
    for old, critic, new in rows:
        torch.testing.assert_close(new, 0.25 * critic + 0.75 * old)


def test_reported_losses_are_those_of_the_formulas():
    agent = make_agent(initial_alpha=0.5)
    twin = copy.deepcopy(agent)  # replays the update by hand, with the same noise
    batch = make_batch()
    losses = agent.update(batch)
    noise = [torch.randn(32, 2, generator=twin.generator) for _ in range(2)]
    draws = Draws(noise[0], noise[1], torch.arange(2), ((), (), ()))
    target = twin.target(batch, draws)
    q = twin.critic(batch.observation, batch.unit_action)[..., 0]
    by_hand = sum(0.5 * ((q[i] - target) ** 2).mean() for i in range(2))
    torch.testing.assert_close(losses.critic, by_hand.detach())
    torch.testing.assert_close(losses.value, q.mean().detach())
    twin.critic.load_state_dict(agent.critic.state_dict())  # the actor's loss comes after its step
    unit_action, log_pi = twin.actor.draw(batch.observation, noise[1])
    smallest = torch.minimum(*twin.critic(batch.observation, unit_action)[..., 0])
    torch.testing.assert_close(losses.actor, (0.5 * log_pi - smallest).mean().detach())
    torch.testing.assert_close(losses.entropy, -log_pi.mean().detach())
    # J_alpha = -0.5 (E[log pi] + target entropy), target entropy = -2
    torch.testing.assert_close(losses.temperature, -0.5 * (log_pi.mean() - 2.0).detach())


def test_first_step_of_adam_moves_every_weight_by_the_learning_rate():
    # Adam's first step is learning_rate * sign(gradient) wherever the gradient is not tiny.
    agent = make_agent(learning_rate=1e-3)
    before = parameters(agent)
    agent.update(make_batch())
    change = agent.critic.body.weights[0].detach() - before['critic.body.weights.0']
    assert change.abs().max().item() == pytest.approx(1e-3, rel=1e-3)
    change = agent.log_alpha.detach() - before['log_alpha']
    assert change.abs().item() == pytest.approx(1e-3, rel=1e-3)


def test_every_weight_changes_and_every_number_stays_finite():
    agent = make_agent()
    before = parameters(agent)
    for _ in range(20):
        losses = agent.update(make_batch())
    for name, value in parameters(agent).items():
        assert torch.isfinite(value).all(), name
        assert (value != before[name]).any(), name
    assert all(torch.isfinite(loss) and not loss.requires_grad for loss in losses)


def test_the_actors_update_changes_nothing_in_the_critics():
    agent = make_agent()
    before = parameters(agent)
    agent._update_actor(make_batch(), agent.draws(), RATE)
    changed = {name for name, value in parameters(agent).items() if (value != before[name]).any()}
    assert {name.partition('.')[0] for name in changed} == {'actor'}
    assert all(parameter.grad is None for parameter in agent.critic.parameters())


@pytest.mark.parametrize(('target_entropy', 'sign'), [(0.69, 1.0), (-50.0, -1.0)])
def test_temperature_rises_when_entropy_is_too_low_and_falls_when_too_high(
    target_entropy: float, sign: float
):
    agent = make_agent(target_entropy=target_entropy)
    before = agent.alpha.item()
    agent.update(make_batch())
    assert sign * (agent.alpha.item() - before) > 0.0


def test_one_call_with_many_batches_is_as_many_calls():
    together, apart = make_agent(), make_agent()
    batches = make_batch(96)
    together.update(batches)
    for start in (0, 32, 64):
        apart.update(Batch(*(field[start : start + 32] for field in batches)))
    for name, value in parameters(together).items():
        torch.testing.assert_close(value, parameters(apart)[name], rtol=0.0, atol=0.0)


def test_a_seed_gives_the_same_agent_and_leaves_torchs_generator_alone():
    state = torch.get_rng_state()
    first, second, other = make_agent(seed=1), make_agent(seed=1), make_agent(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    observation = np.ones(3, np.float32)
    one, two = (agent.explore(observation[None]) for agent in (first, second))
    np.testing.assert_array_equal(one, two)
    assert (first.exploit(observation) != other.exploit(observation)).all()


def test_exploring_varies_inside_the_unit_range_and_exploiting_does_not_vary():
    agent = make_agent()
    observation = np.ones(3, np.float32)
    explored = agent.explore(np.tile(observation, (100, 1)))
    assert explored.shape == (100, 2)
    assert explored.dtype == np.float32
    assert (np.abs(explored) <= 1.0).all()
    assert (explored.std(axis=0) > 0.1).all()
    exploited = [agent.exploit(observation) for _ in range(2)]
    np.testing.assert_array_equal(exploited[0], exploited[1])
    np.testing.assert_allclose(agent.to_action(np.float32([-1.0, 0.5])), [-1.0, 2.0])


def test_normalisation_gives_mean_zero_and_deviation_one_and_magnifies_by_100_at_most():
    agent = make_agent()
    observations = np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.001]], np.float32)
    agent.fit_normalisation(observations)
    for network in (agent.actor, agent.critic, agent.target_critic):
        np.testing.assert_allclose(network.observation_mean.numpy(), [2.0, 5.0, 0.0005])
        np.testing.assert_allclose(network.observation_scale.numpy(), [1.0, 100.0, 100.0])


def test_only_products_are_in_bfloat16():
    agents = [make_agent(precision=precision) for precision in ('float32', 'bfloat16')]
    for _ in range(100):
        losses = [agent.update(make_batch()) for agent in agents]
    exact, rounded = (torch.stack(numbers) for numbers in losses)
    # bfloat16 has 8 bits: a number is off by 0.4 % at most, and errors of products average out.
    torch.testing.assert_close(exact, rounded, rtol=0.05, atol=0.02)
    assert (exact != rounded).all()
    assert {array.dtype for array in sac_arrays(agents[1]).values()} == {
        np.dtype(name) for name in ('float32', 'uint8', 'int64')
    }


@pytest.mark.parametrize('norm', ['layer', 'batch', 'batch_renorm'])
def test_norms_work_beside_products_in_bfloat16(norm: str):
    agent = make_agent(precision='bfloat16', norm=norm)
    assert torch.isfinite(torch.stack(agent.update(make_batch()))).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')
def test_a_gpu_computes_the_same_updates():
    agents = [make_agent(device=device) for device in ('cpu', 'cuda')]
    for _ in range(100):
        here, there = (torch.stack(agent.update(make_batch())).cpu() for agent in agents)
        torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)
    observation = np.ones(3, np.float32)
    np.testing.assert_allclose(*(agent.exploit(observation) for agent in agents), atol=1e-3)
    arrays = [sac_arrays(agent) for agent in agents]
    assert {name: array.shape for name, array in arrays[0].items()} == {
        name: array.shape for name, array in arrays[1].items()
    }
    other = make_agent(device='cuda', seed=9)
    restore_sac(other, arrays[1])
    np.testing.assert_array_equal(other.exploit(observation), agents[1].exploit(observation))


def test_updates_are_spread_over_the_steps_by_the_utd_ratio():
    def updates(ratio: float) -> list[int]:
        config = SACConfig(**{**SMALL, 'utd_ratio': ratio})
        return [config.updates_before(k + 1) - config.updates_before(k) for k in range(31, 37)]

    assert updates(1.0) == [0, 1, 1, 1, 1, 1]
    assert updates(0.5) == [0, 0, 1, 0, 1, 0]
    assert updates(2.5) == [0, 2, 3, 2, 3, 2]


def test_adam_is_torchs_own():
    config = make_agent().config
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(4, 3, generator=generator, requires_grad=True) for _ in range(2)]
    theirs = [value.detach().clone().requires_grad_() for value in ours]
    adam, rate = Adam(ours), torch.tensor(config.learning_rate)
    reference = torch.optim.Adam(theirs, lr=config.learning_rate)
    for _ in range(20):
        adam.descend(sum((value.square() + value.sin()).sum() for value in ours), rate)
        reference.zero_grad()
        sum((value.square() + value.sin()).sum() for value in theirs).backward()
        reference.step()
    for value, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(value, expected)


def test_without_a_compiler_the_update_is_refused_to_be_compiled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UserError, match=r'cannot be compiled: no C\+\+ compiler was found'):
        make_agent().compile()
