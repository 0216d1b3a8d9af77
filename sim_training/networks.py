"""The tanh-Gaussian actor and the stacked critics.  Losses and optimisers are in sac.py.

Observations are in SI units, shape (batch, observation_size), and are normalised in here.  A unit
action is in [-1, 1], shape (batch, action_size); `Actor.to_action` gives it its own units.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

# The range of log sigma that the authors of Haarnoja et al. 2018a and 2018b use in their own code.
LOG_STD_LOWEST = -20.0
LOG_STD_HIGHEST = 2.0


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
    ) -> None:
        """Draw the weights from torch's global generator; bounds are finite, (action_size,)."""
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise((observation_size, *hidden_sizes)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.mean_head = nn.Linear(hidden_sizes[-1], len(action_lower))
        self.log_std_head = nn.Linear(hidden_sizes[-1], len(action_lower))
        # In float64 first: the half range of (-3e38, 3e38) does not fit the sum of two float32.
        lower, upper = (np.asarray(bound, np.float64) for bound in (action_lower, action_upper))
        self.register_buffer('observation_mean', torch.zeros(observation_size))
        self.register_buffer('observation_scale', torch.ones(observation_size))
        self.register_buffer('action_middle', _float32((lower + upper) / 2.0))
        self.register_buffer('action_half_range', _float32((upper - lower) / 2.0))
        self.register_buffer('action_lower', _float32(lower))
        self.register_buffer('action_upper', _float32(upper))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log sigma of the Gaussian before tanh, each (batch, action_size)."""
        features = self.body((observation - self.observation_mean) * self.observation_scale)
        return self.mean_head(features), soft_bound(self.log_std_head(features))

    def sample(self, observation: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return unit actions drawn from pi, reparameterised, and log pi of each, (batch,)."""
        size = (len(observation), len(self.action_middle))
        return self.draw(observation, torch.randn(size, generator=generator))

    def draw(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `sample` with standard normal noise that is given, (batch, action_size)."""
        mean, log_std = self(observation)
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
    """N soft Q-functions in one module: every weight is stacked to (N, inputs, outputs)."""

    observation_mean: Tensor  # SI, shape (observation_size,)
    observation_scale: Tensor  # 1 / SI, shape (observation_size,)

    def __init__(
        self, observation_size: int, action_size: int, hidden_sizes: Sequence[int], critics: int
    ) -> None:
        """Draw the weights from torch's global generator, every critic its own."""
        super().__init__()
        layers = list(itertools.pairwise((observation_size + action_size, *hidden_sizes, 1)))
        # The distribution of nn.Linear: uniform within 1 / sqrt(inputs).
        self.weights = nn.ParameterList(
            _uniform((critics, inputs, outputs), 1.0 / math.sqrt(inputs))
            for inputs, outputs in layers
        )
        self.biases = nn.ParameterList(
            _uniform((critics, 1, outputs), 1.0 / math.sqrt(inputs)) for inputs, outputs in layers
        )
        self.register_buffer('observation_mean', torch.zeros(observation_size))
        self.register_buffer('observation_scale', torch.ones(observation_size))

    def forward(self, observation: Tensor, unit_action: Tensor) -> Tensor:
        """Return Q_i(s, a) of every critic i, shape (N, batch)."""
        observation = (observation - self.observation_mean) * self.observation_scale
        features = torch.cat((observation, unit_action), dim=-1)
        features = features.expand(len(self.biases[0]), *features.shape)
        *hidden, (last_weight, last_bias) = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            features = torch.baddbmm(bias, features, weight).relu_()
        return torch.baddbmm(last_bias, features, last_weight).squeeze(-1)


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


def _uniform(shape: tuple[int, ...], bound: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
