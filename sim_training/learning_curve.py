"""The learning curve of a run as a PNG.  Nothing is shown on a screen."""

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim_training.progress_table import Row

CURVE = 'learning_curve.png'


def draw_learning_curve(rows: Sequence[Row], title: str) -> bytes:
    """Return a PNG of training and evaluation returns over environment steps."""
    figure = Figure(figsize=(8.0, 4.5), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        title=title, xlabel='environment steps', ylabel='return (sum of rewards)'
    )
    for metric, label, style in (
        ('episode/return', 'training episodes', {'color': 'tab:gray', 'linewidth': 1.0}),
        ('evaluation/return', 'deterministic policy', {'color': 'tab:blue', 'marker': 'o'}),
    ):
        points = [(row['step'], row[metric]) for row in rows if metric in row]
        if points:
            steps, returns = zip(*points, strict=True)
            axes.plot(steps, returns, label=label, **style)
    if axes.has_data():
        axes.legend()
    axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()
