"""ControlLoop: a loaded policy on its topics.  State in, tick, command out; nothing else.

The loop has a thread of its own.  The arrival of the state makes the tick, so that no state waits
for a timer; only when the state is late or lost does the time make it, so that a command leaves
each period whatever happens.  A second thread watches the first.
"""

import dataclasses
import threading
import time
from collections import deque
from functools import partial

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController, too_late
from sac_ros.endless_thread import EndlessThread
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.fault import Fault
from sac_ros.fault_log import FaultLog
from sac_ros.loop_topics import CLOCK, TAKEOVER, LoopTopics
from sac_ros.measurements import Measurements
from sac_ros.messages import stamp_of
from sac_ros.pace_clock import PaceClock
from sac_ros.parameters import LoopOptions
from sac_ros.policy import OnnxPolicy
from sac_ros.realtime import ask_for_priority
from sac_ros.state import RobotState
from sac_ros.state_messages import StateMessage
from sac_ros.timing import TickSchedule, TickStatistics, Watchdog

IDLE_WAIT = 1.0  # [s] for a message while nothing has to be sent by itself
LONGEST_THOUGHT = 2.0  # [periods]; what was thought before is not acted on
LONGEST_JOIN = 2.0  # [s] for a thread to end
RECENT_OBSERVATIONS = 500  # by which a new model is compared with the running one


class ControlLoop:
    """Subscriptions, publishers and the ticks between them, from configure to cleanup."""

    def __init__(self, node: LifecycleNode, policy: OnnxPolicy, options: LoopOptions) -> None:
        """Subscribe to the topics that the contract of `policy` needs, and to no other."""
        self.spec = spec = policy.spec
        self.options = options
        self.policy = policy
        self.statistics = TickStatistics(spec.dt)
        self.controller = PolicyController(spec, partial(self._infer, policy))
        self.controller.ramp_time = options.ramp_time
        self.controller.speed_scale = options.speed_scale
        self.controller.takeover.timeout = options.takeover_timeout
        self.fault_log = FaultLog()
        self.last_step: ControlStep | None = None
        self.taken_over = 0  # ticks in which a person acted
        self.recent_observations: deque[np.ndarray] = deque(maxlen=RECENT_OBSERVATIONS)
        self._node = node
        self._clock = PaceClock(node)
        self._measurements = Measurements(spec)
        self._schedule = TickSchedule(spec.dt)
        self._watchdog = Watchdog(spec.dt)
        self._topics = LoopTopics(
            node, spec, is_shadow=options.is_shadow, is_simulated=self._clock.is_simulated
        )
        # The lock is held for moments only: to decide and to send, not to think.
        self._lock = threading.Lock()
        self._is_ticking = False
        self._start = 0  # counts activations
        self._sent_at = 0.0  # [s], steady: the last command
        if not options.is_shadow:
            self.explore(options.exploration, options.exploration_time)
        self._control = EndlessThread('control', self._serve, self._topics.reader.wake)
        self._watcher = EndlessThread('watchdog', self._watch)

    @property
    def crash(self) -> BaseException | None:
        """Return the error that has ended a thread: the process must end too."""
        return self._control.crash or self._watcher.crash

    def find_fault(self) -> Fault | None:
        """Return why the robot could not be activated now, or None."""
        return self.controller.find_fault(self._state(), self._clock.pace_now())

    def ages(self) -> dict[str, float]:
        """Return how old the newest measurement of each source is [s]."""
        now = self._clock.pace_now()
        return {source: now - stamp for source, stamp in self._state().stamps.items()}

    def intervals(self) -> dict[str, float]:
        """Return the mean time between the measurements of each source [s]."""
        with self._lock:
            return dict(self._measurements.intervals)

    def emergency_stop(self, text: str) -> None:
        """Lead the robot to the stop command from the next tick on, until `reset`."""
        with self._lock:
            self.controller.emergency_stop(text)

    def reset(self) -> Fault | None:
        """Take back a latched fault, unless something else is wrong, which is returned."""
        with self._lock:
            return self.controller.reset(self._measurements.state(), self._clock.pace_now())

    def forbid(self, fault: Fault) -> None:
        """Lead the robot to the stop command until `permit` is called with the fault's code."""
        with self._lock:
            self.controller.forbid(fault)

    def permit(self, code: str) -> None:
        """Take back what `forbid` has said."""
        with self._lock:
            self.controller.permit(code)

    def prepare_end(self) -> None:
        """Lead the robot to the stop command: the process will end.  For signal handlers."""
        # Takes no lock, which the interrupted thread may hold.
        self.controller.forbid(Fault('W_ENDING', 'the process was told to end'))

    def explore(self, exploration: float, correlation_time: float) -> None:
        """Add smooth noise, never the same, to the policy's actions from now on; 0 ends it."""
        noise = SmoothNoise(self.spec, exploration, correlation_time, np.random.default_rng())
        with self._lock:
            self.controller.noise = noise if exploration > 0.0 else None

    def warn(self, notice: Fault | None) -> None:
        """Count a warning, and say it now and then."""
        if notice is not None and self.fault_log.note_warning(notice, time.monotonic()):
            self._node.get_logger().warning(str(notice))

    def swap(self, policy: OnnxPolicy) -> OnnxPolicy:
        """Act by another policy of the same contract from the next tick on; return the old one."""
        with self._lock:
            previous, self.policy = self.policy, policy
            self.controller.swap(partial(self._infer, policy))
        return previous

    def activate(self) -> Fault | None:
        """Prepare to tick from the state as it is, unless there is a fault, which is returned."""
        with self._lock:
            return self.controller.activate(self._measurements.state(), self._clock.pace_now())

    def start(self) -> None:
        """Begin to tick: the publishers are active from now on."""
        with self._lock:
            self.statistics.restart()
            self._schedule.start(self._clock.pace_now())
            self._watchdog.start(time.monotonic())
            self._start += 1
            self.fault_log.restart()
            self._is_ticking = True
        self._topics.reader.wake()

    def stop(self) -> None:
        """End ticking and lead the robot to the stop command, one command each period.

        The publishers must still be active.  Does nothing when the loop does not run.
        """
        with self._lock:
            self._is_ticking = False
            is_moving = self.controller.mode is not Mode.INACTIVE
            commands = self.controller.deactivate() if is_moving else []
        for command in commands:
            time.sleep(max(0.0, self._sent_at + self.spec.dt - time.monotonic()))
            self._topics.send(command, self._clock.now())
            self._sent_at = time.monotonic()

    def destroy(self) -> None:
        """Wait until the last command has arrived, end the threads and leave the topics."""
        self._topics.flush()
        if not (self._watcher.end(LONGEST_JOIN) and self._control.end(LONGEST_JOIN)):
            raise RuntimeError('the control thread hangs in the policy: the process must end')
        self._topics.destroy()

    def _serve(self, is_ending: threading.Event) -> None:
        """Take what arrives, and tick.  This is the control thread."""
        self.warn(ask_for_priority(self.options.realtime_priority))
        while not is_ending.is_set():
            for source, message in self._topics.reader.wait(self._patience()):
                if source == CLOCK:
                    self._hear_clock(message)
                elif source == TAKEOVER:
                    self._hear_person(message)
                else:
                    self._receive(source, message)
            if self._is_ticking:
                now = self._clock.now()
                pace_time = self._clock.pace_time(now)
                if pace_time >= self._schedule.deadline:
                    self._tick(now, pace_time, self._schedule.tick_at_deadline(pace_time))

    def _patience(self) -> float:
        """Return how long to wait for a state [s]."""
        if not self._is_ticking or self._clock.is_simulated:
            return IDLE_WAIT  # a state, /clock or `start` wakes
        return max(0.0, self._schedule.deadline - time.monotonic())

    def _receive(self, source: str, message: StateMessage) -> None:
        """Store a message, and tick when it is the state that this period was waiting for."""
        arrival = time.monotonic()
        is_pacing = source == self.spec.sources[0]
        now = self._clock.with_state(stamp_of(message)) if is_pacing else self._clock.now()
        pace_time = self._clock.pace_time(now)
        with self._lock:
            is_new = self._measurements.update(source, message, now, pace_time)
        self.statistics.add_stage('read', time.monotonic() - arrival)
        if not (is_pacing and is_new):
            return  # a repeated or refused message is no reason to tick: the deadline is
        self._schedule.arrived(pace_time)
        if self._is_ticking and self._schedule.is_due(pace_time):
            measured_at = self._measurements.measured_at(source)
            late = self._schedule.tick_with_state(pace_time)
            sent_at = self._tick(now, pace_time, late)
            age = self._clock.pace_time(now) - measured_at
            self.statistics.add_latency(sent_at - arrival, age)

    def _hear_clock(self, message: Clock) -> None:
        """Take the simulated time; when it was turned back, everything must be measured anew."""
        if not self._clock.hear(message):
            return
        with self._lock:
            self._measurements.forget()
        if self._is_ticking:
            now = self._clock.now()
            self._tick(now, now, self._schedule.tick_at_deadline(now))

    def _hear_person(self, message: Float64MultiArray) -> None:
        """Store the action of a person, or that there is none any more."""
        with self._lock:
            refusal = self.controller.takeover.take(message.data, self._clock.pace_now())
        self.warn(refusal)

    def _tick(self, now: float, pace_time: float, late: float) -> float:
        """Think, then decide and send, and return when [s]; all else waits until then."""
        began = time.monotonic()
        start = self._start
        thought = self.controller.think(self._measurements.state(), pace_time)
        thought_through = time.monotonic()
        with self._lock:
            if not self._is_ticking or self._start != start:
                return time.monotonic()  # deactivated in the meantime
            duration = thought_through - began
            if duration > LONGEST_THOUGHT * self.spec.dt and not self._clock.is_simulated:
                thought = too_late(thought, duration)
            step = self.controller.decide(thought, pace_time)
            # Never two commands in a period: where the watchdog has just sent in place of this
            # tick, the tick repeats what it sent, and need not say so.
            if not self._watchdog.has_just_acted(time.monotonic()):
                self._topics.send(step.command, now)
                self._sent_at = time.monotonic()
            sent_at = time.monotonic()
            self._watchdog.tick_ended(self._sent_at)
            self._schedule.sent(self._clock.pace_time(now))
        self.statistics.add_stage('think', thought_through - began)
        self.statistics.add_stage('send', sent_at - thought_through)
        self.statistics.add_tick(pace_time, late)
        self._tell(dataclasses.replace(step, stamp=now), sent_at)
        return sent_at

    def _watch(self, is_ending: threading.Event) -> None:
        """Send the stop command on time when a tick does not end.  This is the watchdog thread."""
        priority = self.options.realtime_priority
        ask_for_priority(priority + 1 if priority else 0)  # it must wake while control runs
        rest = self.spec.dt
        while not is_ending.wait(rest):
            rest = self._look()

    def _look(self) -> float:
        """Replace the tick if it does not end; return the time until the next look [s]."""
        if self._clock.is_simulated:
            return IDLE_WAIT  # it may stand still for as long as it likes
        with self._lock:
            now = time.monotonic()
            if not self._is_ticking:
                return self.spec.dt
            if not self._watchdog.is_needed(now):
                return self._watchdog.rest(now)
            step = self.controller.overrun(now)
            stamp = self._clock.now()
            self._topics.send(step.command, stamp)
            self._sent_at = now
            self.statistics.missed += 1
            rest = self._watchdog.rest(now)
        self._tell(dataclasses.replace(step, stamp=stamp), now)
        return rest

    def _tell(self, step: ControlStep, now: float) -> None:
        """Publish the record of a tick, and log what deserves it."""
        self._topics.record(step)
        self.last_step = step
        self.taken_over += step.is_takeover
        if step.observation is not None:
            self.recent_observations.append(step.observation)
        logger = self._node.get_logger()
        # Without an observation nobody has been asked: a fault that has latched is told again.
        is_policy = step.observation is not None and not step.is_takeover
        model = step.model if is_policy else None
        line = self.fault_log.note(step.mode.value, step.fault, now, model)
        if line is not None:
            logger.info(line) if step.fault is None else logger.error(line)
        with self._lock:
            notices = self._measurements.take_notices()
        for notice in (*notices, self.controller.take_notice()):
            self.warn(notice)

    def _infer(self, policy: OnnxPolicy, observation: np.ndarray) -> np.ndarray:
        began = time.monotonic()
        action = policy(observation)
        self.statistics.add_stage('policy', time.monotonic() - began)
        return action

    def _state(self) -> RobotState:
        with self._lock:
            return self._measurements.state()
