"""What tests of several files share: Ctrl-C, and one short run of training, made once."""

import shutil
import signal
from pathlib import Path

import pytest

# A script that starts the tests with `&` has them ignore Ctrl-C, one with `nohup` SIGHUP, and
# their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of 300 steps of Pendulum-v1, to be read only."""
    from tiny_runs import make_command, run  # here: most tests need no training

    folder = tmp_path_factory.mktemp('finished') / 'run'
    run(make_command(folder))
    return folder


@pytest.fixture
def own_run(finished_run: Path, tmp_path: Path) -> Path:
    """Return a copy of that run, to be spoilt."""
    return shutil.copytree(finished_run, tmp_path / 'run')
