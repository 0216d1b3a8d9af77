"""ControlStep <-> the message on `~/control_step`: what a tick saw, asked for and sent.

A Float64MultiArray whose dimensions are labelled, because ROS has no such message and a Python
package cannot bring one.  NaN stands where there is none.
"""

from array import array

import numpy as np
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from sac_ros.controller import ControlStep, Mode
from sac_ros.errors import UserError
from sac_ros.fault import CODES, Fault
from sac_ros.spec import TaskSpec

# Numbers for modes and fault codes are their places in these lists: new ones go to the end.
_MODES = list(Mode)
_CODES = list(CODES)


def step_layout(spec: TaskSpec) -> MultiArrayLayout:
    """Return the labels and sizes of the parts of the message, in order."""
    dimensions = [
        MultiArrayDimension(label=label, size=size, stride=size)
        for label, size in _parts(spec).items()
    ]
    return MultiArrayLayout(dim=dimensions, data_offset=0)


def step_message(step: ControlStep, layout: MultiArrayLayout) -> Float64MultiArray:
    """Return a tick as a message; `layout` comes from `step_layout`, made once."""
    sizes = {dimension.label: dimension.size for dimension in layout.dim}
    fault = np.nan if step.fault is None else float(_CODES.index(step.fault.code))
    head = (step.stamp, float(step.sequence), float(_MODES.index(step.mode)), fault)
    values = np.concatenate(
        (
            head,
            _or_nan(step.observation, sizes['observation']),
            _or_nan(step.action, sizes['action']),
            step.command,
        ),
        dtype=np.float64,
    )
    return Float64MultiArray(layout=layout, data=array('d', values.tobytes()))


def step_from_message(spec: TaskSpec, message: Float64MultiArray) -> ControlStep:
    """Return the tick in a message of a policy node that runs `spec`.  Raises UserError.

    A fault comes back with the sentence that explains its code, not with that tick's numbers.
    """
    found = {dimension.label: dimension.size for dimension in message.layout.dim}
    parts = _parts(spec)
    if found != parts or len(message.data) != sum(parts.values()):
        raise UserError(
            f'control_step has the parts {found} and {len(message.data)} numbers; '
            f"'{spec.name}' needs {parts}"
        )
    splits = np.cumsum(list(parts.values()))[:-1]
    stamp, sequence, mode, fault, observation, action, command = np.split(
        np.array(message.data, dtype=np.float64), splits
    )
    code = None if np.isnan(fault[0]) else _CODES[int(fault[0])]
    return ControlStep(
        stamp=float(stamp[0]),
        sequence=int(sequence[0]),
        mode=_MODES[int(mode[0])],
        observation=_or_none(observation),
        action=_or_none(action),
        command=command,
        fault=None if code is None else Fault(code, CODES[code]),
    )


def _parts(spec: TaskSpec) -> dict[str, int]:
    return {
        'stamp': 1,
        'sequence': 1,
        'mode': 1,
        'fault': 1,
        'observation': spec.observation_size,
        'action': spec.action_size,
        'command': spec.action_size,
    }


def _or_nan(values: np.ndarray | None, size: int) -> np.ndarray:
    return np.full(size, np.nan) if values is None else values


def _or_none(values: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(values).all() else values.astype(np.float32)
