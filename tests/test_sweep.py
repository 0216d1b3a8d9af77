"""`sac-ros sweep` with real trainings, each in a process of its own: what it leaves behind."""

import csv
import json
import sys
from pathlib import Path

import pytest
from command_lines import refused
from tiny_runs import PENDULUM, SMALL

from sac_ros.errors import UserError
from sim_training.checkpoint import CURRENT, read_actor
from sim_training.child_process import ChildProcess
from sim_training.cli_options import read_options
from sim_training.run_file import read_run_file
from sim_training.run_folder import held
from sim_training.sweep import describe, main
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_space import with_values
from sim_training.sweep_trial import LocalTraining, read_evaluations
from sim_training.train_command import TrainCommand


def make_command(folder: Path, **overrides: object) -> SweepCommand:
    options = {'trials': 2, 'steps': 120, 'options': ('gamma', 'tau', 'hidden_sizes')}
    options |= {'parallel': 2, 'evaluations': 2, 'evaluation_episodes': 1, 'sac': SMALL}
    return SweepCommand(PENDULUM, out=folder, **{**options, **overrides})


@pytest.fixture(scope='module')
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepCommand, dict[str, object]]:
    """A sweep of two trials, and its result."""
    command = make_command(tmp_path_factory.mktemp('sweep'))
    return command, main(command)


def test_a_sweep_trains_each_trial_with_its_own_options_and_seed(finished):
    command, result = finished
    assert (result['scored'], result['failed'], result['unfinished']) == (2, 0, 0)
    for trial in result['each']:
        folder = command.folder / f'trial-{trial["trial"]:04d}'
        assert trial['run'] == str(folder)
        stored = read_actor(folder / CURRENT)[1]
        assert stored.counters.step == 120
        assert stored.command.seed == trial['seed'] == trial['trial']
        assert stored.command.sac.gamma == trial['values']['gamma']
        assert stored.command.sac.tau == trial['values']['tau']
        widths = ' '.join(map(str, stored.command.sac.hidden_sizes))
        assert widths == trial['values']['hidden_sizes']
        assert stored.command.sac.batch_size == SMALL.batch_size
        evaluations = read_evaluations(folder)
        assert sorted(evaluations) == [60, 120]
        assert trial['score'] == evaluations[120]
        assert read_run_file(folder)['result'] is not None
    assert result['each'][0]['values'] == {'gamma': 0.98, 'tau': 0.02, 'hidden_sizes': '8 8'}


def test_a_sweep_leaves_a_table_a_picture_and_the_command_of_the_best(finished):
    command, result = finished
    with (command.folder / 'trials.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [float(row['score']) for row in rows] == [t['score'] for t in result['each']]
    assert (command.folder / 'sweep.png').read_bytes().startswith(b'\x89PNG')
    best = max(result['each'], key=lambda trial: trial['score'])
    assert (result['best'], result['best_score']) == (best['trial'], best['score'])
    places = sorted(result['each'], key=lambda trial: -trial['score'])
    assert [trial['place'] for trial in places] == [1, 2]
    assert result['default_place'] == result['each'][0]['place']
    assert result['command'].startswith(f'sac-ros train {PENDULUM} ')
    again = read_options(TrainCommand, 'sac-ros train', result['command'].split()[2:])
    # A seed that no trial had.
    assert (again.seed, again.folder) == (2, command.folder / 'best-2')
    assert (again.steps, again.evaluate_every) == (120, 60)
    assert again.sac == with_values(SMALL, best['values'])
    assert json.loads(json.dumps(result)) == result
    text = describe(result)
    assert text.startswith(f'{PENDULUM}, 2 trials: 2 scored\n')
    assert '0 (default)' in text
    assert text.endswith(result['command'])


def test_a_sweep_that_has_all_its_trials_starts_none_and_tells_the_same(
    finished, monkeypatch: pytest.MonkeyPatch
):
    command, result = finished
    monkeypatch.setattr(ChildProcess, '__init__', lambda *_: pytest.fail('a training was started'))
    assert main(command) == result


def test_a_sweep_with_other_settings_is_refused(finished):
    command, _ = finished
    with pytest.raises(UserError) as refusal:
        main(make_command(command.folder, steps=130))
    assert str(refusal.value) == (
        f'steps is 130; the sweep in {command.folder} was started with 120 and keeps it; '
        'for another, name another folder with --out'
    )


def test_a_trial_that_cannot_be_trained_tells_why(tmp_path: Path):
    (tmp_path / 'trial').write_text('a file')
    training = LocalTraining(TrainCommand(PENDULUM, 120, out=tmp_path / 'trial' / 'x', sac=SMALL))
    try:
        training._process.wait(60.0)
        look = training.look()
    finally:
        training.close()
    assert (look.status, look.evaluations) == (1, {})
    assert look.last_line.startswith(f'sac-ros: cannot write to folder {tmp_path / "trial"}')


@pytest.mark.fault('D08', 'refused', 'UserError')
def test_two_sweeps_in_one_folder_are_refused(tmp_path: Path):

    with held(tmp_path), pytest.raises(UserError, match=f'^{tmp_path} is in use: process '):
        main(make_command(tmp_path))


@pytest.mark.fault('D06', 'refused', 'UserError')
def test_a_folder_that_cannot_be_written_is_refused_before_any_trial(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=f'^cannot write to folder {tmp_path / "file"}'):
        main(make_command(tmp_path / 'file'))


def test_evaluations_are_read_from_whole_lines_only(tmp_path: Path):
    assert read_evaluations(tmp_path) == {}
    header = 'step,episode/return,evaluation/return,alpha\n'
    table = tmp_path / 'progress.csv'
    table.write_text(header[:-5])
    assert read_evaluations(tmp_path) == {}
    table.write_text(header + '60,-1.5,-2.5,0.1\n100,-1,,0.1\n120,,-1.25,\n180,-1,-1')
    assert read_evaluations(tmp_path) == {60: -2.5, 120: -1.25}


def test_without_the_package_for_clusters_it_is_told_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):

    monkeypatch.setitem(sys.modules, 'ray', None)
    status, text = refused(capsys, 'sweep', PENDULUM, '--out', tmp_path, '--ray', 'auto')
    assert status == 1
    assert text == "ray is not installed; in sac_ros's folder type: pip install '.[cluster]'"
