"""The folder of a run: held by one training at a time, and swept of what a killed one left."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from sac_ros.errors import UserError
from sac_ros.files import check_writable
from sim_training.checkpoint import BEST, NEXT, PREVIOUS
from sim_training.learning_curve import CURVE
from sim_training.progress_table import CSV
from sim_training.run_file import RUN_FILE

LOCK = '.lock'
FILES = NEXT, PREVIOUS, BEST, RUN_FILE, CSV, CURVE  # that a training writes


@contextlib.contextmanager
def held(
    folder: Path,
    files: Sequence[str] = FILES,
    elsewhere: str = 'name another folder with --out',
) -> Iterator[None]:
    """Keep every other training out of `folder`, which is created if it is missing.

    What a kill has left of writing `files` is removed; `elsewhere` says what a user could do
    instead.  The kernel gives the folder free when the process ends, whatever ends it.  A folder
    that was created and got no file, as that of a run that is refused, goes again.  Raises
    UserError if the folder is in use or cannot be written.
    """
    path, was_there = folder / LOCK, folder.exists()
    check_writable(path)
    with _lock(path, elsewhere):
        _sweep(folder, files)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if not was_there and not any(folder.iterdir()):
                folder.rmdir()


def _lock(path: Path, elsewhere: str) -> TextIO:
    """Return the lock file, open and locked."""
    try:
        file = path.open('a+')
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(path, file):  # its holder has removed it meanwhile
            file.close()
            return _lock(path, elsewhere)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    except BlockingIOError as error:
        holder = path.read_text() if path.exists() else ''
        raise UserError(
            f'{path.parent} is in use: process {holder or "unknown"} trains there; wait for its '
            f'end, or {elsewhere}'
        ) from error
    except OSError as error:
        raise UserError(f'cannot lock {path}: {error.strerror}') from error
    return file


def _is_at(path: Path, file: TextIO) -> bool:
    """Tell whether the open file is the one that is in the folder under that name."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _sweep(folder: Path, files: Sequence[str]) -> None:
    """Remove the temporary files of a training that was killed while it wrote."""
    (folder / NEXT).unlink(missing_ok=True)
    for name in files:
        for path in folder.glob(f'.{name}.*tmp'):
            path.unlink(missing_ok=True)
