"""PaceClock: the time of stamps, and the time that ages and periods of a control loop run in."""

import time

from rclpy.lifecycle import LifecycleNode
from rosgraph_msgs.msg import Clock

from sac_ros.messages import in_seconds

LONGEST_OVERTAKING = 1.0  # [s] by which a state may be ahead of simulated time


class PaceClock:
    """The clocks of a node: the one that somebody sets or simulates, and the steady one.

    Simulated time is heard by the thread that hears the states, in the order in which both were
    sent.  The node's own clock is set by the executor, which may come to it after the state of
    the same instant.
    """

    def __init__(self, node: LifecycleNode) -> None:
        """Take the node's clock, simulated if its parameter `use_sim_time` says so."""
        self._clock = node.get_clock()
        self.is_simulated = bool(node.get_parameter('use_sim_time').value)
        self._simulated: float | None = None  # [s], as heard last

    def hear(self, message: Clock) -> bool:
        """Take what a simulation says the time is; return whether that was turned back.

        As when a simulation begins again, or a bag is played again.
        """
        before, self._simulated = self._simulated, in_seconds(message.clock)
        return before is not None and self._simulated < before

    def now(self) -> float:
        """Return the time that stamps are given in [s]."""
        if self._simulated is not None:
            return self._simulated
        return self._clock.now().nanoseconds * 1e-9

    def pace_time(self, now: float) -> float:
        """Return the time that ages and periods are measured in [s], when stamps are given `now`.

        Simulated, or a clock that nobody sets: NTP may turn the computer's own.
        """
        return now if self.is_simulated else time.monotonic()

    def pace_now(self) -> float:
        """Return the time that ages and periods are measured in, as it is now [s]."""
        return self.pace_time(self.now())

    def with_state(self, stamp: float) -> float:
        """Return the time when the state stamped `stamp` has come [s]."""
        now = self.now()
        if not self.is_simulated:
            return now
        # A state may overtake the clock that it belongs to, by a little.
        ahead = stamp - now
        return now + ahead if 0.0 < ahead < LONGEST_OVERTAKING else now
