"""What tests are built from: a contract of two joints, a state that fits it, small models."""

import copy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, settings
from model_builders import make_metadata as make_metadata
from model_builders import onnx_model as onnx_model
from model_builders import tensor as tensor

from sac_ros.fault import Fault
from sac_ros.policy import OnnxPolicy
from sac_ros.spec import TaskSpec, spec_from_dict
from sac_ros.spec_rules import LONGEST_STOP
from sac_ros.state import SOURCES, RobotState
from sac_ros.terms import TERMS
from sim_training.export import export_policy
from sim_training.networks import Actor

torch.set_num_threads(1)  # the machine is shared, and a second thread gains nothing here
# The same examples each time, and no word about how long they take: both would fail by chance.
settings.register_profile(
    'repeatable', derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile('repeatable')

Vector = Sequence[float] | np.ndarray

# 2 + 2 + 3 + 2 = 9 elements of observation, 2 of action; 50 Hz, so 20 ms in a period.
_CONTENT: dict[str, object] = {
    'schema': 1,
    'name': 'tiny',
    'control_rate': 50.0,
    'joints': ['shoulder', 'elbow'],
    'observation': [
        {'term': 'joint_position'},
        {'term': 'joint_velocity'},
        {'term': 'goal_from_tool'},
        {'term': 'previous_action'},
    ],
    'action': {
        'interface': 'velocity',
        'lower': -1.0,
        'upper': 1.0,
        'max_rate': 5.0,  # 5.0 rad/s^2 * 0.02 s = 0.1 rad/s in a period
        'stop': 'zero',
    },
    'limits': {
        'joint_position': {'lower': [-3.0, -2.0], 'upper': [3.0, 2.0]},
        'tool_position': {'lower': -1.5, 'upper': 1.5},
    },
}
_TOPICS: dict[str, dict[str, object]] = {
    'joint_states': {'name': 'joint_states', 'timeout': 0.1},
    'tool_pose': {'name': 'tool_pose', 'timeout': 0.1},
    'odometry': {'name': 'odom', 'timeout': 0.1},
    'imu': {'name': 'imu/data', 'timeout': 0.1},
    'goal': {'name': 'goal', 'timeout': float('inf')},
    'goal_velocity': {'name': 'cmd_vel', 'timeout': 0.5},
    'vector': {'name': 'observation', 'timeout': 0.1},
    'command': {'name': 'arm/commands'},
}
_ACTION_KEYS = ('interface', 'axes', 'lower', 'upper', 'max_rate', 'stop')


def spec_content(**overrides: object) -> dict[str, object]:
    """Return the tiny contract as plain data; keys of `action` may be given like its own.

    Topics and limits that the observation does not need are left out.
    """
    content = copy.deepcopy(_CONTENT)
    action = {key: overrides.pop(key) for key in _ACTION_KEYS if key in overrides}
    driven = {'joints': overrides.pop('action_joints')} if 'action_joints' in overrides else {}
    content['action'] = {**_mapping(content['action']), **action, **driven}
    content.update(overrides)
    used = _sources(content['observation'])
    if 'topics' not in overrides:
        content['topics'] = copy.deepcopy({key: _TOPICS[key] for key in (*used, 'command')})
    if 'limits' not in overrides:
        kept = {'joint_position': 'joint_states', 'tool_position': 'tool_pose'}
        limits = _mapping(content['limits'])
        content['limits'] = {key: limits[key] for key, source in kept.items() if source in used}
    return content


def make_spec(**overrides: object) -> TaskSpec:
    """Return the tiny contract, changed as in `spec_content`."""
    return spec_from_dict(spec_content(**overrides))


def slowest_rate(lower: float, upper: float) -> float:
    """Return a `max_rate` at which from bound to bound takes a second less than is allowed."""
    seconds = LONGEST_STOP - 1.0
    # divided first, because the range of large floats is infinite; tiny ones have a rate too
    return max(upper / seconds - lower / seconds, sys.float_info.min)


def topic(key: str, **overrides: object) -> dict[str, object]:
    """Return one topic of the tiny contract, changed."""
    return {**_TOPICS[key], **overrides}


def make_state(
    now: float = 0.0,
    *,
    joint_position: Vector | None = (0.1, -0.2),
    joint_velocity: Vector | None = (0.3, -0.4),
    joint_effort: Vector | None = None,
    tool_position: Vector | None = (0.3, 0.0, 0.4),
    goal: Vector | None = (0.5, 0.1, 0.1),
    vector: Vector | None = None,
    stamps: Mapping[str, float] | None = None,
    refused: Mapping[str, Fault] | None = None,
    **others: Vector,
) -> RobotState:
    """Return a state that fits the tiny contract, every topic stamped `now` unless told.

    `others` are fields of RobotState that the tiny contract does not have.
    """
    everything = dict.fromkeys(SOURCES, now)
    return RobotState(
        joint_position=_array(joint_position),
        joint_velocity=_array(joint_velocity),
        joint_effort=_array(joint_effort),
        tool_position=_array(tool_position),
        goal=_array(goal),
        vector=_array(vector),
        stamps={**everything, **(stamps or {})},
        refused=refused or {},
        **{name: _array(values) for name, values in others.items()},
    )


def make_actor(spec: TaskSpec, seed: int = 0, hidden_sizes: Sequence[int] = (16, 16)) -> Actor:
    """Return an untrained actor for a contract."""
    torch.manual_seed(seed)
    lower, upper = (spec.per_action(value) for value in (spec.action.lower, spec.action.upper))
    return Actor(spec.observation_size, hidden_sizes, lower, upper)


def export_model(path: Path, spec: TaskSpec, seed: int = 0) -> OnnxPolicy:
    """Write the model of an untrained actor to `path` and return it, loaded."""
    return export_policy(make_actor(spec, seed), spec, {'seed': seed, 'steps': 0}, path)


def _array(values: Vector | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _sources(observation: object) -> list[str]:
    """Return the topics that the terms need; none for what is no list of known terms."""
    terms = observation if isinstance(observation, list) else []
    names = [term.get('term') for term in terms if isinstance(term, dict)]
    needed = {source for name in names if name in TERMS for source in TERMS[name].sources}
    return [source for source in _TOPICS if source in needed]
