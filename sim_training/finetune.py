"""`sac-ros finetune`: a rehearsal of learning on the robot, with one that differs in simulation.

sim_node, policy_node and learner_node are three processes, as they would be around a robot.
"""

import contextlib
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sac_ros.accepted_model import find_accepted
from sac_ros.errors import UserError
from sac_ros.files import remove_file, write_atomic
from sac_ros.policy import OnnxPolicy, load_policy
from sim_training.evaluate import evaluate_policy, make_matching_env, summary, task_of
from sim_training.fine_tuner import check_config
from sim_training.finetune_report import Episode, FinetuneReport
from sim_training.physics import NOMINAL, Physics
from sim_training.presets import find_preset
from sim_training.run import START_TIMEOUT, RunCommand, check_ros, longest_episode
from sim_training.stop_signals import StopSignals
from sim_training.tasks import is_task, task_names

ASKED = 'finetune.json'  # in the folder: what was asked for
POLICY, LEARNER = 'policy', 'learner'  # in the folder: what these nodes keep
MODEL = 'model.onnx'  # in the folder: the accepted model


@dataclass(frozen=True)
class FinetuneCommand:
    """Rehearse learning on a robot, with a simulated one that differs from the task's.

    policy_node acts, learner_node learns, and what it offers must pass the gate and its trial.
    ROS_DOMAIN_ID is used when it is set; else a free one is taken.  Nothing leaves this machine.
    """

    model: Path
    """The model file (.onnx) to begin from."""

    task: str | None = None
    """Task to simulate; by default the one that the model's contract names."""

    minutes: float = 5.0
    """Time that the robot runs [min], on its own clock."""

    out: Path | None = None
    """Folder for all that is made; by default runs/finetune-<task>-<seed>."""

    resume: bool = False
    """Go on with what is in the folder, for `minutes` more."""

    seed: int = 0
    """Seed of the learner and of the first episode; the next ones count up."""

    real_time_factor: float = 1.0
    """Simulated seconds in one second."""

    exploration: float = 0.1
    """Noise on the actions: its standard deviation, as a part of half of their range."""

    preset: str = 'robot'
    """Kind of soft actor-critic: see sac-ros train --help."""

    prior_steps: int = 20_000
    """Steps of the model in the unchanged simulation that are learned from as well."""

    candidate_period: float = 15.0
    """Time of the robot from one candidate to the next [s]."""

    max_action_change: float = 1.0
    """How far a candidate may differ from the model that acts, as a part of the action range: a
    policy that switches differs by all of it next to where it does.  On a robot begin with 0.5."""

    compile: bool = True
    """Let torch compile the update, which takes a minute, where a C++ compiler is."""

    episodes: int = 20
    """Episodes by which the model of before and the accepted one are scored at the end."""

    physics: Physics = NOMINAL

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, by name."""
        _as_run(self, 0)  # what a run refuses
        find_preset(self.preset)
        for name, largest in (('minutes', 10_000.0), ('candidate_period', 3_600.0)):
            if not 0.0 < getattr(self, name) <= largest:
                found = getattr(self, name)
                raise UserError(f'{_option(name)} is {found}; above 0 to {largest:g} is needed')
        for name in ('exploration', 'max_action_change'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f'{_option(name)} is {getattr(self, name)}; 0 to 1 is needed')
        if not 0 <= self.prior_steps <= 1_000_000:
            raise UserError(f'--prior-steps is {self.prior_steps}; 0 to 1000000 is needed')


def main(command: FinetuneCommand) -> dict[str, object]:
    """Run the rehearsal; returns the scores and where the files are.

    On Ctrl-C or SIGTERM what there is is kept, and SystemExit is raised with 128 + the signal.
    """
    check_ros()
    from sim_training.finetune_run import Rehearsal, rehearse

    policy = load_policy(command.model)
    task = task_of(policy, command.task)
    if not is_task(task):
        raise UserError(
            f"'{task}' is no task, so nobody could score the robot by what it observes; allowed: "
            f'{", ".join(task_names())}, or the path of a YAML file'
        )
    check_config(find_preset(command.preset))
    folder = command.out or Path('runs') / f'finetune-{Path(task).stem}-{command.seed}'
    with contextlib.closing(make_matching_env(policy, task, command.physics)) as env:
        longest = longest_episode(env) * policy.spec.dt / command.real_time_factor
    _open_folder(command, folder)
    with StopSignals() as signals, FinetuneReport(folder) as report:
        rehearsal = Rehearsal(
            _as_run(command, len(report.episodes)),
            task,
            policy.sha256,
            policy.spec,
            _learner_parameters(command, task, folder),
            _policy_parameters(command, folder),
            longest + START_TIMEOUT,
        )
        try:
            rehearse(rehearsal, report, command.minutes, signals)
        finally:
            picture = report.draw(f'{task}: {command.physics}')
    if signals.received is not None:
        print(
            f'stopped after {report.minutes:.1f} min of the robot; the same command with --resume '
            'goes on',
            file=sys.stderr,
        )
        raise SystemExit(128 + signals.received)
    decisions = [each.decision for each in report.decisions]
    return {
        'task': task,
        'physics': command.physics.differences(),
        'minutes': report.minutes,
        'episodes': len(report.episodes),
        'decisions': {name: decisions.count(name) for name in sorted(set(decisions))},
        'periods': sum(each.length for each in report.episodes),
        'missed': sum(each.missed for each in report.episodes),
        'commands': sum(each.commands for each in report.episodes),
        'violations': sum(each.violations for each in report.episodes),
        'latency_ms': _latency(report.episodes),
        **_score(command, task, folder, policy),
        'folder': str(folder),
        'picture': str(picture),
    }


def describe(result: dict[str, object]) -> str:
    """Return the scores for a terminal."""
    physics, decisions, latency = (result[key] for key in ('physics', 'decisions', 'latency_ms'))
    assert isinstance(physics, dict)
    assert isinstance(decisions, dict)
    counts = ', '.join(f'{count} {name}' for name, count in decisions.items())
    assert isinstance(latency, dict)
    times = ', '.join(f'{name} {value:.2f} ms' for name, value in latency.items())
    rows = {
        'robot': f'{result["minutes"]:.1f} min, {result["episodes"]} episodes; physics: '
        f'{Physics(**physics)}',
        'decisions': counts or 'none',
        'control': f'{result["missed"]} of {result["periods"]} periods without a new command, '
        f'{result["violations"]} of {result["commands"]} commands out of bounds or too fast; '
        f'from state to command {times or "unknown"}',
        'before': _scores(result['base']),
        'after': _scores(result['tuned']),
        'model': result['model'] or 'no candidate has stayed',
        'returns': result['picture'],
    }
    lines = [f'  {name:<11}{text}' for name, text in rows.items()]
    return '\n'.join([f'{result["task"]}, fine-tuned', *lines])


def _latency(episodes: Sequence[Episode]) -> dict[str, float]:
    """Return medians over episodes of p50 and p99 from state to command [ms]."""
    times = {
        'p50': [each.latency_p50 for each in episodes],
        'p99': [each.latency_p99 for each in episodes],
    }
    known = {name: [value for value in times[name] if not math.isnan(value)] for name in times}
    return {name: statistics.median(values) for name, values in known.items() if values}


def _scores(scores: object) -> str:
    if not isinstance(scores, dict):
        return 'not scored'
    return (
        f'return {scores["return_mean"]:.1f} +- {scores["return_std"]:.1f}, success '
        f'{scores["success"]} of {scores["episodes"]}'
    )


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _as_run(command: FinetuneCommand, first_episode: int) -> RunCommand:
    """Return the robot and its policy, as `sac-ros run` has them."""
    return RunCommand(
        model=command.model,
        task=command.task,
        episodes=command.episodes,
        seed=command.seed + first_episode,
        real_time_factor=command.real_time_factor,
        physics=command.physics,
    )


def _learner_parameters(command: FinetuneCommand, task: str, folder: Path) -> dict[str, object]:
    return {
        'model': command.model.absolute(),
        'task': task,
        'folder': (folder / LEARNER).absolute(),
        'episode_topic': 'sim_node/episode',
        'preset': command.preset,
        'prior_steps': command.prior_steps,
        'compile': str(command.compile).lower(),
        'candidate_period': float(command.candidate_period),
        'seed': command.seed,
    }


def _policy_parameters(command: FinetuneCommand, folder: Path) -> dict[str, object]:
    return {
        'accept_candidates': 'true',
        'learning_folder': (folder / POLICY).absolute(),
        'exploration': float(command.exploration),
        'max_action_change': float(command.max_action_change),
    }


def _open_folder(command: FinetuneCommand, folder: Path) -> None:
    """Prepare the folder, or make sure that it is the one to go on in.  Raises UserError."""
    # All but for how long, how it is scored, and where: a folder may be moved.
    asked = replace(command, minutes=1.0, episodes=1, out=None, resume=False, real_time_factor=1.0)
    kind, path = TypeAdapter(FinetuneCommand), folder / ASKED
    if not command.resume:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f'--out {folder} is not an empty folder; name a new one, or --resume')
        write_atomic(path, kind.dump_json(asked, indent=2) + b'\n')
        return
    try:
        begun = kind.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f'{folder} holds no fine-tuning: {ASKED} is missing or damaged') from error
    for name, value in asdict(begun).items():
        found = asdict(asked)[name]
        if found != value:
            raise UserError(
                f'{_option(name)} is {found}; the fine-tuning in {folder} was begun with {value}'
            )


def _score(
    command: FinetuneCommand, task: str, folder: Path, base: OnnxPolicy
) -> dict[str, object]:
    """Score the model of before and the accepted one on the robot that differs."""
    scores: dict[str, object] = {'base': None, 'tuned': None, 'model': None}
    found = find_accepted(folder / POLICY, base.sha256)
    with contextlib.closing(make_matching_env(base, task, command.physics)) as env:
        print('finetune: scoring the model of before', file=sys.stderr)
        scores['base'] = summary(evaluate_policy(base, env, command.episodes))
        if found is None:
            remove_file(folder / MODEL)  # of an earlier part, which has been rolled back since
        else:
            write_atomic(folder / MODEL, found[0])
            accepted = load_policy(folder / MODEL)
            print('finetune: scoring the accepted model', file=sys.stderr)
            scores['tuned'] = summary(evaluate_policy(accepted, env, command.episodes))
            scores['model'] = str(folder / MODEL)
    return scores
