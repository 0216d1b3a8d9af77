"""Fine-tuning on three robots that differ, beside training from scratch on as much data of each.

    python benchmarks/finetuning.py run balance-long-pole --seeds 0 1 2
    python benchmarks/finetuning.py plan reach-weak-joint
    python benchmarks/finetuning.py report

What is finished is skipped, what was stopped goes on.  FINETUNING.md says how it is measured.
"""

import csv
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from commands import Commands, run_command
from finetuning_planner import planned_returns
from finetuning_report import OUTCOME, Outcome, write_report

from sac_ros.errors import UserError, nearest
from sac_ros.files import write_atomic
from sac_ros.policy import OnnxPolicy, load_policy
from sim_training.checkpoint import CURRENT, read_actor
from sim_training.env import make_env
from sim_training.evaluate import EVALUATION_SEED, evaluate_policy, make_matching_env
from sim_training.export import build_policy
from sim_training.finetune import FinetuneCommand
from sim_training.finetune import main as finetune
from sim_training.finetune_report import EPISODES, FinetuneReport
from sim_training.physics import NOMINAL, Physics
from sim_training.stop_signals import StopSignals
from sim_training.tasks import training_steps
from sim_training.train import train
from sim_training.train_command import TrainCommand

HERE = Path(__file__).parent
SCORED = 100  # episodes
KEPT = (
    'minutes',
    'periods',
    'missed',
    'commands',
    'violations',
    'latency_ms',
    'decisions',
    'physics',
)  # of sac-ros finetune


@dataclass(frozen=True)
class Robot:
    """A robot that differs from the one that its model was trained with."""

    task: str
    physics: Physics
    minutes: float  # of its time in which it learns; at most 20


ROBOTS = {
    'balance-long-pole': Robot('balance', Physics(urdf='cartpole_long.urdf'), 4.0),
    'reach-weak-joint': Robot('reach', Physics(motor={'panda_joint2': 0.6}, payload=2.0), 20.0),
    'reach-late': Robot('reach', Physics(delay=0.06), 20.0),
}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Fine-tune on a robot, and train from scratch on it, once for each seed."""

    robot: str
    """Which robot: balance-long-pole, reach-weak-joint or reach-late."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds, one after the other."""

    real_time_factor: float = 1.0
    """Simulated seconds in one second."""

    runs: Path = Path('runs/finetuning')
    """Folder of the runs, which nobody commits."""

    results: Path = HERE / 'finetuning'
    """Folder of what came out."""


@dataclass(frozen=True)
class PlanOptions:
    """Score a planner that knows how weak the motors of an arm are: what it can do at all."""

    robot: str
    """Which robot: reach-weak-joint."""


@dataclass(frozen=True)
class ReportOptions:
    """Draw the returns and write their table."""

    results: Path = HERE / 'finetuning'
    """Folder of what came out; the pictures go there too."""

    page: Path = HERE / 'FINETUNING.md'
    """Page that the table is written into."""


def main(words: Sequence[str]) -> int:
    """Do what the words of a command line say; return the exit status."""
    return run_command('finetuning', COMMANDS, words)


def run(options: object) -> None:
    """Do what is not finished yet.  Raises UserError, and SystemExit if stopped."""
    assert isinstance(options, RunOptions)
    robot = _find_robot(options.robot)
    for seed in options.seeds:
        facts = options.results / f'{options.robot}-{seed}.json'
        if facts.exists():
            print(f'finetuning: {facts} is there', file=sys.stderr)
        else:
            _run(options, robot, seed, facts)


def _find_robot(name: str) -> Robot:
    if name not in ROBOTS:
        raise UserError(
            f"robot '{name}' is unknown{nearest(name, ROBOTS)}; known: {', '.join(ROBOTS)}"
        )
    return ROBOTS[name]


def _run(options: RunOptions, robot: Robot, seed: int, facts: Path) -> None:
    """Fine-tune, train from scratch, score all, and keep what came out."""
    folder = options.runs / f'{options.robot}-{seed}'
    model = HERE.parent / 'models' / f'{robot.task}.onnx'  # that ships
    result = _finetune(options, robot, seed, model, folder)
    with (folder / EPISODES).open(encoding='utf-8', newline='') as file:
        steps = sum(int(row['length']) for row in csv.DictReader(file))
    beside = folder.with_name(f'{folder.name}-scratch')
    scratch = _train(robot, seed, steps, beside)
    skilled = None
    if training_steps(robot.task) > steps:
        longer = folder.with_name(f'{folder.name}-there')
        _copy(beside, longer)
        skilled = _train(robot, seed, training_steps(robot.task), longer)
    base, tuned = load_policy(model), load_policy(Path(str(result['model'])))
    outcome = Outcome(
        nominal=_score(base, robot.task, NOMINAL),
        base=_score(base, robot.task, robot.physics),
        tuned=_score(tuned, robot.task, robot.physics),
        scratch=_score(scratch, robot.task, robot.physics),
        skilled=None if skilled is None else _score(skilled, robot.task, robot.physics),
        **{name: result[name] for name in KEPT},
    )
    write_atomic(facts, OUTCOME.dump_json(outcome, indent=2) + b'\n')
    write_atomic(facts.with_suffix('.csv'), (folder / EPISODES).read_bytes())


def _finetune(
    options: RunOptions, robot: Robot, seed: int, model: Path, folder: Path
) -> dict[str, object]:
    """Begin a fine-tuning, or go on with one.  Raises UserError if nothing was accepted."""
    done = 0.0
    if (folder / EPISODES).exists():
        with FinetuneReport(folder) as report:
            done = report.minutes
    command = FinetuneCommand(
        model,
        minutes=max(0.02, robot.minutes - done),
        out=folder,
        resume=folder.exists(),
        seed=seed,
        real_time_factor=options.real_time_factor,
        physics=robot.physics,
    )
    result = finetune(command)
    if result['model'] is None:
        raise UserError(f'{folder}: no candidate was accepted in {robot.minutes:g} minutes')
    return result


def _train(robot: Robot, seed: int, steps: int, folder: Path) -> OnnxPolicy:
    """Return what training from scratch on the same robot comes to in as many steps."""
    env, held_out = (make_env(robot.task, physics=robot.physics) for _ in range(2))
    has_begun = (folder / CURRENT).exists()
    command = TrainCommand(robot.task, out=folder, steps=steps, seed=seed, resume=has_begun)
    with StopSignals() as signals:
        train(env, held_out, command, signals)
        if signals.received is not None:
            raise SystemExit(128 + signals.received)
    actor, _ = read_actor(folder / CURRENT)
    return build_policy(actor, env.contract, {'env': robot.task}, str(folder))[0]


def _copy(folder: Path, to: Path) -> None:
    """Copy a run, unless it was copied before."""
    if not to.exists():
        begun = to.with_name(f'.{to.name}')
        shutil.copytree(folder, begun, dirs_exist_ok=True)
        begun.rename(to)


def _score(policy: OnnxPolicy, task: str, physics: Physics) -> float:
    """Return the mean return of the deterministic policy."""
    env = make_matching_env(policy, task, physics)
    episodes = evaluate_policy(policy, env, SCORED)
    env.close()
    return sum(episode.reward_sum for episode in episodes) / SCORED


def plan(options: object) -> None:
    """Print what a planner that knows the arm comes to, as trained and as it is."""
    assert isinstance(options, PlanOptions)
    robot = _find_robot(options.robot)
    if not robot.physics.motor:
        raise UserError(f"robot '{options.robot}' has no weak motor; reach-weak-joint has")
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + SCORED)
    before, now = (
        float(np.mean(planned_returns(make_env(robot.task, physics=physics), physics, seeds)))
        for physics in (NOMINAL, robot.physics)
    )
    print(f'{options.robot}: a planner comes to {before:.1f} as trained, {now:.1f} as it is')


def report(options: object) -> None:
    """Write pictures and page."""
    assert isinstance(options, ReportOptions)
    write_report(options.results, options.page, list(ROBOTS))


COMMANDS: Commands = {
    'run': (RunOptions, run),
    'plan': (PlanOptions, plan),
    'report': (ReportOptions, report),
}

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
