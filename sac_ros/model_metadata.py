"""What a model file says about itself: its contract, its origin, golden pairs and a digest.

All of it is text that somebody wrote: nothing of it is used, or shown, before it was checked.
"""

import hashlib
import hmac
import json
import math
from collections.abc import Mapping

import numpy as np

from sac_ros.model_error import ModelError
from sac_ros.spec import SpecError, TaskSpec, spec_from_json
from sac_ros.spec_fields import shown

SPEC_KEY, ORIGIN_KEY = 'sac_ros.spec', 'sac_ros.origin'  # the two keys of the file's metadata
# Of the origin: golden pairs are the most of it.  Text that is nested deeply can be read at one
# place of a program and not be written at another.
MAX_ELEMENTS, MAX_DEPTH = 100_000, 32
NO_DIGEST = '0' * 64  # stands where the digest will be, while it is computed

Origin = dict[str, object]


def read_metadata(metadata: Mapping[str, str], data: bytes) -> tuple[TaskSpec, Origin]:
    """Return the contract and the origin that the file `data` carries.  Raises ModelError."""
    if SPEC_KEY not in metadata or ORIGIN_KEY not in metadata:
        raise ModelError(
            "carries no sac_ros contract; write it with 'sac-ros export'", 'E_MODEL_META'
        )
    origin = _read_origin(metadata[ORIGIN_KEY])
    _check_digest(data, origin)
    try:
        return spec_from_json(metadata[SPEC_KEY], f'carries a bad {SPEC_KEY}'), origin
    except SpecError as error:
        raise ModelError(str(error), 'E_MODEL_META') from error


def read_golden(origin: Origin, spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the recorded observations (pairs, n) and actions (pairs, m), float32."""
    golden = origin.get('golden')
    if not isinstance(golden, dict):
        raise ModelError('carries no golden observation/action pairs', 'E_MODEL_META')
    observations = _table(golden, 'observation', spec.observation_size)
    actions = _table(golden, 'action', spec.action_size)
    if len(observations) != len(actions):
        raise ModelError(
            f'carries {len(observations)} golden observations and {len(actions)} actions',
            'E_MODEL_META',
        )
    return observations, actions


def with_digest(data: bytes) -> bytes:
    """Return a model file whose origin holds NO_DIGEST with the digest in its place.

    The digest is the sha256 of the file as it was handed over.  It tells damage from a machine
    that computes differently; it does not tell who wrote the file: `expected_sha256` does.
    """
    blank = NO_DIGEST.encode()
    if data.count(blank) != 1:
        raise ValueError(f'{data.count(blank)} places for the digest; 1 is needed')
    return data.replace(blank, hashlib.sha256(data).hexdigest().encode())


def _read_origin(text: str) -> Origin:
    try:
        origin = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f'carries a bad {ORIGIN_KEY}: not JSON ({error})', 'E_MODEL_META'
        ) from error
    if not isinstance(origin, dict):
        raise ModelError(
            f'carries a bad {ORIGIN_KEY}: {type(origin).__name__} found; an object is needed',
            'E_MODEL_META',
        )
    _check_plain(origin)
    return origin


def _check_plain(origin: Origin) -> None:
    """Refuse what cannot be printed safely, or written as JSON again, wherever and how soon."""
    layer: list[object] = [origin]
    count = depth = 0
    while layer:
        count, depth = count + len(layer), depth + 1
        if count > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise ModelError(
                f'carries a bad {ORIGIN_KEY}: at most {MAX_ELEMENTS} elements, nested at most '
                f'{MAX_DEPTH} deep, are allowed',
                'E_MODEL_META',
            )
        inner: list[object] = []
        for value in layer:
            if isinstance(value, dict):
                inner += [*value, *value.values()]
            elif isinstance(value, list):
                inner += value
            else:
                _check_leaf(value)
        layer = inner


def _check_leaf(value: object) -> None:
    if isinstance(value, str) and not value.isprintable():
        raise ModelError(
            f'carries a bad {ORIGIN_KEY}: {shown(value)} has characters that steer a terminal',
            'E_MODEL_META',
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ModelError(
            f'carries a bad {ORIGIN_KEY}: {value} found; finite numbers are needed',
            'E_MODEL_META',
        )


def _check_digest(data: bytes, origin: Origin) -> None:
    """Raise ModelError when the file carries a digest, and any of its bytes is another one."""
    if 'digest' not in origin:  # written by hand, or before there was one
        return
    digest = str(origin['digest']).encode()
    whole = data.count(digest) == 1 and len(digest) == len(NO_DIGEST)
    blank = data.replace(digest, NO_DIGEST.encode()) if whole else b''
    if not hmac.compare_digest(hashlib.sha256(blank).hexdigest().encode(), digest):
        raise ModelError(
            'is damaged or was changed: its content does not fit its own digest', 'E_MODEL_PARSE'
        )


def _table(golden: Mapping[str, object], key: str, size: int) -> np.ndarray:
    try:
        array = np.asarray(golden.get(key), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f'carries a golden {key} that is not a table of numbers', 'E_MODEL_META'
        ) from error
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != size:
        raise ModelError(
            f'carries a golden {key} of shape {array.shape}; (pairs, {size}) is needed',
            'E_MODEL_META',
        )
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise ModelError(
            f'carries a golden {key} with a number that float32 does not have', 'E_MODEL_META'
        )
    return array.astype(np.float32)
