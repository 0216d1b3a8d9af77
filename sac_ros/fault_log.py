"""FaultLog: counts faults, and turns 50 of them a second into a line that is worth reading."""

from collections import Counter

from sac_ros.control_step import Mode
from sac_ros.fault import Fault

LOG_PERIOD = 1.0  # [s] between two lines, at least
REPEAT_PERIOD = 10.0  # [s] between two lines about the same fault
STOPPED = (Mode.SAFE.value, Mode.FAULT.value)
THOUGHT = ('E_ACT_NONFINITE',)  # is of the model that acts, wherever the robot is
PUT_ASIDE = ('W_DISABLED', 'E_ESTOP')  # by a person, who may move the robot anywhere then


class FaultLog:
    """Remembers what was said when.  Knows no logger and no clock."""

    def __init__(self) -> None:
        """Start with nothing counted and nothing said."""
        self.counts: Counter[str] = Counter()  # fault code -> ticks with it
        # number of a model -> fault code -> the newest by which the robot was stopped, or kept so,
        # after that model had led it there; a person who drives or puts it aside is no model
        self.stops: dict[int, dict[str, Fault]] = {}
        self._driver: int | None = None  # the model that acted in the newest good tick
        self._said: tuple[str, str] | None = None  # mode and code of the newest line
        self._said_at = float('-inf')
        self._warned_at: dict[str, float] = {}  # warning code -> when it was said [s]

    def restart(self) -> None:
        """Begin with a robot that no model has driven yet: it was anywhere meanwhile."""
        self._driver = None

    def note(
        self, mode: str, fault: Fault | None, now: float, model: int | None = None
    ) -> str | None:
        """Take a tick's mode and fault; return the line to log, or None.  `now` is in [s].

        `model` is the number of the one that was asked, None where a person or nobody was.
        A line comes when a fault appears, when mode or fault change, when it has gone, and again
        while it stays.
        """
        if mode == Mode.ACTIVE.value:
            self._driver = model
        if fault is not None:
            self.counts[fault.code] += 1
            if mode in STOPPED:
                self._blame(fault, model)
        elif self._said is None:
            return None
        now_said = None if fault is None else (mode, fault.code)
        wait = REPEAT_PERIOD if now_said == self._said else LOG_PERIOD
        if now - self._said_at < wait:
            return None
        line = f'{mode}: the fault has gone' if fault is None else f'{mode}: {fault}'
        self._said, self._said_at = now_said, now
        return line

    def _blame(self, fault: Fault, model: int | None) -> None:
        """Remember who has led the robot to where it was stopped."""
        if fault.code in PUT_ASIDE:
            self._driver = None
        driver = model if fault.code in THOUGHT else self._driver
        if driver is not None:
            self.stops.setdefault(driver, {})[fault.code] = fault

    def note_warning(self, warning: Fault, now: float) -> bool:
        """Take something that does not stop the robot; return whether to say it.  `now` in [s]."""
        self.counts[warning.code] += 1
        if now - self._warned_at.get(warning.code, float('-inf')) < REPEAT_PERIOD:
            return False
        self._warned_at[warning.code] = now
        return True
