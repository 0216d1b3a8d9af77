"""env.py: SimEnv keeps the rules of Gymnasium and of its contract, and repeats itself exactly."""

import dataclasses
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from episodes import actions, still_balance, trace
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from sac_ros.action import ActionMap
from sac_ros.errors import UserError
from sac_ros.guard import Guard
from sac_ros.observation import observe
from sim_training.bullet_robot import BulletRobot
from sim_training.env import SimEnv, make_env
from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.tasks import FOLDER, load_task, reach

TASKS = ['balance', 'reach']

# What the two checkers say of every env with SI units and bounds of its own.
EXPECTED_WARNINGS = (
    'recommend using a symmetric and normalized space',
    'We recommend you to use a symmetric and normalized Box action space',
    'A Box observation space minimum value is -infinity',
    'A Box observation space maximum value is infinity',
    'Not able to test alternative render modes',
)


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[SimEnv]:
    env = SimEnv(load_task(request.param), 'rgb_array')
    yield env
    env.close()


@pytest.mark.parametrize('check', [check_env, check_env_for_sb3])
def test_the_checkers_of_gymnasium_and_stable_baselines_find_nothing_that_matters(
    env: SimEnv, check: object
) -> None:
    assert callable(check)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        check(env)

    said = [str(warning.message) for warning in caught]
    assert [text for text in said if not any(known in text for known in EXPECTED_WARNINGS)] == []


def test_spaces_are_those_of_the_contract(env: SimEnv) -> None:
    spec = env.contract
    space = env.action_space

    assert isinstance(space, gymnasium.spaces.Box)
    np.testing.assert_array_equal(space.low, spec.per_action(spec.action.lower))
    np.testing.assert_array_equal(space.high, spec.per_action(spec.action.upper))
    assert env.observation_space.shape == (spec.observation_size,)
    assert env.observation_space.dtype == np.float32
    assert env.metadata['render_fps'] == 50


def test_sending_the_commands_is_the_same_as_stepping_the_actions(env: SimEnv) -> None:
    other = SimEnv(env.task)
    env.reset(seed=7)
    other.reset(seed=7)
    action_map = ActionMap(other.contract)
    action_map.reset(other.state)
    for action in actions(env):
        stepped = env.step(action)
        sent = other.send(action_map.to_command(action.astype(np.float64)))

        np.testing.assert_array_equal(stepped[0], sent[0])
        assert stepped[1:] == sent[1:]
    other.close()


def test_the_observation_is_made_from_the_measured_state_and_the_command_sent(
    env: SimEnv,
) -> None:
    env.reset(seed=1)
    action_map = ActionMap(env.contract)
    action_map.reset(env.state)
    for action in actions(env)[:15]:  # the pole still stands
        command = action_map.to_command(action.astype(np.float64))
        observation = env.step(action)[0]

        np.testing.assert_array_equal(observation, observe(env.contract, env.state, command))
        assert Guard(env.contract).find_fault(env.state, env.time) is None


def test_commands_that_reach_the_motors_keep_bounds_and_rate(
    env: SimEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = _record_commands(monkeypatch)
    spec = env.contract
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    random = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(80):
        env.step(random.choice([-1e3, 1e3], size=spec.action_size).astype(np.float32))

    commands = np.array([np.zeros(spec.action_size), *sent])
    assert (commands >= lower).all()
    assert (commands <= upper).all()
    changes = np.abs(np.diff(commands, axis=0))
    assert (changes <= spec.per_action(spec.action.max_rate) * spec.dt + 1e-12).all()
    assert changes.max() > 0.05  # and they did move


@pytest.mark.parametrize('delay', [0, 1, 2, 5])
def test_a_command_shows_after_the_delay_and_one_period_of_physics(
    delay: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = SimEnv(still_balance(delay=(delay, delay)))
    sent = _record_commands(monkeypatch)
    env.reset(seed=0)

    speeds = []
    for _ in range(delay + 1):
        env.step(np.array([10.0]))
        assert env.state.joint_velocity is not None
        speeds.append(env.state.joint_velocity[0])

    assert speeds[:-1] == [0.0] * delay
    assert speeds[-1] == pytest.approx(0.195, rel=0.01)  # 10 N on the cart-pole for 20 ms
    assert [command[0] for command in sent] == [0.0] * delay + [10.0]
    env.close()


def test_the_delay_is_drawn_anew_for_each_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    env = SimEnv(still_balance(delay=(0, 2)))
    delays = []
    env.reset(seed=0)
    for _ in range(60):
        env.reset()
        sent = _record_commands(monkeypatch)
        for _ in range(3):
            env.step(np.array([10.0]))
        delays.append([command[0] for command in sent].count(0.0))

    counts = np.bincount(delays, minlength=3)
    assert len(counts) == 3
    assert counts.min() >= 10  # of 20 expected each
    env.close()


@pytest.mark.parametrize('name', TASKS)
def test_noise_has_the_stated_spread_and_no_bias(name: str) -> None:
    task = load_task(name)
    noisy = SimEnv(dataclasses.replace(task, delay=(0, 0), time_limit=10_000))
    clean = SimEnv(dataclasses.replace(task, delay=(0, 0), time_limit=10_000, noise={}))
    noisy.reset(seed=2)
    clean.reset(seed=2)
    errors: dict[str, list[np.ndarray]] = {field: [] for field in task.noise}
    for _ in range(1_000):
        noisy.step(np.zeros(task.spec.action_size))
        clean.step(np.zeros(task.spec.action_size))
        for field, error in errors.items():
            error.append(getattr(noisy.state, field) - getattr(clean.state, field))

    for field, deviation in task.noise.items():
        samples = np.array(errors[field])
        count = samples.size  # 2,000 to 7,000 samples: 5 sigma of mean and of spread
        assert abs(samples.mean()) < 5.0 * deviation / np.sqrt(count)
        assert samples.std() == pytest.approx(deviation, rel=5.0 / np.sqrt(2 * count))
        assert abs(np.corrcoef(samples[:-1, 0], samples[1:, 0])[0, 1]) < 0.15  # white
    noisy.close()
    clean.close()


def test_what_a_task_returns_in_numbers_of_numpy_are_plain_numbers_for_everybody() -> None:
    task = dataclasses.replace(
        still_balance(),
        reward=lambda terms, action: np.float32(0.5),
        terminated=lambda terms: np.bool_(False),
        success=lambda terms: np.linalg.norm(terms['joint_position']) <= 0.5,
        time_limit=1,
    )
    env = SimEnv(task)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(np.zeros(1, np.float32))
    assert json.dumps([reward, terminated, truncated, info]) == (
        '[0.5, false, true, {"is_success": true}]'
    )
    env.close()


def test_a_reward_of_a_task_that_is_no_number_is_named() -> None:
    env = SimEnv(dataclasses.replace(still_balance(), reward=lambda terms, action: None))
    env.reset(seed=0)
    with pytest.raises(UserError, match=r'^reward is None \(NoneType\); one number'):
        env.step(np.zeros(1, np.float32))
    env.close()


def test_an_action_that_is_not_finite_raises(env: SimEnv) -> None:
    env.reset(seed=0)

    with pytest.raises(ValueError, match='is not finite'):
        env.step(np.full(env.contract.action_size, np.nan, dtype=np.float32))


def test_a_picture_is_not_empty_shows_the_motion_and_does_not_disturb_it(env: SimEnv) -> None:
    undisturbed = trace(env, seed=3)
    env.reset(seed=3)
    first = env.render()
    assert first.shape == (240, 320, 3)
    assert first.dtype == np.uint8
    background = first[0, 0]
    assert 0.01 < (first != background).any(axis=2).mean() < 0.9  # the robot's part of it

    seen = []
    for i, action in enumerate(actions(env)):
        seen.append(env.step(action)[0])
        if i % 20 == 0:
            assert not np.array_equal(env.render(), first)
    np.testing.assert_array_equal(seen, undisturbed[1:])


def test_an_env_is_made_by_task_name_by_yaml_path_or_by_gymnasium_id(tmp_path: Path) -> None:
    for suffix in ('yaml', 'py'):
        (tmp_path / f'mine.{suffix}').write_text((FOLDER / f'balance.{suffix}').read_text())
    for name, kind in (('reach', SimEnv), (f'{tmp_path}/mine.yaml', SimEnv)):
        made = make_env(name)
        assert isinstance(made, kind)
        made.close()
    generic = make_env('Pendulum-v1')
    assert isinstance(generic, GymnasiumEnv)
    generic.close()


def test_a_name_that_is_no_env_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"^.*'Pendulun-v1'.*; did you mean 'Pendulum-v1'\?.*$"):
        make_env('Pendulun-v1')


def test_closing_twice_is_no_error() -> None:
    env = SimEnv(load_task('balance'))

    env.close()
    env.close()


def _record_commands(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Return a list that will hold every command that reaches the motors from now on."""
    sent: list[np.ndarray] = []
    apply = BulletRobot.apply

    def record(self: BulletRobot, command: np.ndarray) -> None:
        sent.append(np.array(command))
        apply(self, command)

    monkeypatch.setattr(BulletRobot, 'apply', record)
    return sent


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'tool_link': None}, "task 'reach' needs tool_position, which its simulation does not"),
        (
            {'start': lambda random: dataclasses.replace(reach.start(random), goal=None)},
            "task 'reach' needs goal, which its simulation does not",
        ),
    ],
)
def test_a_task_that_observes_what_is_not_simulated_is_refused(changes, text):
    with pytest.raises(UserError, match=text):
        SimEnv(dataclasses.replace(load_task('reach'), **changes))
