"""The benchmark of learning: real trainings of peers, and words that cannot be understood."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.rollout import FIRST_EVALUATION_SEED

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))  # where its parts find each other

import learning  # noqa: E402
import learning_peer  # noqa: E402
from learning_results import (  # noqa: E402
    Evaluation,
    Facts,
    Job,
    read_curve,
    read_facts,
    write_curve,
    write_facts,
)

PENDULUM = 'Pendulum-v1'
SHORT = ('--env', PENDULUM, '--evaluate-every', 100, '--episodes', 2)


def call(*words: object) -> int:
    return learning.main([str(word) for word in words])


def train(folder: Path, *words: object) -> int:
    places = ('--runs', folder / 'runs', '--results', folder / 'results')
    return call('train', *SHORT, *words, *places)


def job_of(folder: Path, side: str, preset: str | None = None) -> Job:
    return Job(PENDULUM, side, preset, 0, runs=folder / 'runs', results=folder / 'results')


@pytest.mark.parametrize('side', ['sb3_sac', 'sb3_td3', 'sb3_ddpg', 'sb3_ppo'])
def test_a_peer_is_evaluated_as_it_learns_and_skipped_when_it_is_finished(
    side: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = job_of(tmp_path, side)
    assert train(tmp_path, '--side', side, '--steps', 150, '--seeds', 0) == 0
    curve = read_curve(job.curve)
    steps = [100, 152] if side == 'sb3_ppo' else [100, 150]  # it plays four envs at once
    assert [evaluation.step for evaluation in curve] == steps
    assert 0.0 < curve[0].seconds <= curve[1].seconds
    assert all(-2000.0 < evaluation.score < 0.0 for evaluation in curve)
    facts = read_facts(job)
    assert facts is not None
    assert (facts.steps, facts.first_seed) == (steps[-1], FIRST_EVALUATION_SEED)
    assert 'stable_baselines3' in facts.versions
    assert 'learning_rate' in facts.settings

    written = job.curve.stat().st_mtime_ns
    capfd.readouterr()
    assert train(tmp_path, '--side', side, '--steps', 150, '--seeds', 0) == 0
    finished = f'{steps[-1]} steps, 2 episodes every 100, 1 thread(s)'
    assert capfd.readouterr().err == f'learning: {job.curve} is finished: {finished}\n'
    assert job.curve.stat().st_mtime_ns == written


def test_a_peer_plays_the_episodes_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    reset = GymnasiumEnv.reset

    def noted(
        env: GymnasiumEnv, *, seed: int | None = None, options: None = None
    ) -> tuple[np.ndarray, dict[str, object]]:
        if seed is not None:
            seeds.append(seed)
        return reset(env, seed=seed, options=options)

    monkeypatch.setattr(GymnasiumEnv, 'reset', noted)
    assert train(tmp_path, '--side', 'sb3_td3', '--steps', 100, '--seeds', 0) == 0
    assert seeds == [0, FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + 1]


def test_a_peer_that_was_stopped_begins_anew(tmp_path: Path) -> None:
    job = job_of(tmp_path, 'sb3_td3')
    write_curve(job.curve, [Evaluation(50, -1.0, 1.0)])  # and no facts: it was not finished
    assert train(tmp_path, '--side', 'sb3_td3', '--steps', 100, '--seeds', 0) == 0
    assert [evaluation.step for evaluation in read_curve(job.curve)] == [100]


def test_a_peer_that_is_to_go_further_begins_anew(tmp_path: Path) -> None:
    job = job_of(tmp_path, 'sb3_td3')
    write_curve(job.curve, [Evaluation(50, -1.0, 1.0)])
    write_facts(job, Facts(50, 100, 2, FIRST_EVALUATION_SEED, 1, '', {}, ''))
    assert train(tmp_path, '--side', 'sb3_td3', '--steps', 100, '--seeds', 0) == 0
    assert [evaluation.step for evaluation in read_curve(job.curve)] == [100]


def test_a_signal_stops_a_peer_and_what_it_has_done_stays_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_then_signal(path: Path, curve: list[Evaluation]) -> None:
        write_curve(path, curve)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(learning_peer, 'write_curve', write_then_signal)
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, '--side', 'sb3_td3', '--steps', 300, '--seeds', 0, 1)
    assert stop.value.code == 128 + signal.SIGTERM
    job = job_of(tmp_path, 'sb3_td3')
    assert [evaluation.step for evaluation in read_curve(job.curve)] == [100]
    assert read_facts(job) is None
    assert not replace(job, seed=1).curve.exists()


@pytest.mark.parametrize(
    ('words', 'status', 'text'),
    [
        (['trian'], 2, "unknown command 'trian'; did you mean 'train'?; known: train, report"),
        (['train', '--side', 'sb3_sac'], 2, 'missing --env STR'),
        (
            ['train', '--env', 'X-v0', '--side', 'sb3'],
            2,
            "--side: 'sb3' is unknown; did you mean 'sb3_td3'?; known: 'sac",
        ),
        (
            ['train', '--env', 'X-v0', '--side', 'sb3_sac'],
            1,
            "--steps is needed for 'X-v0'",
        ),
        (
            ['train', '--env', 'X-v0', '--side', 'sb3_sac', '--steps', '9'],
            1,
            "'X-v0'",
        ),
        (
            ['train', *map(str, SHORT), '--side', 'sb3_sac', '--preset', 'sac'],
            1,
            '--preset does not go with sb3_sac; it is for sac_ros',
        ),
        (
            ['train', *map(str, SHORT), '--side', 'sac_ros', '--preset', '../x'],
            1,
            "--preset is '../x'; allowed: <preset>+<option>=<value>, as in sac+tau=0.01",
        ),
        (
            ['train', *map(str, SHORT), '--side', 'sb3_sac', '--steps', '0'],
            1,
            '--steps is 0; 1',
        ),
        (
            ['train', *map(str, SHORT), '--side', 'sb3_sac', '--seeds', '-1'],
            1,
            '--seeds has -1;',
        ),
    ],
)
def test_bad_words_are_told_in_one_line(
    words: list[str],
    status: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words) == status
    found = capsys.readouterr().err
    assert found.startswith(f'learning: {text}')
    assert found.count('\n') == 1
