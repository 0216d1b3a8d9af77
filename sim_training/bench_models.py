"""The contract and the two models that the node is measured with: seven joints, velocities."""

import math
from pathlib import Path

import torch

from sac_ros.spec import TaskSpec, spec_from_dict
from sim_training.bench_robot import JOINTS
from sim_training.export import export_policy
from sim_training.networks import Actor

LIMIT = 1.0  # [rad/s]
MAX_RATE = 5.0  # [rad/s^2]
CONSTANT_ACTION = 0.9  # [rad/s] for each joint
HIDDEN_SIZES = (256, 256)  # what `sac-ros train` trains
GAIN = 16.0  # on the last layer of an untrained actor: its actions reach bounds and largest rate


def bench_spec(control_rate: float, timeout: float) -> TaskSpec:
    """Return the contract at a rate [Hz]; a state is lost when it is older than `timeout` [s]."""
    return spec_from_dict(
        {
            'schema': 1,
            'name': 'bench',
            'control_rate': control_rate,
            'joints': list(JOINTS),
            'observation': [
                {'term': 'joint_position'},
                {'term': 'joint_velocity'},
                {'term': 'previous_action'},
            ],
            'action': {
                'interface': 'velocity',
                'lower': -LIMIT,
                'upper': LIMIT,
                'max_rate': MAX_RATE,
                'stop': 'zero',
            },
            'topics': {
                'joint_states': {'name': 'joint_states', 'timeout': timeout},
                'command': {'name': 'commands'},
            },
        }
    )


def write_untrained_model(path: Path, spec: TaskSpec) -> Path:
    """Write the model of an untrained actor of the usual size; the same each time."""
    return _write(path, spec, _make_actor(spec))


def write_constant_model(path: Path, spec: TaskSpec) -> Path:
    """Write a model that always asks for CONSTANT_ACTION."""
    actor = _make_actor(spec)
    with torch.no_grad():
        actor.mean_head.weight.zero_()
        actor.mean_head.bias.fill_(math.atanh(CONSTANT_ACTION / LIMIT))
    return _write(path, spec, actor)


def _make_actor(spec: TaskSpec) -> Actor:
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    with torch.random.fork_rng(devices=[]):  # leaves the global generator as it was
        torch.manual_seed(0)
        actor = Actor(spec.observation_size, HIDDEN_SIZES, lower, upper)
    with torch.no_grad():
        actor.mean_head.weight.mul_(GAIN)
    return actor


def _write(path: Path, spec: TaskSpec, actor: Actor) -> Path:
    export_policy(actor, spec, {'env': 'bench', 'seed': 0, 'steps': 0}, path)
    return path
