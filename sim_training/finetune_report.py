"""What a fine-tuning tells while it goes: returns.csv, decisions.csv, TensorBoard, returns.png."""

import csv
import dataclasses
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import TypeAdapter, ValidationError

from sac_ros.errors import UserError
from sac_ros.files import write_atomic
from sac_ros.spec import first_problem
from sim_training.event_writer import EventWriter

EPISODES, DECISIONS, PICTURE = 'returns.csv', 'decisions.csv', 'returns.png'
# Who acted -> its colour; and what was decided, where a line says so.
ACTING = {'base': 'tab:gray', 'on trial': 'tab:orange', 'accepted': 'tab:green'}
MARKED = {'accepted': 'tab:green', 'rolled back': 'tab:red', 'refused': 'tab:purple'}


@dataclass(frozen=True)
class Episode:
    """An episode of the robot, and who acted when it ended."""

    minutes: float  # of the robot, since the fine-tuning began
    reward_sum: float  # undiscounted return
    length: int  # [control periods]
    success: bool
    acting: str  # a key of ACTING
    model: str  # sha256
    missed: int  # periods in which no new command came
    latency_p50: float  # [ms] from a state's leaving to its command's arrival
    latency_p99: float  # [ms]
    commands: int = 0  # that another process has heard
    violations: int = 0  # of them were not finite, out of bounds or changed too fast


@dataclass(frozen=True)
class Decision:
    """What the policy node has decided on a model."""

    minutes: float  # of the robot, since the fine-tuning began
    decision: str
    model: str  # sha256
    text: str


Record = TypeVar('Record', Episode, Decision)


class FinetuneReport:
    """The record of one fine-tuning, which goes on where it ended."""

    def __init__(self, folder: Path) -> None:
        """Read what is there.  Raises UserError when it cannot be used."""
        self._folder = folder
        self.episodes = _read(folder / EPISODES, Episode)
        self.decisions = _read(folder / DECISIONS, Decision)
        self._events = EventWriter(folder)

    def __enter__(self) -> 'FinetuneReport':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()

    @property
    def minutes(self) -> float:
        """Return how long the robot has run [min of its time]."""
        return self.episodes[-1].minutes if self.episodes else 0.0

    def add_episode(self, episode: Episode) -> None:
        """Record an episode."""
        self.episodes.append(episode)
        _append(self._folder / EPISODES, episode)
        self._events.add({f'return/{episode.acting}': episode.reward_sum}, self._second())

    def add_decision(self, decision: Decision) -> None:
        """Record a decision."""
        self.decisions.append(decision)
        _append(self._folder / DECISIONS, decision)
        text = f'{decision.model[:12]} {decision.decision}: {decision.text}'
        self._events.add_text('decisions', text, self._second())

    def _second(self) -> int:
        return round(60.0 * self.minutes)

    def draw(self, title: str) -> Path:
        """Write the picture of all returns, and say where."""
        path = self._folder / PICTURE
        write_atomic(path, draw_returns(self.episodes, self.decisions, title))
        return path


def draw_returns(episodes: Sequence[Episode], decisions: Sequence[Decision], title: str) -> bytes:
    """Return a PNG of the return of each episode over the robot's time, by who acted."""
    figure = Figure(figsize=(8.0, 4.5), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        title=title, xlabel='time of the robot [min]', ylabel='return (sum of rewards)'
    )
    for decision, colour in MARKED.items():
        times = [each.minutes for each in decisions if each.decision == decision]
        for i, time in enumerate(times):
            label = decision if i == 0 else None
            axes.axvline(time, color=colour, linewidth=1.0, linestyle=':', label=label)
    for acting, colour in ACTING.items():
        points = [(each.minutes, each.reward_sum) for each in episodes if each.acting == acting]
        if points:
            axes.plot(*zip(*points, strict=True), '.', color=colour, label=f'{acting} acts')
    if axes.has_data():
        axes.legend()
    axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()


def _append(path: Path, record: Episode | Decision) -> None:
    """Write a row behind the others; the first one brings the names."""
    row = dataclasses.asdict(record)
    try:
        with path.open('a', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error


def _read(path: Path, kind: type[Record]) -> list[Record]:
    """Return the rows of an earlier part of the run; one that was cut is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    end = data.rfind(b'\n') + 1  # behind it is what a kill or a full disk has left of a row
    rows = list(csv.DictReader(io.StringIO(data[:end].decode(errors='replace'), newline='')))
    try:
        records = TypeAdapter(list[kind]).validate_python(rows)  # type: ignore[valid-type]  # class
    except ValidationError as error:
        raise UserError(
            f'{path} was not written by sac-ros finetune: {first_problem(error)}'
        ) from error
    if end < len(data):
        try:
            os.truncate(path, end)
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror}') from error
    return records
