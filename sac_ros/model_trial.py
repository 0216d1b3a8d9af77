"""The child process in which a model is tried: `python -m sac_ros.model_trial`.

It reads from its input, each with its length before it (8 bytes, big-endian), a name for errors
and the bytes of a model, and answers with one line of JSON: {"code": "", "text": ""}, or why the
model is refused.  It ends when its input does, so it never outlives who started it.
"""

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from sac_ros.model_error import ModelError, about
from sac_ros.model_file import MAX_BYTES
from sac_ros.policy import OnnxPolicy
from sac_ros.spec import ObservationTerm, TaskSpec

READY = {'code': '', 'text': 'ready'}  # the first line: the child has loaded what it needs
LENGTH = struct.Struct('>Q')
CPU_SECONDS = 20  # for one model; a good one takes a few milliseconds
LIMITS = {  # [bytes], but files that are open: a number
    resource.RLIMIT_AS: 4 * 2**30,  # 0.3 GB are used
    resource.RLIMIT_NOFILE: 32,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
}
UNLIMITED = 10.0  # SI: how far an observation goes that the contract sets no limits for
DRY_RUNS = 32
LONGEST_THOUGHT = 0.5  # [control periods] of processor for an action; more would be late anyway


def main() -> None:
    """Answer for one model after the other, within limits, until the input ends."""
    for which, limit in LIMITS.items():
        _limit(which, limit)
    source = os.fdopen(os.dup(0), 'rb')
    answers = os.fdopen(os.dup(1), 'wb')
    with open(os.devnull, 'r+b', buffering=0) as nothing:  # answers are ours alone
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    serve(source, answers, _limit_cpu)


def serve(source: BinaryIO, answers: BinaryIO, prepare: Callable[[], None]) -> None:
    """Read names and models from `source`; call `prepare` and write an answer for each."""
    _say(answers, READY)
    while True:
        where, data = _read(source), _read(source)
        if where is None or data is None:
            return
        prepare()
        try:
            try_model(data, where.decode(errors='replace'))
            _say(answers, {'code': '', 'text': ''})
        except ModelError as error:
            _say(answers, {'code': error.code, 'text': str(error)})


def try_model(data: bytes, where: str) -> OnnxPolicy:
    """Load a model, and let it act on plausible observations.  Raises ModelError."""
    policy = OnnxPolicy(data, where)
    spec = policy.spec
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    with about(where):
        observations = dry_observations(spec)
        began = time.thread_time()
        actions = policy.answers(observations)
        seconds = (time.thread_time() - began) / len(observations)
        if seconds > LONGEST_THOUGHT * spec.dt:
            raise ModelError(
                f'needs {seconds * 1e3:.3g} ms of processor for an action; at most '
                f'{LONGEST_THOUGHT * spec.dt * 1e3:g} ms are allowed, half a control period',
                'E_TICK_LATE',
            )
        for action in actions.astype(np.float64):
            if not np.isfinite(action).all():
                raise ModelError(
                    f'answers {action} to an observation within its limits', 'E_ACT_NONFINITE'
                )
            if not ((lower <= action) & (action <= upper)).all():
                raise ModelError(
                    f'answers {action}, outside of [{lower}, {upper}]', 'E_MODEL_BOUNDS'
                )
    return policy


def dry_observations(spec: TaskSpec) -> np.ndarray:
    """Return zeros, the corners of the limits, and seeded ones in between, float32 (k, n)."""
    sides = [_range(spec, term) for term in spec.observation]
    lower, upper = (np.concatenate(side) for side in zip(*sides, strict=True))
    random = np.random.default_rng(0)
    anywhere = random.uniform(size=(DRY_RUNS, len(lower)))
    corners = random.integers(2, size=(DRY_RUNS, len(lower)))
    places = np.concatenate(
        [np.zeros((1, len(lower))), np.ones((1, len(lower))), corners, anywhere]
    )
    within = lower + (upper - lower) * places
    return np.concatenate([np.zeros((1, len(lower))), within]).astype(np.float32)


def _range(spec: TaskSpec, term: ObservationTerm) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of one term of the observation."""
    size = spec.term_size(term)
    if term.term == 'previous_action':
        return spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    if term.term in spec.limits:
        limits = spec.limits[term.term]
        return np.broadcast_to(limits.lower, size), np.broadcast_to(limits.upper, size)
    return np.full(size, -UNLIMITED), np.full(size, UNLIMITED)


def _limit(which: int, limit: int) -> None:
    """Lower a limit of this process for good; one that is lower already stays."""
    hard = resource.getrlimit(which)[1]
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(which, (lowest, lowest))


def _limit_cpu() -> None:
    """Let this process end when the next model takes more than CPU_SECONDS."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (lowest, hard))


def _read(source: BinaryIO) -> bytes | None:
    """Return what stands next in `source`; None at its end."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    if length > MAX_BYTES:
        return None
    data = source.read(length)
    return data if len(data) == length else None


def _say(answers: BinaryIO, answer: dict[str, str]) -> None:
    answers.write(json.dumps(answer).encode() + b'\n')
    answers.flush()


if __name__ == '__main__':
    main()
