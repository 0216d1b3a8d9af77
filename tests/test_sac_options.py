"""The choices of SACConfig one by one, each against what it says of itself."""

import copy

import numpy as np
import pytest
import torch
from tiny_agents import make_agent, make_batch, parameters, set_constant_q
from torch import Tensor

from sim_training.adam import Adam
from sim_training.sac import SAC, Losses
from sim_training.sac_config import Norm


def changed(agent: SAC, before: dict[str, Tensor]) -> set[str]:
    """Return the networks, and the temperature, in which any weight is another one."""
    now = parameters(agent)
    names = {name for name, value in now.items() if not torch.equal(value, before[name])}
    return {name.partition('.')[0] for name in names}


def test_only_the_critics_that_were_drawn_say_what_the_next_step_is_worth():
    agent = make_agent(critics=4, target_subset=2, initial_alpha=1e-9)
    set_constant_q(agent, 1.0, 2.0, 3.0, 4.0)
    batch, draws = make_batch(reward=torch.zeros(32), discount=torch.ones(32)), agent.draws()
    for members, smallest in (([3, 2], 3.0), ([1, 3], 2.0), ([0, 1], 1.0)):
        drawn = draws._replace(members=torch.tensor(members))
        torch.testing.assert_close(agent.target(batch, drawn), torch.full((32,), smallest))


def test_a_subset_is_drawn_anew_for_each_update_and_holds_no_critic_twice():
    agent = make_agent(critics=4, target_subset=2)
    drawn = [tuple(sorted(agent.draws().members.tolist())) for _ in range(300)]
    pairs = {(a, b) for a in range(4) for b in range(a + 1, 4)}
    assert set(drawn) == pairs
    # 50 of each are expected, with a standard deviation of 6.5
    assert all(25 < drawn.count(pair) < 75 for pair in pairs)
    assert make_agent(critics=4).draws().members.tolist() == [0, 1, 2, 3]


def test_between_the_updates_of_the_actor_it_stays_and_its_losses_are_told_again():
    agent = make_agent(policy_delay=3)
    told: list[Losses] = []
    for i in range(1, 7):
        before = parameters(agent)
        told.append(agent.update(make_batch()))
        actors = {'actor', 'log_alpha'} if i % 3 == 0 else set()
        assert changed(agent, before) == {'critic', 'target', *actors}
    assert all(loss == 0.0 for loss in told[1][1:3])  # nothing to tell yet
    assert told[2].actor == told[3].actor == told[4].actor != told[5].actor
    assert told[2].entropy == told[3].entropy != told[5].entropy
    assert len({loss.critic.item() for loss in told}) == 6


def test_a_reset_comes_before_the_next_update_so_that_no_run_ends_with_it():
    agent, steps = make_agent(reset_every=4), []
    for _ in range(9):
        agent.update(make_batch())
        steps.append(agent.critic_adam.steps.item())
    assert steps == [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0]


def test_at_a_reset_everything_learned_is_drawn_anew():
    agent = make_agent(reset_every=3, initial_alpha=0.3)
    agent.fit_normalisation(make_batch().observation.numpy())
    agent.update(make_batch(96))
    assert agent.actor_adam.steps == agent.critic_adam.steps == 3.0
    before, first = parameters(agent), parameters(make_agent(initial_alpha=0.3))
    scale = agent.actor.observation_scale.clone()
    agent._reset()
    now = parameters(agent)
    bound = 1.0 / 16.0**0.5  # of fresh weights of 16 inputs
    for name, value in now.items():
        if name != 'log_alpha':
            assert not torch.isclose(value, before[name]).any(), name
            assert not torch.isclose(value, first[name]).any(), name  # nor those of the beginning
        if name.endswith('weights.1'):
            assert 0.8 * bound < value.abs().max() <= bound
    assert agent.alpha.item() == pytest.approx(0.3)
    for key, value in agent.critic.named_parameters():
        assert torch.equal(value, now[f'target.{key}'])
    for adam in (agent.actor_adam, agent.critic_adam, agent.alpha_adam):
        assert not any(value.any() for value in adam.state().values())
    assert torch.equal(agent.actor.observation_scale, scale)  # what was measured stays


def test_two_resets_draw_other_weights():
    agent, drawn = make_agent(reset_every=1), []
    agent.update(make_batch())
    for _ in range(2):
        agent.update(make_batch())
        drawn.append(parameters(agent)['actor.body.weights.0'])
    assert not torch.isclose(*drawn).any()


@pytest.mark.parametrize('norm', ['none', 'batch'])
def test_what_is_exported_may_be_a_moving_average_of_the_actor(norm: Norm):
    agent = make_agent(average_actor=4, policy_delay=2, norm=norm)
    expected = {name: value.clone() for name, value in agent.actor.state_dict().items()}
    for _ in range(6):
        agent.update(make_batch())
        for name, value in agent.actor.state_dict().items():
            expected[name] += (value - expected[name]) / 4.0
    assert agent.exported is agent.average
    for name, value in agent.average.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    newest = agent.actor.state_dict()['body.weights.0']
    assert not torch.isclose(newest, expected['body.weights.0'], atol=1e-5).all()
    observation = make_batch().observation[0].numpy()
    answer = agent.average.mean_action(torch.from_numpy(observation[None]))[0].numpy()
    np.testing.assert_array_equal(agent.exploit(observation), answer)
    assert (
        agent.exploit(observation)
        != agent.actor.mean_action(torch.from_numpy(observation[None]))[0].detach().numpy()
    ).all()


def test_the_newest_actor_is_exported_by_default():
    agent = make_agent()
    assert agent.exported is agent.acting is agent.actor
    assert 'average' not in agent.networks()


def test_a_temperature_that_is_given_stays():
    agent = make_agent(learn_alpha=False, initial_alpha=0.2)
    before = parameters(agent)
    agent.update(make_batch(320))
    assert agent.alpha.item() == pytest.approx(0.2)
    assert changed(agent, before) == {'actor', 'critic', 'target'}


def test_the_entropy_of_the_next_step_may_be_left_out_of_its_value():
    agent = make_agent(backup_entropy=False, initial_alpha=5.0)
    set_constant_q(agent, 7.0, 4.0)
    batch = make_batch(discount=torch.full((32,), 0.9))
    torch.testing.assert_close(agent.target(batch, agent.draws()), batch.reward + 0.9 * 4.0)


def test_the_target_entropy_is_given_for_each_element_of_the_action():
    agent = make_agent(target_entropy=-0.5)
    agent.update(make_batch())
    assert agent.target_entropy == -1.0  # two elements


@pytest.mark.parametrize(('progress', 'entropy'), [(0.0, 0.5), (0.25, 0.0), (1.0, -1.5)])
def test_the_target_entropy_goes_in_a_straight_line_to_the_last_one(
    progress: float, entropy: float
):
    agent = make_agent(target_entropy=0.5, final_target_entropy=-1.5)
    losses = agent.update(make_batch(), progress)
    # Equation 23, by what the update says: the mean of -log pi, and 0.1, the first temperature.
    expected = 0.1 * (losses.entropy - 2.0 * entropy)
    torch.testing.assert_close(losses.temperature, expected)


def test_the_actor_may_climb_the_mean_of_the_critics():
    agents = {value: make_agent(actor_value=value) for value in ('min', 'mean')}
    batch, draws, rate = make_batch(), agents['min'].draws(), torch.tensor(0.0)
    with torch.no_grad():
        unit_action, log_pi = agents['min'].actor.draw(batch.observation, draws.noise)
        q = agents['min'].critic(batch.observation, unit_action)[..., 0]
    by_hand = {'min': torch.minimum(q[0], q[1]), 'mean': (q[0] + q[1]) / 2.0}
    for value, agent in agents.items():
        loss, _ = agent._update_actor(batch, draws, rate)
        torch.testing.assert_close(loss, (0.1 * log_pi - by_hand[value]).mean())


@pytest.mark.parametrize(
    ('progress', 'rate'), [(0.0, 1e-3), (0.25, 8e-4), (0.5, 6e-4), (1.0, 2e-4)]
)
def test_the_learning_rate_goes_in_a_straight_line_to_the_last_one(progress: float, rate: float):
    agent = make_agent(learning_rate=1e-3, final_learning_rate=2e-4)
    before = parameters(agent)
    agent.update(make_batch(), progress)
    # Adam's first step is rate * sign(gradient) wherever the gradient is not tiny.
    for name, value in parameters(agent).items():
        if not name.startswith('target'):
            step = (value - before[name]).abs().max().item()
            assert step == pytest.approx(rate, rel=2e-3), name


def test_rewards_are_multiplied_by_their_scale_in_the_target():
    agent = make_agent(initial_alpha=1e-9)
    set_constant_q(agent, 4.0, 4.0)
    agent.reward_scale.fill_(0.25)
    batch = make_batch(discount=torch.full((32,), 0.5))
    expected = 0.25 * batch.reward + 2.0
    torch.testing.assert_close(agent.target(batch, agent.draws()), expected)


def test_without_a_target_network_the_critics_say_themselves_what_the_next_step_is_worth():
    agent = make_agent(target='none', initial_alpha=0.5)
    assert agent.target_critic is None
    batch, draws = make_batch(), agent.draws()
    with torch.no_grad():
        action, log_pi = agent.actor.draw(batch.next_observation, draws.next_noise)
        q = agent.critic(batch.next_observation, action)[..., 0].amin(dim=0)
    expected = batch.reward + 0.98 * (q - 0.5 * log_pi)
    target = agent.target(batch, draws)
    torch.testing.assert_close(target, expected)
    assert not target.requires_grad


@pytest.mark.parametrize('target', ['none', 'critics'])
def test_with_batch_norms_both_steps_are_normalised_in_one_batch(target: str):
    agent = make_agent(target=target, norm='batch', initial_alpha=1e-9)
    if agent.target_critic is not None:
        with torch.no_grad():  # as after updates: not what the critics say themselves
            for parameter in agent.target_critic.parameters():
                parameter.mul_(0.9)
    twin, batch, draws = copy.deepcopy(agent), make_batch(), agent.draws()
    with torch.no_grad():
        action, _ = twin.actor.draw(batch.next_observation, draws.next_noise)
        observations = torch.cat((batch.observation, batch.next_observation))
        both = observations, torch.cat((batch.unit_action, action))
        present = twin.critic(*both, True)
        q = (twin.target_critic or twin.critic)(*both, True)[..., 0]
    expected = batch.reward + 0.98 * q[:, 32:].amin(dim=0)
    z, found = agent._present_and_target(batch, draws)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(z, present[:, :32])


def v1_agent() -> SAC:
    return make_agent(target='value', learn_alpha=False, initial_alpha=0.5)


def test_with_a_state_value_its_slow_copy_says_what_the_next_step_is_worth():
    agent = v1_agent()
    assert agent.target_critic is None
    assert agent.target_value is not None
    with torch.no_grad():
        for parameter in agent.target_value.parameters():
            parameter.zero_()
        agent.target_value.body.biases[-1].fill_(7.0)
    batch = make_batch(discount=torch.full((32,), 0.9))
    # y = r + 0.9 * 7: the entropy is in V already (Haarnoja et al. 2018a, equation 8).
    torch.testing.assert_close(agent.target(batch, agent.draws()), batch.reward + 6.3)


def test_the_state_value_learns_what_the_policy_earns_with_its_entropy():
    agent = v1_agent()
    twin, batch, draws = copy.deepcopy(agent), make_batch(), agent.draws()
    agent._update_critic(batch, draws, torch.tensor(1e-3))
    with torch.no_grad():
        unit_action, log_pi = twin.actor.draw(batch.observation, draws.noise)
        q = twin.critic(batch.observation, unit_action)[..., 0].amin(dim=0)
    value = twin.value(batch.observation, torch.empty(32, 0))[0, :, 0]
    # J_V = E[(V(s) - (min_i Q_i(s, a) - 0.5 log pi))^2 / 2]: equation 5 there
    loss = 0.5 * ((value - (q - 0.5 * log_pi)) ** 2).mean()
    torch.testing.assert_close(twin._value_loss(twin.value, batch, draws), loss)
    Adam(list(twin.value.parameters())).descend(loss, torch.tensor(1e-3))
    for ours, expected in zip(agent.value.parameters(), twin.value.parameters(), strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_slow_copy_follows_the_state_value_by_the_share_tau():
    agent = make_agent(target='value', tau=0.25)
    before = [value.clone() for value in agent.target_value.parameters()]
    agent.update(make_batch())
    networks = agent.value.parameters(), agent.target_value.parameters()
    for old, value, new in zip(before, *networks, strict=True):
        torch.testing.assert_close(new, 0.25 * value + 0.75 * old)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    agent = make_agent(dropout=0.25)
    keep = agent.draws().keep
    assert [[layer.shape for layer in part] for part in keep] == [[(2, 32, 16)] * 2] * 3
    values = torch.cat([layer.flatten() for part in keep for layer in part])
    assert sorted(set(values.tolist())) == pytest.approx([0.0, 4.0 / 3.0])
    # 6,144 draws: the standard error of the share is 0.0055.
    assert (values == 0.0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    batch = make_batch()
    first, second = (agent.target(batch, agent.draws()) for _ in range(2))
    assert (first != second).all()


def test_the_critics_may_learn_alone():
    agent = make_agent()
    before = parameters(agent)
    agent.update(make_batch(), is_critics_only=True)
    assert changed(agent, before) == {'critic', 'target'}
    assert agent.updates == 1
