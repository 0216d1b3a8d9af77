"""The compiled update: as the eager one, resumed bit for bit, and where it cannot be compiled."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torch._dynamo
from tiny_agents import SMALL, make_agent, make_batch
from tiny_runs import PENDULUM, differences, make_command, resume, run
from torch._dynamo.exc import TorchDynamoException

from sim_training import compiler
from sim_training.presets import PRESETS
from sim_training.sac import SAC


@pytest.fixture
def float64() -> Iterator[None]:
    """Compute in float64, where eager and compiled updates cannot drift apart by rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


NARROW = {'critic_sizes': (16, 16)}
KINDS = {
    'sac': {},
    'flash': {},
    'sac_v1': {},
    'crossq': NARROW,
    'tqc': {**NARROW, 'norm': 'layer', 'dropout': 0.01, 'target_subset': 2},  # redq and droq too
}


# With as few graphs as one of them may have: agents of one process do not share the limit.
@pytest.mark.parametrize('preset', KINDS)
@pytest.mark.usefixtures('float64')
@torch._dynamo.config.patch(recompile_limit=2)
def test_the_compiled_update_agrees_with_the_eager_one_over_a_hundred_updates(preset: str) -> None:
    options = {**asdict(PRESETS[preset]), **SMALL, **KINDS[preset], 'average_actor': 10}
    eager, compiled = make_agent(**options), make_agent(**options)
    compiled.compile()
    for _ in range(100):
        numbers = zip(eager.update(make_batch()), compiled.update(make_batch()), strict=True)
        for one, other in numbers:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
    for name, network in eager.networks().items():
        other = compiled.networks()[name].state_dict()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, other[key], rtol=1e-6, atol=1e-9)


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


def test_a_stop_that_ends_the_compiler_too_is_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = []

    def update(*_: object) -> None:
        stops.append('Ctrl-C')
        raise TorchDynamoException('CppCompileError')

    monkeypatch.setattr(SAC, 'update', update)
    result = run(make_command(tmp_path / 'run'), should_stop=lambda: bool(stops))
    assert result['step'] == 0  # what was saved, from where --resume goes on
    monkeypatch.undo()
    assert run(resume(tmp_path / 'run'))['step'] == 300


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
