"""Training with a compiled update: resumed bit for bit, and where it cannot be compiled.

That it computes what the eager one does is in test_sac.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import PENDULUM, differences, make_command, resume, run

from sim_training import compiler


def test_a_compiled_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, halves = tmp_path / 'whole', tmp_path / 'halves'
    run(make_command(whole, steps=240, compile=True))
    run(make_command(halves, steps=150, compile=True))
    run(resume(halves, steps=240))
    assert differences(whole, halves) == []


def test_without_the_headers_of_python_the_update_is_not_compiled_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler.sysconfig, 'get_path', lambda _name: str(tmp_path))
    reason = compiler.why_not_compiled()
    assert reason is not None
    assert reason.startswith("Python's header Python.h was not found")


def test_a_compiler_that_fails_ends_the_run_in_one_line_with_a_way_out(tmp_path: Path) -> None:
    broken = tmp_path / 'c++'
    broken.write_text('#!/bin/sh\necho no headers >&2; exit 1\n')
    broken.chmod(0o755)
    words = [
        'train',
        PENDULUM,
        '--out',
        str(tmp_path / 'run'),
        '--steps',
        '80',
        '--compile',
        'True',
    ]
    words += [
        '--sac.hidden-sizes',
        '8',
        '8',
        '--sac.batch-size',
        '8',
        '--sac.learning-starts',
        '60',
    ]
    places = {'CXX': str(broken), 'TORCHINDUCTOR_CACHE_DIR': str(tmp_path / 'cache')}
    ended = subprocess.run(
        [sys.executable, '-c', 'from sim_training.cli import main; main()', *words],
        capture_output=True, text=True, timeout=300, env={**os.environ, **places}, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f'sac-ros: {PENDULUM}, step 61: the update cannot be compiled here (')
    assert last.endswith(
        f'); --compile False does without; the checkpoint of step 0 in {tmp_path / "run"} stays'
    )
