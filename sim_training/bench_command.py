"""What `sac-ros bench` is asked for.  No measurement."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from sac_ros.errors import UserError
from sac_ros.spec_rules import MAX_CONTROL_RATE

LONGEST = 7 * 24 * 60.0  # [minutes]


@dataclass(frozen=True)
class BenchCommand:
    """Measure a part of sac_ros beside its peers, which take turns.

    The figures of a machine that does other things meanwhile are worth nothing.
    """

    what: Literal['control', 'train', 'env']
    """What to measure.  control: the policy node over real ROS 2 topics, in a ROS domain of its
    own; without --kills and --soak the time from a state to its command, beside a bare rclpy echo
    node.  train: updates of soft actor-critic, beside Stable-Baselines3, SBX where it is
    installed, and the matrix products alone.  env: steps of our envs and of
    pybullet_envs_gymnasium, where it is installed, each over its bare stepSimulation."""

    rates: tuple[float, ...] = (50.0, 200.0, 500.0)
    """Latency: control rates [Hz]."""

    seconds: float = 20.0
    """Length of a round [s]."""

    rounds: int = 5
    """Rounds of each side (latency: at each rate); they alternate."""

    threads: int = 1
    """With train: processor threads of each side."""

    device: Literal['cpu', 'cuda'] = 'cpu'
    """With train: what computes the updates of each side."""

    kills: int = 0
    """Instead, kill the robot's process so many times: how soon is the stop command there?"""

    soak: float = 0.0
    """Instead, run so many minutes at 50 Hz: missed periods, bad commands, growth of memory."""

    hog: bool = False
    """With --soak: beside a process that keeps one core busy."""

    out: Path | None = None
    """With --soak: the CSV file to write a row to every 10 seconds."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, by name."""
        if not self.rates:
            raise UserError('--rates is empty; one rate or more is needed')
        for rate in self.rates:
            _check_range('--rates', rate, 1.0, MAX_CONTROL_RATE, ' Hz')
        _check_range('--seconds', self.seconds, 0.5, 3600.0, ' s')
        _check_range('--rounds', self.rounds, 1, 1000)
        _check_range('--threads', self.threads, 1, 1024)
        if self.kills != 0:
            _check_range('--kills', self.kills, 1, 100_000)
        if self.soak != 0.0:
            _check_range('--soak', self.soak, 0.01, LONGEST, ' minutes')
        _check_together(self)


def _check_range(flag: str, value: float, least: float, most: float, unit: str = '') -> None:
    if not least <= value <= most:  # true for NaN too
        raise UserError(f'{flag} is {value:g}; {least:g} to {most:g}{unit} is needed')


def _check_together(command: BenchCommand) -> None:
    """Refuse an option that would have no effect beside the others."""
    if command.kills and command.soak:
        raise UserError('--kills and --soak are two measurements; give one of them')
    if not command.soak and (command.hog or command.out is not None):
        raise UserError(
            f'{"--hog" if command.hog else "--out"} goes with --soak, which is missing'
        )
    if command.what != 'control':
        _check_unused(command, ('rates', 'kills', 'soak'), command.what)
    if command.what != 'train':
        _check_unused(command, ('threads', 'device'), command.what)
    if command.kills or command.soak:
        other = '--kills' if command.kills else '--soak'
        _check_unused(command, ('rates', 'seconds', 'rounds'), other)


def _check_unused(command: BenchCommand, names: tuple[str, ...], other: str) -> None:
    for field in fields(command):
        if field.name in names and getattr(command, field.name) != field.default:
            raise UserError(f'--{field.name} does not go with {other}')
