"""PolicyController: one control tick.  No ROS, no clock of its own, no waiting.

state --guard--> observation --policy--> action --ActionMap--> command
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from sac_ros.action import ActionMap
from sac_ros.fault import Fault
from sac_ros.guard import Guard
from sac_ros.observation import observe
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState

HOLD_PERIODS = 1  # a single bad message is bridged by repeating the last command
RECOVER_PERIODS = 10  # good ticks in a row before the policy acts again
MAX_NONFINITE_ACTIONS = 3  # in a row; a policy that answers NaN again and again is broken


class Mode(Enum):
    """What the controller is doing.  From ACTIVE on, each period sends exactly one command."""

    INACTIVE = 'inactive'  # nothing is sent
    ACTIVE = 'active'  # the policy's action is sent
    HOLD = 'hold'  # a fault, bridged for at most HOLD_PERIODS
    SAFE = 'safe'  # a fault; the stop command until the cause has gone
    FAULT = 'fault'  # the stop command until somebody calls `reset`


@dataclass(frozen=True)
class ControlStep:
    """What one tick saw, asked for and sent."""

    stamp: float  # [s], the caller's clock
    sequence: int  # counts ticks since activation
    mode: Mode
    observation: np.ndarray | None  # float32, shape (observation_size,); None on a fault
    action: np.ndarray | None  # float32, what the policy asked, shape (action_size,)
    command: np.ndarray  # float64, what is sent: finite, bounded, limited; shape (action_size,)
    fault: Fault | None


class PolicyController:
    """The control tick and its states.  Tests bring a virtual clock, the node the real one."""

    def __init__(self, spec: TaskSpec, policy: Callable[[np.ndarray], np.ndarray]) -> None:
        """Control the robot of `spec` by `policy` (observation -> action)."""
        self.spec = spec
        self.policy = policy
        self.mode = Mode.INACTIVE
        self._guard = Guard(spec)
        self._action_map = ActionMap(spec)
        self._latched: Fault | None = None
        self._sequence = 0
        self._bad_ticks = self._good_ticks = self._nonfinite_actions = 0

    def find_fault(self, state: RobotState, now: float) -> Fault | None:
        """Return why the robot could not be activated now, or None."""
        return self._latched or self._guard.find_fault(state, now)

    def activate(self, state: RobotState, now: float) -> Fault | None:
        """Start from a robot at rest in `state`, unless there is a fault, which is returned."""
        fault = self.find_fault(state, now)
        if fault is None:
            self._action_map.reset(state)
            self._sequence = self._bad_ticks = self._good_ticks = self._nonfinite_actions = 0
            self.mode = Mode.ACTIVE
        return fault

    def deactivate(self) -> list[np.ndarray]:
        """Go inactive and return the commands still to be sent, one each period.

        They lead from the last command to the stop command as fast as `max_rate` allows; the
        last of them is the stop command, and there is at least one.
        """
        self.mode = Mode.INACTIVE
        commands = [self._action_map.to_stop()]
        while not np.array_equal(following := self._action_map.to_stop(), commands[-1]):
            commands.append(following)
        return commands

    def emergency_stop(self, text: str) -> None:
        """Latch a fault, also while inactive; `text` says who asked for it."""
        self._latched = Fault('E_ESTOP', text)

    def reset(self) -> None:
        """Take back a latched fault; the next ticks decide whether the policy may act again."""
        self._latched = None
        self._nonfinite_actions = 0
        if self.mode is Mode.FAULT:
            self.mode, self._good_ticks = Mode.SAFE, 0

    def step(self, state: RobotState, now: float) -> ControlStep:
        """Return this period's command.  `now` is in [s], on the clock of the state's stamps."""
        if self.mode is Mode.INACTIVE:
            raise RuntimeError('step() needs an active controller; call activate() first')
        observation = action = None
        fault = self._latched or self._guard.find_fault(state, now)
        if fault is None:
            observation = observe(self.spec, state, self._action_map.previous)
            action = self.policy(observation)
            fault = self._find_action_fault(action)
        self._enter_mode(fault)
        if self.mode is Mode.ACTIVE and action is not None:
            command = self._action_map.to_command(action)
        elif self.mode is Mode.HOLD:
            command = self._action_map.previous
        else:
            command = self._action_map.to_stop()
        self._sequence += 1
        return ControlStep(now, self._sequence, self.mode, observation, action, command, fault)

    def _find_action_fault(self, action: np.ndarray) -> Fault | None:
        if np.isfinite(action).all():
            self._nonfinite_actions = 0
            return None
        self._nonfinite_actions += 1
        fault = Fault('E_ACT_NONFINITE', f'the policy answered {action}')
        if self._nonfinite_actions >= MAX_NONFINITE_ACTIONS:
            self._latched = fault
        return fault

    def _enter_mode(self, fault: Fault | None) -> None:
        """ACTIVE -> HOLD -> SAFE while there is a fault; ACTIVE after enough good ticks."""
        if fault is None:
            self._good_ticks, self._bad_ticks = self._good_ticks + 1, 0
            if self.mode is not Mode.SAFE or self._good_ticks >= RECOVER_PERIODS:
                self.mode = Mode.ACTIVE
        else:
            self._good_ticks, self._bad_ticks = 0, self._bad_ticks + 1
            if self._latched is not None:
                self.mode = Mode.FAULT
            elif self.mode is not Mode.SAFE and self._bad_ticks <= HOLD_PERIODS:
                self.mode = Mode.HOLD
            else:
                self.mode = Mode.SAFE
