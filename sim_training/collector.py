"""Collector: plays the envs of a run by its policy, and puts what they do into its replay.

One env is played in this process, a step at a time.  Several are played in processes of their own
and overlap with learning: they are sent off with the actions of the next round, and compute it
while the agent learns from the last one.  A round is one step in every env.  Either way a seed
gives the same run again, also across a resume: the actions under way are part of a checkpoint.
"""

from collections.abc import Sequence

import gymnasium
import numpy as np

from sac_ros.errors import UserError
from sim_training.checkpoint import Playing
from sim_training.env_error import EnvError
from sim_training.env_process import Answer, EnvHere, EnvProcess, end_processes
from sim_training.run_state import Run, steps_of_episode
from sim_training.sac_state import check_learning


def make_collector(run: Run, env: gymnasium.Env) -> 'Collector':
    """Return the collector of a run, its envs where their episodes are.  Raises EnvError.

    A single env is `env` itself; several are made from the run's task, each in a process.
    """
    command, sizes = run.command, (run.observation_size, len(run.actions.low))
    if command.envs == 1:
        return Collector(run, [EnvHere(env, command.seed)])
    envs: list[EnvProcess] = []
    try:
        for number in range(command.envs):  # they all start before one is waited for
            envs.append(EnvProcess(command.task, command.seed, number, *sizes))
        for each in envs:
            each.answer()
        return Collector(run, envs)
    except BaseException:
        end_processes(envs)
        raise


class Collector:
    """Takes the steps of a run, a round at a time."""

    def __init__(self, run: Run, envs: Sequence[EnvHere | EnvProcess]) -> None:
        """Bring each env to where its episode is, or begin the next one.  Raises EnvError."""
        self._envs = envs
        self._is_ahead = len(envs) > 1
        self._observation = np.empty((len(envs), run.observation_size), np.float32)
        self._unit_action = np.empty((len(envs), len(run.actions.low)), np.float32)
        self._return_to_episodes(run)
        if self._is_ahead:
            self._send_off(run)

    def collect(self, run: Run) -> None:
        """Finish a round, remember it, and begin the next one if that is done elsewhere."""
        if not self._is_ahead:
            self._send_off(run)
        run.counters.step += len(self._envs)
        try:
            answers = [env.answer() for env in self._envs]
            self._remember(run, answers)
        except UserError:
            check_learning(run.agent)  # actions that are not finite come from weights that are not
            raise
        self._go_on(run, answers)
        if self._is_ahead:
            run.under_way = None
            self._send_off(run)

    def close(self) -> None:
        """End the processes; a single env stays as it is."""
        end_processes(self._envs)

    def _send_off(self, run: Run) -> None:
        """Let every env take the step that is under way, or one by the present policy."""
        if run.under_way is None:
            self._unit_action = _choose(run, self._observation)
        else:
            self._unit_action = run.under_way
        actions = run.agent.to_action(self._unit_action)
        for env, action in zip(self._envs, actions, strict=True):
            env.step(action)
        if self._is_ahead:
            run.under_way = self._unit_action

    def _remember(self, run: Run, answers: Sequence[Answer]) -> None:
        """Store the transitions of a round, in the order of the envs."""
        rows = zip(self._envs, self._observation, self._unit_action, answers, strict=True)
        for number, (env, observation, unit_action, answer) in enumerate(rows):
            try:
                # After the last step of an episode this is its own last observation: the reset
                # comes later.
                step = (
                    observation, unit_action, answer.reward, env.observation, answer.terminated
                )  # fmt: skip
                is_over = answer.terminated or answer.truncated
                run.remember(number, step, run.playing[number].length + 1 if is_over else None)
            except UserError as error:
                raise EnvError(f'{env.label}{error}') from error

    def _go_on(self, run: Run, answers: Sequence[Answer]) -> None:
        """Count the round, and begin an episode where one has ended."""
        playing = [Playing(each.episode, each.length + 1) for each in run.playing]
        ended = [i for i, a in enumerate(answers) if a.terminated or a.truncated]
        run.counters.episode_returns += [answers[i].reward_sum for i in ended]
        run.playing = tuple(playing)
        self._begin_next(run, ended)
        self._look()

    def _begin_next(self, run: Run, envs: Sequence[int]) -> None:
        """Begin an episode that was never played before in each of these envs."""
        playing = list(run.playing)
        following = 1 + max(each.episode for each in playing)
        for episode, i in enumerate(envs, start=following):
            playing[i] = Playing(episode, length=0)
            self._envs[i].begin(episode)
            run.returns.begin(i)
        for i in envs:
            self._envs[i].answer()
        run.playing = tuple(playing)

    def _look(self) -> None:
        """Take over what the envs show now."""
        for env, observation in zip(self._envs, self._observation, strict=True):
            if env.observation.shape != observation.shape:
                raise EnvError(
                    f'{env.label}observation has shape {env.observation.shape}; '
                    f'needed: {observation.shape}'
                )
            observation[:] = env.observation

    def _return_to_episodes(self, run: Run) -> None:
        """Bring each env to where its episode is; where that fails, say so and begin another."""
        if len(run.playing) != len(self._envs):
            run.notes.append(
                f'saved with {len(run.playing)} envs, going on with {len(self._envs)}: each '
                'begins a new episode'
            )
            last = max(each.episode for each in run.playing)
            run.playing = tuple(Playing(last, length=0) for _ in self._envs)
            lost = list(range(len(self._envs)))
        else:
            lost = self._play_again(run)
        if lost:
            self._begin_next(run, lost)
            run.under_way = None
        self._look()

    def _play_again(self, run: Run) -> list[int]:
        """Take the steps of the episodes once more; return the envs where that failed."""
        reasons: dict[int, str] = {}
        for i, (env, playing) in enumerate(zip(self._envs, run.playing, strict=True)):
            past = steps_of_episode(run, i)
            if past is None:
                reasons[i] = 'the replay no longer holds all of it'
            else:
                actions = run.agent.to_action(past['unit_action'].numpy())
                env.play_again(playing.episode, actions, past['next_observation'].numpy())
        for i, env in enumerate(self._envs):
            if i not in reasons and not env.answer().is_repeated:
                reasons[i] = 'the env did not repeat it'
        for i, reason in sorted(reasons.items()):
            run.notes.append(
                f'episode {run.playing[i].episode} cannot go on from its step '
                f'{run.playing[i].length} ({reason}): the next one begins'
            )
        return sorted(reasons)


def _choose(run: Run, observations: np.ndarray) -> np.ndarray:
    """Return the next unit actions: random at first, then of the policy; (envs, action_size)."""
    if run.counters.step < run.command.sac.learning_starts:
        size = (len(observations), len(run.actions.low))
        return run.generator.uniform(-1.0, 1.0, size).astype(np.float32)
    moments = [(playing.episode, playing.length) for playing in run.playing]
    noise = run.exploration.noise(run.agent.acting, observations, moments)
    return run.agent.explore(observations, noise)
