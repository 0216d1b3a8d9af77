"""What an update takes from chance, drawn before it: a compiled graph draws nothing itself."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sim_training.sac_config import SACConfig

USES = 3  # of the critics in an update: next step, present step, actor


class Draws(NamedTuple):
    """The draws of one update."""

    next_noise: Tensor  # standard normal, of the next action, (batch, action_size)
    noise: Tensor  # the same of the present one
    members: Tensor  # the critics that are asked about the next step, (target_subset,)
    # For each of USES and each hidden layer of the critics, (N, batch, size): 0 where a feature is
    # dropped, else what keeps the mean of all; empty without dropout.
    keep: Sequence[Sequence[Tensor]]


def draw(
    config: SACConfig, action_size: int, generator: torch.Generator, device: torch.device
) -> Draws:
    """Draw what one update of a configuration needs, by a generator of the processor."""
    size = (config.batch_size, action_size)
    next_noise = torch.randn(size, generator=generator)
    noise = torch.randn(size, generator=generator)
    members = torch.arange(config.critics)
    if config.target_subset is not None:
        members = torch.randperm(config.critics, generator=generator)[: config.target_subset]
    keep = [
        [each.to(device) for each in _keep(config, generator)] if config.dropout else []
        for _ in range(USES)
    ]
    return Draws(next_noise.to(device), noise.to(device), members.to(device), keep)


def _keep(config: SACConfig, generator: torch.Generator) -> list[Tensor]:
    share = 1.0 - config.dropout
    sizes = [(config.critics, config.batch_size, width) for width in config.critic_widths]
    return [(torch.rand(size, generator=generator) < share).float() / share for size in sizes]
