"""What all messages share: quality of service, stamps, the refusal, names that came in them.

What they say is read and written in state_messages.py, command_messages.py and step_message.py.
"""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from sac_ros.fault import Fault
from sac_ros.spec_fields import shown

# Quality of service.  What is not said below is ROS's default: reliable, for present readers only.
# State: only the newest counts, and a best-effort reader hears every kind of publisher.
STATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
COMMAND = QoSProfile(depth=1)
# Each tick as it was, for recorders and learners: some room, so that a slow one loses nothing.
RECORD = QoSProfile(depth=100)
DIAGNOSTICS = QoSProfile(depth=10)
# What a late reader must still get.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RESULTS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# A goal may have been published once, before we came, by a latched publisher: only a latched
# reader gets it.  Or it is published now by `ros2 topic pub --once`, which is not latched, and
# which a latched reader does not hear at all; a reliable reader does, also when it was still
# getting to know the publisher.  Or it comes again and again from a best-effort tracker.  So goals
# are read in three ways; one that arrives more than once changes nothing.
GOAL = (STATE, COMMAND, LATCHED)
# An emergency stop is read in the same three ways, for the same reasons: a button may be latched,
# and have been pressed before we came.  With room, so that no `false` behind it pushes it out.
ESTOP = (
    QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT),
    RECORD,
    RESULTS,
)

MAX_LISTED = 5  # names in an error or a warning


class MessageError(ValueError):
    """A message that must not be acted on; `fault` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(code, text)


def listed(names: Sequence[str]) -> str:
    """Return names that came in a message: in one line, and not all of many or of a long one."""
    few = ', '.join(shown(name[:100]) for name in names[:MAX_LISTED])
    more = len(names) - MAX_LISTED
    return f'{few} and {more} more' if more > 0 else few or 'no names'


def stamp_of(message: object) -> float:
    """Return when a message was measured [s], or 0.0 when it does not say."""
    header = getattr(message, 'header', None)
    return 0.0 if header is None else in_seconds(header.stamp)


def in_seconds(time: Time) -> float:
    """Return the time that a message says [s]."""
    return float(time.sec + time.nanosec * 1e-9)


def time_message(stamp: float) -> Time:
    """Return a time [s] as the message that ROS uses for it."""
    seconds, nanoseconds = divmod(round(stamp * 1e9), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)
