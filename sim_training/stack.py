"""Stack: N multilayer perceptrons of one shape in one module, so that they are computed as one.

Every weight has shape (N, inputs, outputs), everything that passes through (N, batch, size).
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from sim_training.sac_config import Norm

Linear = tuple[np.ndarray, np.ndarray]  # weight (inputs, outputs) and bias (outputs,), float64
Line = tuple[np.ndarray, np.ndarray]  # two numbers for each feature, (size,), float64

MOMENTUM = 0.01  # share of a batch in the running statistics
EPSILON = 1e-3  # added to a variance
RENORM_SCALE, RENORM_SHIFT = 3.0, 5.0  # r_max and d_max of batch renormalisation
RENORM_FROM = 100_000  # batches in which it is plain batch normalisation


class Stack(nn.Module):
    """Linear layers with ReLU between them, and what keeps their features in scale.

    layer: behind each hidden linear layer (Hiraoka et al. 2022, arXiv:2110.02034, figure 2).
    batch: on the input and behind each hidden linear layer (XQC, Palenicek et al. 2026).
    batch_renorm: in front of every linear layer (CrossQ, Bhatt et al. 2024, arXiv:1902.05605).
    """

    def __init__(self, copies: int, sizes: Sequence[int], norm: Norm) -> None:
        """Draw the weights of `copies` networks from torch's global generator.

        `sizes` are those of the input, of each hidden layer and of the output.
        """
        super().__init__()
        layers = list(itertools.pairwise(sizes))
        # The distribution of nn.Linear: uniform within 1 / sqrt(inputs).
        self.weights = nn.ParameterList(
            _uniform((copies, inputs, outputs), inputs) for inputs, outputs in layers
        )
        self.biases = nn.ParameterList(
            _uniform((copies, 1, outputs), inputs) for inputs, outputs in layers
        )
        if norm == 'batch':  # a batch norm takes away what a bias in front of it adds
            for bias in list(self.biases)[:-1]:
                bias.requires_grad_(False).zero_()
        self.norm = norm
        normalised = [] if norm == 'none' else sizes[1:-1] if norm == 'layer' else sizes[:-1]
        self.norms = nn.ModuleList(_make_norm(norm, copies, size) for size in normalised)

    def forward(
        self, features: Tensor, is_training: bool = False, keep: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the output, (N, batch, outputs); see `features`."""
        features = self.features(features, is_training, keep)
        return _linear(features, self.weights[-1], self.biases[-1])

    def features(
        self, features: Tensor, is_training: bool = False, keep: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return what the last layer sees, (N, batch, size).

        Batches are normalised by themselves when training, otherwise by their running statistics.
        `keep` has what each hidden layer is multiplied by, for dropout, (N, batch, size).
        """
        features = features.expand(len(self.biases[0]), *features.shape[-2:])
        norms = iter(self.norms)
        if self.norm in ('batch', 'batch_renorm'):
            features = next(norms)(features, is_training)
        hidden = list(zip(self.weights, self.biases, strict=True))[:-1]
        for i, layer in enumerate(hidden):
            features = _linear(features, *layer)
            if keep:
                features = features * keep[i]
            if self.norm in ('layer', 'batch'):
                features = next(norms)(features, is_training)
            features = features.relu_()
            if self.norm == 'batch_renorm':
                features = next(norms)(features, is_training)
        return features

    @torch.no_grad()
    def project(self) -> None:
        """Give the weights of every unit the length 1: weight normalisation by projection."""
        for weight in self.weights:
            weight.div_(weight.norm(dim=1, keepdim=True).clamp(min=1e-8))

    def input_norm(self, number: int) -> Line:
        """Return what network `number` takes off each input, and multiplies the rest by."""
        if self.norm in ('batch', 'batch_renorm'):
            norm = self.norms[0]
            assert isinstance(norm, BatchNorm)
            return norm.statistics(number)
        size = self.weights[0].shape[1]
        return np.zeros(size), np.ones(size)

    def plain(self, number: int) -> list[Linear]:
        """Return network `number` as linear layers with ReLU between them, behind `input_norm`.

        All other running statistics are folded into the weights.  Those of the input are not: far
        from 0 the sums would cancel in float32.  Raises ValueError for layer norms.
        """
        if self.norm == 'layer':
            raise ValueError('layer normalisation cannot be folded into linear layers')
        layers = [
            (_float64(weight[number]), _float64(bias[number, 0]))
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        for i, norm in enumerate(self.norms):
            assert isinstance(norm, BatchNorm)
            factor, offset = norm.learned(number) if i == 0 else norm.line(number)
            if self.norm == 'batch' and i > 0:  # behind a linear layer
                weight, bias = layers[i - 1]
                layers[i - 1] = weight * factor, bias * factor + offset
            else:  # in front of one
                weight, bias = layers[i]
                layers[i] = factor[:, None] * weight, bias + offset @ weight
        return layers


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016, arXiv:1607.06450), each network with its own line."""

    def __init__(self, copies: int, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(copies, 1, size))
        self.shift = nn.Parameter(torch.zeros(copies, 1, size))

    def forward(self, features: Tensor, is_training: bool) -> Tensor:
        """Return features of mean 0 and variance 1 over each row, on the learned line."""
        return layer_norm(features, features.shape[-1:]) * self.scale + self.shift


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167), for each network its own."""

    running_mean: Tensor  # shape (N, 1, size)
    running_variance: Tensor  # shape (N, 1, size)

    def __init__(self, copies: int, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(copies, 1, size))
        self.shift = nn.Parameter(torch.zeros(copies, 1, size))
        self.register_buffer('running_mean', torch.zeros(copies, 1, size))
        self.register_buffer('running_variance', torch.ones(copies, 1, size))

    def forward(self, features: Tensor, is_training: bool) -> Tensor:
        """Return features of mean 0 and variance 1 over the batch, on the learned line."""
        if not is_training:
            factor = (self.running_variance + EPSILON).rsqrt() * self.scale
            return (features - self.running_mean) * factor + self.shift
        mean = features.mean(dim=1, keepdim=True)
        centred = features - mean
        variance = centred.square().mean(dim=1, keepdim=True)
        normal = self.corrected(centred * (variance + EPSILON).rsqrt(), mean, variance)
        with torch.no_grad():
            self.running_mean.lerp_(mean, MOMENTUM)
            self.running_variance.lerp_(variance, MOMENTUM)
        return normal * self.scale + self.shift

    def corrected(self, normal: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Return normalised features as they are; see BatchRenorm."""
        return normal

    def statistics(self, number: int) -> Line:
        """Return the running mean and one over the running deviation, each (size,)."""
        mean, variance = self.running_mean[number, 0], self.running_variance[number, 0]
        return _float64(mean), 1.0 / np.sqrt(_float64(variance) + EPSILON)

    def learned(self, number: int) -> Line:
        """Return factor and offset behind the statistics, each (size,)."""
        return _float64(self.scale[number, 0]), _float64(self.shift[number, 0])

    def line(self, number: int) -> Line:
        """Return factor and offset that all of it comes to, each (size,)."""
        mean, scale = self.statistics(number)
        factor, offset = self.learned(number)
        return scale * factor, offset - mean * scale * factor


class BatchRenorm(BatchNorm):
    """Batch renormalisation (Ioffe 2017, arXiv:1702.03275): near the running statistics."""

    batches: Tensor  # seen so far, shape ()

    def __init__(self, copies: int, size: int) -> None:
        super().__init__(copies, size)
        self.register_buffer('batches', torch.zeros(()))

    @torch.no_grad()
    def _correction(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        deviation = (self.running_variance + EPSILON).sqrt()
        # r = clip(sigma_batch / sigma), d = clip((mu_batch - mu) / sigma): algorithm 1
        r = ((variance + EPSILON).sqrt() / deviation).clamp(1.0 / RENORM_SCALE, RENORM_SCALE)
        d = ((mean - self.running_mean) / deviation).clamp(-RENORM_SHIFT, RENORM_SHIFT)
        is_begun = self.batches >= RENORM_FROM
        self.batches += 1.0
        return torch.where(is_begun, r, torch.ones_like(r)), torch.where(is_begun, d, 0.0 * d)

    def corrected(self, normal: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Return normalised features as the running statistics would have them, within bounds."""
        r, d = self._correction(mean, variance)
        return normal * r + d


def _make_norm(norm: Norm, copies: int, size: int) -> nn.Module:
    kinds = {'layer': LayerNorm, 'batch': BatchNorm, 'batch_renorm': BatchRenorm}
    return kinds[norm](copies, size)


def _linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return numbers of the weights' kind, also where the products are in bfloat16."""
    if len(weight) == 1:  # a plain product is the faster one
        return torch.addmm(bias[0], features[0], weight[0])[None].to(bias.dtype)
    return torch.baddbmm(bias, features, weight).to(bias.dtype)


def _uniform(shape: tuple[int, ...], inputs: int) -> nn.Parameter:
    bound = 1.0 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def _float64(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)
