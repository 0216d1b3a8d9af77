"""Small agents, a batch for them to learn from, and their weights by name."""

import numpy as np
import torch
from torch import Tensor

from sim_training.replay_buffer import Batch
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig

torch.set_num_threads(1)
SMALL = {'hidden_sizes': (16, 16), 'batch_size': 32, 'learning_starts': 32}


def make_agent(seed: int = 0, device: str = 'cpu', **overrides: object) -> SAC:
    """Return a small agent for 3 observations and 2 actions in (-1, 3)."""
    config = SACConfig(**{**SMALL, **overrides})
    return SAC(config, 3, np.array([-1.0, -1.0]), np.array([3.0, 3.0]), seed, device)


def make_batch(count: int = 32, **changes: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(5)
    batch = Batch(
        observation=torch.randn(count, 3, generator=generator),
        unit_action=torch.rand(count, 2, generator=generator) * 2.0 - 1.0,
        reward=torch.randn(count, generator=generator),
        next_observation=torch.randn(count, 3, generator=generator),
        discount=torch.full((count,), 0.98),
    )
    return batch._replace(**changes)


def parameters(agent: SAC) -> dict[str, Tensor]:
    networks = {'actor': agent.actor, 'critic': agent.critic, 'target': agent.target_critic}
    return {
        f'{name}.{key}': value.detach().clone()
        for name, network in networks.items()
        for key, value in network.named_parameters()
    } | {'log_alpha': agent.log_alpha.detach().clone()}


def set_constant_q(agent: SAC, *values: float) -> None:
    """Make target critic i answer values[i] whatever it is asked."""
    with torch.no_grad():
        for parameter in agent.target_critic.parameters():
            parameter.zero_()
        agent.target_critic.body.biases[-1][:, 0, 0] = torch.tensor(values)
