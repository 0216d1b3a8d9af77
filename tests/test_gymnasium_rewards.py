"""Rewards and returns of an env that are unusual: learned from, and told once."""

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import SMALL, short_command

from sim_training.env_error import EnvError, reward_number
from sim_training.train import main as train


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / 'progress.csv').open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    'reward', [1, True, 1.0, np.float32(1.0), np.ones(()), np.ones(1), np.ones((1, 1), np.float32)]
)
def test_any_kind_of_one_number_is_a_reward(reward: object):
    number = reward_number(reward)
    assert (type(number), number) == (float, 1.0)


@pytest.mark.parametrize(
    ('reward', 'shown'),
    [
        (None, r'None \(NoneType\)'),
        ('1.0', r"'1.0' \(str\)"),
        ('far' * 99, r"'farfar.*\.\.\..*far' \(str\)"),
        (np.str_('1.0'), r".*'1.0'.* \(str_\)"),
        (b'1.0', r"b'1.0' \(bytes\)"),
        ([1.0], r'\[1.0\] \(list\)'),
        (np.ones(2), r'array\(\[1., 1.\]\) \(ndarray\)'),
        (np.ones((99, 2)), r'array\(.*\.\.\..*\) \(ndarray\)'),
        (np.array(['1.0']), r"array\(\['1.0'\].*\) \(ndarray\)"),
        (10**400, r'10+\.\.\.0+ \(int\)'),
    ],
)
def test_what_is_not_one_number_is_named_as_the_reward(reward: object, shown: str):
    with pytest.raises(EnvError) as refusal:
        reward_number(reward)
    line = f'reward is {shown}; one number that is finite in float32 is needed'
    assert re.fullmatch(line, str(refusal.value))
    assert len(str(refusal.value)) < 130


def test_rewards_of_a_thousand_million_are_told_once_and_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    result = train(short_command('odd_envs:Reward1e9-v0', tmp_path))
    train(short_command('odd_envs:Reward1e9-v0', tmp_path, steps=130, resume=True))
    assert [line for line in capsys.readouterr().err.splitlines() if 'reward' in line] == [
        'step 1: the reward of the env is 1e+09; less than 1e+06 in size is usual, and '
        '--sac.normalise-reward is for any size'
    ]
    assert result['return'] == 200 * 1e9
    losses = [float(row['loss/critic']) for row in rows(tmp_path) if row['loss/critic']]
    assert losses[-1] == pytest.approx(1e18, rel=0.1)  # two critics, each (1e9)^2 / 2 away


def test_the_first_reward_after_nothing_is_no_outlier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    scaled = dataclasses.replace(SMALL, normalise_reward=True)
    train(short_command('odd_envs:NoRewardAtFirst-v0', tmp_path, sac=scaled))
    assert 'is it meant?' not in capsys.readouterr().err


def test_returns_beyond_the_histogram_are_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bins = dataclasses.replace(SMALL, head='categorical')
    train(short_command('Pendulum-v1', tmp_path, sac=bins))
    (told,) = [line for line in capsys.readouterr().err.splitlines() if 'histogram' in line]
    assert re.fullmatch(
        r'step \d+: a discounted return is \S+ in size, and the histogram ends at '
        r'sac.value_bound 5: --sac.normalise-reward makes them fit, or a larger bound',
        told,
    )


def test_one_reward_that_dwarfs_all_others_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    scaled = dataclasses.replace(SMALL, normalise_reward=True)
    train(short_command('odd_envs:RewardOnce1e9-v0', tmp_path, sac=scaled))
    errors = capsys.readouterr().err
    assert 'step 100: the reward of the env is 1e+09; ' in errors
    told = [line for line in errors.splitlines() if 'is it meant?' in line]
    assert len(told) == 1
    assert re.match(r'step 100: one return is \S+ times larger than all before it; ', told[0])
