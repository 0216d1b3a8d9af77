"""Faults that end a training, and what is left: the last checkpoint, whole, and one clear line."""

import dataclasses
import itertools
import signal
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformObservation
from tiny_runs import (
    FORKS,
    PENDULUM,
    differences,
    leftovers,
    make_command,
    resume,
    run,
    train_and_die,
)

from sac_ros.errors import UserError
from sim_training.checkpoint import (
    BEST,
    CURRENT,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from sim_training.progress_table import CSV
from sim_training.run_state import resume_run, save_run
from sim_training.sac_state import sac_arrays
from sim_training.train import train

KILLS = 200


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 450 steps that nothing has disturbed."""
    folder = tmp_path_factory.mktemp('whole')
    run(make_command(folder, steps=450, evaluate_every=1_000))
    return folder


class BreaksAt(gymnasium.Wrapper):
    """An env in which step number `step` goes wrong in one way or another."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(gymnasium.make(PENDULUM))
        self.what, self.breaks_at, self.steps = what, step, 0

    def reset(self, **options: object) -> tuple[np.ndarray, dict]:
        observation, info = self.env.reset(**options)
        is_bad = self.what == 'first observation' and self.steps >= self.breaks_at
        return (observation * np.nan if is_bad else observation), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, reward, *rest = self.env.step(action)
        self.steps += 1
        if self.steps == self.breaks_at:
            if self.what == 'raise':
                raise ZeroDivisionError('float division\nby zero')
            reward = {'reward nan': np.nan, 'reward 1e39': 1e39}.get(self.what, reward)
            observation = observation * (np.inf if self.what == 'observation' else 1.0)
        return (observation, reward, *rest)


@pytest.mark.fault('D01', 'resumed', '')
def test_runs_that_are_killed_again_and_again_end_like_one_that_was_not(
    tmp_path: Path, whole_run: Path
):
    """Each kill comes at a random call of a function, in Python or in C, from the first one on."""
    generator = np.random.default_rng(0)
    runs = kills = 0
    while kills < KILLS:
        folder = tmp_path / str(runs)
        begin = make_command(folder, steps=450, evaluate_every=1_000, checkpoint_every=10)
        steps = [0]
        while kills < KILLS:
            command = resume(folder) if has_checkpoint(folder) else begin
            calls = int(generator.integers(1, 60_000))
            child = FORKS.Process(target=train_and_die, args=(command, calls))
            child.start()
            child.join()
            if child.exitcode == 0:
                break
            assert child.exitcode == -signal.SIGKILL
            kills += 1
            if has_checkpoint(folder):  # else it was only about to begin
                arrays, facts, problem = read_checkpoint(folder)
                assert problem is None
                assert len(arrays['replay.reward']) == min(facts.counters.step, 400)
                steps.append(facts.counters.step)
        else:
            run(resume(folder) if has_checkpoint(folder) else begin)
        assert steps == sorted(steps)
        assert differences(whole_run, folder) == []
        assert leftovers(folder) == []
        runs += 1


@pytest.mark.fault('D11', 'resumed', '')
def test_other_library_versions_are_told_and_the_run_goes_on(
    own_run: Path, capsys: pytest.CaptureFixture[str]
):
    arrays, facts, _ = read_checkpoint(own_run)
    old = {**facts.versions, 'torch': '2.10.0', 'pybullet': None}
    write_checkpoint(own_run, arrays, dataclasses.replace(facts, versions=old))
    capsys.readouterr()
    assert run(resume(own_run, steps=310))['step'] == 310
    now = facts.versions
    assert (
        f'saved with other versions (torch 2.10.0, now {now["torch"]}; pybullet None, now '
        f'{now["pybullet"]}): the run goes on, but not bit for bit\n'
    ) in capsys.readouterr().err
    run(resume(own_run, steps=320))
    assert 'other versions' not in capsys.readouterr().err


@pytest.mark.fault('D12', 'stopped', '')
@pytest.mark.parametrize(
    ('what', 'text'),
    [
        ('raise', r'step 170: the env raised ZeroDivisionError: float division by zero '
         r'\(test_faults_training.py:\d+\)'),
        ('reward nan', 'step 170: reward is nan; every number must be finite in float32'),
        ('reward 1e39', 'step 170: reward is inf; every number must be finite in float32'),
        ('observation', r'step 170: next_observation is \[.*inf.*\]; every number must be finite '
         'in float32'),
        ('first observation', r'step 200: the first observation is \[nan nan nan\]; every number '
         'must be finite'),
    ],
)  # fmt: skip
def test_an_env_that_breaks_down_ends_the_run_in_one_line(tmp_path: Path, what: str, text: str):
    with pytest.raises(
        UserError, match=rf'^{PENDULUM}, {text}; the checkpoint of step 1[05]0 in '
    ):
        run(make_command(tmp_path, checkpoint_every=50, evaluate_every=1_000), BreaksAt(what, 170))
    assert read_checkpoint(tmp_path)[1].counters.step == 150
    assert run(resume(tmp_path))['step'] == 300


@pytest.mark.fault('D12', 'stopped', '')
@pytest.mark.parametrize(
    ('what', 'text'),
    [
        ('raise', r'the env raised ZeroDivisionError: float division by zero \(test_.*\)'),
        ('reward nan', r'the evaluation from seed 2000000 met observation \[.*\] and reward nan; '
         'every number must be finite'),
        ('observation', r'the evaluation from seed 2000000 met observation \[.*inf.*\] and '
         r'reward -\d.*; every number must be finite'),
    ],
)  # fmt: skip
def test_an_evaluation_env_that_breaks_down_scores_nothing(tmp_path: Path, what: str, text: str):
    command = make_command(tmp_path, checkpoint_every=100)
    with pytest.raises(UserError, match=rf'^{PENDULUM}, step 150: {text}; the checkpoint of step'):
        train(gymnasium.make(PENDULUM), BreaksAt(what, 170), command)
    assert read_checkpoint(tmp_path)[1].counters.step == 100
    assert not (tmp_path / BEST).exists()


@pytest.mark.fault('D13', 'stopped', '')
@pytest.mark.parametrize('name', ['actor.body.weights.2', 'critic.body.weights.0', 'log_alpha'])
def test_weights_that_are_no_numbers_are_never_saved(own_run: Path, name: str):
    before = {path.name: path.read_bytes() for path in own_run.glob('*.safetensors')}
    state = resume_run(resume(own_run, steps=400), gymnasium.make(PENDULUM))
    sac_arrays(state.agent)[name].flat[0] = np.nan  # as by a gradient that overflowed
    with pytest.raises(UserError, match=f'^learning has diverged: {name} holds NaN or infinity$'):
        save_run(state)
    assert {path.name: path.read_bytes() for path in own_run.glob('*.safetensors')} == before


@pytest.mark.fault('D14', 'refused', '')
def test_an_env_that_observes_more_than_before_is_refused(own_run: Path):
    box = Box(-10.0, 10.0, (4,), np.float32)
    longer = TransformObservation(gymnasium.make(PENDULUM), lambda o: np.append(o, 0.0), box)
    with pytest.raises(UserError) as refusal:
        run(resume(own_run, steps=400), longer)
    assert str(refusal.value) == (f'{own_run / CURRENT}: observation_size is 3; the env has 4')


@pytest.mark.fault('D15', 'resumed', '')
def test_a_wall_clock_that_goes_back_changes_nothing(
    tmp_path: Path, whole_run: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count(1.8e9, -3_600.0)  # [s]: an hour back whenever it is read
    monkeypatch.setattr(time, 'time', lambda: next(clock))
    result = run(make_command(tmp_path, steps=200, evaluate_every=1_000))
    assert 0.0 < result['seconds'] < 180.0
    result = run(resume(tmp_path, steps=450))
    assert 0.0 < result['seconds'] < 180.0
    assert next(clock) < 1.8e9 - 3_600.0  # somebody did read it
    assert differences(whole_run, tmp_path) == []
    rates = [float(line.split(',')[-1]) for line in (tmp_path / CSV).read_text().split()[1:]]
    assert min(rates) > 0.0
