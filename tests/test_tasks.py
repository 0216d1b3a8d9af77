"""tasks/: the tasks that ship, what they promise, and tasks of one's own."""

import re
from pathlib import Path

import numpy as np
import pytest

from sac_ros.errors import UserError
from sac_ros.spec import load_spec
from sim_training.bullet_robot import BulletRobot
from sim_training.env import SimEnv
from sim_training.tasks import FOLDER, balance, is_task, load_task, other_task, reach, task_names
from sim_training.tasks.task import Task

SHIPPED = ['balance', 'reach']


def test_the_tasks_that_ship_are_known_by_name() -> None:
    assert task_names() == SHIPPED
    assert is_task('reach')
    assert is_task('somewhere/mine.yaml')
    assert not is_task('Hopper-v5')


@pytest.mark.parametrize('name', SHIPPED)
def test_a_task_is_loaded_with_the_contract_of_its_yaml(name: str) -> None:
    task = load_task(name)

    assert isinstance(task, Task)
    assert task.spec == load_spec(FOLDER / f'{name}.yaml')
    assert load_task(name) is task


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError) as caught:
        load_task('balanse')
    assert str(caught.value) == (
        "task 'balanse' is unknown; did you mean 'balance'?; known: balance, reach, "
        'or the path of a YAML file'
    )


@pytest.mark.parametrize('name', SHIPPED)
def test_an_episode_starts_at_rest_inside_the_limits_and_as_the_seed_says(name: str) -> None:
    task = load_task(name)
    random = np.random.default_rng(0)
    limits = task.spec.limits['joint_position']
    starts = [task.start(random) for _ in range(500)]

    for start in starts:
        assert (start.joint_position > limits.lower).all()
        assert (start.joint_position < limits.upper).all()
        assert (np.abs(start.joint_velocity) <= 0.1).all()
        assert not task.terminated({'joint_position': start.joint_position})
    again = task.start(np.random.default_rng(0))
    np.testing.assert_array_equal(again.joint_position, starts[0].joint_position)
    assert not np.array_equal(starts[0].joint_position, starts[1].joint_position)


def test_goals_of_reach_fill_the_box_in_front_of_the_arm() -> None:
    random = np.random.default_rng(0)
    goals = np.array([reach.start(random).goal for _ in range(1_000)])

    assert (goals >= [0.30, -0.30, 0.20]).all()
    assert (goals <= [0.60, 0.30, 0.60]).all()
    np.testing.assert_allclose(goals.min(axis=0), [0.30, -0.30, 0.20], atol=0.01)
    np.testing.assert_allclose(goals.max(axis=0), [0.60, 0.30, 0.60], atol=0.01)


def test_balance_pays_for_being_upright_at_rest_in_the_middle_without_pushing() -> None:
    def reward(position: float, velocity: float, angle: float, force: float) -> float:
        terms = {
            'joint_position': np.array([position, angle]),
            'joint_velocity': np.array([velocity, 0.0]),
        }
        return balance.reward(terms, np.array([force]))

    assert reward(0.0, 0.0, 0.0, 0.0) == 1.0
    assert reward(0.0, 0.0, 0.3, 0.0) == pytest.approx(0.75)  # 1 - (0.3 / 0.3)^2 / 4
    assert reward(-0.4, 0.0, 0.0, 0.0) == pytest.approx(0.92)  # 1 - 0.4^2 / 2
    assert reward(-0.4, 0.8, 0.0, 0.0) == pytest.approx(1.0)  # it is on its way to the middle
    assert reward(0.9, 2.0, 0.0, 0.0) == pytest.approx(0.5)  # the most that a drift can cost
    assert reward(0.0, 0.0, 0.0, -10.0) == pytest.approx(0.95)  # 1 - (10 / 10)^2 / 20
    assert reward(1.0, 2.0, 0.3, 10.0) > 0.0  # so that it never pays to end the episode


@pytest.mark.parametrize(
    ('position', 'angle', 'ended'),
    [(0, 0, False), (1.0, 0.3, False), (-1.01, 0, True), (0, 0.301, True), (0, -0.301, True)],
)
def test_balance_ends_when_the_pole_falls_or_the_cart_leaves_the_track(
    position: float, angle: float, ended: bool
) -> None:
    terms = {'joint_position': np.array([position, angle])}

    assert balance.terminated(terms) is ended
    assert balance.TASK.success(terms) is not ended


def test_reach_pays_for_being_near_more_for_being_there_and_less_for_moving() -> None:
    def reward(distance: float, velocity: float) -> float:
        terms = {'goal_from_tool': np.array([0.0, distance, 0.0])}
        return reach.reward(terms, np.full(7, velocity))

    assert reward(0.0, 0.0) == 1.0
    assert reward(0.05, 0.0) == pytest.approx(np.exp(-1.0) - 0.05)
    assert reward(0.5, 0.0) == pytest.approx(-0.5)
    assert reward(0.0, 1.0) == pytest.approx(0.95)  # 1 - 0.05 * mean(1^2)


def test_reach_succeeds_within_two_centimetres_and_never_ends_early() -> None:
    for distance, reached in ((0.0, True), (0.0199, True), (0.0201, False)):
        terms = {'goal_from_tool': np.array([0.0, 0.0, -distance])}
        assert reach.success(terms) is reached
        assert reach.TASK.terminated(terms) is False


def test_the_limits_of_reach_are_those_of_the_urdf_and_the_margin_that_the_yaml_states() -> None:
    text = (FOLDER / 'reach.yaml').read_text()
    stated = re.search(r"the URDF's joint limits, and ([0-9.]+) rad for the sensors", text)
    assert stated is not None
    margin = float(stated.group(1))
    limits = reach.SPEC.limits['joint_position']
    robot = BulletRobot(reach.TASK.urdf, reach.SPEC, 1, None)

    np.testing.assert_allclose(limits.lower, robot.joint_lower - margin, atol=1e-9)
    np.testing.assert_allclose(limits.upper, robot.joint_upper + margin, atol=1e-9)
    robot.close()


@pytest.mark.parametrize('name', SHIPPED)
def test_noise_and_delay_of_a_task_are_about_what_its_contract_observes(name: str) -> None:
    task = load_task(name)
    low, high = task.delay

    assert 0 <= low <= high
    assert set(task.noise) <= {'joint_position', 'joint_velocity', 'tool_position'}
    assert all(deviation > 0.0 for deviation in task.noise.values())


MINE = """
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sac_ros.spec import load_spec
from sim_training.tasks.task import Camera, Start, Task


@dataclass(frozen=True)
class Weights:
    angle: float = 2.0


TASK = Task(
    spec=load_spec(Path(__file__).with_suffix('.yaml')),
    urdf='cartpole.urdf',
    start=lambda random: Start(random.uniform(-0.1, 0.1, size=2), np.zeros(2)),
    reward=lambda terms, action: -Weights().angle * abs(float(terms['joint_position'][1])),
    terminated=lambda terms: False,
    success=lambda terms: True,
    time_limit=10,
    substeps=1,
    training_steps=100,
    camera=Camera((0.0, 0.0, 0.0), 2.0, 0.0, -20.0),
)
"""


def _write_mine(folder: Path, contract: str | None = None, simulation: str | None = MINE) -> Path:
    path = folder / 'mine.yaml'
    shipped = (FOLDER / 'balance.yaml').read_text().replace('name: balance', 'name: mine')
    path.write_text(shipped if contract is None else contract)
    if simulation is not None:
        (folder / 'mine.py').write_text(simulation)
    return path


def test_a_task_of_ones_own_is_loaded_by_the_path_of_its_yaml(tmp_path: Path) -> None:
    task = load_task(str(_write_mine(tmp_path)))

    assert task.spec.name == 'mine'
    env = SimEnv(task)
    env.reset(seed=0)
    _, reward, _, _, _ = env.step(np.zeros(1))
    assert -0.2 < reward < 0.0
    env.close()


def test_two_tasks_of_the_same_file_name_do_not_mix(tmp_path: Path) -> None:
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
    first = load_task(str(_write_mine(tmp_path / 'one')))
    other = MINE.replace('time_limit=10', 'time_limit=77')

    assert load_task(str(_write_mine(tmp_path / 'two', simulation=other))).time_limit == 77
    assert load_task(str(tmp_path / 'one' / 'mine.yaml')).time_limit == first.time_limit == 10


def test_a_task_without_its_python_file_is_refused(tmp_path: Path) -> None:
    path = _write_mine(tmp_path, simulation=None)

    with pytest.raises(UserError) as caught:
        load_task(str(path))
    assert str(caught.value) == (
        f'task {path}: {tmp_path}/mine.py is missing; a task needs both files'
    )


def test_a_yaml_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_task(f'{tmp_path}/none.yaml')
    assert str(caught.value) == (
        f'task {tmp_path}/none.yaml: {tmp_path}/none.yaml is missing; a task needs both files'
    )


def test_a_python_file_without_a_task_is_refused(tmp_path: Path) -> None:
    for simulation in ('', 'TASK = 5\n'):
        path = _write_mine(tmp_path, simulation=simulation)
        with pytest.raises(UserError) as caught:
            load_task(str(path))
        assert str(caught.value) == f'task {path}: {tmp_path}/mine.py defines no TASK = Task(...)'


@pytest.mark.parametrize(
    ('simulation', 'problem'),
    [
        ('import numpy\nx = (\n', "SyntaxError: '(' was never closed ({}:2)"),
        ('\n\nx = 1 / 0\n', 'ZeroDivisionError: division by zero ({}:3)'),
        ('import nosuch\n', "ModuleNotFoundError: No module named 'nosuch' ({}:1)"),
    ],
)
def test_a_python_file_that_cannot_be_imported_is_told_in_one_line(
    simulation: str, problem: str, tmp_path: Path
) -> None:
    path = _write_mine(tmp_path, simulation=simulation)
    with pytest.raises(UserError) as caught:
        load_task(str(path))
    assert str(caught.value) == f'task {path}: {problem.format(tmp_path / "mine.py")}'


def test_a_model_of_ones_own_task_is_told_from_one_that_ships() -> None:
    assert other_task('balance', 'balance') is None
    assert other_task('Pendulum-v1', 'Pendulum') is None  # the same env
    assert other_task('balance', None) is None  # a model that does not say
    for trained in ('robots/balance.yaml', 'my_envs:MyArm-v0'):
        note = f"the model was trained on '{trained}'; now 'balance' of its contract is meant"
        assert other_task('balance', trained) == note


def test_a_contract_that_cannot_be_used_is_told_as_everywhere(tmp_path: Path) -> None:
    path = _write_mine(tmp_path, contract='schema: 1\nname: mine\nrate: 50\n')

    with pytest.raises(UserError, match=rf"^{path}: key 'rate' is unknown; known: "):
        load_task(str(path))


def test_a_joint_that_the_urdf_does_not_have_is_named_with_the_nearest(tmp_path: Path) -> None:
    contract = (FOLDER / 'balance.yaml').read_text().replace('slider_to_cart', 'slider_to_card')
    task = load_task(str(_write_mine(tmp_path, contract=contract)))

    with pytest.raises(UserError) as caught:
        SimEnv(task)
    assert str(caught.value) == (
        "'slider_to_card' is not in cartpole.urdf; did you mean 'slider_to_cart'?; "
        'it has: slider_to_cart, cart_to_pole'
    )
