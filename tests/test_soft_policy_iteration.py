"""What the derivation of soft actor-critic proves, shown on small random MDPs and by hand."""

import math
import re
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from small_mdps import first_action, random_mdp, random_policies, two_states

from sim_training.soft_policy_iteration import (
    FiniteMDP,
    boltzmann_policy,
    entropy,
    evaluate_by_backups,
    evaluate_exactly,
    soft_backup,
    soft_maximum,
    soft_optimal_backup,
    soft_policy_iteration,
    soft_policy_sweeps,
    soft_value,
    soft_value_iteration,
    uniform_policy,
)

PAGE = Path(__file__).parents[1] / 'docs' / 'theory.md'
ROUNDING = 1e-10  # far more than float64 loses here, far less than what is compared
SEEDS = range(8)

each_seed = pytest.mark.parametrize('seed', SEEDS)
each_alpha = pytest.mark.parametrize('alpha', [0.1, 1.0, 4.0])


def largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


# Two states by hand, gamma 0.5.  With alpha 1, every reward in units of alpha:
# V(1) = log 2 + V(1) / 2 = 2 log 2, so Q(1, .) = log 2.


@each_alpha
def test_one_backup_by_hand(alpha: float):
    mdp = two_states(alpha * math.log(3.0), alpha)
    q = alpha * np.array([[4.0, 0.0], [6.0, 2.0]])
    policy = np.array([[0.25, 0.75], [1.0, 0.0]])
    # H(0) = 0.25 log 4 + 0.75 log 4/3 = log 4 - 0.75 log 3, so V(0) = 0.25 * 4 + H(0); V(1) = 6
    value = 1.0 + math.log(4.0) - 0.75 * math.log(3.0)
    np.testing.assert_allclose(soft_value(mdp, policy, q), [alpha * value, alpha * 6.0])
    expected = [[0.5 * value, math.log(3.0) + 3.0], [3.0, 3.0]]
    np.testing.assert_allclose(soft_backup(mdp, policy, q), alpha * np.array(expected))


@each_alpha
def test_the_uniform_policy_is_evaluated_as_by_hand(alpha: float):
    mdp = two_states(alpha * math.log(3.0), alpha)
    # Q(0, 1) = log 3 + V(1) / 2 = log 6;  V(0) = log 2 + (V(0) / 2 + log 6) / 2, so
    # V(0) = 4/3 (log 2 + log(6) / 2) and Q(0, 0) = V(0) / 2 = 2/3 log 2 + 1/3 log 6
    stay = (2.0 * math.log(2.0) + math.log(6.0)) / 3.0
    expected = alpha * np.array([[stay, math.log(6.0)], [math.log(2.0)] * 2])
    np.testing.assert_allclose(evaluate_exactly(mdp, uniform_policy(mdp)), expected)


@each_alpha
def test_the_optimum_is_the_one_found_by_hand(alpha: float):
    mdp = two_states(alpha * math.log(3.0), alpha)
    # Q(0, 0) = V(0) / 2 and Q(0, 1) = log 6, so with x = exp(V(0) / 2): x^2 = x + 6, x = 3
    expected = alpha * np.log([[3.0, 6.0], [2.0, 2.0]])
    for optimum in (soft_policy_iteration(mdp, uniform_policy(mdp)), soft_value_iteration(mdp)):
        np.testing.assert_allclose(optimum.q, expected, atol=1e-8)
        np.testing.assert_allclose(optimum.policy, [[1 / 3, 2 / 3], [0.5, 0.5]], atol=1e-7)
        np.testing.assert_allclose(optimum.value, alpha * np.log([9.0, 4.0]), atol=1e-8)


def test_nothing_is_behind_a_terminated_state_and_entropy_is_behind_an_absorbing_one():
    absorbing = soft_value_iteration(two_states(math.log(3.0), 1.0))
    ended = soft_value_iteration(two_states(math.log(3.0), 1.0, terminated=True))
    # Leaving earns log 3, and gamma V(1) = log 2 more where state 1 goes on: V(1) = log(2) / 0.5.
    np.testing.assert_allclose(absorbing.q[0, 1], math.log(6.0), atol=1e-8)
    np.testing.assert_allclose(ended.q[0, 1], math.log(3.0), atol=1e-8)
    # A reward of log 6 makes up for it: x^2 = x + 6 again.
    paid = soft_value_iteration(two_states(math.log(6.0), 1.0, terminated=True))
    np.testing.assert_allclose(paid.policy[0], [1 / 3, 2 / 3], atol=1e-7)


# Lemma 1: policy evaluation


@each_seed
def test_the_backup_is_a_contraction_by_gamma(seed: int):
    mdp = random_mdp(seed)
    generator = np.random.default_rng([seed, 2])
    for policy in random_policies(mdp, seed, 20):
        one, other = generator.normal(0.0, 10.0, (2, *mdp.reward.shape))
        backups = [soft_backup(mdp, policy, q) for q in (one, other)]
        assert largest(backups[0] - backups[1]) <= mdp.gamma * largest(one - other) + ROUNDING


@each_seed
def test_gamma_is_the_smallest_factor_that_holds_for_the_backup(seed: int):
    mdp = replace(random_mdp(seed), terminated=None)
    policy = random_policies(mdp, seed, 1)[0]
    # A constant c more everywhere is gamma c more everywhere: probabilities sum to 1.
    change = soft_backup(mdp, policy, mdp.reward + 3.0) - soft_backup(mdp, policy, mdp.reward)
    np.testing.assert_allclose(change, 3.0 * mdp.gamma)


@each_seed
def test_backups_converge_to_the_linear_solve_at_the_rate_gamma(seed: int):
    mdp = random_mdp(seed)
    policy = random_policies(mdp, seed, 1)[0]
    limit = evaluate_exactly(mdp, policy)
    np.testing.assert_allclose(soft_backup(mdp, policy, limit), limit, atol=ROUNDING)
    q = first = limit + np.random.default_rng(seed).normal(0.0, 10.0, limit.shape)
    for count in range(1, 100):
        q = soft_backup(mdp, policy, q)
        assert largest(q - limit) <= mdp.gamma**count * largest(first - limit) + ROUNDING
    for tolerance in (1.0, 1e-3, 1e-9):
        found = evaluate_by_backups(mdp, policy, first, tolerance)
        assert largest(found - limit) <= tolerance + ROUNDING


@each_seed
def test_the_linear_solve_is_the_discounted_sum_of_rewards_and_entropies(seed: int):
    mdp = random_mdp(seed)
    policy = random_policies(mdp, seed, 1)[0]
    states, actions = mdp.reward.shape
    # Equation 1 from (s, a) on, with p and gamma alone: where am I after t steps, what is paid?
    ended = np.zeros(states, bool) if mdp.terminated is None else mdp.terminated
    for state, action in product(range(states), range(actions)):
        total, where = mdp.reward[state, action], mdp.transition[state, action]
        for time in range(1, 700):  # 0.95^700 is 3e-16
            where = where * ~ended  # who has arrived at an end is paid no more
            for s, a in product(range(states), range(actions)):
                paid = mdp.reward[s, a] - mdp.alpha * math.log(policy[s, a])
                total += mdp.gamma**time * where[s] * policy[s, a] * paid
            where = where @ (policy[:, :, None] * mdp.transition).sum(axis=1)
        assert evaluate_exactly(mdp, policy)[state, action] == pytest.approx(total, abs=1e-8)


# Lemma 2: policy improvement


@each_seed
def test_the_improved_policy_has_the_smallest_actor_loss_and_the_smallest_divergence(seed: int):
    mdp = random_mdp(seed)
    q = np.random.default_rng(seed).normal(0.0, 3.0, mdp.reward.shape)
    weights = np.exp(q / mdp.alpha)
    partition = weights.sum(axis=1)
    best = boltzmann_policy(mdp, q)
    np.testing.assert_allclose(best, weights / partition[:, None])
    for policy in [best, *random_policies(mdp, seed, 50)]:
        # Equation 14 with one critic: J(s) = E_a[alpha log pi(a | s) - Q(s, a)]
        loss = (policy * (mdp.alpha * np.log(policy) - q)).sum(axis=1)
        divergence = (policy * np.log(policy / best)).sum(axis=1)
        expected = mdp.alpha * divergence - mdp.alpha * np.log(partition)
        np.testing.assert_allclose(loss, expected, atol=ROUNDING)
        assert (divergence >= -ROUNDING).all()
        # V(s) = -J(s) by equation 4, so no policy has more of it than the soft maximum.
        np.testing.assert_allclose(soft_value(mdp, policy, q), -loss, atol=ROUNDING)
        assert (soft_value(mdp, policy, q) <= soft_maximum(mdp, q) + ROUNDING).all()
    np.testing.assert_allclose(soft_value(mdp, best, q), soft_maximum(mdp, q))


@each_seed
def test_every_sweep_improves_q_everywhere(seed: int):
    mdp = random_mdp(seed)
    for policy in [first_action(mdp), *random_policies(mdp, seed, 10)]:
        sweeps = list(soft_policy_sweeps(mdp, policy))
        assert len(sweeps) >= 3
        for old, new in pairwise(sweeps):
            assert (new >= old - ROUNDING).all()
            # Inequality 10, by which it is proved: the new policy gains by the old Q already.
            assert (new >= soft_optimal_backup(mdp, old) - ROUNDING).all()
        assert (sweeps[1] > sweeps[0] + 1e-6).any()


def test_a_greedy_improvement_would_make_the_policy_worse():
    # One state, rewards 0 and 0.1, nothing later: the uniform policy has 0.05 + log 2 = 0.743.
    mdp = FiniteMDP(np.ones((1, 2, 1)), np.array([[0.0, 0.1]]), 0.0, 1.0)
    q = evaluate_exactly(mdp, uniform_policy(mdp))
    greedy = np.array([[0.0, 1.0]])
    assert soft_value(mdp, uniform_policy(mdp), q)[0] == pytest.approx(0.05 + math.log(2.0))
    assert soft_value(mdp, greedy, q)[0] == pytest.approx(0.1)
    assert soft_value(mdp, boltzmann_policy(mdp, q), q)[0] == pytest.approx(0.744397, abs=1e-6)


# Theorem 1: policy iteration


@each_seed
def test_policy_iteration_converges_from_any_policy_to_what_value_iteration_finds(seed: int):
    mdp = random_mdp(seed)
    expected = soft_value_iteration(mdp)
    for policy in [first_action(mdp), *random_policies(mdp, seed, 10)]:
        found = soft_policy_iteration(mdp, policy)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-7)
    # The optimum is the Q of its own policy, and improves on itself by nothing.
    np.testing.assert_allclose(evaluate_exactly(mdp, expected.policy), expected.q, atol=1e-7)
    np.testing.assert_allclose(soft_optimal_backup(mdp, expected.q), expected.q, atol=1e-8)


@each_seed
def test_each_sweep_comes_nearer_to_the_optimum_by_gamma_or_more(seed: int):
    mdp = random_mdp(seed)
    limit = soft_value_iteration(mdp, 1e-11).q
    for old, new in pairwise(soft_policy_sweeps(mdp, first_action(mdp))):
        assert largest(new - limit) <= mdp.gamma * largest(old - limit) + ROUNDING


@each_seed
def test_no_policy_is_worth_more_than_the_optimum_in_any_state(seed: int):
    mdp = random_mdp(seed)
    optimum = soft_policy_iteration(mdp, uniform_policy(mdp))
    generator = np.random.default_rng([seed, 3])
    near = [  # the optimum, a little off
        boltzmann_policy(mdp, optimum.q + generator.normal(0.0, deviation, optimum.q.shape))
        for deviation in np.geomspace(0.01, 1.0, 50)
    ]
    for policy in [first_action(mdp), *random_policies(mdp, seed, 200), *near]:
        q = evaluate_exactly(mdp, policy)
        assert (q <= optimum.q + 1e-8).all()
        assert (soft_value(mdp, policy, q) <= optimum.value + 1e-8).all()
        assert (soft_value(mdp, policy, q) < optimum.value - 1e-7).any()


# The temperature


@each_seed
def test_the_optimum_becomes_the_greedy_one_as_the_temperature_goes_to_zero(seed: int):
    mdp = random_mdp(seed)
    q = mdp.reward
    for _ in range(700):  # plain value iteration; 0.95^700 is 3e-16
        q = mdp.reward + mdp.discount @ q.max(axis=1)
    for alpha in (1.0, 0.1, 1e-3, 1e-6):
        optimum = soft_value_iteration(replace(mdp, alpha=alpha))
        # It earns what entropy is paid besides, and that is alpha log(A) in each step at most.
        bonus = alpha * math.log(q.shape[1]) / (1.0 - mdp.gamma)
        assert (optimum.q >= q - 1e-8).all()
        assert (optimum.q <= q + bonus + 1e-8).all()
    greedy = np.eye(q.shape[1])[q.argmax(axis=1)]
    np.testing.assert_allclose(optimum.policy, greedy, atol=1e-6)


@each_seed
def test_the_optimum_becomes_uniform_as_the_temperature_grows(seed: int):
    mdp = replace(random_mdp(seed), terminated=None)  # at an end only those who are not there earn
    deviations = []
    for alpha in (1e2, 1e4, 1e6):
        policy = soft_policy_iteration(replace(mdp, alpha=alpha), uniform_policy(mdp)).policy
        deviations.append(largest(policy - uniform_policy(mdp)))
    assert deviations[2] < 1e-4
    np.testing.assert_allclose(deviations[1] / deviations[2], 100.0, rtol=0.01)


@each_alpha
@pytest.mark.parametrize('gamma', [0.0, 0.9])
def test_the_optimum_of_a_bandit_is_the_softmax_of_its_rewards(alpha: float, gamma: float):
    reward = alpha * np.log([[1.0, 2.0, 5.0]])
    mdp = FiniteMDP(np.ones((1, 3, 1)), reward, gamma, alpha)
    optimum = soft_policy_iteration(mdp, uniform_policy(mdp))
    # exp(r / alpha) is 1, 2 and 5, Z is 8; what comes later is the same whatever is done now.
    np.testing.assert_allclose(optimum.policy, [[0.125, 0.25, 0.625]], rtol=1e-12)
    np.testing.assert_allclose(optimum.value, alpha * math.log(8.0) / (1.0 - gamma), atol=1e-8)


def test_each_entropy_is_that_of_one_temperature():
    # So the loss of the temperature has one minimum, and its gradient leads there: equation 23.
    reward = np.array([[0.0, 1.0, 3.0]])
    entropies = [
        entropy(boltzmann_policy(FiniteMDP(np.ones((1, 3, 1)), reward, 0.0, alpha), reward))[0]
        for alpha in np.geomspace(0.05, 1e4, 100)
    ]
    assert (np.diff(entropies) > 0.0).all()
    assert entropies[0] == pytest.approx(0.0, abs=1e-6)
    assert entropies[-1] == pytest.approx(math.log(3.0), abs=1e-6)


def test_the_page_on_the_theory_names_tests_that_exist():
    named = set(re.findall(r'`(test_\w+)`', PAGE.read_text(encoding='utf-8')))
    assert len(named) >= 10
    assert named <= globals().keys()
