"""The files of a training run that hold numbers: its whole state, and its best actor.  No pickle.

Each is written by array_file.py.  A checkpoint replaces the one before in one step, which stays
beside it as the previous generation: it is what counts when a disk has changed a bit of the newest
one.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from sac_ros.errors import UserError
from sac_ros.files import sync_folder
from sac_ros.spec import TaskSpec, differing_keys, spec_from_json
from sim_training.array_file import FACTS_KEY, Arrays, DamagedError, read_arrays, write_arrays
from sim_training.networks import Actor, actor_norm
from sim_training.replay_buffer import COLUMNS
from sim_training.sac_state import ACTORS, exported_actor
from sim_training.train_command import TrainCommand

CURRENT = 'checkpoint.safetensors'
PREVIOUS = 'checkpoint.previous.safetensors'
NEXT = 'checkpoint.next.safetensors'  # on the way to become the current one
DAMAGED = 'checkpoint.damaged.safetensors'  # was the current one; nothing reads it
BEST = 'best.safetensors'

REPLAY = 'replay'  # its arrays are named replay.<one of COLUMNS>
RETURNS = 'returns'  # ReturnScale.state

# They only bound what the guard believes: the weights know nothing of them.
FREE_KEYS = ('limits',)


@dataclass
class Counters:
    """How far a run has come."""

    step: int = 0  # environment steps
    seconds: float = 0.0  # of training, over every resume
    evaluation_step: int | None = None
    evaluation_return: float | None = None  # of the last evaluation
    best_step: int | None = None
    best_return: float | None = None  # of the best evaluation
    episode_returns: list[float] = field(default_factory=list)  # since the last row of the log


@dataclass(frozen=True)
class Playing:
    """The episode that an env is in the middle of."""

    episode: int  # its number
    length: int  # steps taken in it


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says about itself beside its arrays."""

    command: TrainCommand
    counters: Counters
    contract: str  # of the env that was trained in, TaskSpec.to_json
    observation_size: int
    action_lower: tuple[float, ...]
    action_upper: tuple[float, ...]
    playing: tuple[Playing, ...]  # for each env; see Run.playing
    replay_cursor: int
    generator: str  # JSON of the state of numpy's generator
    versions: dict[str, str | None]  # of the libraries that it was trained with
    prior_sha256: str | None = None  # of the steps of the other run, if there is one
    schema: Literal[5] = 5


def write_checkpoint(folder: Path, arrays: Arrays, facts: Facts) -> None:
    """Write the newest generation and keep the one before it.  Raises UserError."""
    _write(folder / NEXT, arrays, facts)  # where a full disk stops it
    if (folder / CURRENT).exists():
        _keep(folder, PREVIOUS)
    _rename(folder / NEXT, folder / CURRENT)


def read_checkpoint(folder: Path) -> tuple[dict[str, np.ndarray], Facts, str | None]:
    """Return arrays, facts and, if the previous generation had to do, why.  Raises UserError.

    It has to where the current one is missing or damaged.  One that may be whole and only cannot
    be read here and now is an error: going on from the other one would end in its loss.
    """
    check_has_checkpoint(folder)
    problem = f'{folder / CURRENT} is missing'
    if (folder / CURRENT).exists():
        try:
            return *_read(folder / CURRENT), None
        except DamagedError as error:
            if not (folder / PREVIOUS).exists():
                raise
            problem = str(error)
    return *_read(folder / PREVIOUS), f'{problem}; going on from {PREVIOUS}'


def go_back(folder: Path) -> str:
    """Put the previous generation in the place of a damaged one; tell where that is kept.

    Otherwise the next checkpoint would keep the bad one as its previous generation.
    """
    is_there = (folder / CURRENT).exists()
    if is_there:
        _keep(folder, DAMAGED)
    _rename(folder / PREVIOUS, folder / CURRENT)
    return f'; what was there is kept as {DAMAGED}' if is_there else ''


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a run was saved in the folder."""
    return any((folder / name).exists() for name in (CURRENT, PREVIOUS))


def check_has_checkpoint(folder: Path) -> None:
    """Raise UserError unless a run was saved in the folder."""
    if not has_checkpoint(folder):
        raise UserError(f'no checkpoint in {folder}: {CURRENT} is missing')


def write_best(folder: Path, arrays: Arrays, facts: Facts) -> None:
    """Keep the exported actor alone, as the best so far."""
    prefix = _exported_prefix(facts)
    actor = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    _write(folder / BEST, actor, facts)


def read_best(folder: Path) -> Counters | None:
    """Return how far the run had come at its best actor; None without one.  Raises UserError."""
    path = folder / BEST
    return _read(path)[1].counters if path.exists() else None


def read_actor(path: Path) -> tuple[Actor, Facts]:
    """Return the exported actor of a checkpoint or of best.safetensors.  Raises UserError."""
    arrays, facts = _read(path, tuple(f'{name}.' for name in ACTORS))
    actor = Actor(
        facts.observation_size,
        facts.command.sac.hidden_sizes,
        np.array(facts.action_lower),
        np.array(facts.action_upper),
        actor_norm(facts.command.sac),
    )
    prefix = _exported_prefix(facts)
    weights = {
        name.removeprefix(prefix): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    try:
        actor.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f'{path} is no actor of ours: {" ".join(str(error).split())}') from error
    return actor.requires_grad_(False), facts


def check_contract(facts: Facts, spec: TaskSpec, where: str) -> None:
    """Raise UserError unless `spec` is the contract of the training; `limits` may differ."""
    trained, keys = compare_contract(facts, spec, where)
    if keys:
        raise UserError(
            f"{where}: the contract '{trained.name}' that it was trained with is not that of "
            f"'{facts.command.task}' now: they differ in {', '.join(keys)}; train again"
        )


def compare_contract(facts: Facts, spec: TaskSpec, where: str) -> tuple[TaskSpec, list[str]]:
    """Return the contract of a training, and the keys in which `spec` is another."""
    trained = spec_from_json(facts.contract, f'{where}: its contract')
    return trained, [key for key in differing_keys(spec, trained) if key not in FREE_KEYS]


def check_sizes(stored: Facts, env: Facts, where: str) -> None:
    """Raise UserError unless a checkpoint is of an env with these numbers and bounds."""
    for name in ('observation_size', 'action_lower', 'action_upper'):
        found, needed = getattr(stored, name), getattr(env, name)
        if found != needed:
            raise UserError(f'{where}: {name} is {found}; the env has {needed}')


def pop_replay(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the replay in a checkpoint, which is taken out of it: it may be large."""
    return {name: arrays.pop(f'{REPLAY}.{name}') for name in COLUMNS}


def _keep(folder: Path, name: str) -> None:
    """Give the current file a second name, so that at no moment there is no checkpoint."""
    spare = folder / f'.{PREVIOUS}.tmp'
    try:
        spare.unlink(missing_ok=True)
        try:
            os.link(folder / CURRENT, spare)
        except OSError:  # a file system without hard links
            shutil.copyfile(folder / CURRENT, spare)
        os.replace(spare, folder / name)
        spare.unlink(missing_ok=True)  # still there if both were names of one file already
    except OSError as error:
        raise UserError(f'cannot write {folder / name}: {error.strerror}') from error


def _rename(old: Path, new: Path) -> None:
    """Rename a file in its folder, so that no power cut brings the old name back."""
    try:
        os.replace(old, new)
        sync_folder(new.parent)
    except OSError as error:
        raise UserError(f'cannot write {new}: {error.strerror}') from error


def _write(path: Path, arrays: Arrays, facts: Facts) -> None:
    write_arrays(path, arrays, TypeAdapter(Facts).dump_json(facts).decode())


def _exported_prefix(facts: Facts) -> str:
    return f'{exported_actor(facts.command.sac)}.'


def _read(path: Path, prefix: str | tuple[str, ...] = '') -> tuple[dict[str, np.ndarray], Facts]:
    """Return the arrays whose names begin with `prefix`, and the facts."""
    arrays, text = read_arrays(path, prefix)
    try:
        return arrays, TypeAdapter(Facts).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc']))
        raise UserError(
            f'{path}: {FACTS_KEY} is not understood: {where}: {first["msg"]}'
        ) from error
