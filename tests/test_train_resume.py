"""A run that is made again, or stopped and resumed: equal bit for bit, or refused by name."""

import dataclasses
import json
import shlex
import signal
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from command_lines import start_cli, wait_for
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformAction, TransformReward
from tiny_runs import PENDULUM, SMALL, column, differences, make_command, run

from sac_ros.errors import UserError
from sim_training.array_file import read_arrays, write_arrays
from sim_training.checkpoint import BEST, CURRENT, read_actor
from sim_training.sac_config import SACConfig
from sim_training.train_command import TrainCommand


def run_until(stop: int, command: TrainCommand, env: gymnasium.Env | None = None) -> None:
    """Begin a run that is stopped after some steps, as by a signal in the middle of the last."""
    steps = 0

    def count(reward: float) -> float:
        nonlocal steps
        steps += 1
        return reward

    counting = TransformReward(env or gymnasium.make(PENDULUM), count)
    assert run(command, counting, should_stop=lambda: steps >= stop)['step'] == stop


def test_the_same_seed_gives_the_same_run_and_evaluating_changes_nothing(
    tmp_path: Path, whole_run: Path
):
    other = {'steps': 450, 'evaluate_every': 100, 'checkpoint_every': 70}
    run(make_command(tmp_path / 'same', **other))
    run(make_command(tmp_path / 'other', **other, seed=1))
    assert differences(whole_run, tmp_path / 'same') == []
    assert 'actor.body.weights.0' in differences(whole_run, tmp_path / 'other')


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 450 steps that was never stopped."""
    folder = tmp_path_factory.mktemp('whole')
    run(make_command(folder, steps=450, evaluate_every=1_000))
    return folder


@pytest.mark.fault('D10', 'resumed', '')
@pytest.mark.parametrize('stop', [30, 60, 200, 433], ids=lambda step: f'at step {step}')
def test_stopped_and_resumed_equals_never_stopped_bit_for_bit(
    tmp_path: Path, whole_run: Path, stop: int
):
    # 30 and 60: before learning starts, and when; 200: the end of an episode; 433: in the middle
    # of one, when the ring of 400 transitions has come round.
    run_until(stop, make_command(tmp_path, steps=450, evaluate_every=1_000))
    assert run(TrainCommand(PENDULUM, out=tmp_path, resume=True))['step'] == 450
    assert differences(whole_run, tmp_path) == []
    for metric in ('episode/return', 'evaluation/return', 'loss/critic'):
        assert column(whole_run, metric) == column(tmp_path, metric)


def test_a_finished_run_goes_on_when_more_steps_are_asked_for(tmp_path: Path, whole_run: Path):
    run(make_command(tmp_path, steps=250))
    result = run(TrainCommand(PENDULUM, out=tmp_path, resume=True, steps=450))
    assert result['step'] == 450
    assert differences(whole_run, tmp_path) == []
    with pytest.raises(UserError, match=r'^steps is 100; the run is at step 450 already$'):
        run(TrainCommand(PENDULUM, out=tmp_path, resume=True, steps=100))


def test_a_run_that_was_stopped_early_does_not_end_before_its_first_update(tmp_path: Path):
    calls = iter(range(100))
    run(make_command(tmp_path), should_stop=lambda: next(calls) > 20)
    with pytest.raises(UserError, match=r'^steps is 50; more than sac.learning_starts 60 are'):
        run(TrainCommand(PENDULUM, out=tmp_path, resume=True, steps=50))
    assert json.loads((tmp_path / 'run.json').read_text())['result'] is None


def test_an_env_that_does_not_repeat_itself_begins_its_next_episode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    class Unrepeatable(gymnasium.Wrapper):  # its randomness does not come from the seed
        generator = np.random.default_rng(0)

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            observation, *rest = self.env.step(action)
            return (observation + self.generator.normal(), *rest)

    env = Unrepeatable(gymnasium.make(PENDULUM))
    run_until(250, make_command(tmp_path), env)
    capsys.readouterr()
    result = run(TrainCommand(PENDULUM, out=tmp_path, resume=True), env)
    assert result['step'] == 300
    text = (
        'episode 1 cannot go on from its step 50 (the env did not repeat it): the next one begins'
    )
    assert text in capsys.readouterr().err


def test_a_best_actor_that_is_newer_than_the_checkpoint_is_not_replaced_by_a_worse_one(
    tmp_path: Path,
):
    run_until(160, make_command(tmp_path))
    arrays, text = read_arrays(tmp_path / BEST)
    facts = json.loads(text)
    facts['counters'] |= {'best_step': 290, 'best_return': 5.0}  # Pendulum's are below 0
    write_arrays(tmp_path / BEST, arrays, json.dumps(facts))
    kept = (tmp_path / BEST).read_bytes()
    result = run(TrainCommand(PENDULUM, out=tmp_path, resume=True))
    assert (result['step'], result['best_step'], result['best_return']) == (300, 290, 5.0)
    assert (tmp_path / BEST).read_bytes() == kept


def test_a_best_actor_that_is_damaged_is_told_and_the_next_one_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run_until(160, make_command(tmp_path))
    (tmp_path / BEST).write_bytes(b'damaged')
    result = run(TrainCommand(PENDULUM, out=tmp_path, resume=True))
    errors = capsys.readouterr().err
    assert f'{tmp_path / BEST} is cut or damaged: ' in errors
    assert '; the next evaluation is the best so far\n' in errors
    assert (result['best_step'], result['best_return']) == (300, result['return'])
    assert read_actor(tmp_path / BEST)[1].counters.best_step == 300


def test_a_resume_tells_of_no_outlier_where_rewards_were_scaled_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def env() -> gymnasium.Env:  # its returns are hundreds of times the size that is learned from
        return TransformReward(gymnasium.make(PENDULUM), lambda reward: 1e3 * reward)

    scaled = dataclasses.replace(SMALL, normalise_reward=True)
    run_until(200, make_command(tmp_path, sac=scaled), env())
    run(TrainCommand(PENDULUM, out=tmp_path, resume=True), env())
    assert 'larger than all before it' not in capsys.readouterr().err


def test_rows_behind_the_checkpoint_of_a_killed_run_are_dropped(tmp_path: Path):
    run_until(160, make_command(tmp_path))
    with (tmp_path / 'progress.csv').open('a') as file:
        file.write('450,-1,-1,1,1,1,1,1,1,1\n500,-1')  # the kill came in the middle of a line
    run(TrainCommand(PENDULUM, out=tmp_path, resume=True))
    assert column(tmp_path, 'step') == ['150', '300']


@pytest.mark.fault('D14', 'refused', 'UserError')
def test_resume_refuses_another_contract(tmp_path: Path):
    folder = tmp_path / 'run'
    run(make_command(folder, steps=100))
    faster = gymnasium.make(PENDULUM)
    faster.unwrapped.dt = 1.0 / 60.0  # [s]
    with pytest.raises(UserError) as refusal:
        run(TrainCommand(PENDULUM, out=folder, resume=True, steps=200), faster)
    assert str(refusal.value) == (
        f"{folder / CURRENT}: the contract '{PENDULUM}' that it was trained with is not that of "
        f"'{PENDULUM}' now: they differ in control_rate, topics; train again"
    )


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'sac': SACConfig(batch_size=16)}, 'sac.batch_size is 16; this run was started with 8'),
        ({'seed': 3}, 'seed is 3; this run was started with 0'),
        ({'task': 'reach'}, "holds a run of 'Pendulum-v1', not of 'reach'"),
    ],
)
def test_resume_refuses_what_cannot_be_changed(
    tmp_path: Path, changes: dict[str, object], text: str
):
    run(make_command(tmp_path))
    with pytest.raises(UserError, match=text):
        run(TrainCommand(**{'task': PENDULUM, 'out': tmp_path, 'resume': True, **changes}))


@pytest.mark.fault('D14', 'refused', 'UserError')
def test_resume_refuses_an_env_of_another_size(tmp_path: Path):
    run(make_command(tmp_path))
    text = f'{tmp_path / CURRENT}: action_upper is (2.0,); the env has (1.0,)'
    narrow = TransformAction(gymnasium.make(PENDULUM), lambda a: a, Box(-2.0, 1.0, (1,)))
    with pytest.raises(UserError) as refusal:
        run(TrainCommand(PENDULUM, out=tmp_path, resume=True), narrow)
    assert str(refusal.value) == text


def test_resume_without_a_checkpoint_is_refused(tmp_path: Path):
    folder = tmp_path / 'nothing'
    with pytest.raises(UserError, match=f'^no checkpoint in {folder}: {CURRENT} is missing$'):
        run(TrainCommand(PENDULUM, out=folder, resume=True))
    assert not folder.exists()


@pytest.mark.fault('D04 H08', 'exit 130 or 143', '')
def test_a_signal_saves_the_run_and_says_how_to_go_on(tmp_path: Path):
    options = '--steps 40000 --sac.hidden-sizes 8 8 --sac.batch-size 8 --sac.learning-starts 60'
    folders = {signal.SIGINT: tmp_path / 'a run', signal.SIGTERM: tmp_path / 'other'}
    children = {
        number: start_cli(
            'train', PENDULUM, '--preset', 'sac', '--out', str(folder), *options.split()
        )
        for number, folder in folders.items()
    }
    for number, child in children.items():
        table = folders[number] / 'progress.csv'
        wait_for(lambda: table.exists() and len(table.read_text().splitlines()) > 1, child)  # noqa: B023
        child.send_signal(number)
    for number, child in children.items():
        output, errors = child.communicate(timeout=150.0)
        assert (child.returncode, output) == (128 + number, '')
        folder = folders[number]
        step = read_actor(folder / CURRENT)[1].counters.step
        hint = f'sac-ros train Pendulum-v1 --out {shlex.quote(str(folder))} --resume'
        line = errors.splitlines()[-1]
        assert line == f'stopped at step {step} and saved; to go on: {hint}'
        assert not [path for path in folder.rglob('*') if path.name.endswith('.tmp')]
        assert json.loads((folder / 'run.json').read_text())['result'] is None
        command = TrainCommand(PENDULUM, out=folder, resume=True, steps=step + 1)
        assert run(command)['step'] == step + 1
