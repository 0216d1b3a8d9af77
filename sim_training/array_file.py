"""Arrays by name and the facts about them in one safetensors file, with the sha256 of all that."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sac_ros.errors import UserError

FACTS_KEY = 'sac_ros.checkpoint'
SHA256_KEY = 'sac_ros.sha256'  # JSON: of the facts, by FACTS_KEY, and of each array, by its name

Arrays = Mapping[str, np.ndarray]


def to_bytes(arrays: Arrays, facts: str) -> bytes:
    """Return the content of a file of `arrays` and `facts`, JSON."""
    whole = {name: np.asarray(array, order='C') for name, array in arrays.items()}
    return save(whole, {FACTS_KEY: facts, SHA256_KEY: json.dumps(_digests(whole, facts))})


def read_arrays(
    path: Path, prefix: str | tuple[str, ...] = ''
) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays whose names begin with (a) `prefix`, and the facts.  Raises UserError."""
    if not path.is_file():
        raise UserError(f'{path} is missing')
    try:
        with safe_open(path, framework='numpy') as file:
            metadata = file.metadata() or {}
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            arrays = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(f'{path} is cut or damaged: {error}') from error
    if FACTS_KEY not in metadata:
        raise UserError(f"{path} is no checkpoint of ours: it has no '{FACTS_KEY}'")
    if SHA256_KEY not in metadata:
        raise UserError(f"{path} is of an older version, without '{SHA256_KEY}': train again")
    _check_digests(path, _digests(arrays, metadata[FACTS_KEY]), metadata[SHA256_KEY], prefix)
    return arrays, metadata[FACTS_KEY]


def _digests(arrays: Arrays, facts: str) -> dict[str, str]:
    """Return the sha256 of the facts, and of each array with its type and shape."""
    digests = {FACTS_KEY: hashlib.sha256(facts.encode()).hexdigest()}
    for name, array in arrays.items():
        digest = hashlib.sha256(f'{array.dtype.str} {array.shape}'.encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
        digests[name] = digest.hexdigest()
    return digests


def _check_digests(
    path: Path, found: dict[str, str], text: str, prefix: str | tuple[str, ...]
) -> None:
    """Raise UserError unless facts and arrays are those that were written, and all of them."""
    try:
        stored = TypeAdapter(dict[str, str]).validate_json(text)
    except ValidationError as error:
        raise UserError(f'{path} is damaged: {SHA256_KEY} cannot be read') from error
    needed = {n: d for n, d in stored.items() if n == FACTS_KEY or n.startswith(prefix)}
    for name in sorted(needed.keys() | found.keys()):
        if needed.get(name) != found.get(name):
            raise UserError(f"{path} is damaged: '{name}' is not what was written (sha256)")
