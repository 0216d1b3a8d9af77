"""Measurements of the tiny contract, and two clocks that a test turns by hand."""

from builders import make_spec
from sensor_msgs.msg import JointState

from sac_ros.measurements import Measurements
from sac_ros.messages import time_message

WALL = 1_000.0  # [s] that the robot's clock is ahead of the steady one; its timeouts are 0.1 s
SPEC = make_spec()


class Clocks:
    """Messages arrive at the time of both clocks."""

    def __init__(self, spec=SPEC) -> None:
        self.measurements = Measurements(spec)
        self.steady = 0.0  # [s]
        self.wall = WALL  # [s] ahead of it

    def joints(self, *position: float, age: float = 0.0, names='shoulder elbow') -> bool:
        """Let joint states arrive that were measured `age` [s] ago."""
        message = JointState(name=names.split(), position=position, velocity=[0.0] * len(position))
        return self.arrive('joint_states', message, age)

    def arrive(self, source, message, age=0.0) -> bool:
        message.header.stamp = time_message(self.now - age)
        return self.measurements.update(source, message, self.now, self.steady)

    @property
    def now(self) -> float:
        return self.wall + self.steady

    @property
    def position(self) -> list[float] | None:
        values = self.measurements.state().joint_position
        return None if values is None else values.tolist()

    @property
    def age(self) -> float:
        return self.steady - self.measurements.state().stamps['joint_states']

    def notices(self) -> list[str]:
        return [str(notice) for notice in self.measurements.take_notices()]
