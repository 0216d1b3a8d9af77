"""What a run tells while it goes: a bar on stderr, progress.csv, TensorBoard, learning_curve.png.

What an update logs is in the docstring of sac.py; besides there are

    episode/return      mean of the sum of rewards over the training episodes since the last row
    evaluation/return   the same of the exported policy, over held-out episodes
    steps_per_second    environment steps over wall-clock time since the last row, evaluation too;
                        empty where no step was done (a run that is resumed at an evaluation)
"""

import time
from datetime import timedelta
from pathlib import Path

from rich.progress import MofNCompleteColumn, TextColumn
from torch.utils.tensorboard import SummaryWriter

from sac_ros.files import write_atomic
from sim_training.learning_curve import CURVE, draw_learning_curve
from sim_training.progress_table import CSV, HEADER, Row, read_rows, table_line
from sim_training.sac import Losses
from sim_training.terminal_bar import TerminalBar

REFRESH = 0.2  # [s] from one look of the bar to the next


class ProgressLog(TerminalBar):
    """The shown and the written progress of one run."""

    def __init__(self, folder: Path, title: str, first_step: int, last_step: int) -> None:
        """Go on behind `first_step`; what a run wrote behind it before it was killed goes."""
        super().__init__(
            MofNCompleteColumn(),
            TextColumn('{task.fields[rate]:.0f} steps/s, return {task.fields[reward_sum]:.1f}'),
        )
        self._folder = folder
        self._title = title
        self._last_step = last_step
        self._rows = [row for row in read_rows(folder / CSV) if row['step'] <= first_step]
        lines = [HEADER, *map(table_line, self._rows)]
        write_atomic(folder / CSV, ''.join(lines).encode())
        self._csv = (folder / CSV).open('a', encoding='utf-8')
        self._tensorboard = SummaryWriter(str(folder / 'tensorboard'), purge_step=first_step + 1)
        nan = float('nan')
        self._task = self._bar.add_task(
            title, total=last_step, completed=first_step, rate=nan, reward_sum=nan
        )
        self._next_refresh = 0.0
        self._row_time, self._row_step = time.monotonic(), first_step
        self._said_time, self._said_step = self._row_time, first_step  # of the last line
        self._drawn = -1  # rows in the learning curve that was written last

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._csv.close()
        self._tensorboard.close()

    def tick(self, step: int) -> None:
        """Move the bar, at most every REFRESH seconds."""
        if time.monotonic() >= self._next_refresh:
            self._bar.update(self._task, completed=step)
            self._next_refresh = time.monotonic() + REFRESH

    def add_row(self, row: dict[str, float]) -> None:
        """Write one row of metrics; those that are not in it stay empty."""
        now, step = time.monotonic(), int(row['step'])
        rate = float('nan')
        if step > self._row_step:  # a run that is resumed at an evaluation has done no step yet
            rate = (step - self._row_step) / (now - self._row_time)
            row = {**row, 'steps_per_second': rate}
        self._row_time, self._row_step = now, step
        self._rows.append(row)
        self._csv.write(table_line(row))
        self._csv.flush()
        for metric, value in row.items():
            if metric != 'step':
                self._tensorboard.add_scalar(metric, value, step)
        self._bar.update(self._task, completed=step, rate=rate)
        if 'episode/return' in row:
            self._bar.update(self._task, reward_sum=row['episode/return'])
        if 'evaluation/return' in row:
            seconds, steps = now - self._said_time, step - self._said_step
            self._said_time, self._said_step = now, step
            self.say(
                f'step {step} of {self._last_step}: return {row["evaluation/return"]:.1f}'
                + _speed(steps, seconds, self._last_step - step)
            )

    def draw(self) -> None:
        """Write the learning curve so far, if there is more of it than last time."""
        if self._drawn != len(self._rows):
            self._drawn = len(self._rows)
            write_atomic(self._folder / CURVE, draw_learning_curve(self._rows, self._title))


def update_metrics(losses: Losses) -> Row:
    """Return the numbers of an update by the names of sac.py."""
    critic, actor, temperature, alpha, entropy, value = map(float, losses)
    return {
        'loss/critic': critic, 'loss/actor': actor, 'loss/temperature': temperature,
        'alpha': alpha, 'entropy': entropy, 'value': value,
    }  # fmt: skip


def _speed(steps: int, seconds: float, ahead: int) -> str:
    """Return what a line says of the time; nothing where no step was done since the last one."""
    if steps == 0:
        return ''
    rate = steps / seconds  # [steps/s] from one evaluation to the next, with the evaluation
    return f', {rate:.0f} steps/s, {timedelta(seconds=round(ahead / rate))} left'
