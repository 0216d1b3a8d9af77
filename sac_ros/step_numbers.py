"""ControlStep <-> one row of numbers, as on `~/control_step` and in journals.  No ROS.

NaN stands where there is none.
"""

from collections.abc import Sequence

import numpy as np

from sac_ros.control_step import ControlStep, Mode
from sac_ros.errors import UserError
from sac_ros.fault import CODES, Fault
from sac_ros.spec import TaskSpec

# Numbers for modes and fault codes are their places in these lists: new ones go to the end.
_MODES = list(Mode)
_CODES = list(CODES)


def step_parts(spec: TaskSpec) -> dict[str, int]:
    """Return the parts of the row, in order, and their sizes."""
    return {
        'stamp': 1,
        'sequence': 1,
        'mode': 1,
        'fault': 1,
        'takeover': 1,
        'model': 1,
        'observation': spec.observation_size,
        'action': spec.action_size,
        'command': spec.action_size,
    }


def step_numbers(step: ControlStep, observation_size: int) -> np.ndarray:
    """Return a tick as one row, float64."""
    fault = np.nan if step.fault is None else float(_CODES.index(step.fault.code))
    head = (
        step.stamp,
        float(step.sequence),
        float(_MODES.index(step.mode)),
        fault,
        float(step.is_takeover),
        float(step.model),
    )
    observation = _or_nan(step.observation, observation_size)
    action = _or_nan(step.action, len(step.command))
    return np.concatenate((head, observation, action, step.command), dtype=np.float64)


def step_from_numbers(spec: TaskSpec, numbers: Sequence[float] | np.ndarray) -> ControlStep:
    """Return the tick in a row of a policy node that runs `spec`.  Raises UserError.

    A fault comes back with the sentence that explains its code, not with that tick's numbers.
    """
    splits = np.cumsum(list(step_parts(spec).values()))[:-1]
    parts = np.split(np.asarray(numbers, dtype=np.float64), splits)
    stamp, sequence, mode, fault, takeover, model = (part[0] for part in parts[:6])
    observation, action, command = parts[6:]
    code = None if np.isnan(fault) else _CODES[_place(fault, _CODES, 'fault')]
    return ControlStep(
        stamp=float(stamp),
        sequence=_count(sequence, 'sequence'),
        mode=_MODES[_place(mode, _MODES, 'mode')],
        observation=_or_none(observation),
        action=_or_none(action),
        command=command,
        fault=None if code is None else Fault(code, CODES[code]),
        is_takeover=bool(takeover),
        model=_count(model, 'model'),
    )


def _place(number: float, names: Sequence[object], what: str) -> int:
    """Return a number as a place in a list.  Raises UserError."""
    if not 0 <= number < len(names):  # NaN too
        raise UserError(f'control_step: {what} is {number}; 0 to {len(names) - 1} is needed')
    return int(number)


def _count(number: float, what: str) -> int:
    if not 0 <= number < 2**53:
        raise UserError(f'control_step: {what} is {number}; a whole number is needed')
    return int(number)


def _or_nan(values: np.ndarray | None, size: int) -> np.ndarray:
    return np.full(size, np.nan) if values is None else values


def _or_none(values: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(values).all() else values.astype(np.float32)
