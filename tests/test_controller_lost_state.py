"""How soon the robot is on its way to standing still when its state is lost."""

from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, make_state, topic

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.spec import TaskSpec, load_spec
from sac_ros.state import RobotState
from sac_ros.timing import TickSchedule
from sim_training.tasks import FOLDER

DT = 0.02  # [s]: 50 Hz


@pytest.mark.fault('A11', 'SAFE', 'E_OBS_STALE')
@pytest.mark.parametrize('timeout', [DT, 1.5 * DT, 2 * DT, 0.1])
def test_lost_state_is_stopped_for_within_a_period_of_its_timeout_at_any_of_1000_phases(
    timeout: float,
) -> None:
    topics = {'joint_states': topic('joint_states', timeout=timeout), 'command': topic('command')}
    spec = make_spec(observation=[{'term': 'joint_position'}], topics=topics)
    random = np.random.default_rng(0)

    waits = np.array([_lose_state(spec, lost_at) for lost_at in random.uniform(0.1, 0.12, 1_000)])

    assert (waits > timeout).all()
    assert (waits <= timeout + DT + 1e-9).all()
    if timeout <= 2 * DT:
        assert waits.max() <= 3 * DT + 1e-9


def _lose_state(spec: TaskSpec, lost_at: float) -> float:
    """Return how long after its last measurement the robot began to be stopped [s]."""
    controller = PolicyController(spec, lambda _: np.ones(2, dtype=np.float32))
    assert controller.activate(make_state(), 0.0) is None
    steps: list[ControlStep] = []
    while not steps or steps[-1].mode is Mode.ACTIVE:
        now = len(steps) * DT
        steps.append(controller.step(make_state(min(now, lost_at)), now))
    last, stopping = steps[-2:]
    assert stopping.mode is Mode.SAFE
    assert stopping.fault is not None
    assert stopping.fault.code == 'E_OBS_STALE'
    assert (stopping.command < last.command).all()
    return stopping.stamp - lost_at


@pytest.mark.fault('A11', 'SAFE', 'E_OBS_STALE')
@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_with_the_contracts_that_ship_a_silent_robot_is_stopped_for_within_three_periods(
    path: Path,
) -> None:
    spec = load_spec(path)
    random = np.random.default_rng(0)

    waits = np.array([_fall_silent(spec, random) for _ in range(1_000)])

    assert waits.max() <= 3 * spec.dt
    assert waits.min() > 2 * spec.dt  # a single late message stops nobody


def _fall_silent(spec: TaskSpec, random: np.random.Generator) -> float:
    """Return the time from the last of some jittering states to the first stop command [s].

    The ticks come as the node makes them: with the states, then without them at the deadline.
    """
    controller = PolicyController(spec, lambda _: spec.per_action(spec.action.upper))
    assert controller.activate(_state(spec, 0.0), 0.0) is None
    schedule = TickSchedule(spec.dt)
    schedule.start(0.0)
    stamp = 0.0
    for i in range(1, 8):
        stamp = (i + random.uniform(-0.1, 0.1)) * spec.dt
        schedule.arrived(stamp)
        assert schedule.is_due(stamp)
        schedule.tick_with_state(stamp)
        assert controller.step(_state(spec, stamp), stamp).mode is Mode.ACTIVE
    while controller.mode is Mode.ACTIVE:
        now = schedule.deadline
        schedule.tick_at_deadline(now)
        step = controller.step(_state(spec, stamp), now)
    assert step.fault is not None
    assert step.fault.code == 'E_OBS_STALE'
    return now - stamp


def _state(spec: TaskSpec, stamp: float) -> RobotState:
    return RobotState(
        joint_position=np.full(len(spec.joints), -0.1),
        joint_velocity=np.zeros(len(spec.joints)),
        tool_position=np.full(3, 0.3),
        goal=np.full(3, 0.3),
        stamps=dict.fromkeys(spec.sources, stamp),
    )
