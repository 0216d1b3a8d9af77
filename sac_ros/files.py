"""Write a file whole or not at all, remove it for good, check a place; `~` in what people type."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sac_ros.errors import UserError, WriteError


def expand_home(text: str) -> Path:
    """Return the path that somebody typed, its `~` or `~user` expanded.  Raises UserError."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError) as error:  # nobody of that name; no name at all
        raise UserError(f'{text!r}: nobody knows the home folder of its ~') from error


def write_atomic(path: Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    It may come in pieces, for a content that is large and need not be in memory a second time.

    Temporary file in the same folder, fsync, rename, fsync of the folder: the order that
    survives a kill or a power cut.  Raises WriteError when the folder cannot be written.
    """
    path = Path(path)
    check_writable(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f'.{path.name[:40]}.', suffix='.tmp', delete=False
        ) as file:
            temporary = file.name
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise WriteError(f'cannot write {path}: {error.strerror}') from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there, so that no power cut brings it back.  Raises WriteError."""
    path = Path(path)
    try:
        path.unlink()
        sync_folder(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise WriteError(f'cannot remove {path}: {error.strerror}') from error


def check_writable(path: Path) -> None:
    """Raise WriteError unless a file could be created at `path`; creates missing folders."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise WriteError(f'cannot write to folder {path.parent}: {error.strerror}') from error
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long
        raise WriteError(f'cannot write {path}: {error.strerror}') from error
    if is_folder:
        raise WriteError(f'cannot write {path}: it is a folder, a file is needed')


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, so that no power cut changes them back."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
