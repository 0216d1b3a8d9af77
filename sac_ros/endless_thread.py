"""EndlessThread: a thread that serves until it is told to end, and whose error is not lost."""

import threading
from collections.abc import Callable


class EndlessThread:
    """Begins at once.  `crash` is the error that has ended it: then the process must end."""

    def __init__(
        self,
        name: str,
        serve: Callable[[threading.Event], None],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Run `serve`, which returns soon after its event is set and `wake` has been called."""
        self.crash: BaseException | None = None
        self._serve = serve
        self._wake = wake
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def end(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` [s], or without limit, for the end; return whether it has come."""
        self._is_ending.set()
        self._wake()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._serve(self._is_ending)
        except BaseException as error:  # noqa: BLE001 (the main thread raises it again)
            self.crash = error
