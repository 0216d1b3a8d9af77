"""ROS messages <-> RobotState: what a robot, or its simulation, says about itself.

This file and command_messages.py are the only ones that know message types.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from numpy.typing import ArrayLike
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32MultiArray, Float64MultiArray, Header

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState

MESSAGE_TYPES: dict[str, type] = {
    'geometry_msgs/PointStamped': PointStamped,
    'geometry_msgs/PoseStamped': PoseStamped,
    'sensor_msgs/JointState': JointState,
    'std_msgs/Float32MultiArray': Float32MultiArray,
    'std_msgs/Float64MultiArray': Float64MultiArray,
}
JOINT_FIELDS = {  # field of RobotState -> field of JointState
    'joint_position': 'position',
    'joint_velocity': 'velocity',
    'joint_effort': 'effort',
}

# Quality of service.  What is not said below is ROS's default: reliable, for present readers only.
# State: only the newest counts, and a best-effort reader hears every kind of publisher.
STATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
COMMAND = QoSProfile(depth=1)
# Each tick as it was, for recorders and learners: some room, so that a slow one loses nothing.
RECORD = QoSProfile(depth=100)
DIAGNOSTICS = QoSProfile(depth=10)
# An emergency stop must be heard from every kind of publisher, and not be lost on the way where
# the publisher can help it: so it is read twice, which changes nothing.
ESTOP = (QoSProfile(depth=1), STATE)
# What a late reader must still get.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RESULTS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# A goal may have been published once, before we came, by a latched publisher: only a latched
# reader gets it.  Or it is published now by `ros2 topic pub --once`, which is not latched, and
# which a latched reader does not hear at all; a reliable reader does, also when it was still
# getting to know the publisher.  Or it comes again and again from a best-effort tracker.  So goals
# are read in three ways; one that arrives more than once changes nothing.
GOAL = (STATE, COMMAND, LATCHED)

MAX_ORDERS = 16  # orders of joint names that are remembered: one for each publisher, and to spare

StateMessage: TypeAlias = (
    JointState | PointStamped | PoseStamped | Float32MultiArray | Float64MultiArray
)
Fields: TypeAlias = dict[str, np.ndarray | None]


class MessageError(ValueError):
    """A message that must not be acted on; `fault` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(code, text)


class Measurements:
    """The newest measurement of each source.  A callback stores here and does nothing else."""

    def __init__(self, spec: TaskSpec) -> None:
        """Prepare to read the sources of `spec`."""
        self._readers = {source: _reader(spec, source) for source in spec.sources}
        self._fields: Fields = {}
        self._stamps: dict[str, float] = {}
        self._refused: dict[str, Fault] = {}

    def update(self, source: str, message: StateMessage, arrival: float) -> None:
        """Store a message, or why it was refused.  `arrival` [s] dates a message without stamp."""
        try:
            fields = self._readers[source](message)
        except MessageError as refusal:
            self._refused[source] = refusal.fault
            return
        self._refused.pop(source, None)
        self._fields.update(fields)
        self._stamps[source] = stamp_of(message) or arrival

    def stamp(self, source: str) -> float:
        """Return when the newest measurement of a source was made [s]; NaN without one."""
        return self._stamps.get(source, math.nan)

    def state(self) -> RobotState:
        """Return what was measured last."""
        return RobotState(**self._fields, stamps=dict(self._stamps), refused=dict(self._refused))


def state_message(spec: TaskSpec, source: str, state: RobotState, stamp: float) -> StateMessage:
    """Return the message that brings a source of `state`, stamped `stamp` [s]."""
    kind = spec.source_type(source)
    header = Header(stamp=time_message(stamp), frame_id=spec.topics[source].frame or '')
    if source == 'joint_states':
        message = JointState(header=header, name=list(spec.joints))
        for field, name in JOINT_FIELDS.items():
            if (values := getattr(state, field)) is not None:
                setattr(message, name, values.tolist())
        return message
    values = {'tool_pose': state.tool_position, 'goal': state.goal, 'vector': state.vector}[source]
    if values is None:
        raise ValueError(f'the state brings no {source}')
    if source == 'vector':
        return MESSAGE_TYPES[kind](data=values.tolist())
    x, y, z = values.tolist()
    message = MESSAGE_TYPES[kind](header=header)
    _point(message).x, _point(message).y, _point(message).z = x, y, z
    return message


def stamp_of(message: StateMessage) -> float:
    """Return when a message was measured [s], or 0.0 when it does not say."""
    header = getattr(message, 'header', None)
    return 0.0 if header is None else header.stamp.sec + header.stamp.nanosec * 1e-9


def time_message(stamp: float) -> Time:
    """Return a time [s] as the message that ROS uses for it."""
    seconds, nanoseconds = divmod(round(stamp * 1e9), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


class JointOrder:
    """Where the wanted joints are in a message, found by name and remembered."""

    def __init__(self, joints: tuple[str, ...], topic: str) -> None:
        """Look for `joints`, in their order; `topic` names the message in errors."""
        self._joints = joints
        self._topic = topic
        self._known: dict[tuple[str, ...], np.ndarray] = {}

    def find(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the index of each joint in `names`.  Raises MessageError."""
        order = self._known.get(names)
        if order is None:
            order = np.array([self._index(joint, names) for joint in self._joints], dtype=np.intp)
            if len(self._known) >= MAX_ORDERS:
                self._known.clear()
            self._known[names] = order
        return order

    def _index(self, joint: str, names: tuple[str, ...]) -> int:
        if joint not in names:
            found = ', '.join(names) or 'no names'
            raise MessageError(
                'E_OBS_MISSING_JOINT',
                f"joint '{joint}' is absent from {self._topic}: it has {found}",
            )
        if names.count(joint) > 1:
            raise MessageError(
                'E_OBS_DUP_JOINT',
                f"joint '{joint}' is named {names.count(joint)} times in {self._topic}",
            )
        return names.index(joint)


def _reader(spec: TaskSpec, source: str) -> Callable[[StateMessage], Fields]:
    """Return the function that reads one message of a source, or raises MessageError."""
    if source == 'joint_states':
        return _joint_reader(spec)
    if source == 'vector':
        return lambda message: {'vector': np.array(message.data, dtype=np.float64)}
    field = {'tool_pose': 'tool_position', 'goal': 'goal'}[source]
    frame = spec.topics[source].frame

    def read(message: StateMessage) -> Fields:
        if frame is not None and message.header.frame_id != frame:
            raise MessageError(
                'E_OBS_FRAME',
                f"{source} is in frame '{message.header.frame_id}', not in '{frame}'",
            )
        point = _point(message)
        return {field: np.array((point.x, point.y, point.z))}

    return read


def _joint_reader(spec: TaskSpec) -> Callable[[StateMessage], Fields]:
    fields = {field: name for field, name in JOINT_FIELDS.items() if field in spec.measured}
    joint_order = JointOrder(spec.joints, 'joint_states')

    def read(message: StateMessage) -> Fields:
        order = joint_order.find(tuple(message.name))
        return {
            field: _take(getattr(message, name), order, len(message.name), name)
            for field, name in fields.items()
        }

    return read


def _take(values: ArrayLike, order: np.ndarray, count: int, name: str) -> np.ndarray | None:
    """Return the values of the wanted joints, or None when the message leaves this field out."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    if array.size != count:
        raise MessageError(
            'E_OBS_SHAPE', f'joint_states has {count} names and {array.size} numbers in {name}'
        )
    return array[order]


def _point(message: PointStamped | PoseStamped) -> Point:
    """Return the position in a stamped point or pose."""
    return message.pose.position if isinstance(message, PoseStamped) else message.point
