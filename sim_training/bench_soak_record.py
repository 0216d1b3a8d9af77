"""What is counted while the node runs for long, and the CSV file that it goes to as it comes."""

import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeAlias

from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec
from sim_training.bench_command_watch import CommandWatch

SAID_EVERY = 6  # samples

Status: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """One row of the CSV file.  All but the memory counts from the beginning."""

    seconds: float
    resident_kib: int  # memory of the node's process
    ticks: int  # by the node's own diagnostics, which are up to a second old
    missed_by_node: int  # ticks that were more than half a period late, by the same
    late_sleeper: int  # periods in which a process that only sleeps woke as late
    commands: int  # received
    missed: int  # periods without a command, as received
    violations: int  # commands not finite, out of bounds or changed too fast


class SoakRecord:
    """What the node sends and says, from its first command on."""

    def __init__(self, spec: TaskSpec) -> None:
        """Judge the commands by a contract."""
        self._statuses: deque[Status] = deque(maxlen=1)
        self.commands = CommandWatch(spec)

    def add_command(self, arrival: float, command: Sequence[float]) -> None:
        """Take a command."""
        self.commands.add(arrival, command)

    def add_status(self, status: Status) -> None:
        """Take the values of a status of the node."""
        self._statuses.append(status)

    @property
    def status(self) -> Status:
        """Return the newest status; empty without one."""
        return self._statuses[-1] if self._statuses else {}

    def counted(self, key: str) -> int:
        """Return a counter of the node's status; 0 as long as there is none."""
        return int(self.status.get(key, 0))


class SampleLog:
    """The samples so far, in memory and in a file; use it in a `with` block."""

    def __init__(self, path: Path | None) -> None:
        """Begin the CSV file at `path`, if there is one.  Raises UserError."""
        try:
            self._file = None if path is None else path.open('w', encoding='utf-8')
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror}') from error
        self.samples: list[Sample] = []
        self._write(field.name for field in fields(Sample))

    def __enter__(self) -> 'SampleLog':
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, sample: Sample) -> None:
        """Keep and write a sample, and now and then say where we are."""
        if len(self.samples) % SAID_EVERY == 0:
            print(
                f'bench: {sample.seconds:.0f} s, {sample.commands} commands, {sample.missed} '
                f'missed, {sample.violations} bad, {sample.resident_kib} KiB',
                file=sys.stderr,
            )
        self.samples.append(sample)
        self._write(astuple(sample))

    def _write(self, cells: Iterable[object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(','.join(map(str, cells)) + '\n')
            self._file.flush()
        except OSError as error:  # hours of measuring are not given up for a full disk
            print(f'bench: cannot write {self._file.name}: {error.strerror}', file=sys.stderr)
            self._file = None
