"""The accepted model of a folder: it outlives the process, a kill at any moment and a full disk.

`accepted.onnx` is the model; `accepted.json` says what it was accepted for.  While it is being
replaced there are two records, the old one and the new one, written first: so whichever model is
in the folder, its record is there too.
"""

import hashlib
import os
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sac_ros.errors import UserError
from sac_ros.files import remove_file, write_atomic
from sac_ros.model_error import one_line
from sac_ros.model_file import read_model
from sac_ros.spec import first_problem
from sac_ros.trial import NEWEST

MODEL, RECORDS = 'accepted.onnx', 'accepted.json'
LARGEST_RECORDS = 2**16  # [bytes]

Sha256 = Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]
Returns = Annotated[tuple[float, ...], Field(max_length=NEWEST)]


@dataclass(frozen=True, config=ConfigDict(extra='forbid', allow_inf_nan=False))
class Acceptance:
    """Which model was accepted, for which base, and on what grounds."""

    sha256: Sha256
    base_sha256: Sha256
    time: str
    returns: Returns
    base_returns: Returns
    conditions: tuple[float, float] | None = None  # of the returns: sac_ros.ladder.Conditions


_ADAPTER = TypeAdapter(list[Acceptance])


def keep_accepted(folder: Path, data: bytes, acceptance: Acceptance) -> None:
    """Write an accepted model and its record into a folder.  Raises UserError."""
    try:
        found = _find(folder)
    except UserError:  # what is there cannot be used, and is replaced
        found = None
    records = [acceptance] if found is None else [acceptance, found[1]]
    write_atomic(folder / RECORDS, _ADAPTER.dump_json(records, indent=2) + b'\n')
    write_atomic(folder / MODEL, data)


def find_accepted(folder: Path, base_sha256: str) -> tuple[bytes, Acceptance] | None:
    """Return the accepted model of a folder and its record; None when there is none.

    Raises UserError when there is one that cannot be used: damaged, or of another base model.
    """
    found = _find(folder)
    if found is not None and found[1].base_sha256 != base_sha256:
        raise UserError(
            f'{folder / MODEL} was accepted in place of {found[1].base_sha256[:12]}...; '
            f'the base model is {base_sha256[:12]}...'
        )
    return found


def has_accepted(folder: Path) -> bool:
    """Tell whether an accepted model is in a folder, usable or not."""
    return os.path.lexists(folder / MODEL)


def forget_accepted(folder: Path) -> None:
    """Remove the accepted model from a folder, if there is one.  Raises UserError."""
    for name in (MODEL, RECORDS):
        remove_file(folder / name)


def _find(folder: Path) -> tuple[bytes, Acceptance] | None:
    path = folder / MODEL
    if not has_accepted(folder):
        return None
    data = read_model(path)
    sha256 = hashlib.sha256(data).hexdigest()
    for record in _read_records(folder / RECORDS):
        if record.sha256 == sha256:
            return data, record
    raise UserError(f'{path} has sha256 {sha256[:12]}..., of which {RECORDS} knows nothing')


def _read_records(path: Path) -> list[Acceptance]:
    try:
        with path.open('rb') as file:
            text = file.read(LARGEST_RECORDS)
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from error
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise UserError(f'{path}: {one_line(first_problem(error))}') from error
