"""RateLimit: the ActionMap of the robot inside an update, in torch.

A robot carries out an action only as far as `max_rate` lets the command move in a period, and what
is stored there is the command.  So the critics know commands, and are asked about the command that
an action would become; `previous_action` in the observation tells where it starts from.
"""

import numpy as np
import torch
from torch import Tensor

from sac_ros.spec import TaskSpec


class RateLimit:
    """(observations, unit actions) -> the unit commands that they become in one period."""

    def __init__(self, spec: TaskSpec, previous: slice) -> None:
        """Limit as `spec` does; `previous` is where an observation has the last command."""
        lower, upper = (spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper))
        half_range = (upper - lower) / 2.0
        self._previous = previous
        self._middle = _float32((lower + upper) / 2.0)
        self._half_range = _float32(half_range)
        self._step = _float32(spec.per_action(spec.action.max_rate) * spec.dt / half_range)

    @property
    def never_acts(self) -> bool:
        """Tell whether a command can go anywhere within one period."""
        return bool((self._step >= 2.0).all())

    def __call__(self, observation: Tensor, unit_action: Tensor) -> Tensor:
        """Return the commands, in [-1, 1]; their slope is that of the actions.

        Straight through the limit (Bengio et al. 2013, arXiv:1308.3432): an action that asks for
        more than can be had still learns in which direction it is worth asking.
        """
        previous = (observation[:, self._previous] - self._middle) / self._half_range
        change = (unit_action - previous).clamp(-self._step, self._step)
        return unit_action + (previous + change - unit_action).detach()


def find_rate_limit(spec: TaskSpec) -> RateLimit | None:
    """Return the limit of a contract, or None where it never acts or cannot be known.

    It cannot be known where the observation lacks `previous_action`.
    """
    start = 0
    for term in spec.observation:
        size = spec.term_size(term)
        if term.term == 'previous_action':
            limit = RateLimit(spec, slice(start, start + size))
            return None if limit.never_acts else limit
        start += size
    return None


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
