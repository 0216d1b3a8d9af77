"""What tests of learner_node share: a task, ticks that are played, what the learner tells."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from builders import export_model
from diagnostic_msgs.msg import DiagnosticArray
from node_process import parameters
from ros import Peer, values_of, wait_for
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import ControlStep, Mode
from sac_ros.spec import TaskSpec
from sac_ros.step_message import step_layout, step_message
from sim_training.learner import LearnerNode

TASK = """\
from pathlib import Path

import numpy as np

from sac_ros.spec import load_spec
from sim_training.tasks.task import Camera, Start, Task

TASK = Task(
    spec=load_spec(Path(__file__).with_suffix('.yaml')),
    urdf='cartpole.urdf',
    start=lambda random: Start(np.zeros(2), np.zeros(2)),
    reward=lambda terms, action: float(terms['joint_position'][0]),
    terminated=lambda terms: bool(terms['joint_position'][0] >= 2.5),
    success=lambda terms: True,
    time_limit=10,
    substeps=1,
    training_steps=1,
    camera=Camera((0.0, 0.0, 0.0), 1.0, 0.0, 0.0),
)
"""


def write_task(folder: Path, spec: TaskSpec) -> Path:
    """Write a task for a contract: the reward is the shoulder's angle, an episode has 10 steps."""
    path = folder / 'arm.yaml'
    path.write_text(spec.to_json())  # JSON is YAML too
    path.with_suffix('.py').write_text(TASK)
    return path


def write_files(folder: Path, spec: TaskSpec) -> dict[str, object]:
    """Write what a learner needs, and return the parameters that name it."""
    export_model(folder / 'base.onnx', spec)
    return {
        'model': folder / 'base.onnx',
        'task': write_task(folder, spec),
        'folder': folder / 'learner',
        'prior_steps': 0,
        'compile': False,
    }


def make_node(
    peer: Peer, values: Mapping[str, object], namespace: str = '/learning'
) -> LearnerNode:
    """Return a learner in this process, which nobody serves yet."""
    arguments = [*parameters(**values), '-r', f'__ns:={namespace}']
    return LearnerNode(context=peer.context, arguments=arguments)


def tick(spec: TaskSpec, number: int, **changes: object) -> ControlStep:
    """Return tick `number` of a policy node: shoulder at number / 100 rad."""
    observation = np.zeros(spec.observation_size, np.float32)
    observation[0] = number / 100
    step = ControlStep(
        stamp=10.0 + number * spec.dt,
        sequence=number,
        mode=Mode.ACTIVE,
        observation=observation,
        action=np.zeros(2, np.float32),
        command=np.zeros(2),
        fault=None,
    )
    return dataclasses.replace(step, **changes)


class Ticks:
    """Plays the policy node of a learner."""

    def __init__(self, peer: Peer, spec: TaskSpec, node: str) -> None:
        self._peer = peer
        self._spec = spec
        self._layout = step_layout(spec)
        self._publisher = peer.node.create_publisher(
            Float64MultiArray, f'{node}/control_step', 1000
        )

    def send(self, *steps: ControlStep) -> None:
        """Send ticks, when somebody listens."""
        wait_for(lambda: self._publisher.get_subscription_count() > 0, 'a learner')
        for step in steps:
            self._publisher.publish(step_message(step, self._layout))

    def settle(self) -> None:
        """Send a tick of much later, so that nothing waits for news of those before."""
        self.send(tick(self._spec, 9_000, stamp=1e6))

    def close(self) -> None:
        self._peer.unpublish(self._publisher)


def learning(diagnostics: Sequence[DiagnosticArray], node: str) -> dict[str, str]:
    """Return the newest values of a learner, its level among them; none before its first word."""
    found = [status for array in diagnostics for status in array.status]
    ours = [status for status in found if status.name == f'{node}: learning']
    return {**values_of(ours[-1]), 'message': ours[-1].message} if ours else {}


def wait_for_learning(
    diagnostics: Sequence[DiagnosticArray], node: str, **wanted: str
) -> dict[str, str]:
    """Wait until a learner says `wanted`; return all that it says."""

    def is_there() -> bool:
        found = learning(diagnostics, node)
        return all(found.get(key) == value for key, value in wanted.items())

    wait_for(is_there, lambda: f'{wanted} of the learner; it says {learning(diagnostics, node)}')
    return learning(diagnostics, node)
