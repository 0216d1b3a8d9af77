"""run.json: what ran, with which versions, and what came of it.  For people and for export."""

import functools
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from sac_ros.errors import UserError
from sac_ros.files import write_atomic
from sim_training.train_command import TrainCommand

RUN_FILE = 'run.json'
PACKAGES = ('sac_ros', 'torch', 'numpy', 'gymnasium', 'pybullet', 'safetensors')


def write_run_file(
    folder: Path,
    command: TrainCommand,
    result: dict[str, object] | None = None,
    failure: str | None = None,
) -> None:
    """Write run.json; `result` is None as long as the run is not over, `failure` what ended it."""
    facts = {
        'task': command.task,
        'seed': command.seed,
        'command': TypeAdapter(TrainCommand).dump_python(command, mode='json'),
        'versions': library_versions(),
        'commit': _commit(),
        'result': result,
        'failure': failure,
    }
    write_atomic(folder / RUN_FILE, (json.dumps(facts, indent=2) + '\n').encode())


def read_run_file(folder: Path) -> dict[str, object]:
    """Return what `write_run_file` wrote.  Raises UserError."""
    path = folder / RUN_FILE
    try:
        facts = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'{folder} is no training run: {RUN_FILE} is missing') from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    if not isinstance(facts, dict) or not {'task', 'commit', 'versions'} <= facts.keys():
        raise UserError(f'{path} was not written by a training run of ours')
    return facts


def why_unfinished(facts: Mapping[str, object]) -> str | None:
    """Return why a run has no result, from its run.json; None if it has one."""
    if facts.get('result') is not None:
        return None
    return str(facts.get('failure') or 'stopped, or still training')


@functools.cache
def library_versions() -> dict[str, str | None]:
    """Return the versions of Python and of what numbers are made with; None: not installed."""
    versions: dict[str, str | None] = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


@functools.cache  # what this process began with, whatever is committed while it trains
def _commit() -> str | None:
    """Return the commit of this source tree, '-dirty' if it was changed; None outside of git."""
    here = Path(__file__)
    try:
        # Is this very file in git, and not just some project that it is installed in?
        _git(here.parent, 'ls-files', '--error-unmatch', here.name)
        return _git(here.parent, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    answer = subprocess.run(
        ['git', '-C', str(folder), *words],
        check=True,
        capture_output=True,
        text=True,
        timeout=10.0,
    )
    return answer.stdout.strip()
