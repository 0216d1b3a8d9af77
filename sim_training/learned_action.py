"""Which action of a tick is learned from: what was asked for, or the command that was sent."""

import numpy as np

from sac_ros.action import ActionMap
from sac_ros.control_step import ControlStep
from sac_ros.observation import split_observation
from sac_ros.spec import TaskSpec

# Of an element's range: a command this near to another is the same in the float32 of observations.
SAME_COMMAND = 1e-5


def learned_action(spec: TaskSpec, step: ControlStep) -> np.ndarray:
    """Return the action of a tick that is learned from, float64, shape (action_size,).

    It is the command that was sent, or what was asked for where it is known that the rate limit
    and the bounds alone made that command of it: they are then part of the robot, as they were in
    the training, and an action that asks for more than can be had is worth what it becomes.
    Where the observation lacks `previous_action`, what they make of an action is not known.
    """
    assert step.observation is not None
    previous = split_observation(spec, step.observation).get('previous_action')
    if step.action is None or previous is None:
        return step.command
    lower, upper = (spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper))
    limits = ActionMap(spec)
    limits.remember(previous)
    gap = np.abs(limits.to_command(step.action) - step.command)
    is_theirs = bool((gap <= SAME_COMMAND * (upper - lower)).all())
    return np.clip(step.action, lower, upper, dtype=np.float64) if is_theirs else step.command
