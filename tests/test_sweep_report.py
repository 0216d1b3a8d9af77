"""Table and picture of a sweep, from outcomes that are written down here."""

import csv
import dataclasses
import io

import imageio.v3 as imageio
import pytest

from sim_training.sac_config import SACConfig
from sim_training.sweep_picture import draw_sweep
from sim_training.sweep_report import Outcome, result_table, to_csv
from sim_training.sweep_space import SPACE, USUAL, search_space, start_values

PANELS = search_space(['learning_rate', 'gamma'], SACConfig())
DEFAULTS = start_values(USUAL, SACConfig())


def outcome(trial: int, place: int | None, score: float | None, state: str = 'scored') -> Outcome:
    values = {**DEFAULTS, 'learning_rate': 1e-4 * (1 + trial)}
    reason = 'critic is nan, and more' if state == 'failed' else ''
    run = f'runs/sweep-reach/trial-{trial:04d}'
    return Outcome(trial, state, place, score, 500, -7.5, 40 + trial, run, values, reason)


def some() -> list[Outcome]:
    """Fourteen trials: the higher the number, the better; the default is on the last place."""
    scored = [outcome(trial, 12 - trial, 10.0 * trial) for trial in range(12)]
    return [*scored, outcome(12, None, None, 'stopped early'), outcome(13, None, None, 'failed')]


def test_the_table_shows_the_ten_best_and_where_the_default_is():
    lines = result_table(some()).splitlines()
    assert [line.split()[:3] for line in lines if line[:5].strip().isdigit()] == [
        *[[str(place), str(12 - place), f'{10.0 * (12 - place):.4g}'] for place in range(1, 11)],
        ['12', '0', '(default)'],
    ]
    assert max(map(len, lines)) <= 120
    assert result_table(some()[12:]) == 'no trial has a score yet'


def test_no_option_is_cut_however_many_are_searched():
    every = dataclasses.replace(some()[0], values=start_values(SPACE, SACConfig()))
    lines = result_table([every]).splitlines()
    assert '0 (default)' in lines[-1]
    assert not any('…' in line for line in lines)


def test_the_csv_has_a_row_for_each_trial_and_a_column_for_each_option():
    rows = list(csv.DictReader(io.StringIO(to_csv(some()).decode())))
    assert list(rows[0]) == [
        'trial', 'state', 'place', 'score', 'step', 'last_return', 'seed', 'run', *USUAL, 'reason',
    ]  # fmt: skip
    assert len(rows) == 14
    assert rows[3]['score'] == '30.0'
    assert rows[3]['hidden_sizes'] == '256 256'
    assert float(rows[3]['learning_rate']) == 4e-4
    assert (rows[13]['state'], rows[13]['score']) == ('failed', '')
    assert rows[13]['reason'] == 'critic is nan, and more'


COLOURS = {'default': (255, 127, 14), 'scored': (31, 119, 180), 'stopped early': (214, 39, 40)}


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        (some(), {'default', 'scored', 'stopped early'}),
        (some()[:1], {'default', 'scored'}),
        (some()[1:12], {'scored'}),
        (some()[12:], {'stopped early'}),
        ([], set()),
    ],
    ids=['all', 'default', 'scored', 'no score', 'nothing'],
)
def test_the_picture_shows_what_was_scored_and_what_was_stopped(
    found: list[Outcome], expected: set[str]
):
    pixels = imageio.imread(draw_sweep(found, PANELS, 'reach'), extension='.png')[..., :3]
    assert pixels.shape[:2] == (320, 1260)  # three panels in a row
    shown = {what for what, colour in COLOURS.items() if (pixels == colour).all(axis=2).any()}
    assert shown == expected
