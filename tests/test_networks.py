"""The actor's distribution and bounds, and the stacked critics, against other ways to say them."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from sim_training.networks import Actor, Critic, actor_norm, soft_bound, squash
from sim_training.sac_config import Norm, SACConfig

torch.set_num_threads(1)


def make_actor(
    lower: tuple[float, ...] = (-2.0, 0.0), upper: tuple[float, ...] = (2.0, 10.0)
) -> Actor:
    torch.manual_seed(0)
    return Actor(3, (16, 8), np.array(lower), np.array(upper))


def test_log_probability_of_zero_noise_is_the_hand_computed_one():
    # x = 0, sigma = 1: log f = -log(2 pi) / 2 = -0.918939; log(1 - tanh(0)^2) = 0.
    unit_action, log_pi = squash(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1))
    assert unit_action.item() == 0.0
    assert log_pi.item() == pytest.approx(-0.918939, abs=1e-6)


def test_log_probability_is_that_of_torchs_transformed_normal():
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    log_std = torch.randn(200, 3, generator=generator, dtype=torch.float64) - 1.0
    noise = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    unit_action, log_pi = squash(mean, log_std, noise)
    base = Independent(Normal(mean, log_std.exp()), 1)
    expected = TransformedDistribution(base, [TanhTransform()]).log_prob(unit_action)
    torch.testing.assert_close(log_pi, expected, rtol=1e-6, atol=1e-5)


def test_log_probability_stays_finite_where_tanh_is_rounded_to_one():
    # x = 20: log f(x) = log f(0) = -0.918939, log(1 - tanh(20)^2) = 2 (log 2 - 20) = -38.613706.
    mean = torch.tensor([[20.0], [-20.0]])
    unit_action, log_pi = squash(mean, torch.zeros(2, 1), torch.zeros(2, 1))
    assert unit_action.flatten().tolist() == [1.0, -1.0]
    np.testing.assert_allclose(log_pi.numpy(), -0.918939 + 38.613706, rtol=1e-6)


def test_gradient_reaches_mean_and_log_std_through_the_sampled_action():
    # d tanh(mean + sigma noise): by mean 1 - tanh^2, by log sigma (1 - tanh^2) sigma noise.
    mean = torch.zeros(1, 1, requires_grad=True)
    log_std = torch.full((1, 1), math.log(0.5), requires_grad=True)
    unit_action, _ = squash(mean, log_std, torch.ones(1, 1))
    unit_action.sum().backward()
    slope = 1.0 - math.tanh(0.5) ** 2
    assert mean.grad is not None
    assert mean.grad.item() == pytest.approx(slope, rel=1e-6)
    assert log_std.grad is not None
    assert log_std.grad.item() == pytest.approx(slope * 0.5, rel=1e-6)


def test_log_std_is_bounded_and_its_slope_never_vanishes():
    raw = torch.tensor([-1000.0, -30.0, -5.0, 0.0, 3.0, 1000.0], requires_grad=True)
    bounded = soft_bound(raw)
    assert bounded.min() >= -20.0
    assert bounded.max() <= 2.0 + 1e-6
    assert bounded[2].item() == pytest.approx(-5.0, abs=2e-3)  # in the middle it is the identity
    bounded[1:5].sum().backward()
    assert raw.grad is not None
    assert (raw.grad[1:5] > 0.0).all()


def test_actions_fill_their_bounds_and_never_leave_them():
    actor = make_actor(lower=(-2.0, 0.1), upper=(2.0, 0.7))
    generator = torch.Generator().manual_seed(0)
    unit_action = torch.rand(100_000, 2, generator=generator) * 2.0 - 1.0
    unit_action[0], unit_action[1] = 1.0, -1.0
    action = actor.to_action(unit_action)
    assert (action >= actor.action_lower).all()
    assert (action <= actor.action_upper).all()
    np.testing.assert_array_equal(action[0].numpy(), np.float32([2.0, 0.7]))
    np.testing.assert_allclose(action[1].numpy(), np.float32([-2.0, 0.1]), atol=1e-7)
    np.testing.assert_allclose(actor.to_action(torch.zeros(2)).numpy(), [0.0, 0.4], rtol=1e-6)


def test_bounds_as_wide_as_float32_do_not_overflow():
    actor = make_actor(lower=(-3e38, -3e38), upper=(3e38, 3e38))
    assert torch.isfinite(actor.to_action(torch.ones(2))).all()


def test_mean_action_is_the_scaled_tanh_of_the_mean():
    actor = make_actor()
    observation = torch.tensor([[0.3, -2.0, 5.0]])
    mean, _ = actor(observation)
    middle, half_range = torch.tensor([0.0, 5.0]), torch.tensor([2.0, 5.0])
    expected = middle + half_range * torch.tanh(mean)
    torch.testing.assert_close(actor.mean_action(observation), expected)


def test_samples_have_the_mean_and_spread_that_the_actor_says():
    actor = make_actor()
    observation = torch.tensor([[0.3, -2.0, 5.0]]).repeat(20_000, 1)
    with torch.no_grad():
        mean, log_std = actor(observation[:1])
        unit_action, _ = actor.sample(observation, torch.Generator().manual_seed(0))
    x = torch.atanh(unit_action.double().clamp(-1.0 + 1e-7, 1.0 - 1e-7))
    # 20,000 samples: the standard error of the mean is sigma / 141.
    sigma = log_std.exp()
    assert ((x.mean(dim=0) - mean[0]).abs() < 5.0 * sigma[0] / 141.0).all()
    np.testing.assert_allclose(x.std(dim=0).numpy(), sigma[0].numpy(), rtol=0.05)


def test_normalisation_is_part_of_actor_and_critic():
    actor, critic = make_actor(), Critic(3, 2, (16,), critics=2)
    mean, scale = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 2.0, 10.0])
    observation, unit_action = torch.randn(5, 3), torch.rand(5, 2)
    by_hand = (observation - mean) * scale
    expected_action, expected_q = actor.mean_action(by_hand), critic(by_hand, unit_action)
    for network in (actor, critic):
        network.observation_mean.copy_(mean)
        network.observation_scale.copy_(scale)
    torch.testing.assert_close(actor.mean_action(observation), expected_action)
    torch.testing.assert_close(critic(observation, unit_action), expected_q)


@pytest.mark.parametrize('critics', [1, 2, 5])
def test_stacked_critics_equal_as_many_separate_networks(critics: int):
    torch.manual_seed(0)
    critic = Critic(4, 2, (32, 16), critics)
    observation, unit_action = torch.randn(7, 4), torch.rand(7, 2)
    answers = critic(observation, unit_action)
    assert answers.shape == (critics, 7, 1)
    for i in range(critics):
        alone = torch.nn.Sequential(
            torch.nn.Linear(6, 32), torch.nn.ReLU(),
            torch.nn.Linear(32, 16), torch.nn.ReLU(),
            torch.nn.Linear(16, 1),
        )  # fmt: skip
        for j, layer in enumerate(alone[::2]):
            layer.weight.data = critic.body.weights[j][i].T.clone()
            layer.bias.data = critic.body.biases[j][i, 0].clone()
        expected = alone(torch.cat((observation, unit_action), dim=-1))
        torch.testing.assert_close(answers[i], expected, rtol=1e-5, atol=1e-6)


def test_critics_begin_different_and_within_the_range_of_a_linear_layer():
    torch.manual_seed(0)
    critic = Critic(4, 2, (32, 16), critics=2)
    first, second = critic(torch.randn(7, 4), torch.rand(7, 2))
    assert (first != second).all()
    for weight, inputs in zip(critic.body.weights, (6, 32, 16), strict=True):
        bound = 1.0 / math.sqrt(inputs)
        assert 0.9 * bound < weight.abs().max() <= bound


def test_an_exporter_finds_plain_linear_layers_and_the_two_parts_of_the_last_one():
    actor = make_actor()
    shapes = [(weight.shape, bias.shape) for weight, bias in actor.body.plain(0)]
    assert shapes == [((3, 16), (16,)), ((16, 8), (8,)), ((8, 4), (4,))]
    assert actor.mean_head.weight.shape == actor.log_std_head.weight.shape == (8, 2)
    weight, bias = actor.body.plain(0)[-1]
    heads = actor.mean_head, actor.log_std_head
    np.testing.assert_array_equal(weight, np.hstack([head.weight.numpy() for head in heads]))
    np.testing.assert_array_equal(bias, np.hstack([head.bias.numpy() for head in heads]))


def test_the_heads_are_views_through_which_the_actor_can_be_set():
    actor, observation = make_actor(), torch.randn(5, 3)
    actor.mean_head.weight.zero_()
    actor.mean_head.bias.copy_(torch.tensor([0.25, -0.5]))
    actor.log_std_head.weight.zero_()
    actor.log_std_head.bias.fill_(-3.0)
    mean, log_std = actor(observation)
    torch.testing.assert_close(mean, torch.tensor([0.25, -0.5]).expand(5, 2))
    torch.testing.assert_close(log_std, soft_bound(torch.tensor(-3.0)).expand(5, 2))


@pytest.mark.parametrize(('norm', 'expected'), [('layer', 'none'), ('batch', 'batch')])
def test_layer_norms_are_for_critics_only(norm: Norm, expected: str):
    assert actor_norm(SACConfig(norm=norm)) == expected
