"""When a control period begins, and how well periods were kept.  No ROS, no clock of its own."""

import math

import numpy as np

FOLLOW = 0.2  # part of a state's delay by which the schedule moves: it settles in five periods
# [periods]: a slow state is waited for; a fast one must not make the robot faster than max_rate.
LEAST_SHIFT, MOST_SHIFT = -0.02, 0.1
GRACE = 0.25  # [periods] that the tick waits for a late state before it goes without
LONGEST_INTERVAL = 3.0  # [periods]: one pause must not spoil the mean interval for long
MATCH = 0.1  # [periods] by which the interval between states may differ from the period
WINDOW = 1000  # samples behind a percentile: 20 s at 50 Hz
SMOOTHING = 0.1  # of the measured interval between states
PATIENCE = 2.0  # [periods] that the watchdog waits for a tick
LONGEST_SLEEP = 0.5  # [periods] by which its look may be late; after more, it has slept itself


class TickSchedule:
    """Decides which arriving state starts a control period, and when to go without one.

    The tick belongs to the state that arrives nearest to its due time: each state when they come
    at the control rate, every 20th of a 1 kHz state at 50 Hz.  The due times keep the control
    rate and move slowly with the states, so that neither jitter nor a clock that is a little off
    leaves the tick between two states.
    """

    def __init__(self, dt: float) -> None:
        """Keep the period `dt` [s]."""
        self._dt = dt
        self._interval = dt  # [s] between states, smoothed
        self._arrival: float | None = None  # of the newest state
        self._has_new_state = False  # since the last tick
        self._due = 0.0
        self._sent_at = -math.inf  # [s]: the last command

    @property
    def deadline(self) -> float:
        """Return when the tick must go without a new state [s]."""
        return self._due + GRACE * self._dt

    def start(self, now: float) -> None:
        """Let the first period end one `dt` from now."""
        self._due = now + self._dt
        self._sent_at = -math.inf
        self._has_new_state = False

    def arrived(self, now: float) -> None:
        """Note that a state has arrived."""
        if self._arrival is not None:
            interval = min(max(now - self._arrival, 0.0), LONGEST_INTERVAL * self._dt)
            self._interval += SMOOTHING * (interval - self._interval)
        self._arrival = now
        self._has_new_state = True

    def is_due(self, now: float) -> bool:
        """Tell whether the state that arrives now is the nearest to the due time."""
        turned_back = now < self._due - 2.0 * self._dt  # a simulation that began again
        # Two commands in half a period would be two steps of max_rate in half the time.
        is_soon = now < self._sent_at + 0.5 * self._dt
        return turned_back or (
            now >= self._due - 0.5 * min(self._interval, self._dt) and not is_soon
        )

    def sent(self, now: float) -> None:
        """Note that a command has left, perhaps long after its tick began."""
        self._sent_at = now
        self._due = max(self._due, now + 0.5 * self._dt)

    def tick_with_state(self, now: float) -> float:
        """Note a tick that a state started; return how late it was [s]."""
        late = now - self._due
        shift = min(max(FOLLOW * late, LEAST_SHIFT * self._dt), MOST_SHIFT * self._dt)
        self._advance(now, late, shift)
        return late

    def tick_at_deadline(self, now: float) -> float:
        """Note a tick that no state started; return how late it was [s].

        When states do come once in a period, but not near the due time, the schedule slides
        towards them.
        """
        late = now - self._due
        is_periodic = abs(self._interval - self._dt) < MATCH * self._dt
        self._advance(now, late, late if self._has_new_state and is_periodic else 0.0)
        return late

    def _advance(self, now: float, late: float, shift: float) -> None:
        self._has_new_state = False
        if abs(late) <= 0.5 * self._dt:
            self._due += self._dt + shift
        else:
            self._due = now + self._dt


class Watchdog:
    """Decides when the stop command must be sent in place of a tick that does not end."""

    def __init__(self, dt: float) -> None:
        """Watch over the period `dt` [s]."""
        self._dt = dt
        self.start(0.0)

    def start(self, now: float) -> None:
        """Begin to watch: the first command is a period away."""
        self._sent_at = self._next_look = now
        self._is_acting = False
        self._has_waited = False

    def tick_ended(self, now: float) -> None:
        """Note that a tick has sent its command."""
        self._sent_at = now
        self._is_acting = False
        self._has_waited = False

    def rest(self, now: float) -> float:
        """Return how long the watchdog may sleep before its next look [s]."""
        patience = 1.0 if self._is_acting else PATIENCE
        self._next_look = max(now, self._sent_at + patience * self._dt)
        return self._next_look - now

    def has_just_acted(self, now: float) -> bool:
        """Tell whether it has sent in place of the tick that ends now, half a period ago or less.

        After more the next period has begun, which wants a command of its own.
        """
        return self._is_acting and now - self._sent_at <= 0.5 * self._dt

    def is_needed(self, now: float) -> bool:
        """Tell whether to send the stop command now; if so, it counts as sent."""
        if not self._has_waited and now - self._next_look > LONGEST_SLEEP * self._dt:
            # The whole process has slept: the tick has a period to see for itself, once.
            self._has_waited = True
            self._sent_at = now - (PATIENCE - 1.0) * self._dt
            return False
        patience = 1.0 if self._is_acting else PATIENCE
        if now - self._sent_at < (patience - 0.01) * self._dt:
            return False
        self._is_acting = True
        self._sent_at = now
        return True


class Samples:
    """The newest numbers of a kind, for percentiles; and the largest of all."""

    def __init__(self, window: int = WINDOW) -> None:
        """Keep `window` numbers."""
        self._values = np.zeros(window)
        self._count = 0
        self._max = 0.0

    def add(self, value: float) -> None:
        """Take one number."""
        self._values[self._count % len(self._values)] = value
        self._count += 1
        self._max = max(self._max, value)

    def summary(self) -> dict[str, float]:
        """Return p50 and p99 of the newest numbers and the maximum of all; empty without any."""
        if self._count == 0:
            return {}
        p50, p99 = np.percentile(self._values[: self._count], (50, 99))
        return {'p50': float(p50), 'p99': float(p99), 'max': self._max}


STAGES = ('read', 'think', 'policy', 'send')  # of a tick; `policy` is the inference in `think`


class TickStatistics:
    """How well the ticks kept their periods, and how long a state took to become a command."""

    def __init__(self, dt: float) -> None:
        """Measure against the period `dt` [s]."""
        self._dt = dt
        self._previous: float | None = None
        self._samples = {'period': Samples(), 'latency': Samples(), 'stamp_latency': Samples()}
        self._stages = {name: Samples() for name in STAGES}
        self.ticks = 0
        self.missed = 0  # ticks that came more than half a period late, or not at all

    def restart(self) -> None:
        """Forget the last tick: the time until the next one is a pause, not a period."""
        self._previous = None

    def add_tick(self, now: float, late: float) -> None:
        """Note a tick at `now` [s] that was `late` [s]."""
        if self._previous is not None:
            self._samples['period'].add(now - self._previous)
        self._previous = now
        self.ticks += 1
        self.missed += late > 0.5 * self._dt

    def add_latency(self, latency: float, stamp_latency: float) -> None:
        """Note the times from arrival and from stamp of a state to its command's leaving [s]."""
        self._samples['latency'].add(latency)
        self._samples['stamp_latency'].add(stamp_latency)

    def add_stage(self, name: str, duration: float) -> None:
        """Note how long a stage of a tick took [s]."""
        self._stages[name].add(duration)

    def in_milliseconds(self) -> dict[str, float]:
        """Return `period_ms.p50` and so on, rounded to a microsecond."""
        return _in_milliseconds(self._samples)

    def stages_in_milliseconds(self) -> dict[str, float]:
        """Return `read_ms.p50` and so on for each stage of a tick, and for all of it."""
        return _in_milliseconds({**self._stages, 'total': self._samples['latency']})


def _in_milliseconds(samples: dict[str, Samples]) -> dict[str, float]:
    return {
        f'{name}_ms.{key}': round(value * 1e3, 3)
        for name, part in samples.items()
        for key, value in part.summary().items()
    }
