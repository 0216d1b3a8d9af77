"""Learners with several envs that are stopped or killed: nothing runs on, nothing is lost."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_children import find_children
from command_lines import start_cli, wait_for
from tiny_runs import PENDULUM, differences, leftovers, make_command, resume, run

from sim_training.checkpoint import has_checkpoint, read_checkpoint

TINY = (  # as SMALL of tiny_runs.py
    '--sac.hidden-sizes 8 8 --sac.batch-size 8 --sac.learning-starts 60 '
    '--sac.replay-capacity 400 --sac.utd-ratio 0.25 --evaluation-episodes 1 --envs 2'
)


@pytest.mark.fault('D04', 'exit 128 and its number', '')
@pytest.mark.parametrize(
    ('number', 'moment'),
    [
        (signal.SIGINT, 'while the envs begin'),
        (signal.SIGTERM, 'in the middle'),
        (signal.SIGHUP, 'in the middle'),
    ],
)
def test_a_stop_that_reaches_every_process_saves_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
):
    find = find_children(monkeypatch, tmp_path)
    folder = tmp_path / 'run'
    words = f'--steps 100000 --evaluate-every 100 {TINY}'.split()
    child = start_cli('train', PENDULUM, '--preset', 'sac', '--out', str(folder), *words)
    table = folder / 'progress.csv'
    if moment == 'in the middle':
        wait_for(lambda: table.exists() and len(table.read_text().splitlines()) > 1, child)
        assert len(find('spawn_main')) == 2
    else:
        wait_for(lambda: find('spawn_main'), child)
    for pid in find():
        with contextlib.suppress(ProcessLookupError):  # one that was only passing by
            os.kill(pid, number)
    output, errors = child.communicate(timeout=150.0)
    assert (child.returncode, output) == (128 + number, '')
    step = read_checkpoint(folder)[1].counters.step
    assert 'Traceback' not in errors
    assert errors.splitlines()[-1].startswith(f'stopped at step {step} and saved; to go on: ')
    wait_until_gone(find)
    assert run(resume(folder, steps=step + 100))['step'] == step + 100


@pytest.mark.fault('D01', 'resumed', '')
def test_a_learner_that_is_killed_takes_its_envs_along_and_goes_on_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    find = find_children(monkeypatch, tmp_path)
    whole, folder = tmp_path / 'whole', tmp_path / 'run'
    options = {'steps': 600, 'evaluate_every': 1_000, 'envs': 2}
    run(make_command(whole, **options))
    words = f'--steps 600 --evaluate-every 1000 --checkpoint-every 50 {TINY}'.split()
    child = start_cli('train', PENDULUM, '--preset', 'sac', '--out', str(folder), *words)
    wait_for(
        lambda: has_checkpoint(folder) and read_checkpoint(folder)[1].counters.step > 0, child
    )
    child.kill()
    child.communicate(timeout=150.0)
    assert child.returncode == -signal.SIGKILL
    wait_until_gone(find)
    assert 0 < read_checkpoint(folder)[1].counters.step < 600
    assert run(resume(folder))['step'] == 600
    assert differences(whole, folder) == []
    assert leftovers(folder) == []


def wait_until_gone(find: Callable[[], list[int]]) -> None:
    deadline = time.monotonic() + 60.0
    while find():
        assert time.monotonic() < deadline, find()
        time.sleep(0.01)
