"""The rules of a contract that concern more than one of its fields, and the message types."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sac_ros.errors import nearest
from sac_ros.state import SOURCES, field_size
from sac_ros.terms import TERMS

if TYPE_CHECKING:
    from sac_ros.spec import TaskSpec
    from sac_ros.spec_fields import PerElement

MAX_CONTROL_RATE = 1000.0  # [Hz]; no Python process keeps a shorter period
MIN_CONTROL_RATE = 0.1  # [Hz]; an emergency stop waits for the next tick
LONGEST_TIMEOUT = 60.0  # [s]; a robot that has been silent for so long is not controlled
LONGEST_STOP = 60.0  # [s] from bound to bound; nobody waits that long for a robot to stand still

# Message types that may bring a source; the first is the default.
SOURCE_TYPES: dict[str, tuple[str, ...]] = {
    'joint_states': ('sensor_msgs/JointState',),
    'tool_pose': ('geometry_msgs/PoseStamped', 'geometry_msgs/PointStamped'),
    'odometry': ('nav_msgs/Odometry',),
    'imu': ('sensor_msgs/Imu',),
    'goal': ('geometry_msgs/PointStamped', 'geometry_msgs/PoseStamped'),
    'goal_velocity': ('geometry_msgs/TwistStamped', 'geometry_msgs/Twist'),
    'vector': ('std_msgs/Float64MultiArray', 'std_msgs/Float32MultiArray'),
}
# Message types that may carry the command of an interface; the first is the default.
COMMAND_TYPES: dict[str, tuple[str, ...]] = {
    'position': (
        'std_msgs/Float64MultiArray',
        'trajectory_msgs/JointTrajectory',
        'sensor_msgs/JointState',
    ),
    'velocity': ('std_msgs/Float64MultiArray', 'sensor_msgs/JointState'),
    'effort': ('std_msgs/Float64MultiArray', 'sensor_msgs/JointState'),
    'twist': ('geometry_msgs/TwistStamped', 'geometry_msgs/Twist'),
    'generic': ('std_msgs/Float64MultiArray',),
}
# Message types that say in which frame their numbers are.
FRAMED_TYPES = (
    'geometry_msgs/PointStamped',
    'geometry_msgs/PoseStamped',
    'geometry_msgs/TwistStamped',
    'nav_msgs/Odometry',
    'sensor_msgs/Imu',
)


def check_rules(spec: TaskSpec) -> None:
    """Raise ValueError with the first rule that the contract breaks."""
    if not MIN_CONTROL_RATE <= spec.control_rate <= MAX_CONTROL_RATE:
        raise ValueError(
            f'control_rate is {spec.control_rate} Hz; '
            f'{MIN_CONTROL_RATE:g} to {MAX_CONTROL_RATE:g} are allowed'
        )
    if spec.name.endswith(('.yaml', '.yml')):
        # It names the task to simulate, and a file's name there would run the Python beside it.
        raise ValueError(f"name '{spec.name}' looks like a file; a plain name is needed")
    _check_joints(spec)
    _check_observation(spec)
    _check_action(spec)
    _check_stop(spec)
    _check_topics(spec)
    _check_limits(spec)


def _check_joints(spec: TaskSpec) -> None:
    _refuse_twice('joints', spec.joints)
    _refuse_twice('action.joints', spec.action.joints or ())
    _refuse_twice('action.axes', spec.action.axes or ())
    for joint in spec.action.joints or ():
        if joint not in spec.joints:
            hint = nearest(joint, spec.joints)
            raise ValueError(f"action.joints: '{joint}' is not one of the joints{hint}")


def _check_observation(spec: TaskSpec) -> None:
    _refuse_twice('observation', [term.term for term in spec.observation])
    for term in spec.observation:
        size = TERMS[term.term].size
        if size == 'declared' and term.size is None:
            raise ValueError(f"observation: term '{term.term}' needs a size")
        if size == 'joints' and not spec.joints:
            raise ValueError(f"observation: term '{term.term}' needs joints, and none are named")
        if term.size not in (None, spec.term_size(term)):
            raise ValueError(
                f"observation: term '{term.term}' has {spec.term_size(term)} elements, "
                f'size says {term.size}'
            )


def _check_action(spec: TaskSpec) -> None:
    action = spec.action
    if (action.interface == 'twist') != (action.axes is not None):
        raise ValueError("action.axes is needed for interface 'twist' and only there")
    if action.interface in ('twist', 'generic') and action.joints is not None:
        raise ValueError(f"action.joints does not go with interface '{action.interface}'")
    observed = [term.term for term in spec.observation]
    if action.interface == 'position' and 'joint_position' not in observed:
        raise ValueError(
            "action: interface 'position' starts where the joints are; observe joint_position"
        )
    if spec.action_size == 0:
        raise ValueError(f"action: interface '{action.interface}' drives nothing; name the joints")
    for key, value in (('upper', action.upper), ('max_rate', action.max_rate)):
        _check_length(f'action.{key}', value, spec.action_size)
    _check_length('action.lower', action.lower, spec.action_size)
    _check_order('action', action.lower, action.upper, spec.action_names)
    _check_stop_time(spec)


def _check_stop_time(spec: TaskSpec) -> None:
    action = spec.action
    bounds = (spec.per_action(value) for value in (action.lower, action.upper, action.max_rate))
    for name, low, high, rate in zip(spec.action_names, *bounds, strict=True):
        # (upper - lower) / max_rate [s]; halved, because the range of large floats is infinite
        with np.errstate(over='ignore'):
            duration = 2.0 * ((high / 2.0 - low / 2.0) / rate)
        if duration > LONGEST_STOP:
            raise ValueError(
                f'action.max_rate: {name} takes {duration:g} s from {low} to {high} at {rate} a '
                f'second; at most {LONGEST_STOP:g} s are allowed'
            )


def _check_stop(spec: TaskSpec) -> None:
    stop, interface = spec.action.stop, spec.action.interface
    if stop == 'hold' and interface != 'position':
        raise ValueError(f"action.stop: 'hold' would go on moving with interface '{interface}'")
    if stop == 'zero' and interface == 'position':
        raise ValueError("action.stop: 'zero' would move the joints to 0; use hold or a list")
    if stop == 'hold':
        return
    vector = 0.0 if stop == 'zero' else stop
    _check_length('action.stop', vector, spec.action_size)
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    for i, value in enumerate(spec.per_action(vector)):
        if not lower[i] <= value <= upper[i]:
            raise ValueError(
                f'action.stop: {spec.action_names[i]} {value} is outside [{lower[i]}, {upper[i]}]'
            )


def _check_topics(spec: TaskSpec) -> None:
    needed = (*spec.sources, 'command')
    for key in needed:
        if key not in spec.topics:
            raise ValueError(f"topics: '{key}' is needed and missing")
    for key in spec.topics:
        if key not in needed:
            hint = nearest(key, needed)
            raise ValueError(
                f"topics: '{key}' is used by nothing{hint}; used: {', '.join(needed)}"
            )
        _check_type(spec, key)
        _check_timeouts(spec, key)
    _check_frames(spec)


def _check_type(spec: TaskSpec, key: str) -> None:
    topic = spec.topics[key]
    types = COMMAND_TYPES[spec.action.interface] if key == 'command' else SOURCE_TYPES[key]
    if topic.type not in (None, *types):
        raise ValueError(f"topics.{key}: type '{topic.type}' is not one of {', '.join(types)}")
    kind = topic.type or types[0]
    if topic.frame is not None and kind not in FRAMED_TYPES:
        raise ValueError(f'topics.{key}: frame does not go with {kind}, which has none')
    if (key, kind) == ('tool_pose', 'geometry_msgs/PointStamped') and (
        'tool_orientation' in spec.measured
    ):
        raise ValueError(f'topics.{key}: {kind} brings no tool_orientation')


def _check_timeouts(spec: TaskSpec, key: str) -> None:
    topic = spec.topics[key]
    if key == 'command':
        for name, timeout in (
            ('timeout', topic.timeout),
            ('frozen_timeout', topic.frozen_timeout),
        ):
            if timeout is not None:
                raise ValueError(f'topics.command: {name} is for topics that are read')
        return
    if topic.timeout is None:
        hint = ' (.inf when it never goes stale)' if key == 'goal' else ''
        raise ValueError(f'topics.{key}: timeout is missing{hint}')
    if topic.timeout == math.inf and key != 'goal':
        raise ValueError(
            f'topics.{key}: timeout is .inf; a finite one is needed, only a goal may stay valid'
        )
    if LONGEST_TIMEOUT < topic.timeout < math.inf and key != 'goal':
        raise ValueError(
            f'topics.{key}: timeout is {topic.timeout:g} s; at most {LONGEST_TIMEOUT:g} s are '
            'allowed'
        )
    if topic.timeout < spec.dt:
        raise ValueError(
            f'topics.{key}: timeout {topic.timeout} s is shorter than the control period '
            f'{spec.dt:g} s'
        )
    if topic.frozen_timeout is not None and topic.frozen_timeout < topic.timeout:
        raise ValueError(
            f'topics.{key}: frozen_timeout {topic.frozen_timeout} s is shorter than the '
            f'timeout {topic.timeout} s'
        )


def _check_frames(spec: TaskSpec) -> None:
    """A term that takes one position from another needs both in one frame."""
    for term in spec.observation:
        frames = {key: spec.topics[key].frame for key in TERMS[term.term].sources}
        named = {key: frame for key, frame in frames.items() if frame is not None}
        if len(set(named.values())) > 1:
            found = ', '.join(f"{key} is in '{frame}'" for key, frame in named.items())
            raise ValueError(f"observation: term '{term.term}' needs one frame; {found}")


def _check_limits(spec: TaskSpec) -> None:
    fields = [field for source in spec.sources for field in SOURCES[source]]
    sizes = {term.term: spec.term_size(term) for term in spec.observation}
    for key, limits in spec.limits.items():
        if key not in fields:
            hint = nearest(key, fields)
            raise ValueError(
                f"limits: '{key}' is not measured{hint}; measured: {', '.join(fields)}"
            )
        if key.startswith('joint_'):
            names = spec.joints
        else:
            size = sizes['vector'] if key == 'vector' else field_size(key, 0)
            names = tuple(f'{key}[{i}]' for i in range(size))
        _check_length(f'limits.{key}.lower', limits.lower, len(names))
        _check_length(f'limits.{key}.upper', limits.upper, len(names))
        _check_order(f'limits.{key}', limits.lower, limits.upper, names)
        if limits.max_rate is not None:
            _check_length(f'limits.{key}.max_rate', limits.max_rate, len(names))
            _check_is_compared(spec, key)


def _check_is_compared(spec: TaskSpec, key: str) -> None:
    """Changes over time are looked for only in what is measured again and again."""
    source = next(source for source in spec.sources if key in SOURCES[source])
    if spec.topics[source].timeout == math.inf:
        raise ValueError(
            f'limits.{key}.max_rate: does nothing while topics.{source} has timeout .inf; '
            'a finite one is needed, or no max_rate'
        )


def _refuse_twice(where: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{where}: '{name}' is named twice")
        seen.add(name)


def _check_length(where: str, value: PerElement, size: int) -> None:
    if isinstance(value, tuple) and len(value) != size:
        raise ValueError(f'{where}: {len(value)} numbers found, one or {size} are needed')


def _check_order(where: str, lower: PerElement, upper: PerElement, names: tuple[str, ...]) -> None:
    pairs = np.broadcast_arrays(lower, upper, np.empty(len(names)))
    for name, low, high in zip(names, pairs[0], pairs[1], strict=True):
        if not low < high:
            raise ValueError(f'{where}: lower {low} must be below upper {high} ({name})')
