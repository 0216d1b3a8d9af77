"""Soft policy iteration on a finite MDP: what sim_training/sac.py approximates, exactly.

No networks, no samples, no files: float64 tables over S states and A actions.  docs/theory.md says
which test shows what.  The theorems are Lemma 1, Lemma 2 and Theorem 1 of Haarnoja et al. 2018a
(arXiv:1801.01290), where alpha is 1.  Equation numbers are, as in sim_training/sac.py, those of
Hoffmann's text "Soft Actor-Critic"; the paper's own stand behind them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sac_ros.errors import UserError

TOLERANCE = 1e-9  # how far a Q that is iterated to may be from its limit, in units of reward
ROUNDING = 1e-9  # how far the sum of probabilities may be from 1


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A Markov decision process of S states and A actions, and the temperature of its objective.

    Behind a state that is `terminated` there is nothing: it is worth 0 to whoever enters it.  An
    absorbing state without reward is worth more, alpha log(A) / (1 - gamma) at best: in it, the
    entropy of the policy goes on being paid for.
    """

    transition: np.ndarray  # p(s' | s, a), shape (S, A, S)
    reward: np.ndarray  # r(s, a), shape (S, A)
    gamma: float  # discount of the reward one step later
    alpha: float  # what one nat of entropy is worth in reward
    terminated: np.ndarray | None = None  # bool, shape (S,); None: no state is

    def __post_init__(self) -> None:
        """Refuse what is no MDP, by name."""
        shape = self.reward.shape
        if len(shape) != 2 or 0 in shape:
            raise UserError(f'reward has shape {shape}; needed: (states, actions), 1 or more each')
        states, actions = shape
        _check_shape('transition', self.transition, (states, actions, states))
        _check_finite('reward', self.reward)
        _check_probabilities('transition', self.transition)
        if not 0.0 <= self.gamma < 1.0:
            raise UserError(f'gamma is {self.gamma}; allowed: from 0 to below 1')
        if not 0.0 < self.alpha < np.inf:
            raise UserError(f'alpha is {self.alpha}; allowed: finite and above 0')
        if self.terminated is not None:
            _check_shape('terminated', self.terminated, (states,))
            if self.terminated.dtype != bool:
                raise UserError(f'terminated is of {self.terminated.dtype}; needed: bool')

    @property
    def discount(self) -> np.ndarray:
        """What V(s') counts at (s, a): gamma p(s' | s, a) (1 - terminated(s')), (S, A, S)."""
        ended = 0.0 if self.terminated is None else self.terminated
        return self.gamma * self.transition * (1.0 - ended)


class SoftOptimum(NamedTuple):
    """The policy that no other one exceeds in any state, and what it is worth."""

    policy: np.ndarray  # pi(a | s), shape (S, A)
    q: np.ndarray  # Q(s, a), in units of reward, shape (S, A)
    value: np.ndarray  # V(s), in units of reward, shape (S,)


def soft_policy_iteration(
    mdp: FiniteMDP, policy: np.ndarray, tolerance: float = TOLERANCE
) -> SoftOptimum:
    """Evaluate and improve in turn, from any `policy` (S, A), until Q is at its limit.

    Theorem 1 of 2018a.
    """
    return _optimum(mdp, _last(soft_policy_sweeps(mdp, policy, tolerance)))


def soft_policy_sweeps(
    mdp: FiniteMDP, policy: np.ndarray, tolerance: float = TOLERANCE
) -> Iterator[np.ndarray]:
    """Yield Q of `policy`, then of each policy that improves on the one before, (S, A)."""

    def improve_and_evaluate(q: np.ndarray) -> np.ndarray:
        return evaluate_exactly(mdp, boltzmann_policy(mdp, q))

    return _approach(improve_and_evaluate, evaluate_exactly(mdp, policy), mdp.gamma, tolerance)


def soft_value_iteration(mdp: FiniteMDP, tolerance: float = TOLERANCE) -> SoftOptimum:
    """Find the same optimum without a policy on the way, by `soft_optimal_backup` alone."""

    def backup(q: np.ndarray) -> np.ndarray:
        return soft_optimal_backup(mdp, q)

    return _optimum(mdp, _last(_approach(backup, mdp.reward, mdp.gamma, tolerance)))


def evaluate_exactly(mdp: FiniteMDP, policy: np.ndarray) -> np.ndarray:
    """Return Q of `policy`, (S, A): the fixed point of its `soft_backup`, by a linear solve."""
    _check_policy(mdp, policy)
    # V(s) = E_a[r(s, a)] + alpha H(pi(. | s)) + E_a[sum_s' discount(s, a, s') V(s')]
    earned = (policy * mdp.reward).sum(axis=1) + mdp.alpha * entropy(policy)
    discount = np.einsum('sa,san->sn', policy, mdp.discount)
    value = np.linalg.solve(np.eye(len(earned)) - discount, earned)
    return mdp.reward + mdp.discount @ value


def evaluate_by_backups(
    mdp: FiniteMDP, policy: np.ndarray, q: np.ndarray, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Return Q of `policy`, (S, A), by repeated `soft_backup` of any `q` (S, A).

    Equation 5 (Lemma 1 of 2018a): the error shrinks by gamma each time.
    """

    def backup(q: np.ndarray) -> np.ndarray:
        return soft_backup(mdp, policy, q)

    return _last(_approach(backup, q, mdp.gamma, tolerance))


def soft_backup(mdp: FiniteMDP, policy: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return T Q of `policy`, (S, A): the mean of what `SAC.target` samples."""
    # Equation 2 (2018a: 2): T Q(s, a) = r(s, a) + gamma E_s'[V(s')], with V(s') = 0 behind the end
    return mdp.reward + mdp.discount @ soft_value(mdp, policy, q)


def soft_value(mdp: FiniteMDP, policy: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return V, (S,), of `policy` (S, A) where its actions are worth `q` (S, A)."""
    _check_policy(mdp, policy)
    _check_q(mdp, q)
    # Equation 4 (2018a: 3): V(s) = E_a[Q(s, a) - alpha log pi(a | s)]
    return (policy * q).sum(axis=1) + mdp.alpha * entropy(policy)


def boltzmann_policy(mdp: FiniteMDP, q: np.ndarray) -> np.ndarray:
    """Return the improved policy, (S, A), the one that is closest to exp(Q / alpha) / Z.

    It minimises the loss of SAC's actor, E_a[alpha log pi(a | s) - Q(s, a)], in every state: that
    is alpha KL(pi || exp(Q / alpha) / Z) - alpha log Z.
    """
    _check_q(mdp, q)
    # Equation 7 (2018a: 4): pi(a | s) = exp(Q(s, a) / alpha) / Z(s)
    weight = np.exp((q - q.max(axis=1, keepdims=True)) / mdp.alpha)
    return weight / weight.sum(axis=1, keepdims=True)


def soft_optimal_backup(mdp: FiniteMDP, q: np.ndarray) -> np.ndarray:
    """Return the largest `soft_backup` of `q`, (S, A): that of its own `boltzmann_policy`."""
    return mdp.reward + mdp.discount @ soft_maximum(mdp, q)


def soft_maximum(mdp: FiniteMDP, q: np.ndarray) -> np.ndarray:
    """Return the largest `soft_value` that a policy can have where actions are worth `q`, (S,)."""
    _check_q(mdp, q)
    # Equation A3, where alpha is 1: V(s) = alpha log Z(s) = alpha log sum_a exp(Q(s, a) / alpha)
    largest = q.max(axis=1)
    weight = np.exp((q - largest[:, None]) / mdp.alpha)
    return largest + mdp.alpha * np.log(weight.sum(axis=1))


def uniform_policy(mdp: FiniteMDP) -> np.ndarray:
    """Return the policy that prefers nothing, (S, A)."""
    return np.full(mdp.reward.shape, 1.0 / mdp.reward.shape[1])


def entropy(policy: np.ndarray) -> np.ndarray:
    """Return H(pi(. | s)) = -sum_a pi(a | s) log pi(a | s) [nat], (S,); 0 log 0 is 0."""
    log_pi = np.log(policy, where=policy > 0.0, out=np.zeros_like(policy))
    return -(policy * log_pi).sum(axis=1)


def _optimum(mdp: FiniteMDP, q: np.ndarray) -> SoftOptimum:
    return SoftOptimum(boltzmann_policy(mdp, q), q, soft_maximum(mdp, q))


def _approach(
    step: Callable[[np.ndarray], np.ndarray], q: np.ndarray, gamma: float, tolerance: float
) -> Iterator[np.ndarray]:
    """Yield q, step(q), step(step(q)) ... until one is within `tolerance` of their limit.

    Each `step` must bring q nearer to the limit by gamma or more, in the maximum norm.
    """
    if not 0.0 < tolerance < np.inf:
        raise UserError(f'tolerance is {tolerance}; allowed: finite and above 0')
    farthest = float(np.finfo(np.float64).max)  # an upper bound of max |q - limit|
    yield q
    while farthest > tolerance:
        following = step(q)
        change = float(np.abs(following - q).max())
        # |step(q) - limit| <= gamma |q - limit|, so |q - limit| <= |step(q) - q| / (1 - gamma).
        # The first alone ends the loop where rounding keeps the change above the tolerance.
        farthest = min(gamma * farthest, gamma / (1.0 - gamma) * change)
        q = following
        yield q


def _last(sweeps: Iterator[np.ndarray]) -> np.ndarray:
    return deque(sweeps, maxlen=1).pop()


def _check_policy(mdp: FiniteMDP, policy: np.ndarray) -> None:
    _check_shape('policy', policy, mdp.reward.shape)
    _check_probabilities('policy', policy)


def _check_q(mdp: FiniteMDP, q: np.ndarray) -> None:
    _check_shape('q', q, mdp.reward.shape)
    _check_finite('q', q)


def _check_shape(name: str, values: np.ndarray, needed: tuple[int, ...]) -> None:
    if values.shape != needed:
        raise UserError(f'{name} has shape {values.shape}; needed: {needed}')


def _check_finite(name: str, values: np.ndarray) -> None:
    wrong = np.argwhere(~np.isfinite(values)).tolist()
    if wrong:
        raise UserError(f'{name}{wrong[0]} is {values[tuple(wrong[0])]}; needed: finite')


def _check_probabilities(name: str, values: np.ndarray) -> None:
    """Refuse rows, along the last axis, that are no probabilities: NaN fails every comparison."""
    sums, least = values.sum(axis=-1), values.min(axis=-1)
    wrong = np.argwhere(~((np.abs(sums - 1.0) <= ROUNDING) & (least >= 0.0))).tolist()
    if wrong:
        row = tuple(wrong[0])
        raise UserError(
            f'{name}{wrong[0]} has the sum {sums[row]:.12g} and the smallest probability '
            f'{least[row]:.12g}; needed: 1, and 0 or more'
        )
