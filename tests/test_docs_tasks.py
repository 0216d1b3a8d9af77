"""docs/tasks.md: the task that it makes works, and its table is that of the terms."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from sac_ros.terms import TERMS
from sim_training.bullet_robot import BulletRobot
from sim_training.env import SimEnv
from sim_training.tasks import load_task

PAGE = (Path(__file__).parents[1] / 'docs' / 'tasks.md').read_text(encoding='utf-8')
COUNTS = {'joints': 'one for each joint', 'actions': 'one for each action', 'declared': '`size`'}


def block(language: str) -> str:
    """Return the one block of code in a language."""
    (text,) = re.findall(rf'```{language}\n(.*?)```', PAGE, re.DOTALL)
    return text


@pytest.fixture
def env(tmp_path: Path) -> SimEnv:
    (tmp_path / 'kuka.yaml').write_text(block('yaml'), encoding='utf-8')
    (tmp_path / 'kuka.py').write_text(block('python'), encoding='utf-8')
    return SimEnv(load_task(str(tmp_path / 'kuka.yaml')))


def test_the_task_of_the_page_is_played_to_its_end_inside_its_limits(env: SimEnv) -> None:
    env.action_space.seed(0)
    env.reset(seed=0)
    limits = env.contract.limits
    for step in range(1, 151):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        for name, range_ in limits.items():
            value = getattr(env.state, name)
            assert (value >= range_.lower).all(), name
            assert (value <= range_.upper).all(), name
        assert reward < 1.0
        assert not terminated
        assert truncated is (step == 150)
    env.close()


def test_the_goals_of_the_task_of_the_page_are_within_reach(env: SimEnv) -> None:
    task, spec = env.task, env.contract
    robot = BulletRobot(task.urdf, spec, task.substeps, task.tool_link)
    limits = spec.limits['joint_position']
    places = []
    for joints in itertools.product(np.linspace(limits.lower, limits.upper, 60), repeat=2):
        robot.reset(np.array(joints), np.zeros(2))
        places.append(robot.read_tool_position())
    for goal in itertools.product((0.5, 0.7), (0.0,), (0.5, 0.7)):  # the corners [m]
        assert np.linalg.norm(np.array(places) - goal, axis=1).min() < 0.05  # [m]: of the grid
    robot.close()
    env.close()


def test_all_terms_are_in_the_table_with_what_they_are() -> None:
    rows = [
        f'| `{name}` | {COUNTS.get(str(term.size), term.size)} | {term.unit} | '
        f'{", ".join(f"`{source}`" for source in term.sources)} |'
        for name, term in TERMS.items()
    ]
    table = re.findall(r'^\| `.*\|', PAGE, re.MULTILINE)
    assert [row.rpartition('|')[0].rpartition('|')[0] + '|' for row in table] == rows
