"""More faults at the command line: Ctrl-C at any stage, and names that are hard to print."""

import io
import json
import os
import signal
from pathlib import Path

import pytest
from builders import export_model
from command_lines import refused, start_cli, wait_for
from tiny_runs import PENDULUM, make_command

from sim_training.cli import run
from sim_training.tasks import load_task


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
