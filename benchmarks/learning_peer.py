"""The peers' side of the benchmark: algorithms of Stable-Baselines3 with the zoo's settings.

Stable-Baselines3 keeps its replay by pickle, which nothing here reads or writes: a training that
was stopped begins anew.  Its evaluations are in the CSV as they come.
"""

import contextlib
import functools
import importlib.metadata
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from gymnasium.spaces import Box
from learning_results import Evaluation, Facts, Job, machine, write_curve, write_facts
from learning_zoo import Settings, find_settings
from stable_baselines3 import DDPG, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from sim_training.env import make_env
from sim_training.rollout import FIRST_EVALUATION_SEED, evaluate
from sim_training.run_file import library_versions
from sim_training.run_folder import held

ALGORITHMS: dict[str, Callable[..., BaseAlgorithm]] = {
    'sb3_sac': SAC,
    'sb3_td3': TD3,
    'sb3_ddpg': DDPG,
    'sb3_ppo': PPO,
}


def train_peer(job: Job, should_stop: Callable[[], bool]) -> None:
    """Train from the first step and write the curve as it grows.  Raises UserError."""
    settings, whose = find_settings(job.side, job.env)
    job.facts.unlink(missing_ok=True)  # of a shorter training
    torch.set_num_threads(job.threads)
    with contextlib.ExitStack() as stack:
        evaluation_env = make_env(job.env)
        stack.callback(evaluation_env.close)
        stack.enter_context(held(job.run))
        envs = _make_envs(job, settings)
        stack.callback(envs.close)
        model = _make_model(job, settings, envs)

        def exploit(observation: np.ndarray) -> np.ndarray:
            if isinstance(envs, VecNormalize):
                observation = np.asarray(envs.normalize_obs(observation))
            return np.asarray(model.predict(observation, deterministic=True)[0])

        score = functools.partial(evaluate, evaluation_env, exploit, job.episodes, should_stop)
        recorder = Recorder(job, score, should_stop)
        model.learn(job.steps, recorder)
    if recorder.is_over:
        write_facts(job, _facts(job, settings, whose, recorder.num_timesteps))


class Recorder(BaseCallback):
    """Scores the deterministic policy every so many steps, and ends the training at the last."""

    def __init__(
        self, job: Job, score: Callable[[], float | None], should_stop: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.is_over = False
        self._job = job
        self._score = score
        self._should_stop = should_stop
        self._due = min(job.evaluate_every, job.steps)  # the step of the next evaluation
        self._curve: list[Evaluation] = []
        self._begun = time.monotonic()
        job.curve.unlink(missing_ok=True)  # of a training that was stopped

    def _on_step(self) -> bool:
        if self._should_stop():
            return False
        if self.num_timesteps < self._due:
            return True
        score = self._score()
        if score is None:  # stopped meanwhile
            return False
        job, step, seconds = self._job, self.num_timesteps, time.monotonic() - self._begun
        self._curve.append(Evaluation(step, score, seconds))
        write_curve(job.curve, self._curve)
        print(
            f'learning: {job.env}, {job.name}: step {step} of {job.steps}, return {score:.1f}, '
            f'{step / seconds:.0f} steps/s',
            file=sys.stderr,
        )
        self.is_over = step >= job.steps
        self._due = min((step // job.evaluate_every + 1) * job.evaluate_every, job.steps)
        return not self.is_over


def _make_envs(job: Job, settings: Settings) -> VecEnv:
    envs = make_vec_env(lambda: make_env(job.env), settings.envs, job.seed)
    if not settings.is_normalised:
        return envs
    gamma = settings.options['gamma']
    assert isinstance(gamma, float)
    return VecNormalize(envs, gamma=gamma)


def _make_model(job: Job, settings: Settings, envs: VecEnv) -> BaseAlgorithm:
    noise = {}
    if settings.noise is not None:
        assert isinstance(envs.action_space, Box)
        deviation = np.full(envs.action_space.shape, settings.noise)
        noise = {'action_noise': NormalActionNoise(np.zeros_like(deviation), deviation)}
    make = ALGORITHMS[job.side]
    return make('MlpPolicy', envs, seed=job.seed, device='cpu', **settings.options, **noise)


def _facts(job: Job, settings: Settings, whose: str, steps: int) -> Facts:
    peer = 'stable_baselines3'
    return Facts(
        steps=steps,
        evaluate_every=job.evaluate_every,
        episodes=job.episodes,
        first_seed=FIRST_EVALUATION_SEED,
        threads=job.threads,
        machine=machine(),
        versions={**library_versions(), peer: importlib.metadata.version(peer)},
        settings=f'{whose}: {", ".join(settings.options) or "defaults"}',
    )
