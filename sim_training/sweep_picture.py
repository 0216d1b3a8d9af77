"""The picture of a sweep as a PNG: the scores in their order, and against each option."""

import io
import math
from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from optuna.distributions import CategoricalDistribution

from sim_training.sweep_progress import value_text
from sim_training.sweep_report import Outcome
from sim_training.sweep_space import Distribution, Space

COLUMNS = 3
STYLES = (('scored', 'tab:blue', 'o'), ('stopped early', 'tab:red', 'x'))


def draw_sweep(found: Sequence[Outcome], space: Space, title: str) -> bytes:
    """Return a PNG; a trial that was stopped early stands at its last evaluation."""
    rows = math.ceil((1 + len(space)) / COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.2 * rows), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    history = figure.add_subplot(rows, COLUMNS, 1, xlabel='trial', ylabel='score')
    _draw_history(history, found)
    for place, (name, distribution) in enumerate(space.items(), start=2):
        axes = figure.add_subplot(rows, COLUMNS, place, xlabel=name, sharey=history)
        _draw_option(axes, name, distribution, found)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()


def _draw_history(axes: Axes, found: Sequence[Outcome]) -> None:
    _scatter(axes, [(outcome, float(outcome.trial)) for outcome in found])
    scored = [(outcome.trial, outcome.score) for outcome in found if outcome.score is not None]
    if scored:
        trials, scores = zip(*scored, strict=True)
        axes.step(trials, list(accumulate(scores, max)), where='post', label='best so far')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.has_data():
        axes.legend(fontsize='small')


def _draw_option(
    axes: Axes, name: str, distribution: Distribution, found: Sequence[Outcome]
) -> None:
    if isinstance(distribution, CategoricalDistribution):
        places = {value: float(i) for i, value in enumerate(distribution.choices)}
        axes.set_xticks(list(places.values()), [value_text(value) for value in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
        known = [outcome for outcome in found if name in outcome.values]
        _scatter(axes, [(outcome, places[outcome.values[name]]) for outcome in known])
        return
    axes.set_xscale('log' if distribution.log else 'linear')
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(distribution.low, distribution.high)
    numbers = [(outcome, outcome.values.get(name)) for outcome in found]
    _scatter(axes, [(o, float(number)) for o, number in numbers if number is not None])


def _scatter(axes: Axes, points: Sequence[tuple[Outcome, float]]) -> None:
    """Draw what each trial reached over a number."""
    for state, colour, marker in STYLES:
        shown = [(x, _height(outcome)) for outcome, x in points if outcome.state == state]
        if shown:
            across, up = zip(*shown, strict=True)
            axes.scatter(across, up, c=colour, marker=marker, label=state)
    default = [(x, _height(o)) for o, x in points if o.trial == 0 and o.state == 'scored']
    if default:
        axes.scatter(*default[0], 160.0, 'tab:orange', marker='*', label='default', zorder=3)


def _height(outcome: Outcome) -> float:
    value = outcome.last_return if outcome.score is None else outcome.score
    return math.nan if value is None else value
