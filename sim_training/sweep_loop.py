"""The loop of a sweep: start trials, look at them, stop the poor ones, tell what came of each.

Where a trial is trained is not known here: `start` does that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.trial import Trial, TrialState

from sac_ros.errors import UserError
from sim_training.rollout import final_score
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_progress import SweepProgress
from sim_training.sweep_space import Space, with_values
from sim_training.sweep_study import next_trial, reported_steps
from sim_training.sweep_trial import Look, Training
from sim_training.train_command import TrainCommand

Start = Callable[[TrainCommand], Training]

LOOK_PERIOD = 0.5  # [s]
STOP_TIMEOUT = 120.0  # [s] for all trainings to save
FAILURES = 3  # so many in a row at the beginning: it is not the options that are wrong
ATTEMPTS = 3  # for a training that is killed by something else than us
REASON = 'reason'  # the attribute of a trial that says why it failed
SIGNAL = 128  # exit statuses from here on are those of a process that a signal has ended


@dataclass
class _Running:
    """A trial that is being trained."""

    trial: Trial
    command: TrainCommand
    training: Training
    reported: set[int]  # steps whose evaluation the study knows
    is_pruned: bool = False
    attempts: int = 1


def sweep(
    study: optuna.Study,
    space: Space,
    command: SweepCommand,
    parallel: int,
    start: Start,
    should_stop: Callable[[], bool],
    progress: SweepProgress,
) -> None:
    """Run trials until there are `command.trials`, or a stop.

    What still runs then is asked to save; the study knows it as running, and the next call takes
    it up.  Raises UserError when the first trials fail, or nothing can be written.
    """
    running: list[_Running] = []
    failures = 0
    try:
        while not should_stop():
            while len(running) < parallel:
                numbers = {one.trial.number for one in running}
                trial = next_trial(study, space, command.seed, command.trials, numbers)
                if trial is None:
                    break
                running.append(_begin(study, trial, command, start, progress))
            if not running:
                return
            for one in list(running):
                look = one.training.look()
                _report(one, look)
                if look.status is not None and not _is_retried(one, look, start, progress):
                    running.remove(one)
                    one.training.close()
                    failures += _tell(study, one, look, progress)
            _check_beginning(study, failures)
            progress.show(study, [_share(one) for one in running])
            time.sleep(LOOK_PERIOD)
    except OSError as error:
        raise UserError(
            f'the sweep in {command.folder} cannot go on: {error.strerror}; put that right and '
            'type the same command line again'
        ) from error
    finally:
        _end(running, progress)


def _begin(
    study: optuna.Study,
    trial: Trial,
    command: SweepCommand,
    start: Start,
    progress: SweepProgress,
) -> _Running:
    reported = reported_steps(study, trial)
    progress.begins(trial.number, trial.params, max(reported, default=0))
    training = command.training(trial.number, with_values(command.sac, trial.params))
    return _Running(trial, training, start(training), reported)


def _report(one: _Running, look: Look) -> None:
    """Tell the study what is new, and stop the training if the others were better by then."""
    news = sorted(look.evaluations.keys() - one.reported)
    for step in news:
        one.trial.report(look.evaluations[step], step)
    one.reported.update(news)
    # After the last evaluation it only saves.
    is_over = look.status is not None or _share(one) >= 1.0
    if news and not is_over and not one.is_pruned and one.trial.should_prune():
        one.is_pruned = True
        one.training.stop()


def _is_retried(one: _Running, look: Look, start: Start, progress: SweepProgress) -> bool:
    """Begin a training again that was killed from outside; return whether that was so."""
    was_killed = look.status is not None and (look.status < 0 or look.status >= SIGNAL)
    if not was_killed or one.is_pruned or one.attempts == ATTEMPTS:
        return False
    progress.say(f'trial {one.trial.number} was killed ({_reason(look)}): it is taken up again')
    one.training.close()
    one.training = start(one.command)
    one.attempts += 1
    return True


def _tell(study: optuna.Study, one: _Running, look: Look, progress: SweepProgress) -> int:
    """Write down what came of a training that has ended; return 1 if it failed, else 0."""
    number = one.trial.number
    if look.status == 0 and look.evaluations:
        returns = [look.evaluations[step] for step in sorted(look.evaluations)]
        study.tell(number, final_score(returns))
        progress.scored(study, number)
        return 0
    if one.is_pruned:
        study.tell(number, state=TrialState.PRUNED)
        progress.say(f'trial {number} was stopped early, at step {max(one.reported)}')
        return 0
    one.trial.set_user_attr(REASON, _reason(look))
    study.tell(number, state=TrialState.FAIL)
    progress.say(f'trial {number} failed: {_reason(look)}')
    return 1


def _check_beginning(study: optuna.Study, failures: int) -> None:
    """Raise UserError if nothing but failures has been seen."""
    if failures < FAILURES:
        return
    trials = study.get_trials(deepcopy=False)
    if not any(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials):
        failed = [trial for trial in trials if trial.state == TrialState.FAIL]
        raise UserError(
            f'the first {failures} trials failed, the last one: {failed[-1].user_attrs[REASON]}'
        )


def _reason(look: Look) -> str:
    """Return in one line why a training has ended."""
    if look.status is not None and look.status < 0:
        return f'signal {-look.status}; it last said: {look.last_line}'
    return look.last_line.removeprefix('sac-ros: ')


def _share(one: _Running) -> float:
    """Return how much of a training has been evaluated, 0 to 1."""
    return max(one.reported, default=0) / (one.command.steps or 1)


def _end(running: list[_Running], progress: SweepProgress) -> None:
    """Let every training save and end."""
    if running:
        progress.say(f'saving {len(running)} running trials')
    for one in running:
        one.training.stop()
    deadline = time.monotonic() + STOP_TIMEOUT
    for one in running:
        while one.training.look().status is None and time.monotonic() < deadline:
            time.sleep(LOOK_PERIOD / 10.0)
        one.training.close()
