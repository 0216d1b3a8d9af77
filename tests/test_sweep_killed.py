"""A sweep that is stopped or killed with trainings under way: nothing is lost, all goes on."""

import dataclasses
import json
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from command_lines import start_cli, wait_for
from tiny_runs import PENDULUM, SMALL, leftovers

from sim_training.checkpoint import CURRENT, read_actor
from sim_training.sweep import main
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_trial import read_evaluations
from sim_training.sweep_words import command_words

QUICK = dataclasses.replace(SMALL, utd_ratio=0.05)


def make_command(folder: Path, steps: int) -> SweepCommand:
    options = {'options': ('gamma',), 'parallel': 2, 'evaluations': 10, 'evaluation_episodes': 1}
    return SweepCommand(PENDULUM, 2, folder, steps, sac=QUICK, **options)


@pytest.fixture
def start_sweep() -> Iterator[Callable[[SweepCommand], Popen[str]]]:
    """Return a function that starts a sweep as a process of its own."""
    children = []

    def start(command: SweepCommand) -> Popen[str]:
        children.append(start_cli(*command_words('sweep', command)))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def trial_folders(folder: Path) -> list[Path]:
    return [folder / f'trial-{number:04d}' for number in range(2)]


def saved_step(folder: Path) -> int:
    return read_actor(folder / CURRENT)[1].counters.step


def holders(folder: Path) -> list[int]:
    """Return the processes that train in the folders of the trials."""
    return [int((trial / '.lock').read_text()) for trial in trial_folders(folder)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.fault('D01', 'resumed', '')
def test_a_killed_sweep_goes_on_with_its_trials_where_they_were_saved(
    start_sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = make_command(tmp_path, 3_000)
    sweep = start_sweep(command)
    journal = tmp_path / 'study.log'
    known = ('"trial_id":0,"step":300', '"trial_id":1,"step":300')  # what the sweep has seen
    wait_for(lambda: journal.exists() and all(k in journal.read_text() for k in known), sweep)
    pids = holders(tmp_path)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait(60.0)
    result = main(command)  # at once: it waits until the trainings of the first one have saved
    assert not any(map(is_alive, pids))
    assert (result['scored'], result['unfinished'], len(result['each'])) == (2, 0, 2)
    errors = capsys.readouterr().err
    for number, trial in enumerate(trial_folders(tmp_path)):
        assert f'trial {number} of 2 goes on from about step ' in errors
        assert sorted(read_evaluations(trial)) == list(range(300, 3_001, 300))
        assert saved_step(trial) == 3_000
    assert leftovers(tmp_path) == []


@pytest.mark.fault('D04 H08', 'exit 143', '')
def test_a_signal_saves_all_trials_and_says_how_to_go_on(start_sweep, tmp_path: Path):
    command = make_command(tmp_path, 3_000_000)
    sweep = start_sweep(command)
    tables = [trial / 'progress.csv' for trial in trial_folders(tmp_path)]
    wait_for(lambda: all(t.exists() and t.read_text().count('\n') > 1 for t in tables), sweep)
    pids = holders(tmp_path)
    sweep.send_signal(signal.SIGTERM)
    output, errors = sweep.communicate(timeout=150.0)
    assert (sweep.returncode, output) == (143, '')
    assert not any(map(is_alive, pids))
    assert all(saved_step(trial) > 0 for trial in trial_folders(tmp_path))
    words = shlex.join(['sac-ros', *command_words('sweep', command)])
    assert errors.splitlines()[-1] == f'stopped after 0 of 2 trials and saved; to go on: {words}'
    states = {row.split(',')[1] for row in (tmp_path / 'trials.csv').read_text().splitlines()[1:]}
    assert states == {'unfinished'}
    facts = json.loads((tmp_path / 'trial-0000' / 'run.json').read_text())
    assert facts['result'] is None
    assert leftovers(tmp_path) == []
