"""PolicyController: one control tick.  No ROS, no clock of its own, no waiting.

state --guard--> observation --policy, or a person--> action --ActionMap--> command
"""

import logging
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sac_ros.action import ActionMap
from sac_ros.changes import Changes
from sac_ros.control_step import ControlStep, Mode, Thought
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.fault import Fault
from sac_ros.guard import Guard
from sac_ros.observation import find_nonfinite_term, observe
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState
from sac_ros.takeover import Takeover

HOLD_PERIODS = 1  # a single bad message is bridged by repeating the last command
RECOVER_PERIODS = 10  # good ticks in a row before the policy acts, or a bad one is bridged, again
MAX_NONFINITE_ACTIONS = 3  # in a row; a policy that answers NaN again and again is broken
LONGEST_PAUSE = 3.0  # [periods] between two ticks; after more, nobody knows what has happened
# What a single bad message looks like; everything else is stopped for at once.
BRIDGED = (
    'E_OBS_MISSING_JOINT',
    'E_OBS_MISSING_FIELD',
    'E_OBS_DUP_JOINT',
    'E_OBS_SHAPE',
    'E_OBS_NONFINITE',
    'E_OBS_FRAME',
    'E_OBS_RANGE',
    'E_OBS_QUAT',
    'E_OBS_JUMP',
    'E_STAMP_FUTURE',
    'E_ACT_NONFINITE',
)

Policy = Callable[[np.ndarray], np.ndarray]  # observation -> action

_logger = logging.getLogger(__name__)


def too_late(thought: Thought, duration: float) -> Thought:
    """Return what is left of a thought that has taken too long [s] to be acted on."""
    fault = Fault('E_TICK_LATE', f'the tick has thought for {duration:.3f} s')
    return replace(thought, observation=None, action=None, fault=fault)


class PolicyController:
    """The control tick and its states.  Tests bring a virtual clock, the node the real one.

    `think` may take its time in one thread.  All else is short, and where several threads meet,
    the caller lets one in at a time.
    """

    def __init__(self, spec: TaskSpec, policy: Policy) -> None:
        """Control the robot of `spec` by `policy`."""
        self.spec = spec
        self.mode = Mode.INACTIVE
        self.takeover = Takeover(spec)
        self.noise: SmoothNoise | None = None  # on the policy's actions; a stop takes it away
        self.ramp_time = 0.0  # [s] in which the policy gains its full say after a start
        self.speed_scale = 1.0  # 0 to 1: what an operator leaves of the robot's speed
        self._guard = Guard(spec)
        self._changes = Changes(spec)
        self._action_map = ActionMap(spec)
        self._acting = (0, policy)  # with the number of the model; replaced as a whole
        self._latched: Fault | None = None
        self.latches = 0
        """How often a fault has latched, also one that a reset has taken back since."""
        self.newest_latch: Fault | None = None
        self._forbidden: dict[str, Fault] = {}  # code -> why others forbid the policy to act
        self._sequence = 0
        self._bad_ticks = self._good_ticks = self._nonfinite_actions = 0
        self._ramp = 0.0  # the part of its say that the policy has gained since the last start
        self._now = -math.inf  # [s]: of the newest tick
        self._is_overrun = False

    @property
    def model(self) -> int:
        """Return the number of the model that acts, as in ControlStep."""
        return self._acting[0]

    def swap(self, policy: Policy) -> None:
        """Act by another policy from the next tick on."""
        self._acting = (self.model + 1, policy)

    def find_fault(self, state: RobotState, now: float) -> Fault | None:
        """Return why the robot could not be activated now, or None.

        While it runs, where it began is no matter: commands go on from the last one.
        """
        fault = self._standing_fault() or self._guard.find_fault(state, now)
        if fault is None and self.mode is Mode.INACTIVE:
            fault = self._action_map.find_start_fault(state)
        return fault

    def activate(self, state: RobotState, now: float) -> Fault | None:
        """Start from a robot at rest in `state`, unless there is a fault, which is returned.

        A person who has taken over while it was inactive is in charge from the first tick on.
        """
        fault = self.find_fault(state, now)
        if fault is None:
            self._action_map.reset(state)
            self._changes.restart()
            self.takeover.forget_lost(now)
            if self.noise is not None:
                self.noise.restart()
            self._sequence = self._bad_ticks = self._nonfinite_actions = 0
            self._good_ticks = RECOVER_PERIODS
            self._ramp, self._is_overrun = 0.0, False
            self._now = now
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
        """Latch a fault, also while inactive; `text` says who asked for it.

        What has latched before remains the cause that is told.  It ends exploration, which a
        reset does not begin again.
        """
        self._note_latch(Fault('E_ESTOP', text))
        self.noise = None
        if self.mode is not Mode.INACTIVE:
            self.mode = Mode.FAULT

    def reset(self, state: RobotState, now: float) -> Fault | None:
        """Take back a latched fault and let go for a person who is lost.

        Unless something else is wrong, which is returned: so a robot that has been reset does not
        begin to move later, when that other thing has gone.  An emergency stop that came after
        the cause that is told is taken back with it.  After a reset the policy acts again in
        `RECOVER_PERIODS`.  While inactive nothing moves, and there is always a reset.
        """
        cause = self._latched or self.takeover.find_fault(now)
        other = self._forbidden_fault() or self._guard.find_fault(state, now)
        if self.mode is not Mode.INACTIVE and cause is not None and other is not None:
            return other
        self._latched = None
        self.takeover.forget_lost(now)
        self._nonfinite_actions = 0
        if self.mode is Mode.FAULT:
            self.mode, self._good_ticks = Mode.SAFE, 0
        return None

    def forbid(self, fault: Fault) -> None:
        """Lead the robot to the stop command until `permit` is called with the fault's code."""
        self._forbidden = {**self._forbidden, fault.code: fault}  # others may be reading it

    def permit(self, code: str) -> None:
        """Take back what `forbid` has said."""
        self._forbidden = {kept: self._forbidden[kept] for kept in self._forbidden if kept != code}

    def step(self, state: RobotState, now: float) -> ControlStep:
        """Return this period's command.  `now` is in [s], on the clock of the state's stamps."""
        return self.decide(self.think(state, now), now)

    def think(self, state: RobotState, now: float) -> Thought:
        """Ask the guard, then the person who has taken over, or else the policy.

        An error in them is a fault, not an end.
        """
        observation = action = person = None
        model, policy = self._acting
        try:
            fault = (
                self._find_time_fault(now)
                or self._standing_fault()
                or self.takeover.find_fault(now)
                or self._guard.find_fault(state, now)
                or self._changes.find_fault(state)
            )
            if fault is None:
                observation, fault = self._observe(state)
            if observation is not None:
                person = self.takeover.action
                action = policy(observation) if person is None else person
                if not np.isfinite(action).all():
                    fault = Fault('E_ACT_NONFINITE', f'the policy answered {action}')
        except Exception as error:
            _logger.exception('the tick has failed')
            fault = Fault('E_INTERNAL', f'{type(error).__name__}: {error}')
        return Thought(observation, action, fault, person is not None, model)

    def decide(self, thought: Thought, now: float) -> ControlStep:
        """Return the command that follows from a thought, and remember it as sent."""
        if self.mode is Mode.INACTIVE:
            raise RuntimeError('a tick needs an active controller; call activate() first')
        fault = self._standing_fault() or thought.fault
        self._latch(thought.fault)
        self._now = now
        if self._is_overrun:  # the stop command has been sent in place of this one
            self._is_overrun = False
            fault = fault or Fault('E_TICK_LATE', 'the tick has taken longer than its period')
            self._enter_mode(fault)
            return self._step(now, thought, self._action_map.previous, fault)
        self._enter_mode(fault)
        if self.mode is Mode.ACTIVE and thought.action is not None:
            action = thought.action
            if self.noise is not None and not thought.is_takeover:
                action = self.noise.added_to(action)
            self._climb_ramp()
            command = self._action_map.to_command(action, self._ramp * self.speed_scale)
            thought = replace(thought, action=action)
        elif self.mode is Mode.HOLD:
            command = self._action_map.previous
        else:
            command = self._action_map.to_stop()
        return self._step(now, thought, command, fault)

    def overrun(self, now: float) -> ControlStep:
        """Return the stop command for a period whose tick does not end."""
        self._is_overrun = True
        fault = self._standing_fault() or Fault('E_TICK_LATE', 'the tick has not ended in time')
        self._enter_mode(fault)
        thought = Thought(None, None, fault, model=self.model)
        return self._step(now, thought, self._action_map.to_stop(), fault)

    def take_notice(self) -> Fault | None:
        """Return what was worth a warning since the last call, or None."""
        notice, self._changes.notice = self._changes.notice, None
        return notice

    def _observe(self, state: RobotState) -> tuple[np.ndarray | None, Fault | None]:
        """Return what the policy is to see, or why it must not be asked."""
        with np.errstate(over='ignore'):  # what does not fit float32 is the fault below
            observation = observe(self.spec, state, self._action_map.previous)
        fault = find_nonfinite_term(self.spec, observation)
        return (observation if fault is None else None), fault

    def _step(
        self, now: float, thought: Thought, command: np.ndarray, fault: Fault | None
    ) -> ControlStep:
        self._sequence += 1
        return ControlStep(
            stamp=now,
            sequence=self._sequence,
            mode=self.mode,
            observation=thought.observation,
            action=thought.action,
            command=command,
            fault=fault,
            is_takeover=thought.is_takeover and self.mode is Mode.ACTIVE,
            model=thought.model,
        )

    def _standing_fault(self) -> Fault | None:
        return self._latched or self._forbidden_fault()

    def _forbidden_fault(self) -> Fault | None:
        return next(iter(self._forbidden.values()), None)

    def _find_time_fault(self, now: float) -> Fault | None:
        if now < self._now:
            self._changes.restart()
            return Fault('W_CLOCK_JUMP', f'the clock has gone back by {self._now - now:.3f} s')
        pause = (now - self._now) / self.spec.dt
        if pause > LONGEST_PAUSE + 1e-6:
            return Fault(
                'E_TICK_LATE', f'no tick for {pause:.1f} periods (limit {LONGEST_PAUSE:g})'
            )
        return None

    def _latch(self, fault: Fault | None) -> None:
        """Keep what does not go away by itself: a broken policy, a broken program."""
        if fault is None:
            self._nonfinite_actions = 0
        elif fault.code == 'E_ACT_NONFINITE':
            self._nonfinite_actions += 1
        broken = fault is not None and fault.code == 'E_INTERNAL'
        if fault and (broken or self._nonfinite_actions >= MAX_NONFINITE_ACTIONS):
            self._note_latch(fault)

    def _note_latch(self, fault: Fault) -> None:
        """Keep a fault until a reset; what has latched before remains the cause that is told."""
        self._latched = self._latched or fault
        self.newest_latch = fault
        self.latches += 1

    def _enter_mode(self, fault: Fault | None) -> None:
        """ACTIVE -> HOLD -> SAFE while there is a fault; ACTIVE after enough good ticks."""
        if fault is None:
            self._good_ticks, self._bad_ticks = self._good_ticks + 1, 0
            if self.mode is Mode.SAFE and self._good_ticks >= RECOVER_PERIODS:
                self._ramp = 0.0
                self.mode = Mode.ACTIVE
            elif self.mode is Mode.HOLD:
                self.mode = Mode.ACTIVE
        else:
            was_good = self._good_ticks >= RECOVER_PERIODS
            self._good_ticks, self._bad_ticks = 0, self._bad_ticks + 1
            if self._latched is not None:
                self.mode = Mode.FAULT
            elif (was_good or self.mode is Mode.HOLD) and self._is_bridged(fault):
                self.mode = Mode.HOLD
            else:
                self.mode = Mode.SAFE

    def _is_bridged(self, fault: Fault) -> bool:
        return fault.code in BRIDGED and self._bad_ticks <= HOLD_PERIODS

    def _climb_ramp(self) -> None:
        """Give the policy a period's more say; what it has, another `ramp_time` leaves to it."""
        ramp_periods = self.ramp_time * self.spec.control_rate
        self._ramp = min(1.0, self._ramp + 1.0 / ramp_periods) if ramp_periods > 1.0 else 1.0
