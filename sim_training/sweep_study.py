"""The study of a sweep: what is tried next, and what came of the rest; kept in one journal file.

The journal is lines of JSON, each written to the disk before anything is done about it.  No
training here.
"""

import logging
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import Trial, TrialState

from sac_ros.errors import UserError
from sac_ros.files import write_atomic
from sim_training.sweep_space import Distribution, Space, Value, Values

JOURNAL = 'study.log'
NAME = 'sweep'
SETTINGS = 'settings'  # the attribute of the study that holds what must stay as it was
SCORED_FIRST = 5  # trials that are scored before one is stopped early
WARM_UP = 0.25  # share of the steps before which no trial is stopped: all begin with noise


def open_study(folder: Path, settings: Mapping[str, Value], start: Values) -> optuna.Study:
    """Return the study in `folder`, or a new one, whose first trial will be `start`.

    The folder must be held by the caller.  Raises UserError if the study there was begun with
    other settings, or is damaged.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    path = folder / JOURNAL
    _drop_cut_line(path)
    steps = settings['steps']
    assert isinstance(steps, int)
    try:
        backend = JournalFileBackend(str(path), lock_obj=_HeldFolder(str(path)))
        study = optuna.create_study(
            study_name=NAME,
            storage=JournalStorage(backend),
            direction='maximize',
            pruner=MedianPruner(SCORED_FIRST, n_warmup_steps=int(WARM_UP * steps)),
            load_if_exists=True,
        )
        stored = study.user_attrs.get(SETTINGS)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is damaged, or no study: {error}') from error
    if stored is None:
        study.set_user_attr(SETTINGS, dict(settings))
    else:
        _check_settings(folder, settings, stored)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(start))
    return study


def next_trial(
    study: optuna.Study, space: Space, seed: int, trials: int, running: Container[int]
) -> Trial | None:
    """Return a trial that is to be run, its values suggested; None if there are `trials` already.

    First come those that nobody runs any more, as the sweep was stopped or killed; `running` are
    the numbers of those that somebody does run.
    """
    all_trials = study.get_trials(deepcopy=False)
    for frozen in all_trials:
        if frozen.state == TrialState.RUNNING and frozen.number not in running:
            study.sampler = _sampler(seed, frozen.number)
            return _suggested(Trial(study, frozen._trial_id), space)
    is_waiting = any(trial.state == TrialState.WAITING for trial in all_trials)
    if len(all_trials) >= trials and not is_waiting:
        return None
    study.sampler = _sampler(seed, len(all_trials))
    return _suggested(study.ask(), space)


def reported_steps(study: optuna.Study, trial: Trial) -> set[int]:
    """Return the steps whose evaluation the study knows."""
    return set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)


class _HeldFolder(JournalFileOpenLock):
    """No lock of its own: the folder is held, and a lock file would outlive a killed sweep."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _sampler(seed: int, number: int) -> TPESampler:
    """Return the sampler of one trial.

    Each has its own seed: a sweep that was stopped would else begin again with the numbers that
    it has drawn already.
    """
    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own_seed)


def _suggested(trial: Trial, space: Space) -> Trial:
    """Suggest a value for each option; one that the trial has already stays."""
    for name, distribution in space.items():
        _suggest(trial, name, distribution)
    return trial


def _suggest(trial: Trial, name: str, distribution: Distribution) -> None:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
    else:
        trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def _check_settings(
    folder: Path, settings: Mapping[str, Value], stored: Mapping[str, Value]
) -> None:
    for name in sorted(settings.keys() | stored.keys()):
        new, old = settings.get(name), stored.get(name)
        if new != old:
            raise UserError(
                f'{name} is {new}; the sweep in {folder} was started with {old} and keeps it; '
                'for another, name another folder with --out'
            )


def _drop_cut_line(path: Path) -> None:
    """Drop a last line that a power cut has cut: with more behind it, nothing could be read."""
    if path.exists():
        data = path.read_bytes()
        whole = data[: data.rfind(b'\n') + 1]
        if whole != data:
            write_atomic(path, whole)
