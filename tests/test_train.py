"""The training run as a user meets it: its files, its folder, its name, and what it refuses."""

import dataclasses
import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformAction, TransformReward
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import PENDULUM, SMALL, column, make_command, resume, run

from sac_ros.errors import UserError
from sim_training.checkpoint import BEST, CURRENT, PREVIOUS, read_actor, read_checkpoint
from sim_training.env import make_env
from sim_training.presets import find_preset
from sim_training.progress_table import METRICS
from sim_training.sac_config import SACConfig
from sim_training.train import main, train
from sim_training.train_command import TrainCommand


def test_a_run_leaves_its_table_curve_events_facts_and_actors(tmp_path: Path):
    result = run(make_command(tmp_path, steps=1_000, evaluate_every=400))
    header = 'step,episode/return,evaluation/return,loss/critic,loss/actor,loss/temperature,alpha,'
    text = (tmp_path / 'progress.csv').read_text()
    assert text.splitlines()[0] == header + 'entropy,value,steps_per_second'
    assert column(tmp_path, 'step') == ['400', '500', '800', '1000']
    assert [bool(cell) for cell in column(tmp_path, 'evaluation/return')] == [1, 0, 1, 1]
    assert (tmp_path / 'learning_curve.png').read_bytes().startswith(b'\x89PNG')
    events = EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
    assert set(events.Tags()['scalars']) == set(METRICS) - {'step'}
    assert [event.step for event in events.Scalars('loss/critic')] == [400, 500, 800, 1000]
    facts = json.loads((tmp_path / 'run.json').read_text())
    assert (facts['task'], facts['seed'], facts['result']) == (PENDULUM, 0, result)
    assert facts['command']['sac']['batch_size'] == 8
    assert facts['versions']['torch'] == torch.__version__
    assert json.loads(json.dumps(result)) == result
    assert result['return'] == pytest.approx(float(column(tmp_path, 'evaluation/return')[-1]))


def test_the_best_actor_is_the_one_of_the_best_evaluation(tmp_path: Path):
    result = run(make_command(tmp_path, steps=600, evaluate_every=100))
    scores = [float(cell) for cell in column(tmp_path, 'evaluation/return') if cell]
    best = max(scores)
    assert result['best_return'] == pytest.approx(best)
    _, facts = read_actor(tmp_path / BEST)
    assert facts.counters.step == result['best_step'] == 100 * (1 + np.argmax(scores))


def test_actions_stay_inside_bounds_that_float32_cannot_hold(tmp_path: Path):
    box = Box(-0.1, 0.7, (1,), np.float64)
    seen = []

    def check(action: np.ndarray) -> np.ndarray:
        seen.append(action)
        assert action.dtype == np.float64
        assert box.contains(action)
        return action

    run(make_command(tmp_path), TransformAction(gymnasium.make(PENDULUM), check, box))
    assert len(seen) == 300
    assert np.ptp(seen) > 0.75


@pytest.mark.fault('H03', 'refused', 'UserError')
def test_a_run_is_not_overwritten(tmp_path: Path):
    run(make_command(tmp_path))
    before = (tmp_path / CURRENT).read_bytes()
    with pytest.raises(UserError) as refusal:
        run(make_command(tmp_path))
    assert str(refusal.value) == (
        f'{tmp_path} already holds a run (run.json, {BEST}, {CURRENT}, {PREVIOUS}): '
        'go on with it by --resume, or name another folder with --out'
    )
    assert (tmp_path / CURRENT).read_bytes() == before


def test_a_run_killed_before_its_first_checkpoint_is_not_taken_over(tmp_path: Path):
    steps = 0

    def die(reward: float) -> float:
        nonlocal steps
        steps += 1
        if steps == 200:
            raise KeyboardInterrupt  # which nobody turns into a line, as little as a kill
        return reward

    with pytest.raises(KeyboardInterrupt):
        run(make_command(tmp_path), TransformReward(gymnasium.make(PENDULUM), die))
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(UserError) as refusal:
        run(make_command(tmp_path))
    assert str(refusal.value) == (
        f'{tmp_path} already holds a run (run.json, {BEST}, {CURRENT}): '
        'go on with it by --resume, or name another folder with --out'
    )
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert read_actor(tmp_path / CURRENT)[1].counters.step == 0
    assert run(resume(tmp_path))['step'] == 300


def test_a_refused_start_leaves_nothing_and_can_be_tried_again(tmp_path: Path):
    folder = tmp_path / 'run'
    with pytest.raises(UserError, match='action space is Discrete'):
        run(make_command(folder), gymnasium.make('CartPole-v1'))
    with pytest.raises(UserError, match='Pendulun-v1'):
        main(TrainCommand('Pendulun-v1', out=folder, steps=300, sac=SMALL))
    with pytest.raises(UserError, match='steps is 8000; more than'):
        main(TrainCommand('balance', out=folder, sac=SACConfig(learning_starts=9_000)))
    assert not folder.exists() or list(folder.iterdir()) == []
    assert run(make_command(folder, steps=100))['step'] == 100


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match='device is cuda, and torch finds no GPU of CUDA here'):
        run(make_command(tmp_path / 'run', device='cuda'))
    assert not (tmp_path / 'run').exists()
    assert run(make_command(tmp_path / 'run', steps=100))['step'] == 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')
def test_a_run_begun_on_a_gpu_goes_on_without_one(tmp_path: Path):
    run(make_command(tmp_path, steps=150, device='cuda'))
    assert run(resume(tmp_path, steps=200, device='cpu'))['step'] == 200


def test_an_env_of_ours_is_stored_with_its_own_contract_also_under_a_wrapper(tmp_path: Path):
    env = make_env('balance')
    command = TrainCommand('balance', out=tmp_path, steps=70, evaluation_episodes=1, sac=SMALL)
    train(TransformReward(env, lambda reward: 2.0 * reward), env, command)
    assert read_actor(tmp_path / CURRENT)[1].contract == env.contract.to_json()
    env.close()


@pytest.mark.fault('D06', 'refused', 'UserError')
def test_a_folder_that_cannot_be_written_is_refused_before_any_step(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    env = TransformReward(gymnasium.make(PENDULUM), lambda _: pytest.fail('a step was taken'))
    with pytest.raises(UserError, match=f'^cannot write to folder {tmp_path / "file"}'):
        run(make_command(tmp_path / 'file'), env)


@pytest.mark.fault('D12 E07', 'stopped', 'UserError')
def test_a_reward_that_is_not_a_number_stops_the_run_and_names_the_step(tmp_path: Path):
    steps = 0

    def break_down(reward: float) -> float:
        nonlocal steps
        steps += 1
        return float('nan') if steps == 170 else reward

    env = TransformReward(gymnasium.make(PENDULUM), break_down)
    with pytest.raises(UserError) as refusal:
        run(make_command(tmp_path, checkpoint_every=100), env)
    assert str(refusal.value) == (
        'Pendulum-v1, step 170: reward is nan; every number must be finite in float32; '
        f'the checkpoint of step 100 in {tmp_path} stays'
    )
    assert read_actor(tmp_path / CURRENT)[1].counters.step == 100
    assert json.loads((tmp_path / 'run.json').read_text())['result'] is None


@pytest.mark.fault('D13', 'stopped', 'UserError')
def test_diverging_losses_stop_the_run_and_keep_the_checkpoint_before(tmp_path: Path):
    steps = 0

    def explode(reward: float) -> float:
        nonlocal steps
        steps += 1
        return 3e38 if steps > 100 else reward

    env = TransformReward(gymnasium.make(PENDULUM), explode)
    text = (
        r'^Pendulum-v1, step 1\d\d: learning has diverged: critic is (nan|inf); '
        r'the checkpoint of step 100 in .* stays$'
    )
    with pytest.raises(UserError, match=text):
        run(make_command(tmp_path, checkpoint_every=100), env)
    arrays = load_file(tmp_path / CURRENT)
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize(
    ('env', 'text'),
    [
        ('CartPole-v1', r'^action space is Discrete\(2\); supported: a Box of real numbers'),
        ('infinite', r'^action space is Box\(-inf, inf, .*\); supported: finite bounds only$'),
        ('Blackjack-v1', r'^observation space is Tuple\(.*\); supported: a Box of real numbers'),
    ],
)
def test_spaces_that_sac_cannot_serve_are_refused(tmp_path: Path, env: str, text: str):
    endless = TransformAction(
        gymnasium.make(PENDULUM), lambda a: a, Box(-np.inf, np.inf, (1,))
    )  # fmt: skip
    with pytest.raises(UserError, match=text):
        run(make_command(tmp_path), endless if env == 'infinite' else gymnasium.make(env))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'steps': 5_000}, 'steps is 5000; more than sac.learning_starts 5000 are needed, '),
        (
            {'steps': 1_500, 'sac': SACConfig(utd_ratio=0.001)},
            'steps is 1500; more than sac.learning_starts 1000 are needed, by 1 / '
            'sac.utd_ratio 0.001 or more',
        ),
        ({'seed': -1}, 'seed is -1; allowed: 0 to 4294967295'),
        ({'evaluate_every': 0}, 'evaluate_every is 0; allowed: 1 or more'),
        ({'threads': 0}, 'threads is 0; allowed: 1 or more'),
        ({'envs': 0}, 'envs is 0; allowed: 1 or more'),
    ],
)
def test_an_impossible_number_is_refused_by_name(options: dict[str, int], text: str):
    with pytest.raises(UserError, match=text):
        TrainCommand(PENDULUM, **options)


def test_options_that_are_given_are_not_those_of_the_preset_even_where_they_are_the_defaults():
    assert TrainCommand(PENDULUM, preset='flash').sac == find_preset('flash')
    assert TrainCommand(PENDULUM, preset='flash', sac=SACConfig()).sac == SACConfig()


def test_the_normalisation_is_that_of_the_random_steps(tmp_path: Path):
    sac = dataclasses.replace(SMALL, normalise_observation=True)
    run(make_command(tmp_path, sac=sac))
    arrays = read_checkpoint(tmp_path)[0]
    random = arrays['replay.observation'][: SMALL.learning_starts].astype(np.float64)
    for network in ('actor', 'critic', 'target_critic'):
        mean = arrays[f'{network}.observation_mean']
        scale = arrays[f'{network}.observation_scale']
        np.testing.assert_allclose(mean, random.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(scale, 1.0 / random.std(axis=0), rtol=1e-5)
    run(resume(tmp_path, steps=320))
    np.testing.assert_array_equal(
        read_checkpoint(tmp_path)[0]['actor.observation_mean'], arrays['actor.observation_mean']
    )  # frozen


def test_the_folder_of_a_run_is_named_after_task_and_seed():
    assert TrainCommand('reach', seed=4).folder == Path('runs/reach-4')
    assert TrainCommand('robots/my.robot.yaml').folder == Path('runs/my.robot-0')
    assert TrainCommand('ALE/Pong-v5').folder == Path('runs/ALE-Pong-v5-0')
    assert TrainCommand('reach', out=Path('x')).folder == Path('x')
