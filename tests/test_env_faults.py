"""env.py: a task that is written wrong, or that raises, is told in one line."""

import dataclasses

import numpy as np
import pytest

from sac_ros.errors import UserError
from sim_training.env import SimEnv
from sim_training.env_error import EnvError
from sim_training.tasks import load_task


@pytest.mark.parametrize(
    ('noise', 'text'),
    [
        (
            {'joint_velocty': 0.01},
            "task 'balance' has noise on 'joint_velocty', which its simulation does not measure; "
            'measured: joint_position, joint_velocity',
        ),
        (
            {'tool_position': 0.001},  # it has no tool_link
            "task 'balance' has noise on 'tool_position', which its simulation does not measure; "
            'measured: joint_position, joint_velocity',
        ),
        (
            {'joint_position': -0.01},
            "task 'balance': noise on joint_position is -0.01; needed is a standard deviation, "
            'finite and not negative',
        ),
        (
            {'joint_position': float('nan')},
            "task 'balance': noise on joint_position is nan; needed is a standard deviation, "
            'finite and not negative',
        ),
    ],
)
def test_noise_that_would_be_forgotten_or_makes_no_sense_is_refused(
    noise: dict[str, float], text: str
) -> None:
    with pytest.raises(UserError) as refusal:
        SimEnv(dataclasses.replace(load_task('balance'), noise=noise))
    assert str(refusal.value) == text


def raising(*arguments: object) -> float:
    raise ValueError('math domain error')


@pytest.mark.parametrize('name', ['start', 'reward', 'terminated', 'success'])
def test_what_a_task_raises_is_told_in_one_line_whoever_plays_it(name: str) -> None:
    task = dataclasses.replace(load_task('balance'), time_limit=3, **{name: raising})
    where = r'the env raised ValueError: math domain error \(test_env_faults.py:\d+\)$'
    begin = "^task 'balance' cannot begin an episode: " if name == 'start' else '^'
    with pytest.raises(EnvError, match=begin + where):  # noqa: PT012 (where depends on the name)
        env = SimEnv(task)
        env.reset(seed=0)
        for _ in range(3):
            env.step(np.zeros(1))
