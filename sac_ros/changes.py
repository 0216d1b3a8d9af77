"""What measured values do over time: a jump that no joint can make, a sensor that has frozen."""

import math

import numpy as np

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import QUATERNIONS, SOURCES, RobotState

FROZEN_WARNING = 5.0  # [s] without a change, after which it is worth a word; a robot may rest


class Changes:
    """Compares each tick's state, which has passed the guard, with those before it."""

    def __init__(self, spec: TaskSpec) -> None:
        """Prepare the limits of `spec`."""
        self._max_rates = {
            name: np.asarray(limits.max_rate)
            for name, limits in spec.limits.items()
            if limits.max_rate is not None
        }
        self._fields = {
            source: [name for name in SOURCES[source] if name in spec.measured]
            for source in spec.sources
            if spec.topics[source].timeout != math.inf
        }
        self._frozen_timeouts = {
            source: spec.topics[source].frozen_timeout for source in self._fields
        }
        self._joints = spec.joints
        self._dt = spec.dt
        self.restart()

    def restart(self) -> None:
        """Forget everything: what comes next has nothing before it."""
        self._newest: dict[str, RobotState] = {}  # source -> the newest state that is believed
        self._seen: dict[str, float] = {}  # source -> stamp of the newest one
        self._faults: dict[str, Fault | None] = {}  # source -> why its newest one is not acted on
        self._jumped: set[str] = set()  # sources whose newest one is not believed
        self._unchanged_since: dict[str, float] = {}  # source -> stamp of the value it repeats
        self._warned: set[str] = set()
        self.notice: Fault | None = None  # worth a warning, once; the caller takes it away

    def find_fault(self, state: RobotState) -> Fault | None:
        """Return why the newest change is not believed, or None.

        A single wild value is a fault until the next one comes.  A jump that stays is a fault for
        two of its values, and then believed.
        """
        for source, names in self._fields.items():
            stamp = state.stamps[source]
            if stamp != self._seen.get(source):  # or else nothing new was measured
                self._seen[source] = stamp
                self._faults[source] = self._find_source_fault(source, names, state)
        return next((fault for fault in self._faults.values() if fault is not None), None)

    def _find_source_fault(self, source: str, names: list[str], state: RobotState) -> Fault | None:
        before, stamp = self._newest.get(source), state.stamps[source]
        if before is None:
            self._newest[source] = state
            self._unchanged_since[source] = stamp
            return None
        # Two messages may arrive closer to each other than they were measured.
        elapsed = max(stamp - before.stamps[source], self._dt)
        jump = self._find_jump(before, state, names, elapsed)
        if jump is not None and source not in self._jumped:
            self._jumped.add(source)  # the next one is compared with what was before the jump
            return jump
        self._jumped.discard(source)
        freeze = self._find_freeze(source, names, before, state)
        self._newest[source] = state
        return jump or freeze

    def _find_jump(
        self, before: RobotState, state: RobotState, names: list[str], elapsed: float
    ) -> Fault | None:
        for name in names:
            if name not in self._max_rates:
                continue
            new, old = getattr(state, name), getattr(before, name)
            if name in QUATERNIONS and np.dot(new, old) < 0.0:
                old = -old  # the same orientation, and the nearer of its two names
            rate = np.abs(new - old) / elapsed
            allowed = np.broadcast_to(self._max_rates[name], rate.shape)
            if (rate > allowed).any():
                i = int(np.argmax(rate / allowed))
                element = f'of {self._joints[i]}' if name.startswith('joint_') else f'[{i}]'
                return Fault(
                    'E_OBS_JUMP',
                    f'{name} {element} has changed by {rate[i]:g} a second (limit {allowed[i]:g})',
                )
        return None

    def _find_freeze(
        self, source: str, names: list[str], before: RobotState, state: RobotState
    ) -> Fault | None:
        stamp = state.stamps[source]
        if any(
            getattr(state, name).tobytes() != getattr(before, name).tobytes() for name in names
        ):
            self._unchanged_since[source] = stamp
            self._warned.discard(source)
            return None
        duration = stamp - self._unchanged_since[source]
        timeout = self._frozen_timeouts[source]
        if timeout is not None and duration > timeout:
            return Fault(
                'E_OBS_FROZEN',
                f'{source} has repeated itself for {duration:.3f} s (limit {timeout:g} s)',
            )
        if timeout is None and duration > FROZEN_WARNING and source not in self._warned:
            self._warned.add(source)
            self.notice = Fault(
                'W_OBS_FROZEN', f'{source} has repeated itself for {duration:.1f} s'
            )
        return None
