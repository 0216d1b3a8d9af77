"""The models that ship: they are what their cards say, and as good."""

import statistics
from pathlib import Path

import pytest

from sac_ros.policy import load_policy
from sim_training.env import SimEnv
from sim_training.evaluate import evaluate_policy, make_matching_env

FOLDER = Path(__file__).parents[1] / 'models'
MODELS = sorted(FOLDER.glob('*.onnx'))


GYMNASIUM = (
    'InvertedPendulum-v5',
    'Hopper-v5',
    'HalfCheetah-v5',
    'InvertedPendulumBulletEnv-v0',
    'HopperBulletEnv-v0',
    'HalfCheetahBulletEnv-v0',
)


def test_there_is_a_model_for_each_task_and_for_the_three_robots_in_both_engines():
    assert {'balance', 'reach', *GYMNASIUM} <= {path.stem for path in MODELS}


@pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)
def test_a_model_is_small_has_a_card_and_a_curve_and_says_where_it_comes_from(path: Path):
    assert path.stat().st_size < 1_000_000
    card = path.with_suffix('.md').read_text()
    assert f'sac-ros train {path.stem}' in card
    assert path.with_suffix('.png').exists()
    assert path.with_suffix('.csv').read_text().startswith('step,')
    origin = load_policy(path).origin
    assert {'env', 'seed', 'steps', 'commit', 'versions', 'evaluation', 'golden'} <= origin.keys()


@pytest.mark.parametrize(
    ('name', 'episodes', 'needed'),
    [('balance', 20, 20), ('reach', 40, 38)],
)
def test_a_model_does_in_its_env_what_it_must(name: str, episodes: int, needed: int):
    policy = load_policy(FOLDER / f'{name}.onnx')
    env = make_matching_env(policy, name)  # refuses a contract that is not the task's
    assert isinstance(env, SimEnv)
    scores = evaluate_policy(policy, env, episodes)
    env.close()
    assert sum(episode.success for episode in scores) >= needed
    assert sum(episode.faults for episode in scores) == 0


@pytest.mark.parametrize(
    ('name', 'needed'),
    [
        ('InvertedPendulum-v5', 1000.0),
        ('InvertedPendulumBulletEnv-v0', 1000.0),
        ('HalfCheetah-v5', 9500.0),
        ('Hopper-v5', 3300.0),
        ('HopperBulletEnv-v0', 2400.0),
        ('HalfCheetahBulletEnv-v0', 2800.0),
    ],
)
def test_a_model_of_a_gymnasium_env_earns_there_what_its_card_says(name: str, needed: float):
    policy = load_policy(FOLDER / f'{name}.onnx')
    env = make_matching_env(policy, name)
    scores = evaluate_policy(policy, env, 5)
    env.close()
    # HalfCheetah falls in one episode of forty or so, on each processor in another one.
    assert statistics.median(episode.reward_sum for episode in scores) >= needed
