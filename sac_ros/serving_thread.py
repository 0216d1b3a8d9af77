"""ServingThread: takes messages and answers requests past the executor, until it is destroyed."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sac_ros.endless_thread import EndlessThread

if TYPE_CHECKING:
    from sac_ros.own_thread import Reader

LONGEST_WAIT = 1.0  # [s] after which the thread looks whether it is to end


class ServingThread:
    """Begins at once.  Requests are answered by the callbacks of their services."""

    def __init__(
        self, name: str, reader: 'Reader', take: Callable[[object], None] = lambda message: None
    ) -> None:
        """Serve what `reader` waits for; `take` gets each message."""
        self._reader = reader
        self._take = take
        self._thread = EndlessThread(name, self._serve, reader.wake)

    @property
    def crash(self) -> BaseException | None:
        """Return the error that has ended the thread: the process must end too."""
        return self._thread.crash

    def destroy(self) -> None:
        """End the thread and leave the topics and services."""
        self._thread.end()
        self._reader.destroy()

    def _serve(self, is_ending: threading.Event) -> None:
        while not is_ending.is_set():
            for _, message in self._reader.wait(LONGEST_WAIT):
                self._take(message)
