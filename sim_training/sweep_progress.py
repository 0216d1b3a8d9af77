"""What a sweep tells while it goes: lines and, on a terminal, a bar on standard error."""

from collections.abc import Iterable

import optuna
from optuna.trial import TrialState
from rich.progress import TextColumn

from sim_training.sweep_space import Value, Values
from sim_training.terminal_bar import TerminalBar


class SweepProgress(TerminalBar):
    """The shown progress of one sweep."""

    def __init__(self, trials: int) -> None:
        super().__init__(
            TextColumn('{task.completed:.1f} of {task.total} trials, best {task.fields[best]}')
        )
        self._trials = trials
        self._task = self._bar.add_task('sweep', total=trials, best='-')

    def begins(self, number: int, values: Values, step: int) -> None:
        """Tell that a trial begins, or goes on if it was evaluated at a step before."""
        settings = ', '.join(f'{name} {value_text(value)}' for name, value in values.items())
        verb = f'goes on from about step {step}' if step else 'begins'
        self.say(f'trial {number} of {self._trials} {verb}: {settings}')

    def scored(self, study: optuna.Study, number: int) -> None:
        """Tell the score of a trial, and whether it is the best so far."""
        score, best = study.get_trials(deepcopy=False)[number].value, study.best_trial
        place = 'the best so far' if best.number == number else f'best: trial {best.number}'
        self.say(f'trial {number}: score {score:.4g}, {place}')

    def show(self, study: optuna.Study, shares: Iterable[float]) -> None:
        """Move the bar: trials that have ended, and the shares of those that run."""
        trials = study.get_trials(deepcopy=False)
        ended = sum(trial.state.is_finished() for trial in trials)
        scores = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
        best = max((score for score in scores if score is not None), default=None)
        self._bar.update(
            self._task, completed=ended + sum(shares), best='-' if best is None else f'{best:.4g}'
        )


def value_text(value: Value) -> str:
    """Return a value for people to read."""
    return f'{value:.4g}' if isinstance(value, float) else str(value)
