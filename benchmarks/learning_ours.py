"""Our side of the benchmark: `sac-ros train` in a process of its own, then the exported file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from learning_results import Evaluation, Facts, Job, machine, write_curve, write_facts

from sac_ros.errors import UserError
from sim_training.checkpoint import has_checkpoint
from sim_training.progress_table import CSV, read_rows
from sim_training.rollout import FIRST_EVALUATION_SEED
from sim_training.run_file import RUN_FILE, library_versions, read_run_file
from sim_training.stop_signals import StopSignals

MODEL = 'final.onnx'
CLI = 'from sim_training.cli import main; main()'


def train_ours(job: Job, signals: StopSignals) -> None:
    """Train, or go on; write the curve, and when it is over the score of the exported file.

    Raises UserError, and SystemExit when a signal has stopped it: then the run is saved.
    """
    _check_length(job)
    job.facts.unlink(missing_ok=True)  # of a shorter training, which this one goes beyond
    if _steps_of_finished(job.run) < job.steps:
        try:
            run_sac_ros(_train_words(job), signals)
        finally:
            write_progress(job)
    write_progress(job)
    _score_file(job)


def write_progress(job: Job) -> None:
    """Write the evaluations of the run so far as a learning curve, if there are any."""
    curve = read_progress(job.run / CSV)
    if curve:
        write_curve(job.curve, curve)


def read_progress(path: Path) -> list[Evaluation]:
    """Return the evaluations in the table of a run; a line that was cut is left out."""
    curve, seconds, last = [], 0.0, 0.0
    for row in read_rows(path):
        step = row['step']
        if 'steps_per_second' in row:  # else no step was done since a row that is lost
            # seconds = sum of (steps since the row before) / (steps per second since then)
            seconds += (step - last) / row['steps_per_second']
            last = step
        if 'evaluation/return' in row:
            curve.append(Evaluation(int(step), row['evaluation/return'], seconds))
    return curve


def run_sac_ros(words: list[str], signals: StopSignals) -> None:
    """Run a command of sac-ros until it ends; a signal to us is handed on, so that it saves."""
    child = subprocess.Popen(
        [sys.executable, '-c', CLI, *words], stdout=subprocess.PIPE, text=True
    )
    told = False
    while True:
        try:
            output, _ = child.communicate(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            if signals.received is not None and not told:
                child.send_signal(signals.received)
                told = True
    if signals.received is not None:
        raise SystemExit(128 + signals.received)
    if child.returncode != 0:
        raise UserError(f'sac-ros {words[0]} ended with status {child.returncode}{_error(output)}')


def _check_length(job: Job) -> None:
    """Refuse to make a finished training longer where its steps have decided how it learns."""
    steps = _steps_of_finished(job.run)
    if 0 < steps < job.steps:
        for option, value in _ran(job)['sac'].items():
            if option.startswith('final_') and value is not None:
                raise UserError(
                    f'{job.run} was trained for {steps} steps, over which sac.{option} was '
                    f'approached; {job.steps} are another training: delete that folder and '
                    f'{job.curve.name}, or name other folders by --runs and --results'
                )


def _train_words(job: Job) -> list[str]:
    how = ['--resume'] if has_checkpoint(job.run) else ['--seed', job.seed, *_preset_words(job)]
    words = [
        'train', job.env, '--out', job.run, '--steps', job.steps,
        '--evaluate-every', job.evaluate_every, '--evaluation-episodes', job.episodes,
        '--threads', job.threads, *how, '--json',
    ]  # fmt: skip
    return [str(word) for word in words]


def _preset_words(job: Job) -> list[str]:
    assert job.preset is not None, job.name
    preset, *changes = job.preset.split('+')
    words = ['--preset', preset]
    for change in changes:
        option, _, value = change.partition('=')
        words.append(f'--sac.{option.replace("_", "-")}={value}')  # one word: it may be negative
    return words


def _error(output: str) -> str:
    """Return what a command has said of its failure, if it still could."""
    return f': {json.loads(output)["error"]}' if output else ''


def _ran(job: Job) -> dict[str, Any]:
    """Return the options of a run: those that it was begun with stay when it is gone on with."""
    command: dict[str, Any] = read_run_file(job.run)['command']  # type: ignore[assignment]
    return command


def _steps_of_finished(run: Path) -> int:
    """Return the steps of a run that is over; 0 for one that is not, or was never begun."""
    if not (run / RUN_FILE).exists():
        return 0
    result = read_run_file(run).get('result')
    return int(result['step']) if isinstance(result, dict) else 0


def _score_file(job: Job) -> None:
    from sim_training import evaluate, export  # torch, which would idle while the child trains
    from sim_training.evaluate import EvaluateCommand
    from sim_training.export import ExportCommand

    model = job.run / MODEL
    exported = export.main(ExportCommand(job.run, model, weights='final', episodes=job.episodes))
    scores = evaluate.main(EvaluateCommand(model, job.env, job.episodes, FIRST_EVALUATION_SEED))
    _write_facts(job, scores['return_mean'], exported['sha256'])


def _write_facts(job: Job, score: object, sha256: object) -> None:
    assert isinstance(score, float)
    commit, ran = read_run_file(job.run)['commit'], _ran(job)
    facts = Facts(
        steps=_steps_of_finished(job.run),
        evaluate_every=ran['evaluate_every'],
        episodes=ran['evaluation_episodes'],
        first_seed=FIRST_EVALUATION_SEED,
        threads=ran['threads'],
        machine=machine(),
        versions=library_versions(),
        settings=' '.join(_preset_words(job)),
        commit=None if commit is None else str(commit),
        exported=score,
        sha256=str(sha256),
    )
    write_facts(job, facts)
