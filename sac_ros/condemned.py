"""Condemned: the models that have failed in place of a base model, and are never tried again.

They are kept in the folder of the accepted model, so that a restart forgets none: whatever still
offers such a model offers it in vain.  One that is tried is written down before it acts, and
crossed out when it is accepted: if the power goes in between, it counts as one that has failed.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from sac_ros.files import write_atomic

FILE = 'condemned.json'
REMEMBERED = 1000  # the newest
LARGEST_FILE = 100 * REMEMBERED  # [bytes]

_ADAPTER = TypeAdapter(list[Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]])


class Condemned:
    """Models by their sha256."""

    def __init__(self, folder: Path | None) -> None:
        """Read what is in a folder; without one they are forgotten at the end."""
        self._path = None if folder is None else folder / FILE
        self._known: dict[str, None] = {}
        self.problem = ''  # with the file that was there
        try:
            self._read()
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else 'it is damaged'
            self.problem = (
                f'{self._path} cannot be read ({reason}): what failed before may be tried'
            )

    def __contains__(self, sha256: str) -> bool:
        """Tell whether a model has failed."""
        return sha256 in self._known

    def add(self, sha256: str) -> None:
        """Condemn a model.  Raises UserError if that cannot be written; it holds all the same."""
        if sha256 not in self._known:
            self._known[sha256] = None
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
            self._write()

    def remove(self, sha256: str) -> None:
        """Let a model count as one that has not failed.  Raises UserError as `add` does."""
        if sha256 in self._known:
            del self._known[sha256]
            self._write()

    def _read(self) -> None:
        if self._path is not None and os.path.lexists(self._path):
            with self._path.open('rb') as file:
                self._known = dict.fromkeys(_ADAPTER.validate_json(file.read(LARGEST_FILE)))

    def _write(self) -> None:
        if self._path is not None:
            write_atomic(self._path, _ADAPTER.dump_json([*self._known], indent=0) + b'\n')
