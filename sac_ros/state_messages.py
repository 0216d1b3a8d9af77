"""ROS messages <-> RobotState, one row in TYPES for each message type.

What a robot, or its simulation, says about itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from geometry_msgs.msg import PointStamped, PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float32MultiArray, Float64MultiArray, Header

from sac_ros.joint_messages import joint_reader, write_joints
from sac_ros.messages import MessageError, time_message
from sac_ros.spec import TaskSpec
from sac_ros.spec_fields import shown
from sac_ros.state import QUATERNIONS, SOURCES, RobotState, canonical

StateMessage: TypeAlias = (
    JointState
    | PointStamped
    | PoseStamped
    | Odometry
    | Imu
    | Twist
    | TwistStamped
    | Float32MultiArray
    | Float64MultiArray
)
Places: TypeAlias = Mapping[str, str]  # field of RobotState -> where it is in the message
Fields: TypeAlias = dict[str, np.ndarray | None]
Reader: TypeAlias = Callable[[StateMessage], Fields]

NOT_MEASURED = -1.0  # as element 0 of the covariance of what an IMU does not measure


@dataclass(frozen=True)
class StateType:
    """A message type, what it holds, and the two ways through it."""

    message_type: type
    places: Places
    reader: Callable[[TaskSpec, Places], Reader]  # made once, for the places that are needed
    write: Callable[[TaskSpec, Places, RobotState, StateMessage], None]


def state_reader(spec: TaskSpec, source: str) -> Reader:
    """Return the function that reads one message of a source, or raises MessageError.

    It reads only what the contract observes or limits.
    """
    row = TYPES[spec.source_type(source)]
    needed = [field for field in SOURCES[source] if field in spec.measured]
    read = row.reader(spec, {field: row.places[field] for field in needed})
    frame = spec.topics[source].frame
    return read if frame is None else partial(_read_in_frame, read, source, frame)


def state_message(spec: TaskSpec, source: str, state: RobotState, stamp: float) -> StateMessage:
    """Return the message that brings a source of `state`, stamped `stamp` [s]."""
    row = TYPES[spec.source_type(source)]
    brought = [field for field in SOURCES[source] if getattr(state, field) is not None]
    for field in SOURCES[source]:
        if field in spec.measured and field not in brought:
            raise ValueError(f'the state brings no {field}')
    message = row.message_type()
    if hasattr(message, 'header'):
        frame = spec.topics[source].frame or ''
        message.header = Header(stamp=time_message(stamp), frame_id=frame)
    places = {field: row.places[field] for field in brought if field in row.places}
    row.write(spec, places, state, message)
    return message


def _read_in_frame(read: Reader, source: str, frame: str, message: StateMessage) -> Fields:
    found = message.header.frame_id
    if found != frame:
        raise MessageError(
            'E_OBS_FRAME', f"{source} is in frame {shown(found[:100])}, not in '{frame}'"
        )
    return read(message)


def _array_reader(spec: TaskSpec, places: Places) -> Reader:
    size = spec.measured['vector']

    def read(message: StateMessage) -> Fields:
        if len(message.data) != size:
            raise MessageError(
                'E_OBS_SHAPE', f'vector has {len(message.data)} numbers, {size} are needed'
            )
        return {'vector': np.array(message.data, dtype=np.float64)}

    return read


def _write_array(spec: TaskSpec, places: Places, state: RobotState, message: StateMessage) -> None:
    for field, place in places.items():
        setattr(message, place, getattr(state, field).tolist())


def _vector_reader(spec: TaskSpec, places: Places) -> Reader:
    getters = {field: attrgetter(*_components(field, place)) for field, place in places.items()}

    def read(message: StateMessage) -> Fields:
        fields: Fields = {}
        for field, get in getters.items():
            values = np.array(get(message))
            fields[field] = canonical(values) if field in QUATERNIONS else values
        return fields

    return read


def _write_vectors(
    spec: TaskSpec, places: Places, state: RobotState, message: StateMessage
) -> None:
    for field, place in places.items():
        components = _components(field, place)
        for component, value in zip(components, getattr(state, field).tolist(), strict=True):
            *parents, name = component.split('.')
            setattr(reduce(getattr, parents, message), name, value)


def _components(field: str, place: str) -> list[str]:
    """Return where the numbers of a field are, e.g. `pose.position.x`."""
    if field == 'goal_velocity':
        names = ['linear.x', 'linear.y', 'angular.z']
    else:
        names = ['x', 'y', 'z', 'w'] if field in QUATERNIONS else ['x', 'y', 'z']
    return [f'{place}.{name}'.lstrip('.') for name in names]


def _imu_reader(spec: TaskSpec, places: Places) -> Reader:
    read_vectors = _vector_reader(spec, places)
    covariances = {field: f'{place}_covariance' for field, place in places.items()}

    def read(message: StateMessage) -> Fields:
        fields = read_vectors(message)
        for field, covariance in covariances.items():
            if getattr(message, covariance)[0] == NOT_MEASURED:
                fields[field] = None
        return fields

    return read


def _write_imu(spec: TaskSpec, places: Places, state: RobotState, message: StateMessage) -> None:
    _write_vectors(spec, places, state, message)
    for field, place in _IMU.items():
        if field not in places:
            getattr(message, f'{place}_covariance')[0] = NOT_MEASURED


_JOINTS = {
    'joint_position': 'position',
    'joint_velocity': 'velocity',
    'joint_effort': 'effort',
}
_POINT = {'tool_position': 'point', 'goal': 'point'}
_POSE = {
    'tool_position': 'pose.position',
    'tool_orientation': 'pose.orientation',
    'goal': 'pose.position',
}
_ODOMETRY = {  # the pose is in the header's frame, the twist in the base's own
    'base_position': 'pose.pose.position',
    'base_orientation': 'pose.pose.orientation',
    'base_linear_velocity': 'twist.twist.linear',
    'base_angular_velocity': 'twist.twist.angular',
}
_IMU = {
    'imu_orientation': 'orientation',
    'imu_angular_velocity': 'angular_velocity',
    'imu_linear_acceleration': 'linear_acceleration',
}
_TWIST = {'goal_velocity': ''}  # all of the message
_TWIST_STAMPED = {'goal_velocity': 'twist'}
_ARRAY = {'vector': 'data'}

TYPES: dict[str, StateType] = {
    'sensor_msgs/JointState': StateType(JointState, _JOINTS, joint_reader, write_joints),
    'geometry_msgs/PointStamped': StateType(PointStamped, _POINT, _vector_reader, _write_vectors),
    'geometry_msgs/PoseStamped': StateType(PoseStamped, _POSE, _vector_reader, _write_vectors),
    'nav_msgs/Odometry': StateType(Odometry, _ODOMETRY, _vector_reader, _write_vectors),
    'sensor_msgs/Imu': StateType(Imu, _IMU, _imu_reader, _write_imu),
    'geometry_msgs/Twist': StateType(Twist, _TWIST, _vector_reader, _write_vectors),
    'geometry_msgs/TwistStamped': StateType(
        TwistStamped, _TWIST_STAMPED, _vector_reader, _write_vectors
    ),
    'std_msgs/Float32MultiArray': StateType(
        Float32MultiArray, _ARRAY, _array_reader, _write_array
    ),
    'std_msgs/Float64MultiArray': StateType(
        Float64MultiArray, _ARRAY, _array_reader, _write_array
    ),
}
MESSAGE_TYPES: dict[str, type] = {kind: row.message_type for kind, row in TYPES.items()}
