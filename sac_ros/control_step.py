"""ControlStep: what one tick saw, asked for and sent.  controller.py makes it."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from sac_ros.fault import Fault


class Mode(Enum):
    """What the controller is doing.  From ACTIVE on, each period sends exactly one command."""

    INACTIVE = 'inactive'  # nothing is sent
    ACTIVE = 'active'  # the action of the policy, or of a person, is sent
    HOLD = 'hold'  # a fault, bridged for at most HOLD_PERIODS
    SAFE = 'safe'  # a fault; the stop command until the cause has gone
    FAULT = 'fault'  # the stop command until somebody calls `reset`


@dataclass(frozen=True)
class Thought:
    """What the guard and the policy make of a state, before anything is decided."""

    observation: np.ndarray | None  # float32, shape (observation_size,); None on a fault
    action: np.ndarray | None  # float32, what is asked for, shape (action_size,)
    fault: Fault | None
    is_takeover: bool = False  # a person asks, not the policy
    model: int = 0  # of the policy, as in ControlStep


@dataclass(frozen=True)
class ControlStep:
    """What one tick saw, asked for and sent."""

    stamp: float  # [s], the caller's clock
    sequence: int  # counts ticks since activation
    mode: Mode
    observation: np.ndarray | None  # float32, shape (observation_size,); None on a fault
    action: np.ndarray | None  # float32, what was asked, with its noise; shape (action_size,)
    command: np.ndarray  # float64, what is sent: finite, bounded, limited; shape (action_size,)
    fault: Fault | None
    is_takeover: bool = False  # the action is a person's, and has been carried out
    model: int = 0  # counts the models that have acted since configure; 0 is the first
