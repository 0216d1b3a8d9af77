"""For tests of the benchmarks: which processes has a test started, and are they gone?"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

CLI = ('-c', 'from sim_training.cli import main; main()', 'bench', 'control')


def find_children(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[..., list[int]]:
    """Return a function that lists the children of this test, those with a word in their command.

    They are told from those of others by a variable that children inherit; `folder` is its value.
    """
    monkeypatch.setenv('BENCH_TEST', str(folder))
    mark = f'BENCH_TEST={folder}\0'.encode()

    def find(word: str = '') -> list[int]:
        found = []
        for process in Path('/proc').glob('[0-9]*'):
            try:
                is_ours = mark in (process / 'environ').read_bytes()
                words = (process / 'cmdline').read_bytes()
            except OSError:  # it has ended, or is not ours to look at
                continue
            if is_ours and word.encode() in words and int(process.name) != os.getpid():
                found.append(int(process.name))
        return found

    return find
