"""The replay of another run of the same env, to learn from as well (--prior)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sac_ros.errors import UserError
from sac_ros.spec import spec_from_json
from sim_training.array_file import sha256_of
from sim_training.checkpoint import (
    CURRENT,
    RETURNS,
    Facts,
    check_sizes,
    compare_contract,
    pop_replay,
    read_checkpoint,
)
from sim_training.replay_buffer import ReplayBuffer


@dataclass(frozen=True)
class PriorReplay:
    """What another run has seen."""

    replay: ReplayBuffer
    sha256: str
    returns: np.ndarray  # ReturnScale.state at its end
    note: str | None  # for the user


def read_prior(folder: Path, run: Facts) -> PriorReplay:
    """Return what the run in `folder` has seen, for the run of other facts.  Raises UserError."""
    arrays, facts, problem = read_checkpoint(folder)
    where = f'--prior {folder / CURRENT}'
    check_sizes(facts, run, where)
    wanted = spec_from_json(run.contract, 'the contract')
    played, keys = compare_contract(facts, wanted, where)
    if keys:
        raise UserError(
            f"{where} was played on '{played.name}', whose contract is not that of "
            f"'{wanted.name}': they differ in {', '.join(keys)}"
        )
    sac, gamma = run.command.sac, facts.command.sac.gamma
    if sac.normalise_reward and gamma != sac.gamma:
        raise UserError(
            f'{where} was played with sac.gamma {gamma:g}; allowed with sac.normalise_reward: '
            f'that of this run, {sac.gamma:g}, or its returns could not be scaled alike'
        )
    fields = pop_replay(arrays)
    count = len(fields['reward'])
    if count == 0:
        raise UserError(f'{where} holds no steps; needed: a run that has begun')
    sizes = run.observation_size, len(run.action_lower)
    replay = ReplayBuffer(count, *sizes, sac.gamma, sac.n_step, facts.command.stride)
    sha256 = sha256_of(fields)
    replay.restore(fields, cursor=0)
    note = None if problem is None else f'--prior: {problem}'
    return PriorReplay(replay, sha256, arrays[RETURNS], note)
