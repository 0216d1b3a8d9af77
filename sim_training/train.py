"""`sac-ros train`: the loop of soft actor-critic, from random actions to a saved run.

What a step learns is in sac.py, what is kept of a run in run_state.py.
"""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace

import gymnasium
import numpy as np
import torch

from sac_ros.errors import UserError
from sim_training.checkpoint import check_has_checkpoint
from sim_training.env import make_env
from sim_training.progress import CURVE, ProgressLog
from sim_training.rollout import evaluate
from sim_training.run_file import write_run_file
from sim_training.run_folder import held
from sim_training.run_state import Run, check_learning, new_run, resume_run, save_best, save_run
from sim_training.stop_signals import StopSignals
from sim_training.tasks import is_task, load_task
from sim_training.train_command import STEPS_OF_GYMNASIUM, TrainCommand

ROW_EVERY = 500  # steps from one row of progress.csv to the next


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

    Raises UserError, which says what checkpoint there is when something fails on the way.
    """
    if command.resume:
        check_has_checkpoint(command.folder)  # before anything is written there
    with held(command.folder):
        run = resume_run(command, env) if command.resume else new_run(_with_steps(command), env)
        torch.set_num_threads(run.command.threads)
        write_run_file(run.folder, run.command, result=None)
        try:
            _advance(run, evaluation_env, should_stop)
        except (UserError, OSError) as error:
            where = f'{run.command.task}, step {run.counters.step}'
            raise UserError(f'{where}: {_text(error)}; {run.kept}') from error
        result = _result(run)
        write_run_file(run.folder, run.command, None if should_stop() else result)
    return result


def _advance(run: Run, evaluation_env: gymnasium.Env, should_stop: Callable[[], bool]) -> None:
    """Take the steps that are left, and save."""
    command, counters, steps = run.command, run.counters, run.steps
    with ProgressLog(run.folder, command.task, counters.step, steps) as log:
        for note in run.notes:
            log.say(note)
        while counters.step < steps and not should_stop():
            _collect(run)
            _learn(run)
            log.tick(counters.step)
            if counters.step % command.evaluate_every == 0 or counters.step == steps:
                _evaluate(run, evaluation_env, should_stop, log)
            elif counters.step % ROW_EVERY == 0:
                log.add_row(_row(run))
            if counters.step % command.checkpoint_every == 0 and counters.step < steps:
                save_run(run)
        if counters.step == steps and counters.evaluation_step != steps:  # it was interrupted
            _evaluate(run, evaluation_env, should_stop, log)
        save_run(run)
        log.draw()


def _collect(run: Run) -> None:
    """Take one step in the env and remember it."""
    agent, rollout = run.agent, run.rollout
    observation = rollout.observation
    if run.counters.step < run.command.sac.learning_starts:
        size = len(agent.actor.action_middle)
        unit_action = run.generator.uniform(-1.0, 1.0, size).astype(np.float32)
    else:
        unit_action = agent.explore(observation)
    run.counters.step += 1
    try:
        reward, terminated, truncated = rollout.step(agent.to_action(unit_action))
        # After the last step of an episode this is its own last observation, before any reset.
        run.replay.add(observation, unit_action, reward, rollout.observation, terminated)
    except UserError:
        check_learning(run)  # actions that are not finite come from weights that are not
        raise
    if terminated or truncated:
        run.counters.episode_returns.append(rollout.reward_sum)
        rollout.begin(rollout.episode + 1)


def _learn(run: Run) -> None:
    """Do the updates that belong to the step just taken."""
    sac, step = run.command.sac, run.counters.step
    if sac.normalise_observation and step == sac.learning_starts:
        run.agent.fit_normalisation(run.replay.stored()['observation'])
    updates = sac.updates_before(step) - sac.updates_before(step - 1)
    if updates > 0:
        run.losses = run.agent.update(run.replay.sample(run.generator, updates * sac.batch_size))


def _evaluate(
    run: Run, env: gymnasium.Env, should_stop: Callable[[], bool], log: ProgressLog
) -> None:
    """Score the deterministic policy, keep it if none was better, and tell."""
    check_learning(run)
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
    check_learning(run)
    row: dict[str, float] = {'step': run.counters.step}
    if run.counters.episode_returns:
        row['episode/return'] = float(np.mean(run.counters.episode_returns))
        run.counters.episode_returns.clear()
    if run.losses is not None:
        critic, actor, temperature, alpha, entropy, value = map(float, run.losses)
        row |= {'loss/critic': critic, 'loss/actor': actor, 'loss/temperature': temperature}
        row |= {'alpha': alpha, 'entropy': entropy, 'value': value}
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


def _text(error: UserError | OSError) -> str:
    """Return a refusal as it is, and in one line what the system refuses, as on a full disk."""
    return str(error) if isinstance(error, UserError) else f'cannot write: {error.strerror}'


def _with_steps(command: TrainCommand) -> TrainCommand:
    """Fill in how many steps the task needs."""
    if command.steps is not None:
        return command
    is_ours = is_task(command.task)
    steps = load_task(command.task).training_steps if is_ours else STEPS_OF_GYMNASIUM
    return replace(command, steps=steps)
