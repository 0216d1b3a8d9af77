"""SmoothNoise: what is added to the actions of a robot that explores.  No ROS."""

import math

import numpy as np

from sac_ros.spec import TaskSpec

LARGEST = 2.0  # [standard deviations]: beyond, it is cut off


class SmoothNoise:
    """An Ornstein-Uhlenbeck process for each element of the action: one value a period.

    It wanders where white noise would shake the gears.
    """

    def __init__(
        self,
        spec: TaskSpec,
        exploration: float,
        correlation_time: float,
        generator: np.random.Generator,
    ) -> None:
        """Explore with a deviation of `exploration` times half the range of the action.

        correlation_time: [s] in which e^-1 of a value is left; 0 is white noise.
        """
        self.exploration = exploration
        self._lower, self._upper = (
            spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper)
        )
        self._deviation = exploration * (0.5 * self._upper - 0.5 * self._lower)
        periods = correlation_time / spec.dt
        self._kept = math.exp(-1.0 / periods) if periods > 0.0 else 0.0
        self._renewed = math.sqrt(1.0 - self._kept**2)
        self._generator = generator
        self.restart()

    def restart(self) -> None:
        """Begin at 0 again, with other random numbers than before."""
        self._value = np.zeros(len(self._deviation))  # of unit variance, once it has wandered

    def added_to(self, action: np.ndarray) -> np.ndarray:
        """Return an action with the noise of the next period, float32 and within its bounds."""
        return np.clip(action + self.next(), self._lower, self._upper).astype(np.float32)

    def next(self) -> np.ndarray:
        """Return the noise of the next period, in the action's units, float64, (action_size,)."""
        # x(t + dt) = e^(-dt/tau) x(t) + sqrt(1 - e^(-2 dt/tau)) n,  n ~ N(0, 1): exact for any dt
        # (Gillespie, Exact numerical simulation of the Ornstein-Uhlenbeck process and its
        # integral, Phys. Rev. E 54, 1996)
        n = self._generator.standard_normal(len(self._value))
        self._value = self._kept * self._value + self._renewed * n
        return self._deviation * np.clip(self._value, -LARGEST, LARGEST)
