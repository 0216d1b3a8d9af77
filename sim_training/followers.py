"""Networks that are copies of others: some follow slowly, some where the actions are computed."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar('Network', bound=nn.Module)


def follower(network: Network | None) -> Network | None:
    """Return what follows a network slowly, beginning where it is."""
    return None if network is None else copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, followed: nn.Module, share: float, *, statistics: bool) -> None:
    """Move a follower by a share of the way.

    `statistics` are those of batch norms, for a follower that does not see batches of its own.
    """
    # theta_target = tau theta + (1 - tau) theta_target: Haarnoja et al. 2018b, algorithm 1
    theta_target: list[Tensor] = list(target.parameters())
    theta: list[Tensor] = list(followed.parameters())
    if statistics:
        theta_target += target.buffers()
        theta += followed.buffers()
    torch._foreach_lerp_(theta_target, theta, share)


def on_processor(network: Network) -> Network:
    """Return the network itself where the processor has it, otherwise a copy there."""
    is_here = next(network.parameters()).device.type == 'cpu'
    return network if is_here else copy.deepcopy(network).cpu()
