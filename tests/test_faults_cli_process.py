"""More faults at the command line: Ctrl-C at any stage, and names that are hard to print."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders import export_model
from command_lines import ROOT, refused, start_cli, wait_for
from tiny_runs import PENDULUM, make_command

from sim_training.checkpoint import read_checkpoint
from sim_training.cli import run
from sim_training.tasks import load_task

# Begins in a session of its own, so that its terminal is the one that is closed.
TRAINING = """
import fcntl, signal, sys, termios
if '{what}' != 'reader of a pipe':
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
if '{what}' == 'terminal of nohup':
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
from sim_training.cli import main
main()
"""
TINY = (
    '--steps 1500 --evaluate-every 100 --evaluation-episodes 1 --sac.hidden-sizes 8 8 '
    '--sac.batch-size 8 --sac.learning-starts 60 --sac.utd-ratio 0.25'
)


@pytest.mark.fault('H08', 'exit 130', '')
@pytest.mark.parametrize('stage', ['while torch is imported', 'while the model is scored'])
def test_ctrl_c_leaves_no_file_at_any_stage(tmp_path: Path, finished_run: Path, stage: str):
    folder = tmp_path / 'new'
    child = start_cli('export', finished_run, '--out', folder / 'x.onnx', '--episodes', 100_000)

    def stage_is_reached() -> bool:
        # The folder is made when the place of the model is checked: scoring comes after it.
        importing = 'libtorch' in Path(f'/proc/{child.pid}/maps').read_text()
        return importing if stage == 'while torch is imported' else folder.exists()

    try:
        wait_for(stage_is_reached, child)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=150.0)
    finally:
        child.kill()
        child.communicate()
    assert (child.returncode, output, errors) == (130, '', 'sac-ros: interrupted\n')
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.fault('H08', 'exit 0, or 129 and saved', '')
@pytest.mark.parametrize('what', ['reader of a pipe', 'terminal', 'terminal of nohup'])
def test_a_training_is_not_lost_with_those_who_read_what_it_says(tmp_path: Path, what: str):
    folder = tmp_path / 'run'
    table = folder / 'progress.csv'
    window, theirs = os.pipe() if what == 'reader of a pipe' else pty.openpty()
    words = ['train', PENDULUM, '--preset', 'sac', '--out', str(folder), '--json', *TINY.split()]
    child = subprocess.Popen(
        [sys.executable, '-c', TRAINING.format(what=what), *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        cwd=ROOT,
    )
    os.close(theirs)
    try:
        wait_for(lambda: table.exists() and len(table.read_text().splitlines()) > 1, child)
        os.close(window)
        output, _ = child.communicate(timeout=150.0)
    finally:
        child.kill()
        child.communicate()
    result = json.loads(output)
    if what == 'terminal':
        assert (child.returncode, result) == (129, {'error': 'stopped by a signal'})
        assert read_checkpoint(folder)[1].counters.step > 0
    else:
        assert (child.returncode, result['step']) == (0, 1_500)


@pytest.mark.fault('H10', 'exit 0', '')
@pytest.mark.parametrize('name', [b'line\nbreak', b'no text \xff\xfe', b"'; rm -rf *"])
def test_a_model_may_have_any_name(tmp_path: Path, finished_run: Path, capsys, name: bytes):
    path = tmp_path / os.fsdecode(name + b'.onnx')
    output = io.StringIO()
    words = ['export', str(finished_run), '--out', str(path), '--episodes', '1', '--json']
    assert run(words, output) == 0
    assert json.loads(output.getvalue())['model'] == str(path)
    assert path.exists()
    status, line = refused(capsys, 'show', f'{path}.txt')
    assert status == 1
    assert line.startswith(f'model {repr(f"{path}.txt")[1:-1]}: nothing found; ')


@pytest.mark.fault('H10', 'exit 0', '')
def test_a_name_that_is_no_text_is_printed_escaped(tmp_path: Path):
    path = tmp_path / os.fsdecode(b'no \xff text.onnx')
    export_model(path, load_task('balance').spec)
    output, errors = start_cli('evaluate', path, '--episodes', '1').communicate(timeout=200.0)
    assert output.startswith(f'{tmp_path}/no \\udcff text.onnx on balance, 1 episodes\n')
    assert errors == ''


@pytest.mark.fault('H10', 'exit 2', '')
@pytest.mark.parametrize('name', [b'line\nbreak', b'no text \xff\xfe', b'tab\t', b'\x1b[31m'])
def test_a_run_has_a_name_that_can_be_printed(tmp_path: Path, capsys, name: bytes):
    folder = tmp_path / os.fsdecode(name)
    status, line = refused(capsys, 'train', PENDULUM, '--out', folder)
    assert (status, line) == (
        2,
        f'out is {str(folder)!r}; allowed: printable text in one line; see sac-ros train --help',
    )
    assert list(tmp_path.iterdir()) == []
    assert make_command(tmp_path / "o'Brien's läufe 走").folder.name == "o'Brien's läufe 走"
