"""The bytes of a model file: read once, never waited for, and compared with a sha256.

Nothing in here looks into them.
"""

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

from sac_ros.errors import UserError
from sac_ros.files import expand_home
from sac_ros.model_error import ModelError, one_line
from sac_ros.spec_fields import shown

MAX_BYTES = 16 * 2**20  # an actor of 2 x 256 units has 0.3 MB

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
}


def model_path(text: str) -> Path:
    """Return the path of a model as somebody typed it, with a `~`.  Raises ModelError."""
    try:
        return expand_home(text)
    except UserError as error:
        raise ModelError(f'model {error}', 'E_MODEL_PATH') from error


def read_model(path: Path, expected_sha256: str = '') -> bytes:
    """Return what is in a model file, read once.  Raises ModelError.

    A sha256 that is given must be that of what was read.  What is checked is the opened file, not
    its name, behind which somebody may put another one at any time.
    """
    if expected_sha256:
        _check_digits(expected_sha256)
    where = model_name(path)
    descriptor = _open(path, where)
    try:
        _check_kind_and_size(os.fstat(descriptor), where)
        with open(descriptor, 'rb', closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(where, str(error.strerror)) from error
    finally:
        os.close(descriptor)
    check_size(len(data), where)  # it may have grown meanwhile
    if expected_sha256:
        check_sha256(data, expected_sha256, where)
    return data


def model_name(path: Path) -> str:
    """Return how errors name the model at `path`: in one line, whatever the path holds."""
    return f'model {one_line(str(path))}'


def check_sha256(data: bytes, expected: str, where: str) -> None:
    """Raise ModelError unless `data` has the sha256 that is expected (hexadecimal)."""
    _check_digits(expected)
    found = hashlib.sha256(data).hexdigest()
    if not hmac.compare_digest(found, expected.lower()):
        raise ModelError(
            f'{where} has sha256 {found[:12]}...; {expected[:12].lower()}... is expected',
            'E_MODEL_UNTRUSTED',
        )


def check_size(size: int, where: str) -> None:
    """Raise ModelError when a model has more bytes than any policy needs."""
    if size > MAX_BYTES:
        raise ModelError(
            f'{where} has {size} bytes; at most {MAX_BYTES} are allowed', 'E_MODEL_PATH'
        )


def _open(path: Path, where: str) -> int:
    try:
        # Not to wait here for somebody who writes, when it is a pipe.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _unsuitable(where, 'nothing') from error
    except OSError as error:
        raise _unreadable(where, str(error.strerror)) from error
    except ValueError as error:  # a NUL in the path
        raise _unreadable(where, str(error)) from error


def _check_digits(expected: str) -> None:
    if not re.fullmatch(r'[0-9a-fA-F]{64}', expected):
        raise ModelError(
            f'expected_sha256 is {shown(expected)}; 64 hexadecimal digits are needed',
            'E_MODEL_UNTRUSTED',
        )


def _check_kind_and_size(status: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unsuitable(where, _KINDS.get(stat.S_IFMT(status.st_mode), 'no file'))
    check_size(status.st_size, where)


def _unsuitable(where: str, found: str) -> ModelError:
    return ModelError(f'{where}: {found} found; a model file (.onnx) is needed', 'E_MODEL_PATH')


def _unreadable(where: str, why: str) -> ModelError:
    return ModelError(f'cannot read {where}: {why}', 'E_MODEL_PATH')
