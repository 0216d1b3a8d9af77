"""The report of the benchmark of learning: means worked out by hand, and bad files."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sac_ros.errors import UserError

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))  # where its parts find each other

import learning  # noqa: E402
from learning_results import (  # noqa: E402
    Evaluation,
    Facts,
    Job,
    lowest_from,
    over_seeds,
    read_facts,
    score_of,
    write_curve,
    write_facts,
)

PENDULUM = 'Pendulum-v1'


def call(*words: object) -> int:
    return learning.main([str(word) for word in words])


def page_of(folder: Path) -> Path:
    page = folder / 'RESULTS.md'
    page.write_text(
        'By hand.\n\n<!-- written by: python benchmarks/learning.py report -->\nold\n'
        '<!-- end of what is written -->\n\nMore by hand.\n'
    )
    return page


def make_facts(**overrides: object) -> Facts:
    facts = Facts(
        steps=10_000, evaluate_every=5_000, episodes=100, first_seed=1, threads=1,
        machine='one machine', versions={}, settings='',
    )  # fmt: skip
    return replace(facts, **overrides)  # type: ignore[arg-type]


def line_of(text: str, env: str, side: str) -> list[str]:
    """Return the cells of a side's row in the table of an env."""
    section = text.split(f'### {env}\n')[1].split('\n### ')[0]
    row = next(line for line in section.splitlines() if line.startswith(f'| {side} |'))
    return [cell.strip() for cell in row.split('|')[1:-1]]


def test_the_score_of_a_training_is_the_mean_of_its_final_tenth() -> None:
    curve = [Evaluation(5_000 * n, float(n), 0.0) for n in range(1, 41)]
    assert score_of(curve) == (37 + 38 + 39 + 40) / 4
    assert score_of(curve[:2]) == 2.0
    assert score_of(curve[:11]) == (10 + 11) / 2  # the tenth of 11, rounded up
    assert lowest_from(curve, 100_000) == 20.0


def test_seeds_are_compared_where_all_were_evaluated() -> None:
    first = [Evaluation(100, 1.0, 0.0), Evaluation(200, 5.0, 0.0), Evaluation(300, 9.0, 0.0)]
    second = [Evaluation(100, 3.0, 0.0), Evaluation(200, -1.0, 0.0)]
    np.testing.assert_array_equal(
        over_seeds([first, second]), [[100, 200], [2.0, 2.0], [1.0, -1.0], [3.0, 5.0]]
    )


def test_the_report_has_the_means_of_the_curves_and_keeps_what_was_written_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, page = tmp_path / 'results', page_of(tmp_path)
    for seed, last, seconds in ((0, -150.0, 60.0), (1, -140.5, 120.0), (2, -160.0, 240.0)):
        job = Job(PENDULUM, 'sac_ros', 'crossq', seed, results=results)
        write_curve(
            job.curve, [Evaluation(5_000, -900.0, 30.0), Evaluation(10_000, last, seconds)]
        )
        write_facts(job, make_facts(exported=last - 1.0, threads=2))
    peer = Job(PENDULUM, 'sb3_sac', None, 0, results=results)
    write_curve(peer.curve, [Evaluation(5_000, -1300.0, 8_000.0)])
    pole = Job('InvertedPendulum-v5', 'sac_ros', 'sac', 0, results=results)
    scores = [(5_000, 20.0), (10_000, 1000.0), (25_000, 907.0), (50_000, 1000.0)]
    write_curve(pole.curve, [Evaluation(step, score, 90.0) for step, score in scores])
    write_facts(pole, make_facts(exported=1000.0, steps=50_000))

    assert call('report', '--results', results, '--page', page) == 0
    text = page.read_text()
    assert text.startswith('By hand.\n\n<!-- written by')
    assert text.endswith('<!-- end of what is written -->\n\nMore by hand.\n')
    assert '\nold\n' not in text
    # mean(-150, -140.5, -160) = -150.17; mean of 1, 2 and 4 minutes = 2.33
    assert line_of(text, PENDULUM, 'sac_ros crossq') == [
        'sac_ros crossq', '0, 1, 2', '10,000', '-150.2 (-160.0 to -140.5)',
        '-151.2 (-161.0 to -141.5)', '2.3 min, 2 threads', '', 'reached',
    ]  # fmt: skip
    assert line_of(text, PENDULUM, 'SB3 SAC') == [
        'SB3 SAC', '0', '5,000', '-1300 (-1300 to -1300)', '', '2.2 h', '', 'not finished',
    ]  # fmt: skip
    assert line_of(text, PENDULUM, 'SB3 TD3') == ['SB3 TD3', 'not run yet', *6 * ['']]
    assert line_of(text, 'InvertedPendulum-v5', 'sac_ros sac') == [
        'sac_ros sac', '0', '50,000', '1000 (1000 to 1000)', '1000 (1000 to 1000)',
        '1.5 min, 1 thread',
        '', 'not reached, lowest 907.0',
    ]  # fmt: skip
    assert line_of(text, 'Hopper-v5', 'sac_ros') == ['sac_ros', 'not run yet', *6 * ['']]
    assert 'To reach: -155.0 or more after 10,000 steps. Published: SAC -157.0 after' in text
    assert 'Trained on: one machine.' in text
    assert '![learning curves of Pendulum-v1](results/Pendulum-v1.png)' in text
    assert (results / 'Pendulum-v1.png').read_bytes().startswith(b'\x89PNG')
    assert 'Hopper-v5.png' not in text
    assert capsys.readouterr().out in text.replace('<!-- end', '\n<!-- end')

    again = page.read_bytes()
    assert call('report', '--results', results, '--page', page) == 0
    assert page.read_bytes() == again


def test_who_never_gets_to_where_the_peer_ends_is_told(tmp_path: Path) -> None:
    results, page = tmp_path / 'results', page_of(tmp_path)
    for side, preset, seed, score in (
        ('sac_ros', 'sac', 0, 900.0),
        ('sac_ros', 'sac', 1, 1100.0),
        ('sb3_sac', None, 0, 1000.0),
    ):
        curve = [Evaluation(5_000, 50.0, 60.0), Evaluation(10_000, score, 120.0)]
        job = Job('Hopper-v5', side, preset, seed, results=results)
        write_curve(job.curve, curve)
        write_facts(job, make_facts())
    assert call('report', '--results', results, '--page', page) == 0
    cells = line_of(page.read_text(), 'Hopper-v5', 'sac_ros sac')
    assert cells[-2] == '1000 not reached by 1 of 2'
    cells = line_of(page.read_text(), 'Hopper-v5', 'SB3 SAC')
    assert cells[-2] == '1000: 10,000 steps, 2.0 min'


def test_the_goal_is_missed_by_a_mean_below_it(tmp_path: Path) -> None:
    results, page = tmp_path / 'results', page_of(tmp_path)
    for seed, score in ((0, 3500.0), (1, 2490.0)):  # mean 2995
        job = Job('Hopper-v5', 'sac_ros', 'flash+tau=0.01', seed, results=results)
        write_curve(job.curve, [Evaluation(200_000, score, 1.0)])
        write_facts(job, make_facts(steps=200_000, exported=3_100.0))
    assert call('report', '--results', results, '--page', page) == 0
    cells = line_of(page.read_text(), 'Hopper-v5', 'sac_ros flash+tau=0.01')
    assert cells[3] == '2995 (2490 to 3500)'
    assert cells[-1] == 'not reached'


@pytest.mark.parametrize(
    ('exported', 'verdict'), [(3_000.0, 'reached'), (2_990.0, 'not reached by the exported file')]
)
def test_the_goal_is_for_the_exported_file_too(
    tmp_path: Path, exported: float, verdict: str
) -> None:
    results, page = tmp_path / 'results', page_of(tmp_path)
    job = Job('Hopper-v5', 'sac_ros', 'flash', 0, results=results)
    write_curve(job.curve, [Evaluation(200_000, 3_500.0, 1.0)])
    write_facts(job, make_facts(steps=200_000, exported=exported))
    assert call('report', '--results', results, '--page', page) == 0
    assert line_of(page.read_text(), 'Hopper-v5', 'sac_ros flash')[-1] == verdict


def test_the_page_that_ships_can_be_written_without_a_curve(tmp_path: Path) -> None:
    page = tmp_path / 'RESULTS.md'
    shutil.copy(BENCHMARKS / 'RESULTS.md', page)
    assert call('report', '--results', tmp_path, '--page', page) == 0
    assert page.read_text().count('not run yet') >= 30


@pytest.mark.parametrize(
    ('name', 'content', 'text'),
    [
        ('sb3_sac-0.csv', 'step,score\n', "begins with 'step,score'; needed: 'step,return,sec"),
        ('sb3_sac-0.csv', 'step,return,seconds\n1,nan,2\n', "line 2 is '1,nan,2'; needed: three"),
        ('sb3_sac-0.csv', 'step,return,seconds\n5,1,2\n5,1,3\n', "line 3 is '5,1,3'; needed: th"),
        ('sb3_sac-0.csv', 'step,return,seconds\n5,1\n', "line 2 is '5,1'; needed: three finite"),
        ('sb3_sac-0.csv', '', "begins with ''; needed: 'step,return,seconds'"),
        ('sb3_a2c-0.csv', '', 'needed is the name sac_ros-<preset>-<seed>.csv, or <side>-<seed>'),
        ('sac_ros-0.csv', '', 'needed is the name sac_ros-<preset>-<seed>.csv, or <side>-<seed>'),
        ('notes.csv', '', 'needed is the name sac_ros-<preset>-<seed>.csv, or <side>-<seed>'),
    ],
)
def test_a_bad_file_among_the_results_is_told_in_one_line(
    name: str, content: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'results' / 'Hopper-v5' / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    words = ('report', '--results', tmp_path / 'results', '--page', page_of(tmp_path))
    assert call(*words) == 1
    found = capsys.readouterr().err
    assert text in found
    assert str(path) in found
    assert found.count('\n') == 1


def test_bad_facts_are_told_in_one_line(tmp_path: Path) -> None:
    job = Job(PENDULUM, 'sb3_sac', None, 0, results=tmp_path)
    write_facts(job, make_facts())
    facts = json.loads(job.facts.read_text())
    job.facts.write_text(json.dumps({**facts, 'steps': 'many'}))
    with pytest.raises(UserError, match=r'sb3_sac-0.json: steps: Input should be a valid integer'):
        read_facts(job)


def test_a_page_without_a_place_for_the_tables_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / 'page.md'
    page.write_text('By hand.\n')
    assert call('report', '--results', tmp_path, '--page', page) == 1
    assert 'page.md: the tables go between the lines' in capsys.readouterr().err
    assert page.read_text() == 'By hand.\n'
    assert call('report', '--results', tmp_path, '--page', tmp_path / 'none.md') == 1
    assert 'none.md cannot be read' in capsys.readouterr().err
