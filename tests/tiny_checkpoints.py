"""Checkpoints made by hand, and processes that are killed while they write one."""

import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from sac_ros.spec import TaskSpec, spec_from_dict
from sim_training.checkpoint import Counters, Facts, Playing, write_checkpoint
from sim_training.export import ExportCommand
from sim_training.export import main as export
from sim_training.sac_config import SACConfig
from sim_training.train_command import TrainCommand

CONFIG = SACConfig(hidden_sizes=(16, 8), batch_size=4, learning_starts=4)
FOLDER_CHANGES = ('open', 'os.rename', 'os.link', 'os.remove', 'os.mkdir')  # audit events


def make_contract(**changes: object) -> TaskSpec:
    return spec_from_dict(
        {
            'schema': 1,
            'name': 'pole',
            'control_rate': 20.0,
            'observation': [{'term': 'vector', 'size': 3}],
            'action': {
                'interface': 'generic',
                'lower': [-2.0],
                'upper': [4.0],
                'max_rate': '.inf',
                'stop': [0.0],
            },
            'topics': {
                'vector': {'name': 'observation', 'timeout': 0.1},
                'command': {'name': 'action'},
            },
            **changes,
        }
    )


def make_facts(step: int = 7, config: SACConfig = CONFIG) -> Facts:
    return Facts(
        command=TrainCommand('Pendulum-v1', steps=100, out=Path('x'), sac=config),
        counters=Counters(step=step, seconds=1.5),
        contract=make_contract().to_json(),
        observation_size=3,
        action_lower=(-2.0,),
        action_upper=(4.0,),
        playing=(Playing(episode=2, length=3),),
        replay_cursor=7,
        generator=json.dumps(np.random.default_rng(0).bit_generator.state),
        versions={'torch': '2.10.0', 'pybullet': None},
    )


def write_generation(folder: Path, step: int) -> None:
    """Write a checkpoint in which every number is `step`."""
    write_checkpoint(folder, {'a': np.full(3_000, step)}, make_facts(step))


def write_and_die(folder: Path, number: int, step: int) -> None:
    """Write a checkpoint in a process that kills itself before the n-th change of the folder."""
    _die_before_change(folder, number)
    write_generation(folder, step)


def export_and_die(run: Path, model: Path, number: int) -> None:
    """Export in a process that kills itself before the n-th change of the model's folder."""
    _die_before_change(model.parent, number)
    export(ExportCommand(run, model, episodes=1))


def write_and_report(folder: Path, step: int, report: Connection) -> None:
    """Write a checkpoint and send what was done to the folder: (what, name, second name)."""
    changes: list[tuple[str, str, str]] = []
    fsync = os.fsync

    def watch(event: str, arguments: tuple) -> None:
        names = [Path(str(name)).name for name in arguments[:2] if _is_in(folder, name)]
        if event == 'open' and names and arguments[2] & os.O_CREAT:
            changes.append(('create', names[0], ''))
        elif event in FOLDER_CHANGES and event != 'open' and names:
            changes.append((event, names[0], names[-1]))

    def report_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f'/proc/self/fd/{descriptor}'))
        changes.append(('fsync', '' if path == folder else path.name, ''))
        fsync(descriptor)

    sys.addaudithook(watch)
    os.fsync = report_fsync
    write_generation(folder, step)
    report.send(changes)


def _die_before_change(folder: Path, number: int) -> None:
    count = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal count
        if event in FOLDER_CHANGES and _is_in(folder, arguments[0]):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _is_in(folder: Path, name: object) -> bool:
    return isinstance(name, str | Path) and Path(name).parent == folder
