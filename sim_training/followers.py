"""Networks that are copies of others: some follow slowly, some where the actions are computed."""

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar('Network', bound=nn.Module)


def follower(network: Network | None) -> Network | None:
    """Return what follows a network slowly, beginning where it is."""
    return None if network is None else copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, followed: nn.Module, share: float) -> None:
    """Move a follower, the statistics of its batch norms too, by a share of the way."""
    # theta_target = tau theta + (1 - tau) theta_target: Haarnoja et al. 2018b, algorithm 1
    theta_target = [*target.parameters(), *target.buffers()]
    torch._foreach_lerp_(theta_target, [*followed.parameters(), *followed.buffers()], share)


def on_processor(network: Network) -> Network:
    """Return the network itself where the processor has it, otherwise a copy there."""
    is_here = next(network.parameters()).device.type == 'cpu'
    return network if is_here else copy.deepcopy(network).cpu()
