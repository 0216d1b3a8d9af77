"""`sac-ros train`: the loop of soft actor-critic, from random actions to a saved run.

What a step learns is in sac.py, what is kept of a run in run_state.py.
"""

import contextlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import gymnasium
import numpy as np
import torch
from torch._dynamo.exc import TorchDynamoException

from sac_ros.errors import UserError, WriteError
from sim_training.checkpoint import check_has_checkpoint
from sim_training.collector import make_collector
from sim_training.compiler import compiler_refusal, why_not_compiled
from sim_training.env import make_env
from sim_training.learning_curve import CURVE
from sim_training.progress import ProgressLog, update_metrics
from sim_training.replay_buffer import Batch, sample_shares
from sim_training.return_scale import LARGEST_SCALE
from sim_training.rollout import evaluate
from sim_training.run_file import write_run_file
from sim_training.run_folder import held
from sim_training.run_state import Run, new_run, resume_run, save_best, save_run
from sim_training.sac_state import check_learning
from sim_training.stop_signals import StopSignals
from sim_training.tasks import training_steps
from sim_training.train_command import COMPILED_FROM, TrainCommand

ROW_EVERY = 500  # steps from one row of progress.csv to the next
AT_ONCE = 100  # updates of which the batches are held in memory
OUTLIER = 100.0  # a return that is so many times larger than all before it is told


def main(command: TrainCommand) -> dict[str, object]:
    """Train as `command` says; returns the scores and where the run is.

    On Ctrl-C or SIGTERM the run is saved and SystemExit is raised with 128 + the signal.
    """
    with StopSignals() as signals:
        env, evaluation_env = make_env(command.task), make_env(command.task)
        try:
            result = train(env, evaluation_env, command, signals)
        finally:
            env.close()
            evaluation_env.close()
    if signals.received is not None:
        words = ['sac-ros', 'train', command.task, '--out', str(command.folder), '--resume']
        print(
            f'stopped at step {result["step"]} and saved; to go on: {shlex.join(words)}',
            file=sys.stderr,
        )
        raise SystemExit(128 + signals.received)
    return result


def train(
    env: gymnasium.Env,
    evaluation_env: gymnasium.Env,
    command: TrainCommand,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, object]:
    """Train in `env` until `steps` or a stop, and save; returns the scores.

    With several envs (--envs), `env` only tells what they are like: they are made from the task.
    Raises UserError, which says what checkpoint there is when something fails on the way.
    """
    if command.resume:
        check_has_checkpoint(command.folder)  # before anything is written there
    with held(command.folder):
        run = resume_run(command, env) if command.resume else new_run(_filled(command), env)
        torch.set_num_threads(run.command.threads)
        if run.command.compile:
            _compile(run)
        with contextlib.closing(_collector(run, env)) as collector:
            if not command.resume:
                save_run(run)  # killed from here on, it can be resumed; and a full disk is noticed
            write_run_file(run.folder, run.command)
            try:
                _advance(run, collector, evaluation_env, should_stop)
            except (UserError, OSError, TorchDynamoException) as error:
                # A Ctrl-C ends a compiler that runs for us too: no failure, only a stop.
                if should_stop() and isinstance(error, TorchDynamoException):
                    return {**_result(run), 'step': run.saved_step}
                where = f'{run.command.task}, step {run.counters.step}'
                failure = f'{where}: {_text(error)}'
                with contextlib.suppress(WriteError):  # a full disk may be what it failed from
                    write_run_file(run.folder, run.command, failure=failure)
                raise UserError(f'{failure}; {run.kept}') from error
        result = _result(run)
        write_run_file(run.folder, run.command, None if should_stop() else result)
    return result


def _compile(run: Run) -> None:
    try:
        run.agent.compile()
    except UserError as error:
        raise UserError(f'{error}; --compile False does without') from error


class Collects(Protocol):
    """What brings a run its transitions: collector.py, or ray_collectors.py."""

    def collect(self, run: Run) -> None:
        """Add the next transitions to the replay and to the counters of a run."""

    def close(self) -> None:
        """End what was started for it."""


def _collector(run: Run, env: gymnasium.Env) -> Collects:
    """Return what plays the envs of a run, here or on a cluster."""
    if run.command.ray is None:
        return make_collector(run, env)
    from sim_training.ray_collectors import RayCollectors  # ray is not everybody's

    count = run.command.envs if run.command.envs > 1 else None
    return RayCollectors(run.command.ray, count)


def _advance(
    run: Run,
    collector: Collects,
    evaluation_env: gymnasium.Env,
    should_stop: Callable[[], bool],
) -> None:
    """Take the steps that are left, and save."""
    command, counters, steps = run.command, run.counters, run.steps
    with ProgressLog(run.folder, command.task, counters.step, steps) as log:
        is_due = _crossed(command.evaluate_every, counters.evaluation_step or 0, counters.step)
        if is_due and counters.step < steps:
            _evaluate(run, evaluation_env, should_stop, log)  # a stop had interrupted it
        while counters.step < steps and not should_stop():
            _tell_notes(run, log)
            before = counters.step
            collector.collect(run)
            _learn(run, before)
            log.tick(counters.step)
            if _crossed(command.evaluate_every, before, counters.step) or counters.step >= steps:
                _evaluate(run, evaluation_env, should_stop, log)
            elif _crossed(ROW_EVERY, before, counters.step):
                log.add_row(_row(run))
            if _crossed(command.checkpoint_every, before, counters.step) and counters.step < steps:
                save_run(run)
        _tell_notes(run, log)
        if counters.step >= steps and counters.evaluation_step != counters.step:  # interrupted
            _evaluate(run, evaluation_env, should_stop, log)
        save_run(run)
        log.draw()


def _crossed(every: int, before: int, now: int) -> bool:
    """Tell whether a multiple of `every` steps was reached: a collector may take several."""
    return now // every > before // every


def _tell_notes(run: Run, log: ProgressLog) -> None:
    """Say what there is to say since the last time."""
    for note in run.notes:
        log.say(note)
    run.notes.clear()


def _learn(run: Run, before: int) -> None:
    """Do the updates that belong to the steps since `before`."""
    sac, step = run.command.sac, run.counters.step
    if sac.normalise_observation and before < sac.learning_starts <= step:
        seen = [run.replay.stored()['observation']]
        if run.prior is not None:
            seen.append(run.prior.stored()['observation'])
        run.agent.fit_normalisation(np.concatenate(seen))
    updates = sac.updates_before(step) - sac.updates_before(before)
    if updates <= 0:
        return
    if sac.normalise_reward:
        _scale_rewards(run)
    progress = min(1.0, step / run.steps)
    for drawn in range(0, updates, AT_ONCE):
        run.agent.update(_batches(run, min(AT_ONCE, updates - drawn)), progress)


def _scale_rewards(run: Run) -> None:
    """Follow the scale of the returns, and tell of one that makes all others count for nothing."""
    scale, before = run.returns.scale, float(run.agent.reward_scale)
    # Where all rewards were 0 the first one is no outlier.
    if run.agent.updates > 0 and scale < before / OUTLIER and before < LARGEST_SCALE:
        run.notes.append(
            f'step {run.counters.step}: one return is {before / scale:.3g} times larger than all '
            'before it; rewards are scaled to fit it from now on, and the others count for '
            'little: is it meant?'
        )
    run.agent.reward_scale.fill_(scale)


def _batches(run: Run, updates: int) -> Batch:
    """Draw what so many updates learn from, each its share of prior data."""
    sac = run.command.sac
    if run.prior is None:
        return run.replay.sample(run.generator, updates * sac.batch_size)
    parts = (run.prior, sac.prior_rows), (run.replay, sac.batch_size - sac.prior_rows)
    return sample_shares(parts, run.generator, updates)


def _evaluate(
    run: Run, env: gymnasium.Env, should_stop: Callable[[], bool], log: ProgressLog
) -> None:
    """Score the deterministic policy, keep it if none was better, and tell."""
    check_learning(run.agent)
    counters = run.counters
    score = evaluate(env, run.agent.exploit, run.command.evaluation_episodes, should_stop)
    if score is None:
        return
    counters.evaluation_step, counters.evaluation_return = counters.step, score
    if counters.best_return is None or score >= counters.best_return:
        counters.best_step, counters.best_return = counters.step, score
        save_best(run)
    log.add_row({**_row(run), 'evaluation/return': score})
    log.draw()


def _row(run: Run) -> dict[str, float]:
    """Return the metrics since the last row, by the names of sac.py."""
    check_learning(run.agent)
    row: dict[str, float] = {'step': run.counters.step}
    if run.counters.episode_returns:
        row['episode/return'] = float(np.mean(run.counters.episode_returns))
        run.counters.episode_returns.clear()
    if run.agent.updates > 0:
        row |= update_metrics(run.agent.losses)
    return row


def _result(run: Run) -> dict[str, object]:
    counters = run.counters
    return {
        'task': run.command.task,
        'run': str(run.folder),
        'step': counters.step,
        'seconds': counters.seconds,
        'return': counters.evaluation_return,
        'best_return': counters.best_return,
        'best_step': counters.best_step,
        'learning_curve': str(run.folder / CURVE),
    }


def _text(error: UserError | OSError | TorchDynamoException) -> str:
    """Return a refusal as it is, and in one line what the system or the compiler refuses."""
    if isinstance(error, OSError):
        return f'cannot write: {error.strerror}'
    if isinstance(error, UserError):
        return str(error)
    return f'{compiler_refusal(error)}; --compile False does without'


def _filled(command: TrainCommand) -> TrainCommand:
    """Fill in how many steps the task needs, and whether it pays to compile the update.

    The path of prior data becomes one that holds wherever the run is resumed.
    """
    steps, is_compiled = command.steps or training_steps(command.task), command.compile
    if is_compiled is None:
        is_long = command.sac.updates_before(steps) >= COMPILED_FROM
        is_compiled = is_long and why_not_compiled() is None
    prior = None if command.prior is None else command.prior.resolve()
    return replace(command, steps=steps, compile=is_compiled, prior=prior)
