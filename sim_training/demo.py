"""`sac-ros demo`: train balance from nothing, export it, run it over ROS 2 topics, show it."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sac_ros.errors import UserError
from sim_training.evaluate import EvaluateCommand
from sim_training.evaluate import main as evaluate
from sim_training.export import ExportCommand
from sim_training.export import main as export
from sim_training.learning_curve import CURVE
from sim_training.run import RunCommand, check_ros
from sim_training.run import main as run
from sim_training.sac_config import SACConfig
from sim_training.train import main as train
from sim_training.train_command import TrainCommand

TASK = 'balance'
EVALUATE_EVERY = 1_000  # steps
# Smaller nets than the default: enough for a cart-pole, and two to three times as fast.
SAC_CONFIG = SACConfig(hidden_sizes=(128, 128))


@dataclass(frozen=True)
class DemoCommand:
    """Train a small task, export it, run it over ROS 2, and show where everything is.

    Takes about three minutes on two cores.  Nothing is left running, also on Ctrl-C.
    """

    out: Path | None = None
    """Folder for what is made; by default a new one, runs/demo-<date>-<time>."""

    episodes: int = 5
    """Episodes in the simulation and over ROS 2."""

    seed: int = 0
    """Seed of the training."""

    steps: int | None = None
    """Training steps; by default what the task needs."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, by name."""
        if self.episodes < 1:
            raise UserError(f'--episodes is {self.episodes}; 1 or more is needed')
        self.training(Path())

    def training(self, folder: Path) -> TrainCommand:
        """Return the training of the demo."""
        return TrainCommand(
            TASK, self.steps, self.seed, folder, evaluate_every=EVALUATE_EVERY, sac=SAC_CONFIG
        )


def main(command: DemoCommand) -> dict[str, object]:
    """Run the whole loop once; returns the scores and the files."""
    began = time.monotonic()
    check_ros()
    folder = command.out or Path('runs') / time.strftime('demo-%Y%m%d-%H%M%S')
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f'--out {folder} is not an empty folder; name a new one')
    model, video = folder / f'{TASK}.onnx', folder / f'{TASK}.mp4'

    _say(1, f"training '{TASK}' from nothing with soft actor-critic, into {folder}")
    train(command.training(folder))
    _say(2, f'exporting the policy with its contract to {model}')
    exported = export(ExportCommand(folder, model, episodes=command.episodes))
    _say(3, f'scoring that file in the simulation, {command.episodes} episodes, with a film')
    scores = evaluate(
        EvaluateCommand(model, episodes=command.episodes, video=video, video_episodes=1)
    )
    _say(4, 'running it over ROS 2: sim_node and policy_node, two processes, DDS topics, 50 Hz')
    over_ros = run(RunCommand(model, episodes=command.episodes))
    return {
        'task': TASK,
        'seconds': time.monotonic() - began,
        'parity': exported['parity'],
        'simulation': scores,
        'ros': over_ros,
        'model': str(model),
        'learning_curve': str(folder / CURVE),
        'video': str(video),
    }


def describe(result: dict[str, object]) -> str:
    """Return what came out, as a table for a terminal."""
    simulation, ros = result['simulation'], result['ros']
    assert isinstance(simulation, dict)
    assert isinstance(ros, dict)
    episodes = len(ros['episodes'])
    latency = ros['latency_ms']
    rows = (
        ('', 'in the env', 'over ROS 2'),
        ('return, mean', f'{simulation["return_mean"]:.1f}', f'{ros["return_mean"]:.1f}'),
        (
            'full length',
            f'{simulation["success"]} of {simulation["episodes"]}',
            f'{ros["success"]} of {episodes}',
        ),
        ('state to command', '', f'p50 {latency["p50"]:.2f} ms, p99 {latency["p99"]:.2f} ms'),
        ('periods missed', '', f'{ros["missed"]}'),
    )
    table = '\n'.join(f'  {name:<18}{left:<14}{right}'.rstrip() for name, left, right in rows)
    files = '\n'.join(
        f'  {name:<18}{result[key]}'
        for name, key in (
            ('model', 'model'),
            ('learning curve', 'learning_curve'),
            ('film', 'video'),
        )
    )
    return f'{result["task"]}, {result["seconds"]:.0f} s in all\n{table}\n{files}'


def _say(step: int, text: str) -> None:
    print(f'\n[{step}/4] {text}', file=sys.stderr, flush=True)
