"""The learning curves of one env as a PNG: mean and range over seeds.  Nothing is shown."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle

from learning_goals import SIDES, Goal
from learning_results import Curve, over_seeds
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

GREYS = ('0.35', '0.5', '0.65')  # of what others have published
LONGEST_LINE = 110  # characters of the legend that fit
HEIGHT = 4.0  # [inches] of the curves with title and axes
LINE_HEIGHT = 0.19  # [inches] of the legend

Group = tuple[str, str | None]  # a side and the preset of ours


def draw_curves(env: str, groups: Mapping[Group, Sequence[Curve]], goal: Goal | None) -> bytes:
    """Return a PNG; a line is the mean over the seeds, its band reaches from lowest to highest."""
    figure = Figure(dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        title=env, xlabel='environment steps', ylabel='return of the deterministic policy'
    )
    # No two lines of one colour: the larger set has pale ones too, so it is for many only.
    colours = colormaps['tab10' if len(groups) <= 10 else 'tab20'].colors
    for colour, (group, curves) in zip(cycle(colours), groups.items(), strict=False):
        step, mean, low, high = over_seeds(curves)
        seeds = f'{len(curves)} seed{"s" if len(curves) > 1 else ""}'
        label = f'{title_of(group)}, {seeds}'.replace('+', ' +')  # where it may be broken
        label = textwrap.fill(label, LONGEST_LINE, subsequent_indent='    ')
        axes.plot(step, mean, color=colour, label=label)
        axes.fill_between(step, low, high, color=colour, alpha=0.2, linewidth=0.0)
    if goal is not None:
        for shade, known in zip(GREYS, goal.published, strict=False):
            text = f'{known.who}: {known.figure:g} at {known.steps:,} steps ({known.source})'
            axes.axhline(known.figure, color=shade, linestyle='--', linewidth=1.0, label=text)
        axes.axhline(
            goal.reach, color='k', linestyle=':', linewidth=1.0, label=f'to reach: {goal.reach:g}'
        )
    axes.grid(alpha=0.3)
    labels = axes.get_legend_handles_labels()[1]
    lines = sum(1 + label.count('\n') for label in labels)
    figure.set_size_inches(8.0, HEIGHT + lines * LINE_HEIGHT)
    figure.legend(loc='outside lower center', fontsize='small')
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()


def title_of(group: Group) -> str:
    """Return what a side is called in tables and pictures."""
    side, preset = group
    return SIDES[side] if preset is None else f'{SIDES[side]} {preset}'
