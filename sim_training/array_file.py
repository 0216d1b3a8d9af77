"""Arrays by name and the facts about them in one safetensors file, with the sha256 of all that."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from sac_ros.errors import UserError
from sac_ros.files import write_atomic

FACTS_KEY = 'sac_ros.checkpoint'
SHA256_KEY = 'sac_ros.sha256'  # JSON: of the facts, by FACTS_KEY, and of each array, by its name

KINDS = {'f4': 'F32', 'f8': 'F64', 'i4': 'I32', 'i8': 'I64', 'u1': 'U8', 'u8': 'U64', 'b1': 'BOOL'}

Arrays = Mapping[str, np.ndarray]


class DamagedError(UserError):
    """A file that can be read and does not hold what was written."""


def write_arrays(path: Path, arrays: Arrays, facts: str) -> None:
    """Write a file of `arrays` and `facts`, JSON, without a copy of it in memory.

    A replay can be half of what the machine has.  The library's own `save` copies it, so the
    format is written here: eight bytes with the length of a JSON header, the header, the numbers
    (https://github.com/huggingface/safetensors#format).  Raises UserError.
    """
    whole = {name: np.asarray(array, order='C') for name, array in arrays.items()}
    metadata = {FACTS_KEY: facts, SHA256_KEY: json.dumps(_digests(whole, facts))}
    header: dict[str, object] = {'__metadata__': metadata}
    end = 0
    for name, array in whole.items():
        begin, end = end, end + array.nbytes
        kind = KINDS[array.dtype.newbyteorder('=').str[1:]]
        header[name] = {'dtype': kind, 'shape': array.shape, 'data_offsets': (begin, end)}
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)  # numbers begin at a multiple of 8
    pieces = (_raw(array) for array in whole.values())
    write_atomic(path, itertools.chain([len(text).to_bytes(8, 'little'), text], pieces))


def read_arrays(
    path: Path, prefix: str | tuple[str, ...] = ''
) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays whose names begin with (a) `prefix`, and the facts.

    Raises DamagedError, and UserError for what is missing or cannot be read.
    """
    try:
        if not path.is_file():
            raise UserError(f'{path} is missing')
        path.open('rb').close()  # the library does not tell what forbids it
        with safe_open(path, framework='numpy') as file:
            metadata = file.metadata() or {}
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            arrays = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise DamagedError(f'{path} is cut or damaged: {error}') from error
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}') from error
    # Nothing guards the keys: where one is missing, a bit of it may have changed.
    if FACTS_KEY not in metadata:
        raise DamagedError(f"{path} is no checkpoint of ours: it has no '{FACTS_KEY}'")
    if SHA256_KEY not in metadata:
        raise DamagedError(f"{path} is of an older version, without '{SHA256_KEY}': train again")
    _check_digests(path, _digests(arrays, metadata[FACTS_KEY]), metadata[SHA256_KEY], prefix)
    return arrays, metadata[FACTS_KEY]


def sha256_of(arrays: Arrays) -> str:
    """Return one sha256 of some arrays and their names."""
    return hashlib.sha256(json.dumps(_digests(arrays, '')).encode()).hexdigest()


def _digests(arrays: Arrays, facts: str) -> dict[str, str]:
    """Return the sha256 of the facts, and of each array with its type and shape."""
    digests = {FACTS_KEY: hashlib.sha256(facts.encode()).hexdigest()}
    for name, array in arrays.items():
        digest = hashlib.sha256(f'{array.dtype.str} {array.shape}'.encode())
        digest.update(_raw(array))
        digests[name] = digest.hexdigest()
    return digests


def _raw(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _check_digests(
    path: Path, found: dict[str, str], text: str, prefix: str | tuple[str, ...]
) -> None:
    """Raise DamagedError unless facts and arrays are those that were written, and all of them."""
    try:
        stored = TypeAdapter(dict[str, str]).validate_json(text)
    except ValidationError as error:
        raise DamagedError(f'{path} is damaged: {SHA256_KEY} cannot be read') from error
    needed = {n: d for n, d in stored.items() if n == FACTS_KEY or n.startswith(prefix)}
    for name in sorted(needed.keys() | found.keys()):
        if needed.get(name) != found.get(name):
            raise DamagedError(f"{path} is damaged: '{name}' is not what was written (sha256)")
