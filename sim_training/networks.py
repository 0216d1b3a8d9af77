"""The tanh-Gaussian actor and the critics.  Layers are in stack.py, losses in sac.py.

Observations are in SI units, shape (batch, observation_size), and are normalised in here.  A unit
action is in [-1, 1], shape (batch, action_size); `Actor.to_action` gives it its own units.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sim_training.sac_config import Norm, SACConfig
from sim_training.stack import Stack
from sim_training.value_heads import make_head

# The range of log sigma that the authors of Haarnoja et al. 2018a and 2018b use in their own code.
LOG_STD_LOWEST = -20.0
LOG_STD_HIGHEST = 2.0


class Head(NamedTuple):
    """A part of a linear layer."""

    weight: Tensor  # shape (inputs, outputs)
    bias: Tensor  # shape (outputs,)


class Actor(nn.Module):
    """pi(a | s): a diagonal Gaussian through tanh, and the map from unit actions to actions."""

    observation_mean: Tensor  # SI, shape (observation_size,)
    observation_scale: Tensor  # 1 / SI, shape (observation_size,)
    action_middle: Tensor  # the action's own units, shape (action_size,)
    action_half_range: Tensor  # the action's own units, shape (action_size,)
    action_lower: Tensor  # the action's own units, shape (action_size,)
    action_upper: Tensor  # the action's own units, shape (action_size,)

    def __init__(
        self,
        observation_size: int,
        hidden_sizes: Sequence[int],
        action_lower: np.ndarray,
        action_upper: np.ndarray,
        norm: Norm = 'none',
    ) -> None:
        """Draw the weights from torch's global generator; bounds are finite, (action_size,)."""
        super().__init__()
        # Mean and log sigma come from one layer.
        sizes = (observation_size, *hidden_sizes, 2 * len(action_lower))
        self.body = Stack(1, sizes, norm)
        # In float64 first: the half range of (-3e38, 3e38) does not fit the sum of two float32.
        lower, upper = (np.asarray(bound, np.float64) for bound in (action_lower, action_upper))
        self.register_buffer('observation_mean', torch.zeros(observation_size))
        self.register_buffer('observation_scale', torch.ones(observation_size))
        self.register_buffer('action_middle', _float32((lower + upper) / 2.0))
        self.register_buffer('action_half_range', _float32((upper - lower) / 2.0))
        self.register_buffer('action_lower', _float32(lower))
        self.register_buffer('action_upper', _float32(upper))

    def forward(self, observation: Tensor, is_training: bool = False) -> tuple[Tensor, Tensor]:
        """Return mean and log sigma of the Gaussian before tanh, each (batch, action_size)."""
        mean, log_std = self.body(self.normalised(observation), is_training)[0].chunk(2, dim=-1)
        return mean, soft_bound(log_std)

    @property
    def mean_head(self) -> Head:
        """The part of the last layer that puts out the mean, as views of the parameters."""
        return self._head(slice(None, len(self.action_middle)))

    @property
    def log_std_head(self) -> Head:
        """The part of the last layer that puts out log sigma, before its bound, as views."""
        return self._head(slice(len(self.action_middle), None))

    def _head(self, columns: slice) -> Head:
        weight, bias = self.body.weights[-1].detach(), self.body.biases[-1].detach()
        return Head(weight[0][:, columns], bias[0, 0, columns])

    def features(self, observation: Tensor) -> Tensor:
        """Return what the last layer sees, (batch, size)."""
        return self.body.features(self.normalised(observation))[0]

    def normalised(self, observation: Tensor) -> Tensor:
        """Return the observation as the layers see it."""
        return (observation - self.observation_mean) * self.observation_scale

    def input_norm(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale, (observation - mean) * scale being what the first layer sees.

        Each is float64, (observation_size,).  The running statistics of a norm on the input are
        part of it.  So they tell where observations are, if anything normalises them.
        """
        mean = self.observation_mean.double().numpy()
        scale = self.observation_scale.double().numpy()
        further_mean, further_scale = self.body.input_norm(0)
        return mean + further_mean / scale, scale * further_scale

    def sample(self, observation: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return unit actions drawn from pi, reparameterised, and log pi of each, (batch,)."""
        size = (len(observation), len(self.action_middle))
        return self.draw(observation, torch.randn(size, generator=generator))

    def draw(
        self, observation: Tensor, noise: Tensor, is_training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Do as `sample` with standard normal noise that is given, (batch, action_size)."""
        mean, log_std = self(observation, is_training)
        return squash(mean, log_std, noise)

    def mean_action(self, observation: Tensor) -> Tensor:
        """Return the deterministic action, the one that is exported, in its own units."""
        mean, _ = self(observation)
        return self.to_action(torch.tanh(mean))

    def to_action(self, unit_action: Tensor) -> Tensor:
        """Return the action in its own units, inside [action_lower, action_upper]."""
        action = self.action_middle + self.action_half_range * unit_action
        # Rounding can put middle + half range one float32 step above the upper bound.
        return torch.clamp(action, self.action_lower, self.action_upper)


class Critic(nn.Module):
    """N soft Q-functions in one module, or, without actions, N soft state values."""

    observation_mean: Tensor  # SI, shape (observation_size,)
    observation_scale: Tensor  # 1 / SI, shape (observation_size,)

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden_sizes: Sequence[int],
        critics: int,
        outputs: int = 1,
        norm: Norm = 'none',
    ) -> None:
        """Draw the weights from torch's global generator, every critic its own."""
        super().__init__()
        sizes = (observation_size + action_size, *hidden_sizes, outputs)
        self.body = Stack(critics, sizes, norm)
        self.register_buffer('observation_mean', torch.zeros(observation_size))
        self.register_buffer('observation_scale', torch.ones(observation_size))

    def forward(
        self,
        observation: Tensor,
        unit_action: Tensor,
        is_training: bool = False,
        keep: Sequence[Tensor] = (),
    ) -> Tensor:
        """Return what every critic says, (N, batch, outputs); see value_heads.py, Stack."""
        observation = (observation - self.observation_mean) * self.observation_scale
        return self.body(torch.cat((observation, unit_action), dim=-1), is_training, keep)


def make_networks(
    config: SACConfig,
    device: torch.device,
    observation_size: int,
    action_lower: np.ndarray,
    action_upper: np.ndarray,
    seed: int,
) -> tuple[Actor, Critic, Critic | None]:
    """Draw actor, critics and, where it is learned, state value of a configuration from `seed`."""
    sizes, outputs = config.critic_widths, make_head(config).outputs
    with torch.random.fork_rng():  # leaves the global generator as it was
        torch.manual_seed(seed)
        actor = Actor(
            observation_size, config.hidden_sizes, action_lower, action_upper, actor_norm(config)
        )
        critic = Critic(
            observation_size, len(action_lower), sizes, config.critics, outputs, config.norm
        )
        value = Critic(observation_size, 0, sizes, 1) if config.target == 'value' else None
    if config.unit_weights:
        actor.body.project()
        critic.body.project()
    return actor.to(device), critic.to(device), None if value is None else value.to(device)


def learned(network: Actor | Critic) -> list[Tensor]:
    """Return the parameters that a gradient moves."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def actor_norm(config: SACConfig) -> Norm:
    """Return how the features of the actor are normalised; layer norms are for critics."""
    return 'none' if config.norm == 'layer' else config.norm


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit action tanh(mean + sigma * noise) and its log-probability, (batch,)."""
    # Equation 18: a = tanh(x), x = mu + sigma * epsilon, epsilon ~ N(0, 1)
    x = mean + log_std.exp() * noise
    # log f(x) = sum_i -epsilon_i^2 / 2 - log sigma_i - log(2 pi) / 2
    log_gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    # log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2 x)), which holds where 1 - tanh(x)^2 is
    # rounded to 0: the text below equation 17.
    log_slope = 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))
    # Equation 17: log pi(a | s) = log f(x) - sum_i log(1 - tanh(x_i)^2)
    return torch.tanh(x), (log_gaussian - log_slope).sum(dim=-1)


def soft_bound(log_std: Tensor) -> Tensor:
    """Keep log sigma within its range, smoothly: nearly the identity inside, never a zero slope.

    The bound of Chua et al. 2018 (arXiv:1805.12114, appendix A.1) for the variance of a network.
    """
    log_std = LOG_STD_HIGHEST - softplus(LOG_STD_HIGHEST - log_std)
    return LOG_STD_LOWEST + softplus(log_std - LOG_STD_LOWEST)


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
