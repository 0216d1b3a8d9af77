"""Film: frames that become one MP4 file, or the file that was there stays as it is."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np

from sac_ros.errors import WriteError
from sac_ros.files import write_atomic

if TYPE_CHECKING:
    from typing_extensions import Self

QUALITY = 4.0  # of ffmpeg, 0 to 10: a thousand periods of a robot are less than 1 MB


class Film:
    """Takes frames in a `with` block, at whose end the whole film is written to its path.

    None is kept in memory.  Raises WriteError where the film would be cut off: ffmpeg is a process
    of its own, of whose end nobody is told.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """Show `rate` frames a second [Hz]."""
        self._path = path
        self._rate = rate
        self._count = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._draft = Path(self._folder.name) / 'film.mp4'
        self._writer = imageio.get_writer(
            self._draft, format='mp4', fps=self._rate, quality=QUALITY
        )
        return self

    def add(self, frame: np.ndarray) -> None:
        """Add a frame: uint8, shape (height, width, 3), the same for all."""
        try:
            self._writer.append_data(frame)
        except OSError as error:
            raise self._failure('ffmpeg has ended') from error
        self._count += 1

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self._folder:
            with contextlib.suppress(OSError):  # what has been written is looked at below
                self._writer.close()
            if kind is not None:
                return
            try:
                count, _ = imageio_ffmpeg.count_frames_and_secs(str(self._draft))
            except (OSError, RuntimeError) as unreadable:
                raise self._failure('what ffmpeg wrote cannot be read') from unreadable
            if count != self._count:
                raise self._failure(f'ffmpeg wrote {count} of {self._count} frames')
            write_atomic(self._path, self._draft.read_bytes())

    def _failure(self, what: str) -> WriteError:
        return WriteError(f'cannot write {self._path}: {what}; is {self._folder.name} full?')
