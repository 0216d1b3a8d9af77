"""torch = onnxruntime?  Asked of whatever the contract says a robot may measure.  No files.

A steep policy magnifies the rounding of float32, in torch too.  So onnxruntime may differ from
torch by PARITY or, where that is more, by ROUNDINGS times what torch itself differs from its own
answers in float64; never by more than HIGHEST.
"""

import copy

import numpy as np
import torch

from sac_ros.errors import UserError
from sac_ros.policy import PARITY, OnnxPolicy, action_range
from sac_ros.spec import ObservationTerm, TaskSpec
from sim_training.networks import Actor

OBSERVATIONS = 10_000
ROUNDINGS = 4.0
HIGHEST = 1e-3  # as a fraction of the action range, like PARITY
UNLIMITED = 10.0  # standard deviations: the range of a term that the contract sets no limits for


class ParityError(UserError):
    """A model that does not compute what its actor does, and where, in one line."""


def check_parity(actor: Actor, policy: OnnxPolicy, where: str) -> float:
    """Return the largest torch/onnxruntime difference as a fraction of the action range.

    Raises ParityError naming the worst element when it exceeds what float32 leaves open.
    """
    observations = plausible_observations(actor, policy.spec, OBSERVATIONS)
    expected = mean_actions(actor, observations)
    answers = np.stack([policy(observation) for observation in observations])
    difference = np.abs(answers - expected) / action_range(policy.spec)
    worst = np.nan_to_num(difference, nan=np.inf)
    noise = rounding(actor, policy.spec, observations, expected)
    limit = np.clip(ROUNDINGS * noise.max(), PARITY, HIGHEST)
    if worst.max() > limit:
        case, element = np.unravel_index(np.argmax(worst), worst.shape)
        raise ParityError(
            f'{where}: {policy.spec.action_names[element]} is {expected[case, element]:g} in '
            f'torch and {answers[case, element]:g} in onnxruntime; the limit is {limit:.2g} of '
            'the range'
        )
    return float(worst.max())


def plausible_observations(actor: Actor, spec: TaskSpec, count: int) -> np.ndarray:
    """Return seeded observations: float32, shape (count, observation_size).

    A third anywhere within the contract's limits, a third in their corners, a third near the
    middle.  What lies outside never reaches the policy: the guard refuses it.
    """
    random = np.random.default_rng(0)
    lower, upper = plausible_range(actor, spec)
    middle, half_range = (lower + upper) / 2.0, (upper - lower) / 2.0
    anywhere = random.uniform(-1.0, 1.0, size=(count, len(lower)))
    kind = np.arange(count)[:, None] % 3
    place = np.where(kind == 0, anywhere, np.where(kind == 1, np.sign(anywhere), 0.01 * anywhere))
    return (middle + half_range * place).astype(np.float32)


def plausible_range(actor: Actor, spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest value of each observation element, (observation_size,)."""
    mean, scale = actor.input_norm()
    lower, upper, start = mean - UNLIMITED / scale, mean + UNLIMITED / scale, 0
    for term in spec.observation:
        part = slice(start, start + spec.term_size(term))
        limits = _term_limits(spec, term)
        if limits is not None:
            lower[part], upper[part] = limits
        start = part.stop
    return lower, upper


def mean_actions(actor: Actor, observations: np.ndarray) -> np.ndarray:
    """Return torch's deterministic actions, float32, shape (count, action_size)."""
    with torch.no_grad():
        return actor.mean_action(torch.from_numpy(observations)).numpy()


def rounding(
    actor: Actor, spec: TaskSpec, observations: np.ndarray, actions: np.ndarray
) -> np.ndarray:
    """Return what float32 costs torch: the largest error of each of its `actions`, (count,).

    It is a fraction of the action range, and 0 where there is no number.
    """
    exact = copy.deepcopy(actor).double()
    with torch.no_grad():
        wanted = exact.mean_action(torch.from_numpy(observations).double()).numpy()
    worst: np.ndarray = (np.abs(actions - wanted) / action_range(spec)).max(axis=1)
    return np.nan_to_num(worst, nan=0.0)


def _term_limits(spec: TaskSpec, term: ObservationTerm) -> tuple[np.ndarray, np.ndarray] | None:
    if term.term == 'previous_action':
        return spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    if term.term == 'goal_from_tool' and {'goal', 'tool_position'} <= spec.limits.keys():
        goal, tool = spec.limits['goal'], spec.limits['tool_position']
        return np.subtract(goal.lower, tool.upper), np.subtract(goal.upper, tool.lower)
    if term.term in spec.limits:
        limits = spec.limits[term.term]
        return np.asarray(limits.lower), np.asarray(limits.upper)
    return None
