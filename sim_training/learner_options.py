"""The parameters of learner_node, and what they come to.  All are read once, at its start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from sac_ros.errors import UserError
from sac_ros.files import expand_home
from sac_ros.parameters import Declared, declare_parameters
from sim_training.presets import find_preset
from sim_training.sac_config import SACConfig


def _fixed(
    default: str | bool | int | float, description: str, largest: float | None = None
) -> Declared:
    return Declared(default, description, largest, read_only=True)


PARAMETERS: Mapping[str, Declared] = {
    'model': _fixed('', 'Path of the model (.onnx) that the policy node was given.'),
    'task': _fixed(
        '',
        'Task that says what is rewarded and when an episode ends: its name or the path of its '
        'YAML file.  Empty: the one that the contract names.',
    ),
    'folder': _fixed(
        '',
        'Folder of what is learned from and of what was learned; what is there is gone on with.',
    ),
    'policy_node': _fixed('policy_node', 'Name of the policy node that is learned from.'),
    'episode_topic': _fixed(
        '', 'Topic on which a simulation says that an episode has ended.  Empty: on a robot.'
    ),
    'reward_topic': _fixed(
        '',
        'Topic of rewards, [sequence, reward] for each control step.  Empty: the reward of the '
        'task.',
    ),
    'preset': _fixed('robot', 'Kind of soft actor-critic: see `sac-ros train --help`.'),
    'prior_steps': _fixed(
        20_000,
        'Steps of the model in the unchanged simulation that are learned from as well; 0: none.',
        largest=1_000_000,
    ),
    'candidate_period': _fixed(
        15.0, 'Time [s] of the robot from one candidate to the next.', largest=3600.0
    ),
    'save_period': _fixed(60.0, 'Time [s] from one checkpoint to the next.', largest=3600.0),
    'compile': _fixed(
        True,
        'Let torch compile the update at the start, where a C++ compiler is: it takes a minute.',
    ),
    'threads': _fixed(1, 'Processor threads; 0 is taken for 1.', largest=64),
    'seed': _fixed(0, 'Seed of everything random.', largest=2**31 - 1),
}


@dataclass(frozen=True)
class LearnerOptions:
    """What whoever starts a learner decides."""

    model: Path
    task: str  # empty: the one that the contract names
    folder: Path
    policy_node: str
    episode_topic: str
    reward_topic: str
    sac: SACConfig
    prior_steps: int
    candidate_period: float  # [s] of the robot
    save_period: float  # [s]
    compile: bool
    threads: int
    seed: int


def learner_options(node: Node) -> LearnerOptions:
    """Declare the parameters of a node and return what they say.  Raises UserError."""
    declare_parameters(node, PARAMETERS)
    values = {name: node.get_parameter(name).value for name in PARAMETERS}
    for name in ('model', 'folder', 'policy_node'):
        if not values[name]:
            raise UserError(f"parameter '{name}' is empty; {_NEEDED[name]} is needed")
    return LearnerOptions(
        model=expand_home(values.pop('model')),
        folder=expand_home(values.pop('folder')),
        sac=find_preset(values.pop('preset')),
        threads=max(1, values.pop('threads')),
        **values,
    )


_NEEDED = {
    'model': 'the path of a model file',
    'folder': 'the path of a folder that may be written',
    'policy_node': 'the name of the policy node',
}
