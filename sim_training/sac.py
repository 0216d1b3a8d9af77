"""Soft actor-critic: acting and the update.  No environment, no files, no display.

Every kind of it is this one, by the options of sac_config.py; presets.py has the published ones.

Equation numbers are those of Hoffmann's text "Soft Actor-Critic"; the papers are Haarnoja et al.
2018a (arXiv:1801.01290) and 2018b (arXiv:1812.05905).  What is logged, and its formula:

    loss/critic         sum_i mean of (Q_i(s, a) - y)^2 / 2, or as in value_heads.py    equation 12
    loss/actor          mean of alpha log pi(a' | s) - Q(s, a'), a' ~ pi               equation 14
    loss/temperature    mean of -alpha (log pi(a' | s) + target)                       equation 23
    alpha               the temperature: what one nat of entropy is worth in reward
    entropy             mean of -log pi(a' | s) [nat]; alpha holds it at the target
    value               mean of Q_i(s, a) over the batch and the critics

Q is the smallest of the Q_i, or their mean (actor_value); the target is target_entropy for each
element of the action, so -6 for six of them at -1.  Means are over one batch, the last one before
the row was written; log pi is of the unit action.
Values are of the rewards as they are scaled for learning (normalise_reward).
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sim_training.adam import Adam
from sim_training.compiler import compiled
from sim_training.draws import Draws, draw
from sim_training.followers import follow, follower, on_processor
from sim_training.networks import Actor, Critic, learned, make_networks
from sim_training.replay_buffer import Batch
from sim_training.sac_config import SACConfig
from sim_training.value_heads import make_head

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
    """Actor, critics, what follows them slowly, and temperature, with their optimisers."""

    def __init__(
        self,
        config: SACConfig,
        observation_size: int,
        action_lower: np.ndarray,
        action_upper: np.ndarray,
        seed: int,
        device: str = 'cpu',
    ) -> None:
        """Draw the weights from `seed`; bounds are finite, in the action's units.

        `device` computes the updates, the processor all actions and what is random.
        """
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        self.head = make_head(config, self.device)
        self._sizes = self.device, observation_size, action_lower, action_upper
        self.actor, self.critic, self.value = make_networks(config, *self._sizes, seed)
        self.average = follower(self.actor if config.average_actor else None)
        # What explores, and what is evaluated and exported: here, and where it learns.
        live = self.actor, self.average or self.actor
        self._copies = [(on_processor(actor), actor) for actor in live]
        self.acting, self.exported = (copied for copied, _ in self._copies)
        self.target_critic = follower(self.critic if config.target == 'critics' else None)
        self.target_value = follower(self.value)
        alpha = math.log(config.initial_alpha)
        self.log_alpha = torch.tensor(alpha, device=self.device, requires_grad=True)
        # One and the same for each element of the action: the text below equation 19.
        self.action_size = len(action_lower)
        self.target_entropy = torch.zeros((), device=self.device)  # [nat], set by each update
        self.reward_scale = torch.ones((), device=self.device)  # see return_scale.py
        self.updates = 0
        self.generator = torch.Generator().manual_seed(seed)  # of every action that is sampled
        beta1 = config.adam_beta1
        self.actor_adam = Adam(learned(self.actor), beta1)
        values = [] if self.value is None else learned(self.value)
        self.critic_adam = Adam([*learned(self.critic), *values], beta1)
        self.alpha_adam = Adam([self.log_alpha], beta1)
        self.losses = Losses(*torch.zeros(6, device=self.device))  # of the last update
        self._update_once: Callable[..., Losses] = self._update

    @torch.no_grad()
    def explore(self, observation: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Return unit actions drawn from the policy, (n, action_size), for n observations.

        Observations are float32, shape (n, observation_size).  `noise` is standard normal, also
        float32, shape (n, action_size); by default it is drawn here.
        """
        observations = torch.from_numpy(observation)
        if noise is None:
            return self.acting.sample(observations, self.generator)[0].numpy()
        return self.acting.draw(observations, torch.from_numpy(noise))[0].numpy()

    @torch.no_grad()
    def exploit(self, observation: np.ndarray) -> np.ndarray:
        """Return the deterministic action in its own units, float32."""
        return self.exported.mean_action(torch.from_numpy(observation[None]))[0].numpy()

    @torch.no_grad()
    def to_action(self, unit_action: np.ndarray) -> np.ndarray:
        """Return the action in its own units, float32."""
        return self.acting.to_action(torch.from_numpy(unit_action)).numpy()

    def fit_normalisation(self, observations: np.ndarray) -> None:
        """Scale observations by the mean and deviation of these, (count, observation_size)."""
        mean = torch.from_numpy(observations.mean(axis=0, dtype=np.float64))
        deviation = torch.from_numpy(observations.std(axis=0, dtype=np.float64))
        for network in self.networks().values():
            network.observation_mean.copy_(mean)
            network.observation_scale.copy_(1.0 / deviation.clamp(min=SMALLEST_DEVIATION))
        self.follow_actor()

    def networks(self) -> dict[str, Actor | Critic]:
        """Return the networks that there are, by name."""
        networks = {
            'actor': self.actor,
            'critic': self.critic,
            'value': self.value,
            'target_critic': self.target_critic,
            'target_value': self.target_value,
            'average': self.average,
        }
        return {name: network for name, network in networks.items() if network is not None}

    def compile(self) -> None:
        """Let torch compile the update into one graph; the first update then takes a minute.

        Raises UserError where torch cannot.
        """
        self._update_once = compiled(self._update)

    def update(
        self, batches: Batch, progress: float = 0.0, *, is_critics_only: bool = False
    ) -> Losses:
        """Do one update with each `batch_size` rows; return the numbers of the last one.

        `progress` is how much of the run is over, 0 to 1.  Actor and temperature stay as they are
        when only the critics are to learn.
        """
        config = self.config
        rate = torch.tensor(config.learning_rate_at(progress), device=self.device)
        self.target_entropy.fill_(config.target_entropy_at(progress) * self.action_size)
        batches = Batch(*(field.to(self.device) for field in batches))
        is_low = config.precision == 'bfloat16'  # no cache: weights change in mid-update
        products = torch.autocast(self.device.type, torch.bfloat16, is_low, cache_enabled=False)
        for start in range(0, len(batches.reward), config.batch_size):
            rows = slice(start, start + config.batch_size)
            batch = Batch(*(field[rows] for field in batches))
            if config.reset_every and self.updates and self.updates % config.reset_every == 0:
                self._reset()  # before the next one, so that no run ends with what knows nothing
            self.updates += 1
            moves_actor = not is_critics_only and self.updates % config.policy_delay == 0
            draws = self.draws()
            with products:
                self.losses = self._update_once(batch, draws, rate, self.losses, moves_actor)
        self.follow_actor()
        return self.losses

    @torch.no_grad()
    def follow_actor(self) -> None:
        """Let `acting` and `exported` be what is learned now."""
        for copied, live in self._copies:
            if copied is not live:
                copied.load_state_dict(live.state_dict())

    @property
    def alpha(self) -> Tensor:
        """The temperature, without a gradient."""
        return self.log_alpha.detach().exp()

    def draws(self) -> Draws:
        """Draw what the next update takes from chance."""
        return draw(self.config, self.action_size, self.generator, self.device)

    def target(self, batch: Batch, draws: Draws) -> Tensor:
        """Return what every critic should say of the batch; see ValueHead.target.

        For looking at it: like an update, it moves the running statistics of batch norms.
        """
        return self._present_and_target(batch, draws)[1]

    def _update(
        self, batch: Batch, draws: Draws, rate: Tensor, before: Losses, moves_actor: bool
    ) -> Losses:
        """Do one update; all of it, so that it can be one graph."""
        critic_loss, value = self._update_critic(batch, draws, rate)
        if moves_actor:
            actor_loss, log_pi = self._update_actor(batch, draws, rate)
            temperature_loss = self._update_temperature(log_pi, rate)
            entropy = -log_pi.mean()
        else:
            _, actor_loss, temperature_loss, _, entropy, _ = before
        for target, followed, share in self._followed():
            follow(target, followed, share, statistics=target is self.average)
        return Losses(critic_loss, actor_loss, temperature_loss, self.alpha, entropy, value)

    def _update_critic(self, batch: Batch, draws: Draws, rate: Tensor) -> tuple[Tensor, Tensor]:
        z, target = self._present_and_target(batch, draws)
        # Equation 12: J_Q = sum_i E[(Q_i(s, a) - y)^2 / 2], or its like for the head
        loss = self.head.loss(z, target)
        both = loss if self.value is None else loss + self._value_loss(self.value, batch, draws)
        self.critic_adam.descend(both, rate)
        if self.config.unit_weights:
            self.critic.body.project()
        return loss.detach(), self.head.value(z.detach()).mean()

    def _present_and_target(self, batch: Batch, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return what the critics say of the present step, and what they should say."""
        config, keep = self.config, draws.keep
        with torch.no_grad():
            next_action, log_pi = self.actor.draw(batch.next_observation, draws.next_noise)
            # Equation 4: V(s') = min_i Q_i(s', a') - alpha log pi(a' | s')
            bonus = -self.alpha * log_pi * float(config.backup_entropy)
        present = batch.observation, batch.unit_action
        following = batch.next_observation, next_action
        if self.target_value is not None:
            z = self.critic(*present, True, keep[1])
            with torch.no_grad():  # it has the entropy in it
                next_z = self.target_value(batch.next_observation, next_action[:, :0])
            bonus = torch.zeros_like(bonus)
        elif config.norm in ('batch', 'batch_renorm') or self.target_critic is None:
            # In one batch, so that both steps are normalised alike: Bhatt et al. 2024, figure 3.
            both = [torch.cat(pair) for pair in zip(present, following, strict=True)]
            both_keep = [torch.cat(pair, dim=1) for pair in zip(keep[1], keep[0], strict=True)]
            z, next_z = self.critic(*both, True, both_keep).chunk(2, dim=1)
            with torch.no_grad():
                if self.target_critic is not None:
                    next_z = self.target_critic(*both, True, both_keep).chunk(2, dim=1)[1]
                next_z = next_z.detach()[draws.members]
        else:
            z = self.critic(*present, True, keep[1])
            with torch.no_grad():
                next_z = self.target_critic(*following, True, keep[0])[draws.members]
        # Equation 12: y = r + discount V(s').  A truncated episode goes on behind
        # next_observation, so its value counts; behind a terminated one there is nothing.
        reward = batch.reward * self.reward_scale
        return z, self.head.target(next_z, reward, batch.discount, bonus).detach()

    def _value_loss(self, network: Critic, batch: Batch, draws: Draws) -> Tensor:
        """Return J_V of Haarnoja et al. 2018a, equation 5."""
        with torch.no_grad():
            unit_action, log_pi = self.actor.draw(batch.observation, draws.noise)
            q = self.head.value(self.critic(batch.observation, unit_action)).amin(dim=0)
        value = network(batch.observation, batch.unit_action[:, :0])[0, :, 0]
        return 0.5 * (value - (q - self.alpha * log_pi)).square().mean()

    def _update_actor(self, batch: Batch, draws: Draws, rate: Tensor) -> tuple[Tensor, Tensor]:
        unit_action, log_pi = self.actor.draw(batch.observation, draws.noise, True)
        z = self.critic(batch.observation, unit_action, False, draws.keep[2])
        q = self.head.value(z)
        q = q.amin(dim=0) if self.config.actor_value == 'min' else q.mean(dim=0)
        # Equations 14 and 16: J_pi = E[alpha log pi(a' | s) - Q(s, a')]
        loss = (self.alpha * log_pi - q).mean()
        self.actor_adam.descend(loss, rate)  # through the critics, not into them
        if self.config.unit_weights:
            self.actor.body.project()
        return loss.detach(), log_pi.detach()

    def _update_temperature(self, log_pi: Tensor, rate: Tensor) -> Tensor:
        # Equation 23: J_alpha = E[-alpha (log pi(a' | s) + target_entropy)]
        loss = -self.log_alpha.exp() * (log_pi.mean() + self.target_entropy)
        if self.config.learn_alpha:
            self.alpha_adam.descend(loss, rate)
        return loss.detach()

    def _followed(self) -> Iterator[tuple[Actor | Critic, Actor | Critic, float]]:
        """Return what follows, what it follows, and its share of it in each update."""
        if self.target_critic is not None:
            yield self.target_critic, self.critic, self.config.tau
        if self.target_value is not None and self.value is not None:
            yield self.target_value, self.value, self.config.tau
        if self.average is not None:
            yield self.average, self.actor, 1.0 / self.config.average_actor

    @torch.no_grad()
    def _reset(self) -> None:
        """Draw all weights anew; what has been learned stays in the replay only."""
        fresh = make_networks(self.config, *self._sizes, self.seed + self.updates)
        for network, new in zip((self.actor, self.critic, self.value), fresh, strict=True):
            if network is not None and new is not None:
                network.body.load_state_dict(new.body.state_dict())
        for target, followed, _ in self._followed():
            target.body.load_state_dict(followed.body.state_dict())
        self.log_alpha.fill_(math.log(self.config.initial_alpha))
        for adam in (self.actor_adam, self.critic_adam, self.alpha_adam):
            adam.forget()
