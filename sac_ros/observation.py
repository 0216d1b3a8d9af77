"""Observation vector from a RobotState.  No ROS, no torch: both worlds call this function."""

import numpy as np

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState
from sac_ros.terms import TERMS


class ObservationError(ValueError):
    """A term that the state cannot fill: the guard was not asked, or the env is wrong."""


def observe(spec: TaskSpec, state: RobotState, previous: np.ndarray) -> np.ndarray:
    """Concatenate the spec's terms in declared order: float32, SI, shape (observation_size,).

    `previous` is the command of the last period, shape (action_size,).
    """
    parts = []
    for name, size in spec.term_sizes.items():
        value = TERMS[name].value(state, previous)
        if value is None or value.shape != (size,):
            found = 'nothing' if value is None else f'shape {value.shape}'
            raise ObservationError(f"term '{name}' needs shape ({size},), found {found}")
        parts.append(value)
    return np.concatenate(parts, dtype=np.float32)


def find_nonfinite_term(spec: TaskSpec, observation: np.ndarray) -> Fault | None:
    """Return which term is not finite in float32, or None.

    A difference of two measured numbers may overflow although each of them fits.
    """
    if np.isfinite(observation).all():
        return None
    parts = split_observation(spec, observation).items()
    name, value = next((name, value) for name, value in parts if not np.isfinite(value).all())
    i = int(np.argmin(np.isfinite(value)))
    text = f'{name}[{i}] of the observation is {value[i]}; a finite number in float32 is needed'
    return Fault('E_OBS_NONFINITE', text)


def split_observation(spec: TaskSpec, observation: np.ndarray) -> dict[str, np.ndarray]:
    """Return the terms of an observation by name: the inverse of `observe`.

    The last axis of `observation` is the vector; leading axes (a batch) are kept.
    """
    terms, start = {}, 0
    for name, size in spec.term_sizes.items():
        terms[name] = observation[..., start : start + size]
        start += size
    return terms
