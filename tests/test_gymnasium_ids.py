"""Gymnasium ids by their plain names: contracts, episodes that repeat, and what is missing."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium_episodes import digest, make, trace

from sac_ros.errors import UserError
from sim_training.env import make_env
from sim_training.rollout import Rollout

BULLET_DT = 0.0165  # [s]; their metadata says 60 pictures a second
# id -> control period [s], sizes of observation and action, bound of each action
CONTRACTS = {
    'Hopper-v5': (0.008, 11, 3, 1.0),
    'HalfCheetah-v5': (0.05, 17, 6, 1.0),
    'InvertedPendulum-v5': (0.04, 4, 1, 3.0),
    'Humanoid-v5': (0.015, 348, 17, 0.4),  # 66.7 Hz, though its metadata says 67
    'HopperBulletEnv-v0': (BULLET_DT, 15, 3, 1.0),
    'HalfCheetahBulletEnv-v0': (BULLET_DT, 26, 6, 1.0),
    'InvertedPendulumBulletEnv-v0': (BULLET_DT, 5, 1, 1.0),
    'PusherBulletEnv-v0': (0.01, 55, 7, 1.0),  # 100 Hz, though its metadata says 60
    'Pendulum-v1': (0.05, 3, 1, 2.0),
}
each_id = pytest.mark.parametrize('name', CONTRACTS)
# Pusher puts back its joints only, and so does not always repeat an episode.
each_that_repeats = pytest.mark.parametrize(
    'name', [name for name in CONTRACTS if name != 'PusherBulletEnv-v0']
)


@each_id
def test_the_contract_is_the_env(name: str) -> None:
    env = make(name)
    spec = env.contract
    dt, observations, actions, bound = CONTRACTS[name]
    assert spec.name == name
    assert spec.dt == pytest.approx(dt, rel=1e-12)
    assert (spec.observation_size, spec.action_size) == (observations, actions)
    assert spec.action.lower == pytest.approx((-bound,) * actions)
    assert spec.action.upper == pytest.approx((bound,) * actions)
    assert spec.action.stop == (0.0,) * actions
    assert (spec.topics['vector'].name, spec.topics['command'].name) == ('observation', 'action')
    assert env.observation_space.shape == (observations,)
    assert env.reset(seed=0)[0].dtype == np.float32  # whatever the env itself tells
    env.close()


@pytest.mark.parametrize('name', ['Hopper-v5', 'HopperBulletEnv-v0', 'PusherBulletEnv-v0'])
def test_the_control_period_is_the_time_that_passes_in_the_physics(name: str) -> None:
    env = make(name)
    env.reset(seed=0)
    if name.endswith('-v5'):
        for _ in range(5):
            env.send(np.zeros(env.contract.action_size))
        assert env.unwrapped.data.time == pytest.approx(env.time)
    else:
        parameters = env.unwrapped._p.getPhysicsEngineParameters()
        assert parameters['fixedTimeStep'] == pytest.approx(env.contract.dt)
    env.close()


@each_that_repeats
def test_a_seed_repeats_an_episode_bit_by_bit_whatever_was_played_before(name: str) -> None:
    env, other = make(name), make(name)
    first = trace(env, seed=3)  # the very first episode of this env
    for seed in (11, 12):
        trace(env, seed)
    env.reset(seed=13)
    env.send(np.zeros(env.contract.action_size))  # left in the middle
    np.testing.assert_array_equal(trace(env, seed=3), first)
    assert not np.array_equal(trace(env, seed=4), first)
    other.reset(seed=9)
    np.testing.assert_array_equal(trace(other, seed=3), first)
    env.close()
    other.close()


@each_that_repeats
def test_an_episode_is_led_back_to_its_middle(name: str) -> None:
    env = make(name)
    rollout = Rollout(env, seed=0)
    rollout.begin(episode=4)
    action = np.full(env.contract.action_size, 0.3, np.float32)
    seen = []
    for _ in range(4):
        rollout.step(action)
        seen.append(rollout.observation)
    rollout.begin(episode=5)
    assert rollout.play_again(4, np.array([action] * 4), np.array(seen))
    other = make(name)
    assert Rollout(other, seed=0).play_again(4, np.array([action] * 4), np.array(seen))
    env.close()
    other.close()


IN_A_FRESH_PROCESS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from gymnasium_episodes import digest
for name in sys.argv[1:]:
    print(digest(name))
"""


def test_a_seed_repeats_an_episode_in_a_fresh_process_and_nothing_else_is_heard(
    tmp_path: Path,
) -> None:
    pytest.importorskip('mujoco')
    pytest.importorskip('pybullet_envs_gymnasium')
    names = ['Hopper-v5', 'HalfCheetah-v5', 'HopperBulletEnv-v0', 'HalfCheetahBulletEnv-v0']
    child = subprocess.run(
        [sys.executable, '-c', IN_A_FRESH_PROCESS, *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150.0,
        check=False,
    )
    assert child.stderr == ''
    assert child.stdout.split() == [digest(name) for name in names]
    assert list(tmp_path.iterdir()) == []  # and no MUJOCO_LOG.TXT


def test_an_id_of_a_package_is_the_env_of_the_plain_id() -> None:
    plain = make('HopperBulletEnv-v0')
    named = make('pybullet_envs_gymnasium:HopperBulletEnv-v0')
    assert named.contract == plain.contract
    plain.close()
    named.close()


def test_an_id_of_bullet_that_is_misspelt_gets_the_nearest() -> None:
    pytest.importorskip('pybullet_envs_gymnasium')
    with pytest.raises(UserError, match=r"'HoperBulletEnv-v0' .*; did you mean 'HopperBulletEnv"):
        make_env('HoperBulletEnv-v0')


def without(monkeypatch: pytest.MonkeyPatch, package: str, *modules: str) -> None:
    """Let it look as if a package were not installed, nor imported before by `modules`."""
    for name in [*sys.modules]:
        if name.startswith(modules):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_an_id_of_bullet_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, 'pybullet_envs_gymnasium', 'pybullet_envs_gymnasium.')
    for name in [name for name in gymnasium.registry if 'Bullet' in name]:
        monkeypatch.delitem(gymnasium.registry, name)
    with pytest.raises(UserError) as refusal:
        make_env('HopperBulletEnv-v0')
    assert str(refusal.value) == (
        "env 'HopperBulletEnv-v0' cannot be made: pybullet_envs_gymnasium, which brings it, is "
        'not installed, run `pip install pybullet_envs_gymnasium`'
    )


def test_an_id_of_mujoco_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, 'mujoco', 'mujoco.', 'gymnasium.envs.mujoco')
    with pytest.raises(UserError) as refusal:
        make_env('Hopper-v5')
    assert str(refusal.value) == (
        "env 'Hopper-v5' cannot be made: MuJoCo is not installed, run `pip install "
        '"gymnasium[mujoco]"`'
    )


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('FetchReach-v4', "'FetchReach-v4' is no task that ships, no YAML file (for a task of "
         'your own) and no Gymnasium id that is registered (package:Id-v0 imports a package '
         "first); did you mean 'Reacher-v4'? (Environment `FetchReach` doesn't exist."),
        ('Pendulum-v0', "'Pendulum-v0' is no task that ships, no YAML file (for a task of your "
         "own) and no Gymnasium id that is registered (package:Id-v0 imports a package first); "
         "did you mean 'Pendulum-v1'? (Environment "
         'version v0 for `Pendulum` is deprecated.'),
        ('nowhere:Arm-v0', "env 'nowhere:Arm-v0' cannot be made: ModuleNotFoundError: No module "
         "named 'nowhere'."),
        ('a:b:c', "env 'a:b:c' cannot be made: ValueError: "),
        ('two words', "'two words' is no task that ships, "),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings('ignore:.*is out of date')
def test_an_id_that_nobody_knows_is_refused_in_one_line(name: str, text: str) -> None:
    with pytest.raises(UserError) as refusal:
        make_env(name)
    assert str(refusal.value).startswith(text)
    assert '\n' not in str(refusal.value)


def test_the_file_of_your_own_in_the_docs_is_an_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / 'docs' / 'gymnasium.md').read_text(encoding='utf-8')
    code = re.search(r'^    import gymnasium\n(?:(?: {4}.*)?\n)+', text, re.MULTILINE)
    assert code is not None
    (tmp_path / 'my_envs.py').write_text(textwrap.dedent(code[0]))
    monkeypatch.syspath_prepend(tmp_path)
    env = make_env('my_envs:MyArm-v0')
    assert (env.contract.name, env.contract.observation_size) == ('MyArm-v0', 3)


def test_the_rates_in_the_docs_are_those_of_the_contracts() -> None:
    text = (Path(__file__).parents[1] / 'docs' / 'gymnasium.md').read_text(encoding='utf-8')
    for name, words in (
        ('Hopper-v5', '`Hopper-v5` so runs at {:g} Hz'),
        ('HalfCheetah-v5', '`HalfCheetah-v5` at {:g} Hz'),
        ('HopperBulletEnv-v0', 'the robots of Bullet at {:.1f} Hz'),
        ('Pendulum-v1', '`Pendulum-v1` at {:g} Hz'),
    ):
        assert words.format(1.0 / CONTRACTS[name][0]) in ' '.join(text.split())
