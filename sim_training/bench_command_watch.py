"""CommandWatch: does each command of a stream come in time, and is it one that may be sent?"""

import numpy as np
from numpy.typing import ArrayLike

from sac_ros.spec import TaskSpec

LATE = 1.5  # [periods] between two commands, beyond which a period has passed without one
ROUNDING = 1e-9  # of a command, beyond what its bounds or its rate allow


class CommandWatch:
    """Counts while commands arrive, and keeps none of them but the last."""

    def __init__(self, spec: TaskSpec) -> None:
        """Judge by the rate, bounds and largest change of the contract `spec`."""
        self._period = spec.dt
        self._lower = spec.per_action(spec.action.lower) - ROUNDING
        self._upper = spec.per_action(spec.action.upper) + ROUNDING
        self._max_step = spec.per_action(spec.action.max_rate) * spec.dt + ROUNDING
        self._last: np.ndarray | None = None
        self._last_at = 0.0  # [s]
        self.commands = 0
        self.missed = 0  # periods without a command
        self.longest = 0.0  # [periods] between two commands
        self.violations = 0  # commands that are not finite, out of bounds or changed too fast

    def add(self, now: float, command: ArrayLike) -> None:
        """Take a command that came at `now` [s]."""
        self.end(now)
        values = np.asarray(command, dtype=np.float64)
        periods = max(1, round((now - self._last_at) / self._period))  # one may have been lost
        self.violations += not self._is_allowed(values, periods)
        self.commands += 1
        self._last, self._last_at = values, now

    def end(self, now: float) -> None:
        """Count the periods that have passed without a command until `now` [s]."""
        if self._last is None:
            return
        interval = (now - self._last_at) / self._period
        self.longest = max(self.longest, interval)
        if interval > LATE:
            self.missed += max(round(interval) - 1, 1)

    def _is_allowed(self, values: np.ndarray, periods: int) -> bool:
        if values.shape != self._lower.shape:
            return False
        if not ((values >= self._lower) & (values <= self._upper)).all():  # false for NaN too
            return False
        if self._last is None or self._last.shape != values.shape:
            return True
        change = np.abs(values - self._last)
        return not (
            change > periods * self._max_step
        ).any()  # after NaN, anything allowed is a recovery
