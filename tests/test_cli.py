"""The command line: its help, its one-line errors, its one JSON object, its exit status."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from sim_training.cli import COMMANDS, Entry, run

ROOT = Path(__file__).parents[1]
PROBE = {'probe': Entry('probe_command', 'ProbeCommand', 'a command of this test')}
PROBE_MODULE = '''
import os, sys, time
from dataclasses import dataclass
from sac_ros.errors import UserError

@dataclass(frozen=True)
class ProbeCommand:
    """Do what the test asks for."""

    task: str
    """What to do."""
    rate: float = 0.5
    """Rate [Hz]."""

def main(command):
    if command.task == 'fail':
        raise UserError('model x.onnx: nothing found;\\na file is needed')
    if command.task == 'without-torch':
        raise ModuleNotFoundError("No module named 'torch'", name='torch')
    if command.task == 'without-ros':
        raise ModuleNotFoundError("No module named 'sensor_msgs'", name='sensor_msgs')
    if command.task == 'bug':
        raise ModuleNotFoundError("No module named 'sac_rso'", name='sac_rso')
    if command.task == 'noise':
        print('printed by Python')
        os.write(1, b'written by a C library\\n')
        os.system('echo echoed by a child process')
    if command.task == 'sleep':
        print('asleep', file=sys.stderr, flush=True)
        time.sleep(60)
    if command.task == 'long':
        return {'lines': 'line\\n' * 100_000}
    return {
        'task': command.task,
        'rate': command.rate,
        'inner': {'steps': 1000},
        'returns': (1.0, float('nan'), float('-inf')),
        'success': None,
    }
'''


class Outcome(NamedTuple):
    status: int
    output: str
    error: str


@pytest.fixture
def sac_ros(tmp_path, monkeypatch, capsys):
    """Run a command line in this process, with one command more: probe."""
    (tmp_path / 'probe_command.py').write_text(PROBE_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'probe_command', raising=False)

    def call(*words: str) -> Outcome:
        output = io.StringIO()
        status = run(words, output, COMMANDS | PROBE)
        return Outcome(status, output.getvalue(), capsys.readouterr().err)

    return call


@pytest.fixture
def process(tmp_path):
    """Start the same command line as a process of its own."""
    (tmp_path / 'probe_command.py').write_text(PROBE_MODULE)
    update = f'cli.COMMANDS.update(probe=cli.{PROBE["probe"]})'
    script = f'from sim_training import cli; {update}; cli.main()'
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, '-c', script, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': path},
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_help_names_every_command_and_what_to_type_first(sac_ros):
    status, output, error = sac_ros('--help')
    assert (status, error) == (0, '')
    assert 'New here?' in output
    assert 'sac-ros demo' in output
    for name, entry in COMMANDS.items():
        assert f'  {name} ' in output
        assert entry.help in output


def test_sac_ros_alone_shows_the_help_as_an_error_of_usage(sac_ros):
    status, output, error = sac_ros()
    assert (status, output) == (2, '')
    assert 'New here?' in error
    assert error.splitlines()[-1].startswith('sac-ros: no command given; known: demo, train, ')


@pytest.mark.fault('H01', 'exit 2', '')
def test_an_unknown_command_is_named_with_the_nearest_known_one(sac_ros):
    status, output, error = sac_ros('trian', 'reach')
    assert (status, output) == (2, '')
    assert error.startswith("sac-ros: unknown command 'trian'; did you mean 'train'?; known: demo")
    assert error.count('\n') == 1


def test_help_on_a_command_explains_it_whatever_else_is_typed(sac_ros):
    status, output, error = sac_ros('probe', 'walk', '--help')
    assert (status, error) == (0, '')
    assert output.startswith('usage: sac-ros probe [-h] TASK [--rate FLOAT]\n')
    assert 'Do what the test asks for.' in output
    assert '--json' in output
    assert json.loads(sac_ros('probe', '--help', '--json').output) == {'help': output.strip('\n')}


@pytest.mark.fault('H01', 'exit 2', '')
def test_wrong_usage_is_one_line_on_standard_error(sac_ros):
    problem = "unknown flag '--rat'; did you mean '--rate'?; see sac-ros probe --help"
    assert sac_ros('probe', 'walk', '--rat', '1') == (2, '', f'sac-ros: {problem}\n')


def test_the_result_is_printed_as_aligned_lines(sac_ros):
    status, output, error = sac_ros('probe', 'walk', '--rate', '-1')
    assert (status, error) == (0, '')
    assert output.splitlines() == [
        'task         walk',
        'rate         -1',
        'inner.steps  1000',
        'returns      (1.0, nan, -inf)',
    ]


def test_json_anywhere_gives_one_object_with_null_for_nan_and_infinity(sac_ros):
    expected = {
        'task': 'walk',
        'rate': 0.5,
        'inner': {'steps': 1000},
        'returns': [1.0, None, None],
        'success': None,
    }
    for words in (
        ('--json', 'probe', 'walk'),
        ('probe', '--json', 'walk'),
        ('probe', 'walk', '--json'),
    ):
        status, output, error = sac_ros(*words)
        assert (status, error) == (0, '')
        assert json.loads(output) == expected


def test_a_module_may_describe_its_result_itself(sac_ros, tmp_path):
    with open(tmp_path / 'probe_command.py', 'a') as module:
        module.write('def describe(result):\n    return result["task"] + "ed"\n')
    assert sac_ros('probe', 'walk').output == 'walked\n'
    assert json.loads(sac_ros('probe', 'walk', '--json').output)['task'] == 'walk'


@pytest.mark.parametrize(
    ('words', 'status', 'problem'),
    [
        (('probe', 'fail'), 1, 'model x.onnx: nothing found; a file is needed'),
        (('trian',), 2, "unknown command 'trian'; did you mean 'train'?; known: "),
        (('probe',), 2, 'missing TASK (What to do)'),
        (
            ('probe', 'without-torch'),
            1,
            "torch is not installed; in sac_ros's folder type: pip install '.[train]'",
        ),
        (
            ('probe', 'without-ros'),
            1,
            "sensor_msgs is not installed; in sac_ros's folder type: pip install '.[ros]'",
        ),
    ],
)
def test_an_error_is_one_line_and_with_json_also_an_object(sac_ros, words, status, problem):
    plain = sac_ros(*words)
    assert (plain.status, plain.output) == (status, '')
    assert plain.error.startswith(f'sac-ros: {problem}')
    assert plain.error.count('\n') == 1
    with_json = sac_ros(*words, '--json')
    assert (with_json.status, with_json.error) == (status, plain.error)
    assert json.loads(with_json.output) == {'error': plain.error.removeprefix('sac-ros: ').strip()}


def test_a_missing_module_that_no_extra_brings_is_a_bug_and_not_hidden(sac_ros):
    with pytest.raises(ModuleNotFoundError, match='sac_rso'):
        sac_ros('probe', 'bug')


def test_without_the_train_extra_a_command_says_what_to_install(sac_ros, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tyro', None)
    status, output, error = sac_ros('show', 'x.onnx')
    assert (status, output) == (1, '')
    assert (
        error
        == "sac-ros: tyro is not installed; in sac_ros's folder type: pip install '.[train]'\n"
    )
    assert sac_ros('trian').error.startswith("sac-ros: unknown command 'trian'")


def test_standard_output_holds_the_result_alone(process):
    child = process('probe', 'noise', '--json')
    output, error = child.communicate(timeout=150)
    assert child.returncode == 0
    assert json.loads(output)['task'] == 'noise'
    for noise in ('printed by Python', 'written by a C library', 'echoed by a child process'):
        assert noise in error


@pytest.mark.fault('H07', 'exit 0', '')
def test_a_reader_that_has_read_enough_causes_no_traceback(process):
    child = process('probe', 'long')
    assert child.stdout.readline() == 'lines  line\n'
    child.stdout.close()
    assert child.stderr.read() == ''
    assert child.wait(timeout=150) == 0


@pytest.mark.fault('H08', 'exit 130', '')
def test_ctrl_c_ends_with_130_and_no_traceback(process):
    child = process('probe', 'sleep', '--json')
    assert child.stderr.readline() == 'asleep\n'
    child.send_signal(signal.SIGINT)
    output, error = child.communicate(timeout=150)
    assert child.returncode == 130
    assert error == 'sac-ros: interrupted\n'
    assert json.loads(output) == {'error': 'interrupted'}
