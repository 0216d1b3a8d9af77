"""THE test: simulation and robot see the same observations and send the same commands, exactly.

An episode of the env, as in training, against the same states sent through ROS messages (on the
wire, joints shuffled among others), the controller and the message of the command.
"""

from pathlib import Path

import numpy as np
import pytest
from builders import export_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from sac_ros.command_messages import command_from_message, command_message
from sac_ros.control_step import Mode
from sac_ros.controller import PolicyController
from sac_ros.measurements import Measurements
from sac_ros.spec import TaskSpec
from sac_ros.state import RobotState
from sac_ros.state_messages import state_message
from sim_training.env import SimEnv
from sim_training.tasks import load_task, task_names

pytestmark = pytest.mark.ros

SEED = 7


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def shuffled(message: JointState, random: np.random.Generator) -> JointState:
    """Return the message with its joints in another order, two strangers among them."""
    fields = {
        name: [*values, 99.0, 99.0]
        for name in ('position', 'velocity', 'effort')
        if len(values := getattr(message, name))
    }
    names = [*message.name, 'finger_joint1', 'head_pan']
    order = random.permutation(len(names))
    return JointState(
        header=message.header,
        name=[names[i] for i in order],
        **{name: [values[i] for i in order] for name, values in fields.items()},
    )


def measure(
    measurements: Measurements, spec: TaskSpec, state: RobotState, random: np.random.Generator
) -> RobotState:
    """Return what a robot that is in `state` says about it over ROS."""
    for source in random.permutation(spec.sources):
        stamp = state.stamps[source] + 1.0
        message = state_message(spec, source, state, stamp)
        if source == 'joint_states':
            message = shuffled(message, random)
        measurements.update(source, through_the_wire(message), stamp, stamp)
    return measurements.state()


def test_there_are_tasks_to_compare():
    assert task_names() == ['balance', 'reach']


@pytest.mark.parametrize('name', task_names())
def test_env_and_robot_agree_exactly_over_an_episode(name, tmp_path: Path):
    task = load_task(name)
    spec = task.spec
    policy = export_model(tmp_path / f'{name}.onnx', spec, seed=1)
    # One env is driven by actions, as in training; its twin by the commands that come over ROS.
    trained, driven = SimEnv(task), SimEnv(task)
    random = np.random.default_rng(SEED)
    controller = PolicyController(spec, policy)
    measurements = Measurements(spec)

    observation, _ = trained.reset(seed=SEED)
    driven.reset(seed=SEED)
    now = driven.time + 1.0  # ROS takes time 0 for no time
    assert controller.activate(measure(measurements, spec, driven.state, random), now) is None
    periods, over, commands = 0, False, []
    while not over:
        step = controller.step(
            measure(measurements, spec, driven.state, random), driven.time + 1.0
        )
        assert step.fault is None
        assert step.mode is Mode.ACTIVE
        np.testing.assert_array_equal(step.observation, observation)
        action = policy(observation).copy()
        np.testing.assert_array_equal(step.action, action)

        observation, reward, terminated, truncated, _ = trained.step(action)
        command = command_from_message(
            spec, through_the_wire(command_message(spec, step.command, now))
        )
        np.testing.assert_array_equal(command, step.command)
        twin_observation, twin_reward, twin_terminated, twin_truncated, _ = driven.send(command)
        # The env's own limiter made the same command: previous_action is part of this.
        np.testing.assert_array_equal(twin_observation, observation)
        assert (twin_reward, twin_terminated, twin_truncated) == (reward, terminated, truncated)
        over = terminated or truncated
        commands.append(command)
        periods += 1
    trained.close()
    driven.close()
    assert periods >= 10
    assert np.ptp(np.array(commands), axis=0).min() > 0.0  # the policy did something
