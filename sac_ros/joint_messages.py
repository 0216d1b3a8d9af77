"""Joints in messages: found by name, never by place; JointState <-> RobotState."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from sensor_msgs.msg import JointState

from sac_ros.messages import MessageError, listed
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState

MAX_NAMES = 1_000  # in a message; to look for joints among more would take too long
MAX_ORDERS = 16  # orders of joint names that are remembered: one for each publisher, and to spare


class JointOrder:
    """Where the wanted joints are in a message, found by name and remembered."""

    def __init__(self, joints: tuple[str, ...], topic: str) -> None:
        """Look for `joints`, in their order; `topic` names the message in errors."""
        self._joints = joints
        self._topic = topic
        self._known: dict[tuple[str, ...], np.ndarray] = {}

    def find(self, names: Sequence[str]) -> np.ndarray:
        """Return the index of each joint in `names`.  Raises MessageError."""
        if len(names) > MAX_NAMES:
            raise MessageError(
                'E_OBS_SHAPE', f'{self._topic} has {len(names)} names (limit {MAX_NAMES})'
            )
        key = tuple(names)
        order = self._known.get(key)
        if order is None:
            order = np.array([self._index(joint, key) for joint in self._joints], dtype=np.intp)
            if len(self._known) >= MAX_ORDERS:
                self._known.clear()
            self._known[key] = order
        return order

    def _index(self, joint: str, names: tuple[str, ...]) -> int:
        if joint not in names:
            raise MessageError(
                'E_OBS_MISSING_JOINT',
                f"joint '{joint}' is absent from {self._topic}: it has {listed(names)}",
            )
        if names.count(joint) > 1:
            raise MessageError(
                'E_OBS_DUP_JOINT',
                f"joint '{joint}' is named {names.count(joint)} times in {self._topic}",
            )
        return names.index(joint)


def joint_reader(
    spec: TaskSpec, places: Mapping[str, str]
) -> Callable[[JointState], dict[str, np.ndarray | None]]:
    """Return the function that reads the fields of RobotState at `places` of a JointState."""
    joint_order = JointOrder(spec.joints, 'joint_states')

    def read(message: JointState) -> dict[str, np.ndarray | None]:
        order = joint_order.find(message.name)
        return {
            field: _take(getattr(message, place), order, len(message.name), place)
            for field, place in places.items()
        }

    return read


def write_joints(
    spec: TaskSpec, places: Mapping[str, str], state: RobotState, message: JointState
) -> None:
    """Write the fields of `state` to `places` of a JointState."""
    message.name = list(spec.joints)
    for field, place in places.items():
        setattr(message, place, getattr(state, field).tolist())


def _take(values: ArrayLike, order: np.ndarray, count: int, place: str) -> np.ndarray | None:
    """Return the values of the wanted joints, or None when the message leaves this field out."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    if array.size != count:
        raise MessageError(
            'E_OBS_SHAPE', f'joint_states has {count} names and {array.size} numbers in {place}'
        )
    return array[order]
