"""controller.py: how soon the robot is on its way to standing still when its state is lost."""

from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, make_state, topic

from sac_ros.controller import ControlStep, Mode, PolicyController
from sac_ros.spec import TaskSpec, load_spec
from sac_ros.state import RobotState
from sim_training.tasks import FOLDER

DT = 0.02  # [s]: 50 Hz


@pytest.mark.parametrize('timeout', [DT, 1.5 * DT, 0.1])
def test_lost_state_is_held_once_then_stopped_in_time_at_any_of_1000_phases(
    timeout: float,
) -> None:
    topics = {'joint_states': topic('joint_states', timeout=timeout), 'command': topic('command')}
    spec = make_spec(observation=[{'term': 'joint_position'}], topics=topics)
    random = np.random.default_rng(0)

    waits = np.array([_lose_state(spec, lost_at) for lost_at in random.uniform(0.1, 0.12, 1_000)])

    # held from the first tick after the timeout on, stopping from the second on
    assert (waits[:, 0] > timeout).all()
    assert (waits[:, 0] <= timeout + DT).all()
    assert (waits[:, 1] <= timeout + 2 * DT).all()
    if timeout == DT:
        assert waits[:, 1].max() <= 3 * DT


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_the_contracts_that_ship_stop_within_two_periods_of_their_timeouts(path: Path) -> None:
    spec = load_spec(path)
    timeout = spec.topics['joint_states'].timeout
    state = RobotState(
        joint_position=np.full(len(spec.joints), -0.1),
        joint_velocity=np.zeros(len(spec.joints)),
        tool_position=np.full(3, 0.3),
        goal=np.full(3, 0.3),
        stamps=dict.fromkeys(spec.sources, 0.0),
    )
    controller = PolicyController(spec, lambda _: spec.per_action(spec.action.upper))
    assert controller.activate(state, 0.0) is None

    assert timeout is not None
    steps = [controller.step(state, tick * spec.dt) for tick in range(20)]
    late = [step for step in steps if step.stamp > timeout + 1e-9]

    assert {step.mode for step in steps if step not in late} == {Mode.ACTIVE}
    assert [step.mode for step in late[:2]] == [Mode.HOLD, Mode.SAFE]
    assert (np.abs(late[1].command) < np.abs(late[0].command)).all()


def _lose_state(spec: TaskSpec, lost_at: float) -> tuple[float, float]:
    """Return how long after `lost_at` the command was held, and when it began to stop [s]."""
    controller = PolicyController(spec, lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(make_state(), 0.0) is None
    steps: list[ControlStep] = []
    while not steps or steps[-1].mode in (Mode.ACTIVE, Mode.HOLD):
        now = len(steps) * DT
        steps.append(controller.step(make_state(min(now, lost_at)), now))
    held, stopping = steps[-2:]
    assert held.mode is Mode.HOLD
    assert [step.mode for step in steps[:-2]] == [Mode.ACTIVE] * (len(steps) - 2)
    np.testing.assert_array_equal(held.command, steps[-3].command)
    assert (stopping.command < held.command).all()
    return held.stamp - lost_at, stopping.stamp - lost_at
