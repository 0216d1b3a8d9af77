"""`sac-ros sweep`: search the options of training; a study that goes on, a table, a picture.

The loop is in sweep_loop.py, what is searched in sweep_space.py.
"""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace

import optuna

from sac_ros.files import write_atomic
from sim_training.env import make_env
from sim_training.run_folder import held
from sim_training.stop_signals import StopSignals
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_loop import Start, sweep
from sim_training.sweep_picture import draw_sweep
from sim_training.sweep_progress import SweepProgress
from sim_training.sweep_ray import RayTraining, joined_cluster
from sim_training.sweep_report import Outcome, outcomes, result_table, to_csv
from sim_training.sweep_space import Space, search_space, start_values, with_values
from sim_training.sweep_study import open_study
from sim_training.sweep_trial import LocalTraining
from sim_training.sweep_words import command_words
from sim_training.tasks import training_steps

TABLE = 'trials.csv'
PICTURE = 'sweep.png'


def main(command: SweepCommand) -> dict[str, object]:
    """Search as `command` says, or go on with the search in its folder; returns the trials.

    On Ctrl-C or SIGTERM the running trials are saved and SystemExit is raised with 128 + the
    signal.
    """
    make_env(command.task).close()  # what is wrong with it is said before anything is written
    command = replace(command, steps=command.steps or training_steps(command.task))
    space = search_space(command.options, command.sac)
    start = start_values(command.options, command.sac)
    with held(command.folder), _machines(command) as (parallel, begin), StopSignals() as signals:
        for path in command.folder.glob('.*.tmp'):  # of a sweep that was killed while it wrote
            path.unlink()
        study = open_study(command.folder, command.settings(), start)
        with SweepProgress(command.trials) as progress:
            sweep(study, space, command, parallel, begin, signals, progress)
        result = _report(study, space, command)
    if signals.received is not None:
        words = shlex.join(['sac-ros', *command_words('sweep', command)])
        ended = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        print(
            f'stopped after {ended} of {command.trials} trials and saved; to go on: {words}',
            file=sys.stderr,
        )
        raise SystemExit(128 + signals.received)
    return result


def describe(result: dict[str, object]) -> str:
    """Return the best trials for a terminal, and how to train the best setting once more."""
    each = result['each']
    assert isinstance(each, list)
    found = [Outcome(**row) for row in each]
    counts = ', '.join(f'{result[key]} {key.replace("_", " ")}' for key in COUNTS if result[key])
    lines = [f'{result["task"]}, {len(found)} trials: {counts}', result_table(found), '']
    lines += [f'table    {result["table"]}', f'picture  {result["picture"]}']
    if result['command'] is not None:
        lines += [
            'One seed for each trial is noise: train the best setting with seeds that it has not '
            f'seen.\n  {result["command"]}'
        ]
    return '\n'.join(lines)


COUNTS = ('scored', 'stopped_early', 'failed', 'unfinished')


@contextlib.contextmanager
def _machines(command: SweepCommand) -> Iterator[tuple[int, Start]]:
    """Give how many trials are trained at the same time, and what starts one."""
    if command.ray is None:
        yield command.parallel or 1, LocalTraining
        return
    with joined_cluster(command.ray) as processors:
        yield command.parallel or processors, RayTraining


def _report(study: optuna.Study, space: Space, command: SweepCommand) -> dict[str, object]:
    """Write table and picture; return what came out."""
    found = outcomes(study, command)
    table, picture = command.folder / TABLE, command.folder / PICTURE
    write_atomic(table, to_csv(found))
    title = f'{command.task}: {len(found)} trials of {command.steps} steps'
    write_atomic(picture, draw_sweep(found, space, title))
    best = next((outcome for outcome in found if outcome.place == 1), None)
    return {
        'task': command.task,
        'folder': str(command.folder),
        **{key: sum(o.state == key.replace('_', ' ') for o in found) for key in COUNTS},
        'best': None if best is None else best.trial,
        'best_score': None if best is None else best.score,
        'default_place': found[0].place,
        'table': str(table),
        'picture': str(picture),
        'command': None if best is None else _train_again(command, best, len(found)),
        'each': [asdict(outcome) for outcome in found],
    }


def _train_again(command: SweepCommand, best: Outcome, trials: int) -> str:
    """Return the command line that trains the best setting with a seed that no trial had."""
    number = max(command.trials, trials)  # fewer may be asked for than there are
    training = command.training(number, with_values(command.sac, best.values))
    folder = command.folder / f'best-{training.seed}'
    again = replace(training, task=command.task, out=folder)
    return shlex.join(['sac-ros', *command_words('train', again)])
