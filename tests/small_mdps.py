"""Small MDPs for tests, random ones and one to be solved by hand, and policies for them."""

import numpy as np

from sim_training.soft_policy_iteration import FiniteMDP


def random_mdp(seed: int) -> FiniteMDP:
    """Return 2 to 6 states and 2 to 4 actions, few next states likely; odd seeds have an end."""
    generator = np.random.default_rng(seed)
    states, actions = generator.integers(2, 7), generator.integers(2, 5)
    return FiniteMDP(
        transition=generator.dirichlet(np.full(states, 0.3), (states, actions)),
        reward=generator.normal(0.0, 2.0, (states, actions)),
        gamma=generator.uniform(0.5, 0.95),
        alpha=generator.uniform(0.1, 2.0),
        terminated=np.arange(states) == 0 if seed % 2 else None,
    )


def random_policies(mdp: FiniteMDP, seed: int, count: int) -> np.ndarray:
    """Return policies from nearly deterministic to nearly uniform, (count, S, A); none has a 0."""
    generator = np.random.default_rng([seed, 1])
    states, actions = mdp.reward.shape
    drawn = [
        generator.dirichlet(np.full(actions, spread), states)
        for spread in np.geomspace(0.05, 20.0, count)
    ]
    return (1.0 - 1e-6) * np.array(drawn) + 1e-6 / actions


def first_action(mdp: FiniteMDP) -> np.ndarray:
    """Return the policy that always takes action 0."""
    return np.eye(mdp.reward.shape[1])[np.zeros(len(mdp.reward), int)]


def two_states(reward_to_leave: float, alpha: float, *, terminated: bool = False) -> FiniteMDP:
    """Return state 0, where action 0 stays and 1 leaves for state 1, which keeps all it gets."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    reward = np.array([[0.0, reward_to_leave], [0.0, 0.0]])
    return FiniteMDP(transition, reward, 0.5, alpha, np.array([False, terminated]))
