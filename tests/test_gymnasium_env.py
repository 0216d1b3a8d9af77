import os
import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from builders import export_model
from gymnasium.spaces import Box
from tiny_runs import short_command

from sac_ros.errors import UserError
from sac_ros.spec import spec_from_json
from sim_training.checkpoint import read_checkpoint
from sim_training.env import make_env
from sim_training.env_error import EnvError, told_errors
from sim_training.evaluate import EvaluateCommand
from sim_training.evaluate import main as evaluate
from sim_training.gymnasium_env import generic_contract
from sim_training.gymnasium_ids import LONGEST_EPISODE
from sim_training.run_file import read_run_file
from sim_training.stop_signals import Terminated
from sim_training.train import main as train

UNIT = Box(-1.0, 1.0, (2,), np.float32)
NUMBERS = 'a Box of floating-point numbers of shape (n,) is supported'
FINITE = 'bounds that are finite in float32 are supported'


class SpacesOnly(gymnasium.Env):
    """An env of which only the spaces are asked."""

    def __init__(self, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
        self.observation_space = observations
        self.action_space = actions


def test_contract_of_pendulum_is_its_spaces_and_its_period():
    contract = make_env('Pendulum-v1').contract
    assert contract.name == 'Pendulum-v1'
    assert contract.observation_size == 3
    assert contract.action_names == ('action[0]',)
    assert (contract.action.lower, contract.action.upper) == ((-2.0,), (2.0,))
    assert contract.control_rate == 20.0  # its dt is 0.05 s; its films have 30 pictures a second
    assert contract.topics['vector'].timeout == 0.1  # two periods
    assert spec_from_json(contract.to_json(), 'copy') == contract


def test_it_steps_exactly_as_the_env_inside():
    ours, plain = make_env('Pendulum-v1'), gymnasium.make('Pendulum-v1')
    first, _ = ours.reset(seed=4)
    np.testing.assert_array_equal(first, plain.reset(seed=4)[0])
    for action in np.linspace(-2.0, 2.0, 20, dtype=np.float32):
        observation, reward, terminated, truncated, _ = ours.send(np.array([action], np.float64))
        expected = plain.step(np.array([action]))
        np.testing.assert_array_equal(observation, expected[0])
        assert (reward, terminated, truncated) == expected[1:4]
    assert ours.time == pytest.approx(20 / 20.0)


def test_state_is_the_observation_with_its_time():
    env = make_env('Pendulum-v1')
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(env.state.vector, observation)
    env.send(np.zeros(1))
    assert env.state.stamps == {'vector': env.time}


def test_stop_command_is_inside_bounds_that_do_not_contain_zero():
    contract = generic_contract('x', SpacesOnly(UNIT, Box(1.0, 3.0, (2,), np.float32)))
    assert contract.action.stop == (2.0, 2.0)


@pytest.mark.parametrize(
    ('task', 'rate'),
    [
        ('odd_envs:Slow-v0', 4.0),  # a dt of 0.25 s, as a float32
        ('odd_envs:Timeless-v0', 50.0),  # neither dt nor a frame rate: ours
        ('MountainCarContinuous-v0', 30.0),  # no dt, but a frame rate
    ],
)
def test_the_control_rate_is_what_the_env_tells_of_its_time(task: str, rate: float):
    assert make_env(task).contract.control_rate == rate


def test_a_contract_is_named_by_the_id_and_not_by_the_package():
    assert make_env('odd_envs:Forgets-v0').contract.name == 'Forgets-v0'
    assert generic_contract('a:b-v0', gymnasium.make('odd_envs:Forgets-v0')).name == 'Forgets-v0'
    assert make_env('odd_envs:place/2nd_Arm-v0').contract.name == 'place-2nd_Arm-v0'


def test_an_id_without_a_version_gives_the_contract_of_the_version_that_it_means():
    with pytest.warns(UserWarning, match='Using the latest versioned environment'):
        assert make_env('Pendulum').contract.name == 'Pendulum-v1'


def test_a_name_that_no_contract_can_have_is_changed():
    assert generic_contract('2nd_Arm-v0', SpacesOnly(UNIT, UNIT)).name == 'env-2nd_Arm-v0'


@pytest.mark.parametrize(
    ('name', 'what', 'supported'),
    [
        ('Integers', 'observations are Box(0, 9, (3,), int64)', NUMBERS),
        ('Images', 'observations are Box(0, 255, (96, 96, 3), uint8)', NUMBERS),
        ('Dict', "observations are Dict('goal': Box(", NUMBERS),
        ('Matrix', 'observations are Box(-1.0, 1.0, (2, 2), float32)', NUMBERS),
        ('DiscreteActions', 'actions are Discrete(3)', NUMBERS),
        ('MultiDiscreteActions', 'actions are MultiDiscrete([3 2])', NUMBERS),
        ('IntegerActions', 'actions are Box(0, 9, (2,), int32)', NUMBERS),
        ('MatrixActions', 'actions are Box(-1.0, 1.0, (2, 2), float32)', NUMBERS),
        ('Unbounded', 'actions are Box(-inf, inf, (2,), float32)', FINITE),
        ('HalfBounded', 'actions are Box([ 0. -inf], 1.0, (2,), float32)', FINITE),
        ('FarBounded', 'actions are Box(-1e+300, 1e+300, (2,), float64)', FINITE),
        ('ManyUnbounded', 'actions are Box([-2. -1.98305085 ', FINITE),
    ],
)
def test_spaces_that_do_not_fit_are_refused_before_a_run_begins(
    tmp_path: Path, name: str, what: str, supported: str
):
    with pytest.raises(UserError) as refusal:
        train(short_command(f'odd_envs:{name}-v0', tmp_path / 'run'))
    text = str(refusal.value)
    assert text.startswith(f"env 'odd_envs:{name}-v0': its {what}")
    assert text.endswith(f'; {supported}')
    assert '\n' not in text
    assert len(text) < 220
    assert not (tmp_path / 'run').exists()


def test_actions_of_nothing_are_refused():
    with pytest.raises(UserError, match=r"^contract of env 'odd_envs:NoActions-v0': action"):
        make_env('odd_envs:NoActions-v0')


@pytest.mark.fault('D12', 'stopped', '')
@pytest.mark.parametrize(
    ('name', 'step', 'text'),
    [
        ('Raises', 30, 'the env raised ZeroDivisionError: float division by zero (odd_envs.py:L)'),
        ('Exits', 30, 'the env raised SystemExit: 3 (odd_envs.py:L)'),
        ('CannotBeginAgain', 200, 'the env raised RuntimeError: no simulator at this port '
         '(odd_envs.py:L)'),
        ('RewardNan', 30, 'reward is nan; every number must be finite in float32'),
        ('RewardInf', 30, 'reward is -inf; every number must be finite in float32'),
        ('Reward1e300', 30, 'reward is inf; every number must be finite in float32'),
        ('RewardNone', 30, 'reward is None (NoneType); one number that is finite in float32 is '
         'needed'),
        ('RewardOfTwo', 30, 'reward is array([1., 2.]) (ndarray); one number that is finite in '
         'float32 is needed'),
        ('SeesNan', 30, 'next_observation is [ 0. nan  0.]; every number must be finite in '
         'float32'),
        ('Sees1e300', 30, 'next_observation is [ 0.  0. inf]; every number must be finite in '
         'float32'),
        ('SeesMore', 30, "env 'odd_envs:SeesMore-v0': its observation has shape (4,); needed: "
         '(3,)'),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings('error::RuntimeWarning')
def test_an_env_that_goes_wrong_ends_the_run_in_one_line(
    tmp_path: Path, name: str, step: int, text: str
):
    task = f'odd_envs:{name}-v0'
    with pytest.raises(UserError) as error:
        train(short_command(task, tmp_path, steps=230, checkpoint_every=20))
    saved = (step - 1) // 20 * 20
    line = re.sub(r'(odd_envs.py):\d+', r'\1:L', str(error.value))
    assert line == (
        f'{task}, step {step}: {text}; the checkpoint of step {saved} in {tmp_path} stays'
    )
    assert read_checkpoint(tmp_path)[1].counters.step == saved
    facts = read_run_file(tmp_path)
    assert facts['result'] is None
    failure = re.sub(r'(odd_envs.py):\d+', r'\1:L', str(facts['failure']))
    assert line.startswith(f'{failure}; ')


@pytest.mark.fault('D12', 'refused', 'UserError')
@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('CannotBeMade', 'cannot be made: FileNotFoundError: [Errno 2] No such file: '
         "'robot.xml'"),
        ('CannotBegin', 'cannot begin an episode: the env raised RuntimeError: no simulator at '
         'this port (odd_envs.py:L)'),
        ('ExitsWhenMade', 'cannot be made: the env raised SystemExit: None (odd_envs.py:L)'),
        ('ExitsAtReset', 'cannot begin an episode: the env raised SystemExit: no licence '
         '(odd_envs.py:L)'),
    ],
)  # fmt: skip
def test_an_env_that_cannot_be_made_or_begin_is_refused_before_a_run_begins(
    tmp_path: Path, name: str, text: str
):
    task = f'odd_envs:{name}-v0'
    with pytest.raises(UserError) as refusal:
        train(short_command(task, tmp_path / 'run'))
    line = re.sub(r'(odd_envs.py):\d+', r'\1:L', str(refusal.value))
    assert line == f"env '{task}' {text}"
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('error', [KeyboardInterrupt(), Terminated(), UserError('ours')])
def test_what_is_not_of_the_env_is_let_through(error: BaseException):
    with pytest.raises(type(error)) as caught, told_errors('the env: '):
        raise error
    assert caught.value is error


def test_an_error_without_a_text_is_told_by_its_kind():
    line = r'^env 0: the env raised AssertionError \(test_gymnasium_env.py:\d+\)$'
    with pytest.raises(EnvError, match=line), told_errors('env 0: '):
        raise AssertionError


@pytest.mark.fault('D12', 'refused', 'UserError')
def test_a_model_is_not_scored_in_an_env_that_raises(tmp_path: Path):
    task, model = 'odd_envs:Raises-v0', tmp_path / 'model.onnx'
    export_model(model, make_env(task).contract)
    text = r'the env raised ZeroDivisionError: float division by zero \(odd_envs.py:\d+\)'
    with pytest.raises(UserError, match=text):
        evaluate(EvaluateCommand(model, task=task, episodes=1))


def test_an_env_that_takes_no_render_mode_is_trained_and_scored(tmp_path: Path):
    task = 'odd_envs:Blind-v0'
    train(short_command(task, tmp_path / 'run'))
    model = tmp_path / 'model.onnx'
    export_model(model, make_env(task).contract)
    assert evaluate(EvaluateCommand(model, task=task, episodes=1))['length_mean'] == 200


@pytest.mark.fault('D12', 'refused', 'UserError')
@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('OnScreen', "renders ['human']; rgb_array is needed"),
        ('Blind', "cannot be made: TypeError: Blind.__init__() got an unexpected keyword argument "
         "'render_mode'"),
    ],
)  # fmt: skip
def test_an_env_that_cannot_be_filmed_is_refused_before_an_episode(
    tmp_path: Path, name: str, text: str
):
    task, model = f'odd_envs:{name}-v0', tmp_path / 'model.onnx'
    export_model(model, make_env(task).contract)
    with pytest.raises(UserError) as refusal:
        evaluate(EvaluateCommand(model, task=task, episodes=1, video=tmp_path / 'film.mp4'))
    assert str(refusal.value).startswith(f"env '{task}' {text}")


@pytest.mark.parametrize(('task', 'said'), [('Pendulum-v1', None), ('odd_envs:Succeeds-v0', True)])
def test_success_is_what_the_env_says_and_nothing_where_it_does_not(task: str, said: bool | None):
    env = make_env(task)
    env.reset(seed=0)
    is_over = False
    while not is_over:
        *_, terminated, truncated, info = env.step(np.zeros(1))
        is_over = terminated or truncated
    assert info.get('is_success') is said
    env.close()


def test_an_env_without_a_time_limit_is_cut_off(tmp_path: Path):
    env = make_env('odd_envs:Endless-v0')
    assert env.spec is not None
    assert env.spec.max_episode_steps == LONGEST_EPISODE
    env.reset(seed=0)
    ends = [any(env.step(np.zeros(1))[2:4]) for _ in range(LONGEST_EPISODE)]
    assert ends.index(True) == LONGEST_EPISODE - 1


@pytest.mark.parametrize('display', ['', ':7'])
def test_mujoco_films_without_a_window_where_there_is_no_display(
    display: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('DISPLAY', display)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    monkeypatch.setenv('MUJOCO_GL', 'left')  # so that it is put back
    monkeypatch.delenv('MUJOCO_GL')
    env = make_env('HalfCheetah-v5', 'rgb_array')
    assert os.environ.get('MUJOCO_GL') == (None if display else 'egl')
    renderer = env.unwrapped.mujoco_renderer
    assert renderer.model.camera(renderer.camera_id).name == 'track'  # it runs out of the picture
    env.close()


def test_a_film_that_cannot_be_drawn_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'pygame', None)  # as if it were not installed
    env = make_env('Pendulum-v1', 'rgb_array')
    env.reset(seed=0)
    with pytest.raises(EnvError) as error:
        env.render()
    assert re.fullmatch(
        'the env raised DependencyNotInstalled: pygame is not installed, run `pip install '
        r'"gymnasium\[classic_control\]"` \(pendulum.py:\d+\)',
        str(error.value),
    )
