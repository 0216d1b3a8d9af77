"""`sac-ros <command>`: one table of commands; only the module that is asked for is imported.

The result alone goes to standard output, as text or with --json as one object; all else goes to
standard error, until nobody reads that any more.  Exit status: 0 done, 1 failed, 2 wrong usage,
128 and its number after a signal (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP).
"""

import errno
import importlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple, TextIO

from sac_ros.errors import UserError, nearest
from sac_ros.output import lasting, lead_nowhere
from sim_training.cli_options import UsageError, help_text, read_options
from sim_training.stop_signals import StopSignals, Terminated


class Entry(NamedTuple):
    """Where a command is written: a module with a dataclass of options and a function `main`.

    `main(options)` returns the result; `describe(result)`, if there, makes it text to read.
    """

    module: str
    options: str
    help: str


COMMANDS = {
    'demo': Entry('sim_training.demo', 'DemoCommand', 'see it all: train, export and run a task'),
    'train': Entry('sim_training.train', 'TrainCommand', 'train a policy in simulation'),
    'sweep': Entry('sim_training.sweep', 'SweepCommand', 'search the options of training'),
    'evaluate': Entry('sim_training.evaluate', 'EvaluateCommand', 'score a model in simulation'),
    'export': Entry('sim_training.export', 'ExportCommand', 'write a training run as a model'),
    'show': Entry('sac_ros.show', 'ShowCommand', 'print the contract inside a model'),
    'run': Entry('sim_training.run', 'RunCommand', 'run a model over ROS 2 on a simulated robot'),
    'finetune': Entry(
        'sim_training.finetune', 'FinetuneCommand', 'rehearse learning on a robot that differs'
    ),
    'bench': Entry(
        'sim_training.bench', 'BenchCommand', 'measure control, training, envs beside peers'
    ),
}

INTRODUCTION = """\
usage: sac-ros <command> [options] [--json]

Train a policy in simulation, export it as a model (one ONNX file), run it on a robot with ROS 2.

New here?  Type:
  sac-ros demo                              everything once, in a few minutes
  sac-ros train balance --out runs/balance  train a policy yourself
  sac-ros show models/balance.onnx          what a model observes and commands
"""

CLOSING = """\
Help on a command: sac-ros <command> --help.
--json, anywhere: the result as one JSON object, in which NaN and infinity become null."""

# What a missing package belongs to; ROS packages are told by their names.
TRAIN_PACKAGES = (
    'torch',
    'gymnasium',
    'pybullet',
    'pybullet_data',
    'pybullet_utils',
    'mujoco',
    'onnx',
    'google',  # protobuf
    'safetensors',
    'tyro',
    'rich',
    'tensorboard',
    'matplotlib',
    'imageio',
    'imageio_ffmpeg',
)


def main() -> None:
    """Run the command line of this process and exit; the console script."""
    output = _take_stdout()
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)
    sys.exit(run(sys.argv[1:], output))


def run(words: Sequence[str], output: TextIO, commands: Mapping[str, Entry] = COMMANDS) -> int:
    """Run one command line, write its result to `output` and return the exit status."""
    as_json = '--json' in words
    try:
        result, text = _answer([word for word in words if word != '--json'], commands)
        status = 0
    except (UserError, ImportError, KeyboardInterrupt, Terminated) as error:
        status, problem = _explain(error)
        print(f'sac-ros: {problem}', file=sys.stderr)
        result, text = {'error': problem}, ''
    except SystemExit as stop:  # a command that was stopped, has saved and has said so
        status = stop.code if isinstance(stop.code, int) else 1
        result, text = {'error': 'stopped by a signal'}, ''
    _write(json.dumps(_json_ready(result), allow_nan=False) if as_json else text, output)
    return status


def _answer(words: list[str], commands: Mapping[str, Entry]) -> tuple[dict[str, object], str]:
    """Return the result of a command line as data and as text."""
    name, *rest = words or ['']
    if name in ('-h', '--help'):
        text = _overview(commands)
        return {'help': text}, text
    if name not in commands:
        if not name:
            print(_overview(commands), file=sys.stderr)
        found = (
            f"unknown command '{name}'{nearest(name, commands)}" if name else 'no command given'
        )
        raise UsageError(f'{found}; known: {", ".join(commands)}')
    module = _import(commands[name].module)
    options = getattr(module, commands[name].options)
    prog = f'sac-ros {name}'
    if {'-h', '--help'} & set(rest):
        text = f'{help_text(options, prog, rest).strip()}\n\n{CLOSING}'
        return {'help': text}, text
    result = module.main(read_options(options, prog, rest))
    return result, _describe(module, result)


def _import(name: str) -> ModuleType:
    """Import a command, for seconds if it needs torch.

    A Ctrl-C meanwhile is asked for afterwards: as an exception it could end up in a place of the
    import where Python only says that it was ignored.
    """
    with StopSignals() as signals:
        module = importlib.import_module(name)
    signals.raise_if_received()
    return module


def _overview(commands: Mapping[str, Entry]) -> str:
    width = max(map(len, commands))
    rows = '\n'.join(f'  {name:<{width}}  {entry.help}' for name, entry in commands.items())
    return f'{INTRODUCTION}\nCommands:\n{rows}\n\n{CLOSING}'


def _describe(module: ModuleType, result: dict[str, object]) -> str:
    """Return the module's own text for its result, or one aligned line for each value."""
    if hasattr(module, 'describe'):
        return str(module.describe(result))
    rows = list(_rows(result))
    width = max((len(name) for name, _ in rows), default=0)
    return '\n'.join(f'{name:<{width}}  {value}' for name, value in rows)


def _rows(result: Mapping[str, object], prefix: str = '') -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f'{prefix}{name}.')
        elif value is not None:  # such as a success of which the env does not tell
            yield f'{prefix}{name}', f'{value:.6g}' if isinstance(value, float) else str(value)


def _json_ready(value: object) -> object:
    """Return `value` with NaN and infinity, for which JSON has no word, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    return value


def _explain(error: BaseException) -> tuple[int, str]:
    """Return exit status and one line for what the user can put right; raise anything else."""
    if isinstance(error, KeyboardInterrupt):
        return 130, 'interrupted'
    if isinstance(error, Terminated):
        return error.status, 'terminated'
    if isinstance(error, ImportError):
        package = (error.name or '').partition('.')[0]
        extra = _extra_of(package)
        if extra is None:
            raise error
        hint = f"in sac_ros's folder type: pip install '.[{extra}]'"
        return 1, f'{package} is not installed; {hint}'
    return 2 if isinstance(error, UsageError) else 1, ' '.join(str(error).splitlines())


def _extra_of(package: str) -> str | None:
    """Return the extra of setup.py that brings the import `package`."""
    if package == 'rclpy' or package.endswith(('_interfaces', '_msgs', '_srvs')):
        return 'ros'
    if package in ('ray', 'optuna'):
        return {'ray': 'cluster', 'optuna': 'sweep'}[package]
    return 'train' if package in TRAIN_PACKAGES else None


def _take_stdout() -> TextIO:
    """Return standard output for the result alone; what else is printed goes to standard error.

    Done with file descriptors, because C libraries (pybullet) and child processes print too.
    """
    sys.stdout.flush()
    # A path may hold bytes that are no text: shown as \\udcff, they cost nobody the result.
    output = os.fdopen(os.dup(1), 'w', encoding=sys.stdout.encoding, errors='backslashreplace')
    os.dup2(2, 1)
    return output


def _write(text: str, output: TextIO) -> None:
    if not text:
        return
    try:
        print(text, file=output, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        # The reader, such as `| head`, has read enough, or the terminal is closed.  Python would
        # try once more at its end.
        lead_nowhere(output)
