"""Everything that a training run is made of: begun, saved and brought back.  No loop.

Saved at step N and brought back, a run goes on exactly as if it had never stopped (one thread):
weights, moments, replay and generators come from the checkpoint, and the collector leads the envs
back into the middle of their episodes by the actions that are stored in the replay.
"""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from torch import Tensor

from sac_ros.errors import UserError
from sac_ros.files import check_writable
from sac_ros.spec import TaskSpec
from sim_training.array_file import DamagedError
from sim_training.checkpoint import (
    BEST,
    CURRENT,
    PREVIOUS,
    REPLAY,
    RETURNS,
    Counters,
    Facts,
    Playing,
    check_contract,
    check_sizes,
    go_back,
    has_checkpoint,
    pop_replay,
    read_best,
    read_checkpoint,
    write_best,
    write_checkpoint,
)
from sim_training.compiler import check_device
from sim_training.exploration import Exploration
from sim_training.gymnasium_env import generic_contract
from sim_training.prior_replay import read_prior
from sim_training.replay_buffer import ReplayBuffer, Transition
from sim_training.return_scale import FIRST, ReturnScale
from sim_training.rollout import action_space, observation_size
from sim_training.run_file import RUN_FILE, library_versions
from sim_training.sac import SAC
from sim_training.sac_state import check_learning, restore_sac, sac_arrays
from sim_training.train_command import TrainCommand, check_steps, merge_resumed

UNDER_WAY = 'under_way'
LARGE_REWARD = 1e6  # in size: one of the env from here on is told


@dataclass
class Run:
    """A run in memory."""

    command: TrainCommand
    contract: TaskSpec  # of the env
    observation_size: int
    actions: Box  # finite, shape (action_size,)
    agent: SAC
    replay: ReplayBuffer
    generator: np.random.Generator  # of the first, random actions and of the batches
    returns: ReturnScale
    exploration: Exploration
    prior: ReplayBuffer | None = None  # of another run, to learn from as well
    prior_sha256: str | None = None
    counters: Counters = field(default_factory=Counters)
    # The episode of each env.  Their steps are the newest transitions of the replay: a round of
    # one step in every env, in this order, then the next round.
    playing: tuple[Playing, ...] = ()
    # The unit actions that several envs are carrying out meanwhile, shape (envs, action_size).
    under_way: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)  # for the user, until they are told
    is_large_told: bool = False  # a reward from LARGE_REWARD on
    is_bound_told: bool = False  # a return beyond the histogram
    saved_step: int = 0  # of the checkpoint in the folder
    clock: float = field(default_factory=time.monotonic)  # when `counters.seconds` was right

    def remember(self, env: int, transition: Transition, length: int | None) -> None:
        """Store a step of an env, as ReplayBuffer.add takes it.  Raises UserError.

        `length` is that of the episode which the step ends, None while it goes on.
        """
        self.replay.add(*transition)
        _, _, reward, _, terminated = transition
        self.returns.add(env, reward, length is not None, None if terminated else length)
        sac = self.command.sac
        is_scaled = sac.normalise_reward
        if abs(reward) >= LARGE_REWARD and not self.is_large_told:
            self.is_large_told = True
            self.notes.append(
                f'step {self.counters.step}: the reward of the env is {reward:g}; less than '
                f'{LARGE_REWARD:g} in size is usual'
                + ('' if is_scaled else ', and --sac.normalise-reward is for any size')
            )
        is_beyond = sac.head == 'categorical' and self.returns.largest > sac.value_bound
        if is_beyond and not is_scaled and not self.is_bound_told:
            self.is_bound_told = True
            self.notes.append(
                f'step {self.counters.step}: a discounted return is {self.returns.largest:.3g} in '
                f'size, and the histogram ends at sac.value_bound {sac.value_bound:g}: '
                '--sac.normalise-reward makes them fit, or a larger bound'
            )

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.command.folder

    @property
    def steps(self) -> int:
        """Environment steps in all: as many as were asked for, and the rest of the last round."""
        if self.command.steps is None:
            raise ValueError('a run needs a number of steps')
        envs, step = self.command.envs, self.counters.step
        if self.command.ray is not None:  # they answer in no rounds
            return self.command.steps
        return step + envs * math.ceil((self.command.steps - step) / envs)

    @property
    def kept(self) -> str:
        """What a run that fails now leaves behind, in words."""
        return f'the checkpoint of step {self.saved_step} in {self.folder} stays'


def new_run(command: TrainCommand, env: gymnasium.Env) -> Run:
    """Return a run at step 0, not saved.  Raises UserError if the folder has a run already."""
    _check_no_run(command.folder)
    run = _make_run(command, env)
    run.playing = tuple(Playing(episode, length=0) for episode in range(command.envs))
    return run


def resume_run(command: TrainCommand, env: gymnasium.Env) -> Run:
    """Return the run in the command's folder as it was when it was saved.  Raises UserError."""
    arrays, facts, problem = read_checkpoint(command.folder)
    check_writable(command.folder / CURRENT)
    run = _make_run(merge_resumed(command, facts.command), env)
    check_sizes(facts, _facts(run), str(command.folder / CURRENT))
    check_contract(facts, run.contract, str(command.folder / CURRENT))
    restore_sac(run.agent, arrays)
    run.replay.restore(pop_replay(arrays), facts.replay_cursor)
    run.generator.bit_generator.state = json.loads(facts.generator)
    run.counters, run.playing = facts.counters, facts.playing
    run.under_way = arrays.get(UNDER_WAY)
    known = min(len(arrays[RETURNS]), len(run.returns.state))
    run.returns.state[:known] = arrays[RETURNS][:known]
    if run.command.sac.normalise_reward:
        run.agent.reward_scale.fill_(run.returns.scale)  # which the next is compared with
    run.is_large_told = bool((np.abs(run.replay.stored()['reward']) >= LARGE_REWARD).any())
    _take_best(run)
    if run.steps < run.counters.step:
        asked, step = run.command.steps, run.counters.step
        raise UserError(f'steps is {asked}; the run is at step {step} already')
    check_steps(run.steps, run.command.sac)
    run.saved_step = run.counters.step
    if problem is not None:
        run.notes.append(problem + go_back(run.folder))
    run.notes.extend(_other_versions(facts.versions))
    if facts.prior_sha256 is not None and facts.prior_sha256 != run.prior_sha256:
        run.notes.append(
            f'--prior {run.command.prior} has other steps than when the run began: it goes on, '
            'but not bit for bit'
        )
    return run


def save_run(run: Run) -> None:
    """Write the whole state, unless learning has diverged.  Raises UserError."""
    check_learning(run.agent)
    run.counters.seconds += time.monotonic() - run.clock
    run.clock = time.monotonic()
    arrays = {f'{REPLAY}.{name}': array for name, array in run.replay.stored().items()}
    arrays |= {} if run.under_way is None else {UNDER_WAY: run.under_way}
    arrays[RETURNS] = run.returns.state
    write_checkpoint(run.folder, {**sac_arrays(run.agent), **arrays}, _facts(run))
    run.saved_step = run.counters.step


def save_best(run: Run) -> None:
    """Write the actor alone, as the best so far."""
    write_best(run.folder, sac_arrays(run.agent), _facts(run))


def steps_of_episode(run: Run, env: int) -> dict[str, Tensor] | None:
    """Return the steps that an env has taken in its episode; None if some are forgotten."""
    envs = len(run.playing)
    rows = envs * run.playing[env].length
    if rows > run.replay.size:
        return None
    return {name: field[env::envs] for name, field in run.replay.newest(rows).items()}


def _check_no_run(folder: Path) -> None:
    """Refuse a folder with anything of a run, also of one that was killed before it was saved."""
    found = [name for name in (RUN_FILE, BEST, CURRENT, PREVIOUS) if (folder / name).exists()]
    if found:
        resume = 'go on with it by --resume, or ' if has_checkpoint(folder) else ''
        raise UserError(
            f'{folder} already holds a run ({", ".join(found)}): '
            f'{resume}name another folder with --out'
        )


def _make_run(command: TrainCommand, env: gymnasium.Env) -> Run:
    check_device(command.device or 'cpu')
    sac, size, actions = command.sac, observation_size(env), action_space(env)
    sizes = size, len(actions.low)
    run = Run(
        command,
        _contract(command.task, env),
        size,
        actions,
        SAC(sac, size, actions.low, actions.high, command.seed, command.device or 'cpu'),
        ReplayBuffer(sac.replay_capacity, *sizes, sac.gamma, sac.n_step, command.stride),
        np.random.default_rng(command.seed),
        ReturnScale(sac.gamma, sac.value_bound, command.envs),
        Exploration(sac.exploration, command.seed),
    )
    if command.prior is not None:
        prior = read_prior(command.prior, _facts(run))
        run.prior, run.prior_sha256 = prior.replay, prior.sha256
        run.notes.extend([] if prior.note is None else [prior.note])
        if sac.normalise_reward:  # so that its returns fit too, from the first update on
            run.returns.state[:FIRST] = prior.returns[:FIRST]
    return run


def _take_best(run: Run) -> None:
    """Let the best actor be the one that is kept: that may be newer than the checkpoint."""
    counters = run.counters
    try:
        best = read_best(run.folder) or Counters()
    except DamagedError as error:
        best = Counters()
        run.notes.append(f'{error}; the next evaluation is the best so far')
    counters.best_step, counters.best_return = best.best_step, best.best_return


def _contract(name: str, env: gymnasium.Env) -> TaskSpec:
    """Return the contract that the env brings, also under wrappers, or else a generic one."""
    if not env.has_wrapper_attr('contract'):
        return generic_contract(name, env)
    contract: TaskSpec = env.get_wrapper_attr('contract')
    return contract


def _facts(run: Run) -> Facts:
    return Facts(
        run.command,
        run.counters,
        run.contract.to_json(),
        run.observation_size,
        tuple(run.actions.low.tolist()),
        tuple(run.actions.high.tolist()),
        run.playing,
        run.replay.cursor,
        json.dumps(run.generator.bit_generator.state),
        library_versions(),
        run.prior_sha256,
    )


def _other_versions(stored: dict[str, str | None]) -> list[str]:
    """Return a note if the run goes on with other libraries than it was saved with."""
    now = library_versions()
    changed = [name for name in stored if now.get(name) != stored[name]]
    if not changed:
        return []
    changes = '; '.join(f'{name} {stored[name]}, now {now.get(name)}' for name in changed)
    return [f'saved with other versions ({changes}): the run goes on, but not bit for bit']
