"""Soft actor-critic, second version: acting and the update.  No environment, no files, no display.

Equation numbers are those of Hoffmann's text "Soft Actor-Critic"; the papers are Haarnoja et al.
2018a (arXiv:1801.01290) and 2018b (arXiv:1812.05905).  What is logged, and its formula:

    loss/critic         sum_i mean of (Q_i(s, a) - y)^2 / 2                            equation 12
    loss/actor          mean of alpha log pi(a' | s) - min_i Q_i(s, a'), a' ~ pi       equation 14
    loss/temperature    mean of -alpha (log pi(a' | s) + target_entropy)               equation 23
    alpha               the temperature: what one nat of entropy is worth in reward
    entropy             mean of -log pi(a' | s) [nat]; held at target_entropy by alpha
    value               mean of Q_i(s, a) over the batch and the critics
    episode/return      mean of the sum of rewards over the training episodes since the last row
    evaluation/return   the same of the deterministic policy, over held-out episodes
    steps_per_second    environment steps over wall-clock time since the last row, evaluation too

Means are over one batch, the last one before the row was written; log pi is of the unit action.
"""

import copy
import math
from collections.abc import Callable
from shutil import which
from typing import NamedTuple

import numpy as np
import torch
import torch._dynamo
from torch import Tensor

from sac_ros.errors import UserError
from sim_training.adam import Adam
from sim_training.networks import Actor, Critic
from sim_training.replay_buffer import Batch
from sim_training.sac_config import SACConfig

# An observation that hardly moved during the random steps is magnified by 100 at most.
SMALLEST_DEVIATION = 0.01  # SI


class Losses(NamedTuple):
    """Numbers of one update, as tensors without a gradient so that reading them can wait."""

    critic: Tensor
    actor: Tensor
    temperature: Tensor
    alpha: Tensor
    entropy: Tensor  # [nat]
    value: Tensor


class SAC:
    """Actor, critics, target critics and temperature, with their optimisers."""

    def __init__(
        self,
        config: SACConfig,
        observation_size: int,
        action_lower: np.ndarray,
        action_upper: np.ndarray,
        seed: int,
    ) -> None:
        """Draw the weights from `seed`; bounds are finite, in the action's units."""
        self.config = config
        sizes = config.hidden_sizes
        action_size = len(action_lower)
        with torch.random.fork_rng():  # leaves the global generator as it was
            torch.manual_seed(seed)
            self.actor = Actor(observation_size, sizes, action_lower, action_upper)
            self.critic = Critic(observation_size, action_size, sizes, config.critics)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.tensor(math.log(config.initial_alpha), requires_grad=True)
        # Minus the number of actions: the text below equation 19.
        entropy = config.target_entropy
        self.target_entropy = -float(action_size) if entropy is None else entropy
        self.generator = torch.Generator().manual_seed(seed)  # of every action that is sampled
        self.actor_adam = Adam(list(self.actor.parameters()), config.learning_rate)
        self.critic_adam = Adam(list(self.critic.parameters()), config.learning_rate)
        self.alpha_adam = Adam([self.log_alpha], config.learning_rate)
        self._update_once: Callable[[Batch, Tensor, Tensor], Losses] = self._update

    @torch.no_grad()
    def explore(self, observation: np.ndarray) -> np.ndarray:
        """Return unit actions drawn from the policy, (n, action_size), for n observations.

        Observations are float32, shape (n, observation_size).
        """
        unit_action, _ = self.actor.sample(torch.from_numpy(observation), self.generator)
        return unit_action.numpy()

    @torch.no_grad()
    def exploit(self, observation: np.ndarray) -> np.ndarray:
        """Return the deterministic action in its own units, float32."""
        return self.actor.mean_action(torch.from_numpy(observation[None]))[0].numpy()

    @torch.no_grad()
    def to_action(self, unit_action: np.ndarray) -> np.ndarray:
        """Return the action in its own units, float32."""
        return self.actor.to_action(torch.from_numpy(unit_action)).numpy()

    def fit_normalisation(self, observations: np.ndarray) -> None:
        """Scale observations by the mean and deviation of these, (count, observation_size)."""
        mean = torch.from_numpy(observations.mean(axis=0, dtype=np.float64))
        deviation = torch.from_numpy(observations.std(axis=0, dtype=np.float64))
        for network in (self.actor, self.critic, self.target_critic):
            network.observation_mean.copy_(mean)
            network.observation_scale.copy_(1.0 / deviation.clamp(min=SMALLEST_DEVIATION))

    def compile(self) -> None:
        """Let torch compile the update into one graph; the first update then takes a minute.

        Raises UserError where torch cannot.
        """
        reason = why_not_compiled()
        if reason is not None:
            raise UserError(f'the update cannot be compiled: {reason}')
        torch._dynamo.config.trace_autograd_ops = True
        self._update_once = torch.compile(self._update, fullgraph=True, dynamic=False)

    def update(self, batches: Batch) -> Losses:
        """Do one update with each `batch_size` rows; return the numbers of the last one."""
        size = (self.config.batch_size, len(self.actor.action_middle))
        for start in range(0, len(batches.reward), self.config.batch_size):
            rows = slice(start, start + self.config.batch_size)
            batch = Batch(*(field[rows] for field in batches))
            next_noise = torch.randn(size, generator=self.generator)
            noise = torch.randn(size, generator=self.generator)
            losses = self._update_once(batch, next_noise, noise)
        return losses

    @property
    def alpha(self) -> Tensor:
        """The temperature, without a gradient."""
        return self.log_alpha.detach().exp()

    @torch.no_grad()
    def target(self, batch: Batch, noise: Tensor) -> Tensor:
        """Return y, what every critic should say of the batch, shape (batch,).

        The next action is drawn by standard normal `noise`, shape (batch, action_size).
        """
        next_action, log_pi = self.actor.draw(batch.next_observation, noise)
        target_q = self.target_critic(batch.next_observation, next_action)
        # Equation 4, by the target critics: V(s') = min_i Q_i(s', a') - alpha log pi(a' | s')
        next_value = target_q.amin(dim=0) - self.alpha * log_pi
        # Equation 12: y = r + gamma (1 - terminated) V(s').  A truncated episode goes on behind
        # next_observation, so its value counts; behind a terminated one there is nothing.
        return batch.reward + self.config.gamma * (1.0 - batch.terminated) * next_value

    def _update(self, batch: Batch, next_noise: Tensor, noise: Tensor) -> Losses:
        """Do one update; all of it, so that it can be one graph."""
        critic_loss, value = self._update_critic(batch, self.target(batch, next_noise))
        actor_loss, log_pi = self._update_actor(batch, noise)
        temperature_loss = self._update_temperature(log_pi)
        self._update_target()
        return Losses(critic_loss, actor_loss, temperature_loss, self.alpha, -log_pi.mean(), value)

    def _update_critic(self, batch: Batch, target: Tensor) -> tuple[Tensor, Tensor]:
        q = self.critic(batch.observation, batch.unit_action)
        # Equation 12: J_Q = sum_i E[(Q_i(s, a) - y)^2 / 2]
        loss = 0.5 * (q - target).square().mean(dim=1).sum()
        self.critic_adam.descend(loss)
        return loss.detach(), q.detach().mean()

    def _update_actor(self, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor]:
        unit_action, log_pi = self.actor.draw(batch.observation, noise)
        q = self.critic(batch.observation, unit_action)
        # Equations 14 and 16: J_pi = E[alpha log pi(a' | s) - min_i Q_i(s, a')]
        loss = (self.alpha * log_pi - q.amin(dim=0)).mean()
        self.actor_adam.descend(loss)  # through the critics, not into them
        return loss.detach(), log_pi.detach()

    def _update_temperature(self, log_pi: Tensor) -> Tensor:
        # Equation 23: J_alpha = E[-alpha (log pi(a' | s) + target_entropy)]
        loss = -self.log_alpha.exp() * (log_pi.mean() + self.target_entropy)
        self.alpha_adam.descend(loss)
        return loss.detach()

    @torch.no_grad()
    def _update_target(self) -> None:
        # theta_target = tau theta + (1 - tau) theta_target (text above equation 12)
        targets: list[Tensor] = list(self.target_critic.parameters())
        critics: list[Tensor] = list(self.critic.parameters())
        torch._foreach_lerp_(targets, critics, self.config.tau)


def why_not_compiled() -> str | None:
    """Return what is missing for `SAC.compile`, or None."""
    if not hasattr(torch._dynamo.config, 'trace_autograd_ops'):
        return f'torch {torch.__version__} is too old, 2.13 is needed'
    if not any(map(which, ('c++', 'g++', 'clang++'))):
        return 'no C++ compiler was found'
    return None
