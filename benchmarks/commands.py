"""The command line of a benchmark that has commands, each with options of its own."""

import sys
from collections.abc import Callable, Mapping, Sequence

from sac_ros.errors import UserError, nearest
from sim_training.cli_options import UsageError, help_text, read_options

Commands = Mapping[str, tuple[type, Callable[[object], None]]]  # name -> options, what it does


def run_command(benchmark: str, commands: Commands, words: Sequence[str]) -> int:
    """Do what the words of a command line say, `report` if there are none; return the status."""
    name, *rest = words or ['report']
    try:
        if name not in commands:
            raise UsageError(
                f"unknown command '{name}'{nearest(name, commands)}; known: {', '.join(commands)}"
            )
        options, run = commands[name]
        prog = f'{benchmark} {name}'
        if {'-h', '--help'} & set(rest):
            print(help_text(options, prog))
        else:
            run(read_options(options, prog, rest))
    except UserError as error:
        print(f'{benchmark}: {error}', file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0
