"""From what fine-tuning came to, to the table of FINETUNING.md and a picture for each robot."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from page import write_part
from pydantic import TypeAdapter

from sac_ros.files import write_atomic

BEGIN = '<!-- written by: python benchmarks/finetuning.py report -->'
END = '<!-- end of what is written -->'
HEAD = (
    '| robot | seed | minutes | as trained | before | after | drop recovered | from scratch '
    '| trained there | missed periods | wrong commands | p99 |\n'
    '|---|---|---|---|---|---|---|---|---|---|---|---|'
)
SMOOTHED = 5  # episodes in one point of a picture, or a tenth of them if that is more


@dataclass(frozen=True)
class Outcome:
    """What a seed came to; mean returns and other figures, as FINETUNING.md names them."""

    nominal: float
    base: float
    tuned: float
    scratch: float
    minutes: float  # of the robot
    periods: int
    missed: int
    latency_ms: dict[str, float]  # p50, p99
    decisions: dict[str, int]
    physics: dict[str, object]
    commands: int | None = None  # heard by another process
    violations: int | None = None  # of these
    skilled: float | None = None  # return of what was trained there as long as the model was

    @property
    def recovered(self) -> float:
        """Return which part of the drop from the robot of training was made good."""
        return (self.tuned - self.base) / (self.nominal - self.base)


OUTCOME = TypeAdapter(Outcome)


def write_report(results: Path, page: Path, robots: Sequence[str]) -> None:
    """Write pictures and table of what is in a folder.  Raises UserError."""
    rows, pictures = [], []
    for robot in robots:
        found = {
            int(path.stem.rpartition('-')[2]): OUTCOME.validate_json(path.read_bytes())
            for path in sorted(results.glob(f'{robot}-*.json'))
        }
        rows += list(_rows(robot, found))
        if found:
            picture = results / f'{robot}.png'
            write_atomic(picture, _draw(robot, results, found))
            pictures.append(f'![returns of {robot}]({os.path.relpath(picture, page.parent)})')
    write_part(page, BEGIN, END, '\n\n'.join(['\n'.join([HEAD, *rows]), *pictures]))


def _rows(robot: str, found: Mapping[int, Outcome]) -> Iterator[str]:
    if not found:
        yield f'| {robot} | not run yet | | | | | | | | | | |'
    for seed, outcome in found.items():
        cells = (
            robot,
            seed,
            f'{outcome.minutes:.1f}',
            *(f'{value:.1f}' for value in (outcome.nominal, outcome.base, outcome.tuned)),
            f'{100 * outcome.recovered:.0f} %',
            f'{outcome.scratch:.1f}',
            '' if outcome.skilled is None else f'{outcome.skilled:.1f}',
            f'{outcome.missed} of {outcome.periods}',
            '' if outcome.commands is None else f'{outcome.violations} of {outcome.commands}',
            f'{outcome.latency_ms["p99"]:.2f} ms',
        )
        yield f'| {" | ".join(map(str, cells))} |'


def _draw(robot: str, results: Path, found: Mapping[int, Outcome]) -> bytes:
    """Return a PNG: the returns of the robot while it learns, smoothed, one line for each seed."""
    figure = Figure(figsize=(8.0, 4.5), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        title=f'{robot}: return with exploration, smoothed; without, at the end',
        xlabel='time of the robot [min]',
        ylabel='return (sum of rewards)',
    )
    for seed, outcome in found.items():
        with (results / f'{robot}-{seed}.csv').open(encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        minutes, returns = (
            np.array([float(row[name]) for row in rows]) for name in ('minutes', 'reward_sum')
        )
        count = min(max(SMOOTHED, len(returns) // 10), len(returns))
        means = np.convolve(returns, np.ones(count) / count, mode='valid')
        label = f'seed {seed}, mean of {count} episodes'
        (line,) = axes.plot(minutes[count - 1 :], means, label=label)
        axes.plot(minutes[-1], outcome.tuned, 'o', color=line.get_color(), clip_on=False)
    first = next(iter(found.values()))
    for value, text, style in (
        (first.nominal, 'as trained', '-.'),
        (first.base, 'before', ':'),
    ):
        axes.axhline(value, color='k', linestyle=style, linewidth=1.0, label=text)
    scratch = np.mean([outcome.scratch for outcome in found.values()])
    axes.axhline(scratch, color='0.5', linestyle='--', linewidth=1.0, label='from scratch, mean')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()
