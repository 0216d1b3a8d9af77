"""Learning curves of ours and of Stable-Baselines3 on the same envs, budgets and seeds.

    python benchmarks/learning.py train --env Hopper-v5 --side sac_ros --preset flash
    python benchmarks/learning.py train --env Hopper-v5 --side sac_ros --preset flash+utd_ratio=2
    python benchmarks/learning.py train --env Hopper-v5 --side sb3_sac --seeds 0 1 2
    python benchmarks/learning.py report

Without a word it reports, which takes seconds.  What is finished is skipped; what was stopped
goes on (ours) or begins anew (theirs).  RESULTS.md says how it is measured.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from commands import Commands, run_command
from learning_goals import GOALS, OURS, evaluation_episodes
from learning_report import write_report
from learning_results import KIND, Job, read_facts

from sac_ros.errors import UserError
from sim_training.stop_signals import StopSignals

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a side on an env, once for each seed, and write its learning curves."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings, one after the other."""

    env: str
    """A Gymnasium id."""

    side: Literal['sac_ros', 'sb3_sac', 'sb3_td3', 'sb3_ddpg', 'sb3_ppo']
    """Ours, or an algorithm of Stable-Baselines3 with the settings of rl-baselines3-zoo."""

    preset: str | None = None
    """Preset of ours, with options of it that are different: flash+utd_ratio=2; by default sac."""

    steps: int | None = None
    """Environment steps of each training; by default what RESULTS.md compares."""

    threads: int = 1
    """Processor threads."""

    evaluate_every: int = 5_000
    """Environment steps from one evaluation to the next."""

    episodes: int | None = None
    """Episodes of an evaluation; by default 10, 20 for Bullet, 100 for Pendulum."""

    runs: Path = Path('runs/learning')
    """Folder of the runs, which nobody commits."""

    results: Path = HERE / 'learning'
    """Folder of the learning curves."""


@dataclass(frozen=True)
class ReportOptions:
    """Draw the learning curves and write their table."""

    results: Path = HERE / 'learning'
    """Folder of the learning curves; the pictures go there too."""

    page: Path = HERE / 'RESULTS.md'
    """Page that the tables are written into."""


def main(words: Sequence[str]) -> int:
    """Do what the words of a command line say; return the exit status."""
    return run_command('learning', COMMANDS, words)


def train(options: object) -> None:
    """Do the trainings that are not finished yet.  Raises UserError, and SystemExit if stopped."""
    assert isinstance(options, TrainOptions)
    jobs = make_jobs(options)
    with StopSignals() as signals:
        for job in jobs:
            facts = read_facts(job)
            if facts is not None and facts.steps >= job.steps:
                print(
                    f'learning: {job.curve} is finished: {facts.steps} steps, {facts.episodes} '
                    f'episodes every {facts.evaluate_every}, {facts.threads} thread(s)',
                    file=sys.stderr,
                )
                continue
            _train(job, signals)
            if signals.received is not None:
                raise SystemExit(128 + signals.received)


def make_jobs(options: TrainOptions) -> list[Job]:
    """Return the trainings that are asked for.  Raises UserError for what cannot work."""
    env, side = options.env, options.side
    if options.steps is None and env not in GOALS:
        raise UserError(f"--steps is needed for '{env}'; known without: {', '.join(GOALS)}")
    if options.preset is not None and side != OURS:
        raise UserError(f'--preset does not go with {side}; it is for {OURS}')
    preset = (options.preset or 'sac') if side == OURS else None
    if preset is not None and not re.fullmatch(KIND, preset):
        raise UserError(
            f'--preset is {preset!r}; allowed: <preset>+<option>=<value>, as in sac+tau=0.01'
        )
    steps = GOALS[env].steps if options.steps is None else options.steps
    episodes = evaluation_episodes(env) if options.episodes is None else options.episodes
    numbers = (steps, options.threads, options.evaluate_every, episodes)
    for flag, value in zip(
        ('steps', 'threads', 'evaluate-every', 'episodes'), numbers, strict=True
    ):
        if value < 1:
            raise UserError(f'--{flag} is {value}; 1 or more is needed')
    for seed in options.seeds:
        if not 0 <= seed < 2**32:
            raise UserError(f'--seeds has {seed}; allowed: 0 to {2**32 - 1}')
    return [
        Job(
            env, side, preset, seed, steps, options.evaluate_every, episodes, options.threads,
            options.runs, options.results,
        )
        for seed in options.seeds
    ]  # fmt: skip


def report(options: object) -> None:
    """Write pictures and tables, and print the tables.  Raises UserError."""
    assert isinstance(options, ReportOptions)
    print(write_report(options.results, options.page))


def _train(job: Job, signals: StopSignals) -> None:
    if job.side == OURS:
        from learning_ours import train_ours  # torch and the peers take seconds to import

        train_ours(job, signals)
    else:
        from learning_peer import train_peer

        train_peer(job, signals)


COMMANDS: Commands = {
    'train': (TrainOptions, train),
    'report': (ReportOptions, report),
}

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
