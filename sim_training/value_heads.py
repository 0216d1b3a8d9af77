"""What the last layer of a critic says of the soft Q-value: a number, quantiles, or a histogram.

A head has no weights.  z is what the critics put out, shape (N, batch, outputs).
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, log_softmax, softmax

from sim_training.sac_config import SACConfig

CPU = torch.device('cpu')


class ValueHead(Protocol):
    """How z is read, what it should be, and how far it is from that."""

    outputs: int

    def value(self, z: Tensor) -> Tensor:
        """Return the soft Q-value of each critic, (N, batch)."""

    def target(self, z: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """Return what the critics should say: reward + discount (next value + bonus).

        z is that of the critics that are asked about the next step, (M, batch, outputs); the
        others have shape (batch,).
        """

    def loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over the batch, summed over the critics."""


class ScalarHead:
    """One number, by the squared error."""

    outputs = 1

    def value(self, z: Tensor) -> Tensor:
        """Return the number."""
        return z.squeeze(-1)

    def target(self, z: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """Return y, (batch,), by the smallest of the critics: clipped double Q."""
        return reward + discount * (z.squeeze(-1).amin(dim=0) + bonus)

    def loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return J_Q = sum_i E[(Q_i(s, a) - y)^2 / 2]: equation 12 of sac.py."""
        return 0.5 * (self.value(z) - target).square().mean(dim=1).sum()


class QuantileHead:
    """Quantiles, the largest of all critics dropped (TQC, Kuznetsov et al. 2020, 2005.04269)."""

    def __init__(self, quantiles: int, dropped: int, device: torch.device = CPU) -> None:
        """Drop `dropped` quantiles for each critic."""
        self.outputs = quantiles
        self._dropped = dropped
        # tau_m = (2 m - 1) / (2 M)
        self._tau = (torch.arange(quantiles, device=device) + 0.5) / quantiles

    def value(self, z: Tensor) -> Tensor:
        """Return the mean of the quantiles."""
        return z.mean(dim=-1)

    def target(self, z: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """Return the atoms that are left of all critics together, (batch, atoms): equation 10."""
        pooled = z.transpose(0, 1).flatten(1)
        kept = pooled.shape[1] - self._dropped * len(z)
        atoms = pooled.sort(dim=1).values[:, :kept]
        return reward[:, None] + discount[:, None] * (atoms + bonus[:, None])

    def loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the quantile Huber loss, equation 12, between all quantiles and all atoms."""
        quantiles, atoms = z[..., None], target[None, :, None, :]
        quantiles, atoms = torch.broadcast_tensors(quantiles, atoms)
        side = (self._tau[:, None] - (atoms < quantiles).float()).abs()
        return (side * huber_loss(quantiles, atoms, reduction='none')).mean(dim=(1, 2, 3)).sum()


class CategoricalHead:
    """A histogram over fixed values (C51, Bellemare et al. 2017, arXiv:1707.06887)."""

    def __init__(self, bins: int, bound: float, device: torch.device = CPU) -> None:
        """Spread `bins` values evenly from -bound to bound; what is outside is put on the rim."""
        self.outputs = bins
        self._bound = bound
        self._bins = torch.linspace(-bound, bound, bins, device=device)

    def value(self, z: Tensor) -> Tensor:
        """Return the mean of the histogram."""
        return (softmax(z, dim=-1) * self._bins).sum(dim=-1)

    def target(self, z: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """Return the next histogram of the critic with the smallest mean, moved, (batch, bins)."""
        member = self.value(z).argmin(dim=0)
        index = member[None, :, None].expand(1, -1, self.outputs)
        probability = softmax(z.gather(0, index)[0], dim=-1)
        moved = reward[:, None] + discount[:, None] * (self._bins + bonus[:, None])
        # Algorithm 1: each share goes to the two bins around it, more to the nearer one.
        width = 2.0 * self._bound / (self.outputs - 1)
        place = (moved.clamp(-self._bound, self._bound) + self._bound) / width
        lower = place.floor().long().clamp(0, self.outputs - 2)  # NaN stays in the shares
        upper_share = place - lower
        projected = torch.zeros_like(probability)
        projected = projected.scatter_add(1, lower, probability * (1.0 - upper_share))
        return projected.scatter_add(1, lower + 1, probability * upper_share)

    def loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy with the target."""
        return -(target * log_softmax(z, dim=-1)).sum(dim=-1).mean(dim=1).sum()


def make_head(config: SACConfig, device: torch.device = CPU) -> ValueHead:
    """Return the head that a configuration asks for."""
    if config.head == 'quantile':
        return QuantileHead(config.atoms, config.dropped_atoms, device)
    if config.head == 'categorical':
        return CategoricalHead(config.atoms, config.value_bound, device)
    return ScalarHead()
