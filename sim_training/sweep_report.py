"""What came of a sweep: a row for each trial, as a table to read and as trials.csv."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from sim_training.sweep_command import SweepCommand
from sim_training.sweep_loop import REASON
from sim_training.sweep_progress import value_text
from sim_training.sweep_space import Value

STATES = {
    TrialState.COMPLETE: 'scored',
    TrialState.PRUNED: 'stopped early',
    TrialState.FAIL: 'failed',
    TrialState.RUNNING: 'unfinished',
    TrialState.WAITING: 'unfinished',
}
SHOWN = 10  # of the best trials
LARGEST_WIDTH = 500  # [characters] of the table: all options; the usual ones fit into 120


@dataclass(frozen=True)
class Outcome:
    """What came of one trial."""

    trial: int  # its number; 0 is the setting that the others were to beat
    state: str  # of STATES
    place: int | None  # among the scored ones, from 1
    score: float | None  # mean of the final evaluations
    step: int  # of the last evaluation
    last_return: float | None  # of that
    seed: int
    run: str  # its folder
    values: Mapping[str, Value]
    reason: str  # why it failed


def outcomes(study: optuna.Study, command: SweepCommand) -> list[Outcome]:
    """Return what came of every trial, in the order of their numbers."""
    trials = study.get_trials(deepcopy=False)
    scored = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    order = sorted(scored, key=lambda trial: -(trial.value or 0.0))
    places = {trial.number: place for place, trial in enumerate(order, start=1)}
    found = []
    for trial in trials:
        number = trial.number
        training = command.training(number, command.sac)
        step = trial.last_step
        found.append(
            Outcome(
                number,
                STATES[trial.state],
                places.get(number),
                trial.value if number in places else None,
                step or 0,
                None if step is None else trial.intermediate_values[step],
                training.seed,
                str(training.folder),
                trial.params,
                str(trial.user_attrs.get(REASON, '')),
            )
        )
    return found


def to_csv(found: Sequence[Outcome]) -> bytes:
    """Return the outcomes as CSV, an option in each of the last columns but one."""
    options = list(dict.fromkeys(name for outcome in found for name in outcome.values))
    rows = [{**asdict(outcome), **outcome.values} for outcome in found]
    names = [name for name in Outcome.__dataclass_fields__ if name not in ('values', 'reason')]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [*names, *options, 'reason'], extrasaction='ignore', lineterminator='\n'
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def result_table(found: Sequence[Outcome]) -> str:
    """Return the best trials and the first one, the default, as a table for a terminal."""
    scored = sorted((o for o in found if o.place is not None), key=lambda o: o.place or 0)
    shown = [outcome for outcome in scored if (outcome.place or 0) <= SHOWN or outcome.trial == 0]
    if not shown:
        return 'no trial has a score yet'
    options = list(shown[0].values)
    table = Table(box=None, pad_edge=False)
    for name in ('place', 'trial', 'score', *options):
        table.add_column(name.replace('_', '\n'), justify='right', no_wrap=True)
    for outcome in shown:
        trial = '0 (default)' if outcome.trial == 0 else str(outcome.trial)
        values = [value_text(outcome.values[name]) for name in options]
        table.add_row(str(outcome.place), trial, f'{outcome.score:.4g}', *values)
    console = Console(width=LARGEST_WIDTH, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return '\n'.join(line.rstrip() for line in captured.get().splitlines())
