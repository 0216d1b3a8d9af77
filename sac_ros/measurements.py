"""Measurements: the newest message of each source, and when it was measured."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from sensor_msgs.msg import JointState

from sac_ros.fault import Fault
from sac_ros.guard import FUTURE_TOLERANCE
from sac_ros.messages import MessageError, listed, stamp_of
from sac_ros.preflight import SLOWEST
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState
from sac_ros.state_messages import Fields, StateMessage, state_reader

SMOOTHING = 0.1  # the share of the newest interval in the smoothed one
CLOCK_STEP = 0.05  # [s] by which the clocks drift apart between two messages: it was set


class Measurements:
    """The newest measurement of each source.  A callback stores here and does nothing else.

    Two clocks: `now` is the time of the stamps, which somebody may set; `steady` is one that
    nobody sets.  How old a message is when it arrives is told by its stamp; from then on the
    steady clock counts, so that neither a stamp in the future nor a clock that is set can keep
    an old measurement young.  A source whose timeout is infinite, as a goal's is, counts by
    arrival.
    """

    def __init__(self, spec: TaskSpec) -> None:
        """Prepare to read the sources of `spec`."""
        self._joints = spec.joints
        self._pacing = spec.sources[0] if spec.sources else ''
        self._longest_interval = spec.dt / SLOWEST  # [s]
        self._readers = {source: state_reader(spec, source) for source in spec.sources}
        self._timeouts = {source: spec.topics[source].timeout or 0.0 for source in spec.sources}
        self._fields: Fields = {}
        self._stamps: dict[str, float] = {}  # [s], source -> as the newest message says
        self._measured: dict[str, float] = {}  # [s], steady: source -> measured at
        self._arrivals: dict[str, float] = {}  # [s], steady
        self._intervals: dict[str, float] = {}  # [s]
        self._refused: dict[str, Fault] = {}
        self._notices: dict[tuple[str, str], Fault] = {}  # (code, source) -> newest
        self._unstamped: set[str] = set()  # sources of which it has been said
        self._has_said_extra = False
        self._offset = math.nan  # [s] from the steady clock to that of the stamps

    def update(self, source: str, message: StateMessage, now: float, steady: float) -> bool:
        """Store a message, or why it was refused; return whether it is the newest one now.

        `now` and `steady` are the time of its arrival by the two clocks [s].  What is not newer
        than the newest one changes nothing.
        """
        self._compare_clocks(now - steady)
        try:
            stamp = self._date(source, message, now, steady)
            if stamp is None:
                return False
            self._fields.update(self._readers[source](message))
        except MessageError as refusal:
            self._refused[source] = refusal.fault
            return False
        if source == 'joint_states' and not self._has_said_extra:
            self._note_extra_joints(message)
        self._refused.pop(source, None)
        self._stamps[source] = stamp
        self._measured[source] = steady - max(0.0, now - stamp)
        self._add_arrival(source, steady)
        return True

    def measured_at(self, source: str) -> float:
        """Return when the newest measurement of a source was made [s], steady; NaN without one."""
        return self._measured.get(source, math.nan)

    def state(self) -> RobotState:
        """Return what was measured last, stamped on the steady clock [s]."""
        return RobotState(**self._fields, stamps=dict(self._measured), refused=dict(self._refused))

    @property
    def intervals(self) -> Mapping[str, float]:
        """Return the smoothed time between new measurements of each source [s], steady.

        A pause longer than the source's timeout counts as one timeout: it is no rate.
        """
        return MappingProxyType(self._intervals)

    def take_notices(self) -> list[Fault]:
        """Return what has been worth a warning since the last call, the newest of each kind."""
        if not self._notices:
            return []
        notices = list(self._notices.values())
        self._notices.clear()
        return notices

    def forget(self) -> None:
        """Forget every measurement: time began anew, and everything must come anew."""
        for memory in (
            self._fields,
            self._stamps,
            self._measured,
            self._arrivals,
            self._intervals,
            self._refused,
        ):
            memory.clear()

    def _compare_clocks(self, offset: float) -> None:
        """Forget the order of stamps when their clock was set: older may be newer now."""
        if abs(offset - self._offset) > CLOCK_STEP:
            self._stamps.clear()
        self._offset = offset

    def _date(self, source: str, message: StateMessage, now: float, steady: float) -> float | None:
        """Return when a message was measured [s], or None when that is not new."""
        timeout = self._timeouts[source]
        stamp = stamp_of(message)
        if stamp == 0.0:
            if math.isfinite(timeout) and source not in self._unstamped:
                self._note_zero_stamp(source, message)
            return now
        if not math.isfinite(timeout):
            return stamp
        if stamp - now > FUTURE_TOLERANCE:
            raise MessageError(
                'E_STAMP_FUTURE',
                f'{source} is stamped {stamp - now:.3f} s in the future '
                f'(limit {FUTURE_TOLERANCE} s)',
            )
        newest = self._stamps.get(source, -math.inf)
        if stamp > newest:
            return stamp
        if stamp == newest:
            return None
        # A publisher that was started again may have an older clock.
        if steady - self._arrivals[source] > timeout:
            return stamp
        late = f'{source} is {newest - stamp:.3f} s older than the one before it, and was dropped'
        self._note('W_STAMP_ORDER', source, late)
        return None

    def _add_arrival(self, source: str, steady: float) -> None:
        if source in self._arrivals and math.isfinite(self._timeouts[source]):
            interval = min(steady - self._arrivals[source], self._timeouts[source])
            smoothed = self._intervals.setdefault(source, interval)
            self._intervals[source] = smoothed + SMOOTHING * (interval - smoothed)
            if source == self._pacing and self._intervals[source] > self._longest_interval:
                self._note(
                    'W_OBS_RATE',
                    source,
                    f'{source} comes at {1.0 / self._intervals[source]:.4g} Hz, '
                    f'at least {1.0 / self._longest_interval:.4g} Hz are needed',
                )
        self._arrivals[source] = steady

    def _note_zero_stamp(self, source: str, message: StateMessage) -> None:
        if hasattr(message, 'header'):  # an array or a twist has none, and is meant so
            self._note('W_STAMP_ZERO', source, f'{source} has no stamp: its arrival dates it')
        self._unstamped.add(source)

    def _note_extra_joints(self, message: JointState) -> None:
        if len(message.name) > len(self._joints):  # all of which are there
            extra = [name for name in dict.fromkeys(message.name) if name not in self._joints]
            text = f'joint_states has joints that the contract does not name: {listed(extra)}'
            self._note('W_OBS_EXTRA', 'joint_states', text)
            self._has_said_extra = True

    def _note(self, code: str, source: str, text: str) -> None:
        self._notices[code, source] = Fault(code, text)
