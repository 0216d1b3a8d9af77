"""ActionMap: from the action that the policy asks for to a command that may be sent."""

import numpy as np

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState


class ActionMap:
    """Rate limit, then bounds.  It remembers the last command and nothing else."""

    def __init__(self, spec: TaskSpec) -> None:
        """Start from the stop command until `reset` says where the robot is."""
        self._spec = spec
        self._lower = spec.per_action(spec.action.lower)
        self._upper = spec.per_action(spec.action.upper)
        self._max_step = spec.per_action(spec.action.max_rate) * spec.dt
        self._driven = [spec.joints.index(name) for name in spec.action.joints or spec.joints]
        stop = spec.action.stop
        self._stop = None if stop == 'hold' else spec.per_action(0.0 if stop == 'zero' else stop)
        self._is_position = spec.action.interface == 'position'
        self._rest = np.zeros(spec.action_size) if self._stop is None else self._stop
        self.remember(self._rest)

    @property
    def previous(self) -> np.ndarray:
        """Return the last command, shape (action_size,), read-only."""
        return self._previous

    def find_start_fault(self, state: RobotState) -> Fault | None:
        """Return why a start in `state`, which has passed the guard, would be a jump, or None.

        The first position that is sent lies within bounds, wherever the joint is.
        """
        if not self._is_position:
            return None
        measured = self._measured(state)
        distance = np.abs(measured - _within(self._lower, measured, self._upper))
        too_far = distance > self._max_step
        if not too_far.any():
            return None
        i = int(np.argmax(too_far))
        return Fault(
            'E_OBS_RANGE',
            f'joint_position of {self._spec.action_names[i]} {measured[i]:g} is {distance[i]:g} '
            f'outside the bounds of the action [{self._lower[i]}, {self._upper[i]}]; '
            f'{self._max_step[i]:g} is allowed, the step of a period at max_rate',
        )

    def reset(self, state: RobotState) -> None:
        """Start from a robot at rest: at the measured positions, or at the stop command."""
        if self._is_position:
            self.remember(_within(self._lower, self._measured(state), self._upper))
        elif self._stop is not None:
            self.remember(self._stop)

    def remember(self, command: np.ndarray) -> None:
        """Take `command` as the last one sent."""
        self._keep(np.array(command, dtype=np.float64))

    def to_command(self, action: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """Return the command for a finite `action` [the interface's unit], shape (action_size,).

        `scale`, 0 to 1, slows the robot down: positions are approached by smaller steps, all
        else is brought nearer to the stop command.  1 changes nothing.  Raises ValueError on NaN
        and infinity: a clamp would let NaN through.
        """
        if not np.isfinite(action).all():
            raise ValueError(f'action {action} is not finite')
        if scale != 1.0 and not self._is_position:
            action = self._rest + scale * (action - self._rest)
        step = _within(-self._max_step, action - self._previous, self._max_step)
        if scale != 1.0 and self._is_position:
            step *= scale
        self._keep(_within(self._lower, self._previous + step, self._upper))
        return self._previous

    def to_stop(self) -> np.ndarray:
        """Return the next command on the way to the stop command, as fast as `max_rate` allows."""
        return self._previous if self._stop is None else self.to_command(self._stop)

    def _measured(self, state: RobotState) -> np.ndarray:
        """Return where the driven joints are [rad or m], shape (action_size,)."""
        if state.joint_position is None:
            raise ValueError('a position interface starts from measured joint positions')
        return state.joint_position[self._driven]

    def _keep(self, command: np.ndarray) -> None:
        self._previous = command
        command.setflags(write=False)


def _within(lower: np.ndarray, values: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return values clipped to bounds, as a new array: np.clip takes five times as long."""
    clipped: np.ndarray = np.minimum(np.maximum(values, lower), upper)
    return clipped
