"""Soft policy iteration: numbers that are hard on float64, and those that are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_mdps import first_action, random_mdp, two_states

from sac_ros.errors import UserError
from sim_training.soft_policy_iteration import (
    boltzmann_policy,
    evaluate_by_backups,
    evaluate_exactly,
    soft_backup,
    soft_maximum,
    soft_policy_iteration,
    soft_value_iteration,
    uniform_policy,
)


@pytest.mark.parametrize('alpha', [1e-200, 1e-6, 1.0])
def test_large_values_neither_overflow_nor_lose_the_sum_of_probabilities(alpha: float):
    mdp = two_states(1e9, alpha)
    with np.errstate(over='raise', invalid='raise', divide='raise'):
        optimum = soft_policy_iteration(mdp, uniform_policy(mdp))
    np.testing.assert_allclose(optimum.policy.sum(axis=1), 1.0, rtol=1e-15)
    # Leaving earns 1e9; staying once, and then leaving, half of that.
    np.testing.assert_allclose(optimum.q[0], [0.5e9, 1e9], rtol=1e-8)
    np.testing.assert_allclose(soft_maximum(mdp, optimum.q), optimum.value)


def test_an_iteration_ends_also_where_rounding_is_coarser_than_the_tolerance():
    mdp = replace(random_mdp(0), reward=1e12 * random_mdp(0).reward)
    limit = evaluate_exactly(mdp, first_action(mdp))
    found = evaluate_by_backups(mdp, first_action(mdp), 0.0 * limit, tolerance=1e-300)
    np.testing.assert_allclose(found, limit, rtol=1e-10)


THIRDS = np.full((3, 2, 3), 1.0 / 3.0)
NEGATIVE = np.array([[[-0.5, 1.5]] * 2] * 2)
BAD_MDPS = [
    ({'gamma': 1.0}, 'gamma is 1.0; allowed: from 0 to below 1'),
    ({'gamma': -0.1}, 'gamma is -0.1; allowed: from 0 to below 1'),
    ({'gamma': math.nan}, 'gamma is nan; allowed: from 0 to below 1'),
    ({'alpha': 0.0}, 'alpha is 0.0; allowed: finite and above 0'),
    ({'alpha': -1.0}, 'alpha is -1.0; allowed: finite and above 0'),
    ({'alpha': math.inf}, 'alpha is inf; allowed: finite and above 0'),
    ({'alpha': math.nan}, 'alpha is nan; allowed: finite and above 0'),
    ({'transition': THIRDS}, 'transition has shape (3, 2, 3); needed: (2, 2, 2)'),
    (
        {'transition': np.full((2, 2, 2), 0.45)},
        'transition[0, 0] has the sum 0.9 and the smallest probability 0.45; needed: 1, '
        'and 0 or more',
    ),
    (
        {'transition': NEGATIVE},
        'transition[0, 0] has the sum 1 and the smallest probability -0.5; needed: 1, '
        'and 0 or more',
    ),
    (
        {'transition': np.full((2, 2, 2), math.nan)},
        'transition[0, 0] has the sum nan and the smallest probability nan; needed: 1, '
        'and 0 or more',
    ),
    (
        {'reward': np.zeros(2)},
        'reward has shape (2,); needed: (states, actions), 1 or more each',
    ),
    (
        {'reward': np.zeros((2, 0))},
        'reward has shape (2, 0); needed: (states, actions), 1 or more each',
    ),
    ({'reward': np.array([[0.0, 1.0], [math.inf, 0.0]])}, 'reward[1, 0] is inf; needed: finite'),
    ({'terminated': np.zeros(3, bool)}, 'terminated has shape (3,); needed: (2,)'),
    ({'terminated': np.zeros(2)}, 'terminated is of float64; needed: bool'),
]


@pytest.mark.parametrize(('changes', 'message'), BAD_MDPS, ids=[text for _, text in BAD_MDPS])
def test_what_is_no_mdp_is_refused_in_one_line(changes: dict[str, object], message: str):
    with pytest.raises(UserError) as refusal:
        replace(two_states(1.0, 1.0), **changes)
    assert str(refusal.value) == message


def test_what_is_no_policy_no_q_and_no_tolerance_is_refused_in_one_line():
    mdp = two_states(1.0, 1.0)
    uniform = uniform_policy(mdp)
    for act, message in [
        (lambda: evaluate_exactly(mdp, uniform[0]), 'policy has shape (2,); needed: (2, 2)'),
        (
            lambda: soft_policy_iteration(mdp, np.array([[0.5, 0.5], [0.5, 0.6]])),
            'policy[1] has the sum 1.1 and the smallest probability 0.5; needed: 1, and 0 or more',
        ),
        (lambda: soft_backup(mdp, uniform, np.zeros(2)), 'q has shape (2,); needed: (2, 2)'),
        (
            lambda: boltzmann_policy(mdp, np.array([[0.0, math.nan], [0.0, 0.0]])),
            'q[0, 1] is nan; needed: finite',
        ),
        (
            lambda: soft_value_iteration(mdp, tolerance=0.0),
            'tolerance is 0.0; allowed: finite and above 0',
        ),
    ]:
        with pytest.raises(UserError) as refusal:
            act()
        assert str(refusal.value) == message
