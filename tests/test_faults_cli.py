"""Faults at the command line: one line on standard error, an honest exit status, nothing half."""

import dataclasses
import importlib
import io
import json
from pathlib import Path

import pytest
from builders import export_model
from command_lines import refused
from tiny_runs import PENDULUM

from sac_ros.spec import TaskSpec
from sim_training.checkpoint import CURRENT
from sim_training.cli import COMMANDS, run
from sim_training.tasks import load_task

DANGEROUS = ('unsafe', 'disable', 'force', 'ignore', 'skip', 'no-check', 'trust', 'insecure')


@pytest.mark.fault('H01', 'exit 2', '')
def test_a_typo_is_one_line_on_standard_error_with_the_nearest_word(capsys):
    for words, problem in (
        ((), 'no command given; known: demo, train, '),
        (('trian',), "unknown command 'trian'; did you mean 'train'?; known: "),
        (('train', PENDULUM, '--stepps', '9'), "unknown flag '--stepps'; did you mean '--steps'?"),
        (
            ('train', PENDULUM, '--sac.batch-sise', '9'),
            "unknown flag '--sac.batch-sise'; did you mean '--sac.batch-size'?",
        ),
        (('export', 'runs/x'), 'missing '),
        (('show', 'a.onnx', 'b.onnx'), "'b.onnx' is one argument too many; see sac-ros show"),
    ):
        output = io.StringIO()
        assert (run(words, output), output.getvalue()) == (2, '')
        assert capsys.readouterr().err.splitlines()[-1].startswith(f'sac-ros: {problem}')


@pytest.mark.fault('H02', 'exit 1', '')
def test_an_export_of_no_run_names_the_folder(tmp_path: Path, capsys):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').write_text('a,b\n')
    out = tmp_path / 'new' / 'model.onnx'
    for name in ('missing', 'empty', 'file'):
        status, line = refused(capsys, 'export', tmp_path / name, '--out', out)
        assert (status, line) == (1, f'{tmp_path / name} is no training run: run.json is missing')
    (tmp_path / 'empty' / 'run.json').write_text('[' * 100_000)
    status, line = refused(capsys, 'export', tmp_path / 'empty', '--out', out)
    assert (status, line.startswith(f'{tmp_path}/empty/run.json cannot be read: ')) == (1, True)
    assert not out.parent.exists()


@pytest.mark.fault('H03', 'exit 1', '')
def test_a_run_that_is_there_is_not_overwritten(finished_run: Path, capsys):
    before = (finished_run / CURRENT).read_bytes()
    status, line = refused(capsys, 'train', PENDULUM, '--out', finished_run, '--steps', '6000')
    assert status == 1
    assert line.startswith(f'{finished_run} already holds a run (run.json, ')
    assert line.endswith('go on with it by --resume, or name another folder with --out')
    assert (finished_run / CURRENT).read_bytes() == before


@pytest.mark.fault('H04', 'exit 1', '')
def test_a_place_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path, finished_run: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    model = tmp_path / 'balance.onnx'
    export_model(model, load_task('balance').spec)
    for name in ('sim_training.export.evaluate_policy', 'sim_training.evaluate.evaluate_policy'):
        monkeypatch.setattr(name, lambda *_: pytest.fail('work was done'))
    for words in (
        ('train', PENDULUM, '--out', '/proc/nowhere'),
        ('export', finished_run, '--out', '/proc/nowhere/model.onnx'),
        ('evaluate', model, '--video', '/proc/nowhere/film.mp4'),
    ):
        status, line = refused(capsys, *words)
        assert status == 1
        assert line.startswith('cannot write to folder /proc/nowhere: ')


@pytest.mark.fault('H05', 'exit 1', '')
@pytest.mark.parametrize(
    'data', [b'step,return\n1,2\n', b'PK\x03\x04zip', b'\x80\x04\x95pickle', b'schema: 1\n', b'']
)
@pytest.mark.parametrize('command', ['show', 'evaluate'])
def test_a_file_of_another_kind_is_named(tmp_path: Path, capsys, command: str, data: bytes):
    path = tmp_path / 'model.onnx'
    path.write_bytes(data)
    status, line = refused(capsys, command, path)
    assert status == 1
    assert line.startswith(f'model {path}')


@pytest.mark.fault('H06', 'exit 2', '')
@pytest.mark.parametrize(
    ('words', 'problem'),
    [
        ('--steps -1', 'steps is -1; more than sac.learning_starts 5000 are needed'),
        ('--steps nan', "--steps: a whole number is needed, found 'nan'"),
        ('--steps 1e9', "--steps: a whole number is needed, found '1e9'"),
        ('--seed -1', 'seed is -1; allowed: 0 to 4294967295'),
        ('--threads 0', 'threads is 0; allowed: 1 or more'),
        ('--sac.gamma nan', 'sac.gamma is nan; allowed: from 0 to below 1'),
        ('--sac.learning-rate 1e999', 'sac.learning_rate is inf; allowed: finite and above 0'),
        ('--sac.utd-ratio -1', 'sac.utd_ratio is -1.0; allowed: finite and above 0'),
    ],
)
def test_an_impossible_number_is_wrong_usage(capsys, words: str, problem: str):
    status, line = refused(capsys, 'train', PENDULUM, *words.split())
    assert (status, line[: len(problem)]) == (2, problem)
    assert line.endswith('; see sac-ros train --help')


@pytest.mark.fault('H06', 'exit 2', '')
@pytest.mark.parametrize(
    ('words', 'problem'),
    [
        ('evaluate m.onnx --episodes 0', '--episodes is 0; 1 or more is needed'),
        ('run m.onnx --real-time-factor nan', '--real-time-factor is nan; 0.01 to 100 is needed'),
        ('finetune m.onnx --minutes 0', '--minutes is 0.0; above 0 to 10000 is needed'),
        ('finetune m.onnx --seed -1', '--seed is -1; 0 to 2147483647 is needed'),
        ('bench control --kills 1 --soak 1', '--kills and --soak are two measurements'),
    ],
)
def test_what_no_command_can_do_is_wrong_usage(capsys, words: str, problem: str):
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    status, line = refused(capsys, *words.split())
    assert (status, line[: len(problem)]) == (2, problem)
    assert line.endswith(f'; see sac-ros {words.split()[0]} --help')


@pytest.mark.fault('H11', 'exit 1', '')
@pytest.mark.parametrize('command', ['evaluate', 'run'])
def test_a_model_of_another_contract_is_refused_with_the_keys_that_differ(
    tmp_path: Path, capsys, command: str
):
    if command == 'run':
        pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    spec = load_task('balance').spec
    action = spec.action.model_copy(update={'max_rate': 400.0})
    path = tmp_path / 'slow.onnx'
    export_model(path, spec.model_copy(update={'action': action, 'control_rate': 40.0}))
    status, line = refused(capsys, command, path)
    assert (status, line) == (
        1,
        "the model's contract 'balance' is not that of 'balance': they differ in control_rate, "
        'action',
    )


@pytest.mark.fault('H12', 'exit 2', '')
@pytest.mark.parametrize('command', COMMANDS)
def test_no_command_has_a_way_around_its_checks(capsys, command: str):
    for flag in ('--unsafe', '--unsafe-no-limits', '--disable-guard', '--force', '--trust-model'):
        status, line = refused(capsys, command, 'x', flag)
        assert status == 2
        assert line.startswith(f"unknown flag '{flag}'")
    entry = COMMANDS[command]
    assert dangerous(getattr(importlib.import_module(entry.module), entry.options)) == []


def test_a_contract_has_no_way_around_its_checks_and_the_search_would_find_one():
    parts = json.dumps(TaskSpec.model_json_schema())
    assert [word for word in DANGEROUS if f'"{word}' in parts] == []
    options = dataclasses.make_dataclass('Options', [('model', Path), ('unsafe_speed', bool)])
    assert dangerous(options) == ['unsafe-speed']


def dangerous(options: type) -> list[str]:
    """Return the options whose names promise less safety."""
    names = [field.name.replace('_', '-') for field in dataclasses.fields(options)]
    return [name for name in names if any(word in name for word in DANGEROUS)]
