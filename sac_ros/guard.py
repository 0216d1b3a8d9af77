"""The guard: is what was measured fit to act on?  Pure; the caller brings the time."""

import math

import numpy as np

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import QUATERNIONS, SOURCES, RobotState

FUTURE_TOLERANCE = 0.05  # [s]: clocks of two machines kept by NTP or PTP differ by less
NORM_TOLERANCE = 0.01  # of a unit quaternion; drivers that send single precision keep 1e-6
LARGEST = float(np.finfo(np.float32).max)  # the policy reads float32, in which 1e39 is infinite


class Guard:
    """The checks of one contract, in this order: arrived, whole, finite, fresh, plausible.

    Finite comes before any comparison: every comparison with NaN is false, so a range check
    alone would let it through.
    """

    def __init__(self, spec: TaskSpec) -> None:
        """Prepare the sizes and limits of `spec`."""
        self._spec = spec
        self._sizes = spec.measured
        self._needed = {
            source: [name for name in SOURCES[source] if name in spec.measured]
            for source in spec.sources
        }
        self._timeouts = {source: spec.topics[source].timeout or 0.0 for source in spec.sources}
        self._limits = {
            name: (np.asarray(limits.lower), np.asarray(limits.upper))
            for name, limits in spec.limits.items()
        }
        whole = (np.asarray(-LARGEST), np.asarray(LARGEST))
        self._bounds = {name: self._limits.get(name, whole) for name in spec.measured}

    def find_fault(self, state: RobotState, now: float) -> Fault | None:
        """Return why `state` must not be acted on at time `now` [s], or None."""
        for source, needed in self._needed.items():
            if self._is_fit(source, needed, state, now):
                continue
            fault = self._find_source_fault(source, needed, state, now)
            if fault is not None:
                return fault
        return None

    def _is_fit(self, source: str, needed: list[str], state: RobotState, now: float) -> bool:
        """Tell quickly whether there is nothing to look for; when in doubt, there is.

        A comparison with NaN is false, so what lies within bounds is finite too.
        """
        if source in state.refused or source not in state.stamps:
            return False
        age = now - state.stamps[source]
        if not (-FUTURE_TOLERANCE <= age <= self._timeouts[source] and math.isfinite(age)):
            return False
        for name in needed:
            value = getattr(state, name)
            if value is None or value.shape != (self._sizes[name],) or name in QUATERNIONS:
                return False
            lower, upper = self._bounds[name]
            if not ((value >= lower) & (value <= upper)).all():
                return False
        return True

    def _find_source_fault(
        self, source: str, needed: list[str], state: RobotState, now: float
    ) -> Fault | None:
        if source in state.refused:
            return state.refused[source]
        if source not in state.stamps:
            return Fault('E_OBS_MISSING', f'no message on {source} yet')
        for name in needed:
            fault = self._find_value_fault(source, name, getattr(state, name))
            if fault is not None:
                return fault
        fault = self._find_age_fault(source, now - state.stamps[source])
        if fault is not None:
            return fault
        for name in needed:
            fault = self._find_range_fault(name, getattr(state, name))
            if fault is not None:
                return fault
        return None

    def _find_value_fault(self, source: str, name: str, value: np.ndarray | None) -> Fault | None:
        size = self._sizes[name]
        if value is None:
            return Fault('E_OBS_MISSING_FIELD', f'{source} brings no {name}')
        if value.shape != (size,):
            return Fault('E_OBS_SHAPE', f'{name} has shape {value.shape}, ({size},) is needed')
        finite = np.abs(value) <= LARGEST  # false for NaN too
        if not finite.all():
            i = int(np.argmin(finite))
            return Fault('E_OBS_NONFINITE', f'{self._element(name, i)} is {value[i]}')
        if name in QUATERNIONS:
            norm = float(np.linalg.norm(value))
            if abs(norm - 1.0) > NORM_TOLERANCE:
                return Fault('E_OBS_QUAT', f'{name} has norm {norm:g}; 1 is needed')
        return None

    def _find_age_fault(self, source: str, age: float) -> Fault | None:
        """Check the age on both sides: a stamp in the future would never go stale."""
        timeout = self._timeouts[source]
        if not math.isfinite(age):
            return Fault('E_OBS_STALE', f'the age of {source} is {age}')
        if age > timeout:
            return Fault('E_OBS_STALE', f'{source} is {age:.3f} s old (limit {timeout:g} s)')
        if age < -FUTURE_TOLERANCE and math.isfinite(timeout):
            return Fault(
                'E_STAMP_FUTURE',
                f'{source} is stamped {-age:.3f} s in the future (limit {FUTURE_TOLERANCE} s)',
            )
        return None

    def _find_range_fault(self, name: str, value: np.ndarray) -> Fault | None:
        if name not in self._limits:
            return None
        lower, upper = self._limits[name]
        outside = (value < lower) | (value > upper)
        if not outside.any():
            return None
        i = int(np.argmax(outside))
        low, high = (np.broadcast_to(limit, value.shape)[i] for limit in (lower, upper))
        text = f'{self._element(name, i)} {value[i]:g} is outside [{low}, {high}]'
        is_angle = name in ('joint_position', 'joint_velocity') and abs(value[i]) > 2.0 * math.pi
        if is_angle and low <= math.radians(value[i]) <= high:
            text += '; is it in degrees?  Radians are needed'
        return Fault('E_OBS_RANGE', text)

    def _element(self, name: str, i: int) -> str:
        return f'{name} of {self._spec.joints[i]}' if name.startswith('joint_') else f'{name}[{i}]'
