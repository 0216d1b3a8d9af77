"""Commands <-> ROS messages, one pair of functions for each type in COMMAND_TYPES."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Twist, TwistStamped
from numpy.typing import ArrayLike
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sac_ros.joint_messages import JointOrder
from sac_ros.messages import MessageError, time_message
from sac_ros.spec import TaskSpec

CommandMessage: TypeAlias = Float64MultiArray | JointTrajectory | JointState | Twist | TwistStamped


@dataclass(frozen=True)
class CommandType:
    """A message type and the two ways through it."""

    message_type: type
    to_message: Callable[[TaskSpec, np.ndarray, float], CommandMessage]
    from_message: Callable[[TaskSpec, CommandMessage], np.ndarray]


def command_message(spec: TaskSpec, command: np.ndarray, stamp: float) -> CommandMessage:
    """Return `command` [the interface's unit] as the contract's message, stamped `stamp` [s]."""
    return TYPES[spec.command_type].to_message(spec, command, stamp)


def command_from_message(spec: TaskSpec, message: CommandMessage) -> np.ndarray:
    """Return the finite command in a message, shape (action_size,).  Raises MessageError."""
    command = TYPES[spec.command_type].from_message(spec, message)
    if command.shape != (spec.action_size,):
        raise MessageError(
            'E_OBS_SHAPE', f'the command has {command.size} numbers, {spec.action_size} are needed'
        )
    finite = np.isfinite(command)
    if not finite.all():
        i = int(np.argmin(finite))
        raise MessageError(
            'E_OBS_NONFINITE', f'the command for {spec.action_names[i]} is {command[i]}'
        )
    return command


def command_type(spec: TaskSpec) -> type:
    """Return the message class of the contract's command."""
    return TYPES[spec.command_type].message_type


def _to_array(spec: TaskSpec, command: np.ndarray, stamp: float) -> Float64MultiArray:
    return Float64MultiArray(data=array('d', command.tobytes()))


def _from_array(spec: TaskSpec, message: Float64MultiArray) -> np.ndarray:
    return np.array(message.data, dtype=np.float64)


def _to_trajectory(spec: TaskSpec, command: np.ndarray, stamp: float) -> JointTrajectory:
    """One point, one period ahead.  Without a stamp it starts on arrival: a controller drops a
    trajectory whose stamp says that it should have begun and ended before it came.
    """
    seconds, nanoseconds = divmod(round(spec.dt * 1e9), 1_000_000_000)
    point = JointTrajectoryPoint(
        positions=command.tolist(),
        time_from_start=Duration(sec=seconds, nanosec=nanoseconds),
    )
    return JointTrajectory(joint_names=list(spec.action_names), points=[point])


def _from_trajectory(spec: TaskSpec, message: JointTrajectory) -> np.ndarray:
    if not message.points:
        raise MessageError('E_OBS_MISSING_FIELD', 'the trajectory has no points')
    return _by_name(spec, message.joint_names, message.points[-1].positions)


def _to_joint_state(spec: TaskSpec, command: np.ndarray, stamp: float) -> JointState:
    message = JointState(header=Header(stamp=time_message(stamp)), name=list(spec.action_names))
    setattr(message, spec.action.interface, command.tolist())  # position, velocity or effort
    return message


def _from_joint_state(spec: TaskSpec, message: JointState) -> np.ndarray:
    return _by_name(spec, message.name, getattr(message, spec.action.interface))


def _to_twist(spec: TaskSpec, command: np.ndarray, stamp: float) -> Twist:
    twist = Twist()
    for axis, value in zip(spec.action_names, command.tolist(), strict=True):
        part, component = axis.split('.')
        setattr(getattr(twist, part), component, value)
    return twist


def _from_twist(spec: TaskSpec, message: Twist) -> np.ndarray:
    parts = (axis.split('.') for axis in spec.action_names)
    return np.array([getattr(getattr(message, part), name) for part, name in parts])


def _to_twist_stamped(spec: TaskSpec, command: np.ndarray, stamp: float) -> TwistStamped:
    frame = spec.topics['command'].frame or ''
    return TwistStamped(
        header=Header(stamp=time_message(stamp), frame_id=frame),
        twist=_to_twist(spec, command, stamp),
    )


def _from_twist_stamped(spec: TaskSpec, message: TwistStamped) -> np.ndarray:
    return _from_twist(spec, message.twist)


def _by_name(spec: TaskSpec, names: list[str], values: ArrayLike) -> np.ndarray:
    """Return the values of the driven joints in the contract's order."""
    array_of_values = np.asarray(values, dtype=np.float64)
    if array_of_values.size != len(names):
        raise MessageError(
            'E_OBS_SHAPE', f'the command has {len(names)} names and {array_of_values.size} numbers'
        )
    return array_of_values[JointOrder(spec.action_names, 'the command').find(tuple(names))]


TYPES: dict[str, CommandType] = {
    'std_msgs/Float64MultiArray': CommandType(Float64MultiArray, _to_array, _from_array),
    'trajectory_msgs/JointTrajectory': CommandType(
        JointTrajectory, _to_trajectory, _from_trajectory
    ),
    'sensor_msgs/JointState': CommandType(JointState, _to_joint_state, _from_joint_state),
    'geometry_msgs/Twist': CommandType(Twist, _to_twist, _from_twist),
    'geometry_msgs/TwistStamped': CommandType(
        TwistStamped, _to_twist_stamped, _from_twist_stamped
    ),
}
