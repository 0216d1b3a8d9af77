"""RemoteCollector: one env and the actor, in a process of their own.  It knows nothing of Ray.

It plays as many steps as it is asked for, with the newest weights, and returns what it has seen.
"""

import math
import os
import socket
from typing import NamedTuple

import numpy as np
import torch

from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec, differing_keys, spec_from_json
from sim_training.env import make_env
from sim_training.exploration import Exploration
from sim_training.networks import Actor, actor_norm
from sim_training.replay_buffer import COLUMNS
from sim_training.rollout import Rollout, action_space, observation_size
from sim_training.train_command import TrainCommand


class Place(NamedTuple):
    """Where a collector runs."""

    host: str
    pid: int


class Weights(NamedTuple):
    """The actor of a learner at one moment."""

    version: int  # counts up from 1
    arrays: dict[str, np.ndarray]  # by the names of the actor's state_dict


class Chunk(NamedTuple):
    """Steps of one episode in the order in which they were taken."""

    columns: dict[str, np.ndarray]  # float32, a row for each step, by the names of COLUMNS
    episode_return: float | None  # undiscounted, if the last step ended the episode
    episode_length: int | None  # its steps, likewise
    version: int  # of the weights that chose the actions; 0: they were random


class RemoteCollector:
    """One env that is played for a learner somewhere else."""

    def __init__(self, command: TrainCommand, contract: str, seed: int) -> None:
        """Remember what to play; `contract` is the learner's (TaskSpec.to_json), `seed` our own.

        Nothing is made yet, so that what is wrong with the env comes out of `begin` as UserError.
        """
        torch.set_num_threads(1)
        self._command = command
        self._contract = contract
        self._seed = seed
        self._version = 0  # of the weights in the actor

    def begin(self) -> Place:
        """Make the env, begin the first episode and tell where.  Raises UserError."""
        env = make_env(self._command.task)
        _check_contract(env.contract, self._contract)
        actions = action_space(env)
        sizes = self._command.sac.hidden_sizes
        norm = actor_norm(self._command.sac)
        self._actor = Actor(observation_size(env), sizes, actions.low, actions.high, norm)
        self._actor.requires_grad_(False)
        self._generator = np.random.default_rng(self._seed)  # of random actions
        self._noise = torch.Generator().manual_seed(self._seed)  # of the actor's
        self._exploration = Exploration(self._command.sac.exploration, self._seed)
        self._rollout = Rollout(env, self._seed)
        self._rollout.begin(episode=0)
        return Place(socket.gethostname(), os.getpid())

    def play(self, steps: int, weights: Weights | None) -> Chunk:
        """Take `steps` steps, fewer if the episode ends; without weights at random.

        Raises EnvError.  A number that is not finite ends the chunk: the learner refuses it.
        """
        if weights is not None and weights.version != self._version:
            self._load(weights)
        rollout, rows, episode_return, episode_length = self._rollout, [], None, None
        for _ in range(steps):
            observation = rollout.observation
            unit_action = self._random() if weights is None else self._explore(observation)
            reward, terminated, truncated = rollout.step(self._to_action(unit_action))
            rows.append((observation, unit_action, reward, rollout.observation, terminated))
            if terminated or truncated:
                episode_return, episode_length = rollout.reward_sum, rollout.length
                rollout.begin(rollout.episode + 1)
                break
            if not (math.isfinite(reward) and np.isfinite(rollout.observation).all()):
                break
        with np.errstate(over='ignore'):  # what does not fit float32 becomes infinite
            columns = {
                name: np.asarray(column, np.float32)
                for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)
            }
        version = 0 if weights is None else weights.version
        return Chunk(columns, episode_return, episode_length, version)

    def _load(self, weights: Weights) -> None:
        for name, value in self._actor.state_dict().items():
            value.numpy()[...] = weights.arrays[name]
        self._version = weights.version

    def _random(self) -> np.ndarray:
        size = len(self._actor.action_middle)
        return self._generator.uniform(-1.0, 1.0, size).astype(np.float32)

    @torch.no_grad()
    def _explore(self, observation: np.ndarray) -> np.ndarray:
        observations = observation[None]
        moments = [(self._rollout.episode, self._rollout.length)]
        noise = self._exploration.noise(self._actor, observations, moments)
        if noise is None:
            unit_action, _ = self._actor.sample(torch.from_numpy(observations), self._noise)
        else:
            drawn = torch.from_numpy(observations), torch.from_numpy(noise)
            unit_action, _ = self._actor.draw(*drawn)
        return unit_action[0].numpy()

    @torch.no_grad()
    def _to_action(self, unit_action: np.ndarray) -> np.ndarray:
        return self._actor.to_action(torch.from_numpy(unit_action)).numpy()


def _check_contract(here: TaskSpec, learners: str) -> None:
    """Refuse to play another task than the learner's, as with another version installed here."""
    keys = differing_keys(here, spec_from_json(learners, "the learner's contract"))
    if keys:
        raise UserError(
            f"the contract '{here.name}' here is not the learner's: they differ in "
            f'{", ".join(keys)}; install the same sac_ros and task on every machine'
        )
