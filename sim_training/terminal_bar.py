"""A progress bar on standard error, with lines above it; where no terminal is, the lines only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from typing_extensions import Self


class TerminalBar:
    """The shown part of something that takes long; use it in a `with` block."""

    def __init__(self, *columns: ProgressColumn) -> None:
        """Show `columns` between the bar and the time that is left."""
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print one line on standard error, above the bar."""
        self._bar.console.print(text, soft_wrap=True, markup=False, highlight=False)
