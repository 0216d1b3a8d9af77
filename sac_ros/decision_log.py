"""Decision: what became of a candidate, for machines on `~/decisions` and for people in a file."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from sac_ros.errors import UserError

LARGEST_LOG = 16 * 2**20  # [bytes]; a larger one is put aside, as the only older one
NAME = 'decisions.log'

Word = Literal[
    'refused',  # it has not acted
    'waits',  # its time has not come
    'on trial',  # it acts
    'accepted',  # it acts on, and after the next start
    'rolled back',  # the model before it acts again
    'restored',  # accepted before the node was configured: it acts
    'base model',  # somebody asked for the base model: it acts
]


@dataclass(frozen=True)
class Decision:
    """What became of a model, and why."""

    time: str  # by the computer's clock, UTC
    sha256: str
    decision: Word
    code: str  # of sac_ros.fault, or '' when nothing was wrong
    text: str  # in one line
    returns: tuple[float, ...] = ()  # of the model, the newest last
    before: tuple[float, ...] = ()  # of the model that it was compared with

    def __str__(self) -> str:
        """Return the line that people read."""
        reason = f'{self.code}: {self.text}' if self.code else self.text
        return f'{self.time}  {self.sha256[:12]}  {self.decision}  {reason}'

    def to_json(self) -> str:
        """Return the object that machines read."""
        return json.dumps(asdict(self), allow_nan=False)


def time_now() -> str:
    """Return the time as decisions tell it."""
    return datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M:%S UTC')


def append_decision(folder: Path, decision: Decision) -> None:
    """Add a line to the log in a folder; it is on the disk afterwards.  Raises UserError."""
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open('a', encoding='utf-8') as file:
            file.write(f'{decision}\n')
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size > LARGEST_LOG:
            path.replace(path.with_suffix('.old.log'))
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error
