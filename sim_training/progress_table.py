"""progress.csv, the table of a run: a row each 500 steps and at each evaluation."""

import csv
from collections.abc import Mapping
from pathlib import Path

from sac_ros.errors import UserError

CSV = 'progress.csv'
METRICS = (
    'step', 'episode/return', 'evaluation/return', 'loss/critic', 'loss/actor', 'loss/temperature',
    'alpha', 'entropy', 'value', 'steps_per_second',
)  # fmt: skip
HEADER = ','.join(METRICS) + '\n'

Row = Mapping[str, float]  # metric -> value; those that the table leaves empty are not in it


def table_line(row: Row) -> str:
    """Return a row as a line under HEADER."""
    return ','.join(f'{row[metric]:.10g}' if metric in row else '' for metric in METRICS) + '\n'


def read_rows(path: Path) -> list[Row]:
    """Return the whole rows of a table, also while it is written; none if there is no table.

    Raises UserError for what is not a table of a run.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding='utf-8', errors='replace')
    whole = text[: text.rfind('\n') + 1]  # behind it is what a kill has left of a row
    rows = csv.DictReader(whole.splitlines())
    try:
        return [_row(row) for row in rows]
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(
            f'{path}, line {rows.line_num}: not a row of numbers as sac-ros train writes it; '
            'with the file moved away the run goes on without its first rows'
        ) from error


def _row(texts: Mapping[str, str]) -> Row:
    row = {metric: float(text) for metric, text in texts.items() if text != ''}
    if 'step' not in row:
        raise KeyError('step')
    return row
