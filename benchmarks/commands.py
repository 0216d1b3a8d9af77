"""The command lines of the benchmarks: options alone, or commands that have their own."""

import sys
from collections.abc import Callable, Mapping, Sequence

from sac_ros.errors import UserError, nearest
from sim_training.cli_options import UsageError, help_text, read_options

Commands = Mapping[str, tuple[type, Callable[[object], None]]]  # name -> options, what it does


def run_command(benchmark: str, commands: Commands, words: Sequence[str]) -> int:
    """Do what the words of a command line say, `report` if there are none; return the status."""
    name, *rest = words or ['report']
    known = ', '.join(commands)
    if name in ('-h', '--help'):
        print(f'usage: {benchmark} <command> [options]; commands: {known}, each with --help')
        return 0
    if name not in commands:
        found = f"unknown command '{name}'{nearest(name, commands)}"
        print(f'{benchmark}: {found}; known: {known}', file=sys.stderr)
        return 2
    options, run = commands[name]
    return run_options(benchmark, options, run, rest, f'{benchmark} {name}')


def run_options(
    benchmark: str,
    options: type,
    run: Callable[[object], None],
    words: Sequence[str],
    prog: str | None = None,
) -> int:
    """Do what the options say, or print --help; return the status."""
    prog = prog or benchmark
    try:
        if {'-h', '--help'} & set(words):
            print(help_text(options, prog))
        else:
            run(read_options(options, prog, list(words)))
    except UserError as error:
        print(f'{benchmark}: {error}', file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0
