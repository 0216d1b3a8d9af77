"""From the learning curves to the tables of RESULTS.md and a picture for each env."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from learning_goals import GOALS, OURS, SIDES, Goal, Published
from learning_picture import Group, draw_curves, title_of
from learning_results import (
    Evaluation,
    Facts,
    Job,
    first_above,
    lowest_from,
    read_all,
    read_facts,
    score_of,
)
from page import write_part

from sac_ros.files import write_atomic

PEER = 'sb3_sac'  # ours is compared with it
BEGIN = '<!-- written by: python benchmarks/learning.py report -->'
END = '<!-- end of what is written -->'
HEAD = (
    '| side | seeds | steps | final tenth: mean (min to max over seeds) | exported file '
    '| wall-clock | to where SB3 SAC ends | goal |\n|---|---|---|---|---|---|---|---|'
)
NO_CELLS = '| | | | | | |'

Trained = Mapping[Job, Sequence[Evaluation]]


def write_report(results: Path, page: Path) -> str:
    """Write pictures and tables of the curves in a folder; return the tables."""
    curves = read_all(results)
    sections, machines = [], set()
    for env in [*GOALS, *sorted({job.env for job in curves} - GOALS.keys())]:
        trained = {job: curve for job, curve in curves.items() if job.env == env}
        facts = {job: read_facts(job) for job in trained}
        machines |= {known.machine for known in facts.values() if known is not None}
        sections.append('\n'.join(_section(env, trained, facts)))
        if trained:
            picture = results / f'{env}.png'
            write_atomic(picture, draw_curves(env, _grouped(trained), GOALS.get(env)))
            link = os.path.relpath(picture, page.parent)
            sections.append(f'![learning curves of {env}]({link})')
    if machines:
        sections.append(f'Trained on: {"; ".join(sorted(machines))}.')
    text = '\n\n'.join(sections)
    write_part(page, BEGIN, END, text)
    return text


def _section(env: str, trained: Trained, facts: Mapping[Job, Facts | None]) -> Iterator[str]:
    goal = GOALS.get(env)
    yield f'### {env}\n'
    if goal is not None:
        yield _introduction(goal) + '\n'
    yield HEAD
    groups = _grouped(trained)
    peer = [
        score_of(curve)
        for job, curve in trained.items()
        if job.group == (PEER, None) and facts[job] is not None
    ]
    level = float(np.mean(peer)) if peer else None
    for side in SIDES:
        found = [group for group in groups if group[0] == side]
        for group in found:
            jobs = [job for job in trained if job.group == group]
            yield _row(jobs, groups[group], [facts[job] for job in jobs], level, goal)
        if not found:
            yield f'| {SIDES[side]} | not run yet {NO_CELLS}'


def _grouped(trained: Trained) -> dict[Group, list[Sequence[Evaluation]]]:
    """Return the curves of each side and preset, one for each seed."""
    groups: dict[Group, list[Sequence[Evaluation]]] = {}
    for job, curve in trained.items():
        groups.setdefault(job.group, []).append(curve)
    return groups


def _introduction(goal: Goal) -> str:
    published = '; '.join(_published(known) for known in goal.published)
    if goal.holds_from is None:
        how = f'{_number(goal.reach)} or more after {goal.steps:,} steps'
    else:
        how = (
            f'{_number(goal.reach)} from step {goal.holds_from:,} to step {goal.steps:,}, '
            'in every evaluation of every seed'
        )
    return f'To reach: {how}. Published: {published}.'


def _published(known: Published) -> str:
    return f'{known.who} {_number(known.figure)} after {known.steps:,} steps ({known.source})'


def _row(
    jobs: Sequence[Job],
    curves: Sequence[Sequence[Evaluation]],
    facts: Sequence[Facts | None],
    level: float | None,
    goal: Goal | None,
) -> str:
    group = jobs[0].group
    finals = [score_of(curve) for curve in curves]
    steps = sorted({curve[-1].step for curve in curves})
    mean, low, high = np.mean(finals), min(finals), max(finals)
    cells = [
        title_of(group),
        ', '.join(str(job.seed) for job in jobs),
        ' to '.join(f'{step:,}' for step in dict.fromkeys((steps[0], steps[-1]))),
        f'{_number(float(mean))} ({_number(low)} to {_number(high)})',
        _exported(group, facts),
        _wall_clock(curves, facts),
        '' if level is None else _way(curves, level),
        '' if goal is None else _verdict(goal, curves, facts),
    ]
    return f'| {" | ".join(cells)} |'


def _exported(group: Group, facts: Sequence[Facts | None]) -> str:
    if group[0] != OURS:
        return ''
    known = [None if each is None else each.exported for each in facts]
    scores = [score for score in known if score is not None]
    if len(scores) < len(facts):
        return 'not run yet'
    return f'{_number(float(np.mean(scores)))} ({_number(min(scores))} to {_number(max(scores))})'


def _wall_clock(curves: Sequence[Sequence[Evaluation]], facts: Sequence[Facts | None]) -> str:
    seconds = float(np.mean([curve[-1].seconds for curve in curves]))
    threads = sorted({known.threads for known in facts if known is not None})
    words = [f'{seconds / 60.0:.1f} min' if seconds < 7200.0 else f'{seconds / 3600.0:.1f} h']
    if threads:
        words.append(f'{" or ".join(map(str, threads))} thread{"s" if threads[-1] > 1 else ""}')
    return ', '.join(words)


def _way(curves: Sequence[Sequence[Evaluation]], level: float) -> str:
    """Return how long it took to reach a score for the first time, mean over the seeds."""
    found = [first_above(curve, level) for curve in curves]
    reached = [each for each in found if each is not None]
    if len(reached) < len(found):
        return f'{_number(level)} not reached by {len(found) - len(reached)} of {len(found)}'
    steps = float(np.mean([each.step for each in reached]))
    minutes = float(np.mean([each.seconds for each in reached])) / 60.0
    return f'{_number(level)}: {steps:,.0f} steps, {minutes:.1f} min'


def _verdict(
    goal: Goal, curves: Sequence[Sequence[Evaluation]], facts: Sequence[Facts | None]
) -> str:
    """Say whether the goal was reached, by trainings of its length and by their files."""
    known = [each for each in facts if each is not None]
    if len(known) < len(facts):
        return 'not finished'
    if {curve[-1].step for curve in curves} != {goal.steps}:
        return f'not at {goal.steps:,} steps'
    exported = [each.exported for each in known if each.exported is not None]
    is_file_good = not exported or float(np.mean(exported)) >= goal.reach
    if goal.holds_from is not None:
        lowest = min(lowest_from(curve, goal.holds_from) for curve in curves)
        if lowest < goal.reach:
            return f'not reached, lowest {_number(lowest)}'
    elif float(np.mean([score_of(curve) for curve in curves])) < goal.reach:
        return 'not reached'
    return 'reached' if is_file_good else 'not reached by the exported file'


def _number(value: float) -> str:
    return f'{value:.0f}' if abs(value) >= 1000.0 else f'{value:.1f}'
