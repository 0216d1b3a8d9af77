"""The robot that the node is measured with: seven joints that swing.  No ROS in here."""

import math
import time
from collections.abc import Iterator

JOINTS = tuple(f'joint{i}' for i in range(1, 8))
AMPLITUDE = 0.5  # [rad]
FREQUENCY = 4.0  # [rad/s]
TURN = math.tau / FREQUENCY  # [s]


def swing(now: float) -> tuple[list[float], list[float]]:
    """Return the positions [rad] and velocities [rad/s] at `now` [s], each joint a radian ahead.

    They change from state to state, as a real sensor's values do.
    """
    # q_i = A sin(w t + i), dq_i / dt = A w cos(w t + i)
    phases = [FREQUENCY * (now % TURN) + i for i in range(len(JOINTS))]
    positions = [AMPLITUDE * math.sin(phase) for phase in phases]
    return positions, [AMPLITUDE * FREQUENCY * math.cos(phase) for phase in phases]


def paced(rate: float) -> Iterator[None]:
    """Yield at `rate` [Hz], for ever: at once, then whenever the next period begins.

    It sleeps until then and never spins, so each time is as late as the system wakes us.  A
    period that was slept through is not made up for.
    """
    due = time.monotonic()
    while True:
        yield
        due = max(due + 1.0 / rate, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0.0))
