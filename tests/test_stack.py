"""Stacked networks and their norms, against torch's own layers and numbers worked out by hand."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, layer_norm

from sim_training.sac_config import Norm
from sim_training.stack import EPSILON, RENORM_FROM, BatchNorm, BatchRenorm, LayerNorm, Stack

torch.set_num_threads(1)
SIZES = (3, 6, 5, 2)
# L: a linear layer, N: a norm, R: ReLU
ORDER = {
    'none': 'L R L R L',
    'layer': 'L N R L N R L',
    'batch': 'N L N R L N R L',
    'batch_renorm': 'N L R N L R N L',
}
NORMS: tuple[Norm, ...] = ('none', 'layer', 'batch', 'batch_renorm')
BATCH_NORMS: tuple[Norm, ...] = ('batch', 'batch_renorm')


def make_stack(norm: Norm, copies: int = 2) -> Stack:
    """Return networks whose norms have a line and running statistics of their own."""
    torch.manual_seed(0)
    stack = Stack(copies, SIZES, norm)
    for tensor in stack.norms.state_dict().values():
        if tensor.ndim:
            tensor.uniform_(0.5, 2.0)
    return stack


def column(*values: float) -> Tensor:
    """Return a batch of one network with one feature."""
    return torch.tensor(values)[None, :, None]


def features(count: int = 40) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1)) * 2.0 + 1.0


def layer_by_layer(stack: Stack, number: int, values: Tensor) -> Tensor:
    """Return what network `number` puts out, by the functions of torch in the order of ORDER."""
    linear = iter(zip(stack.weights, stack.biases, strict=True))
    norms = iter(stack.norms)
    for letter in ORDER[stack.norm].split():
        if letter == 'L':
            weight, bias = next(linear)
            values = values @ weight[number] + bias[number]
        elif letter == 'R':
            values = values.relu()
        else:
            values = torchs_norm(next(norms), number, values)
    assert next(linear, None) is next(norms, None) is None
    return values


def torchs_norm(norm: torch.nn.Module, number: int, values: Tensor) -> Tensor:
    scale, shift = norm.scale[number, 0], norm.shift[number, 0]
    if isinstance(norm, LayerNorm):
        return layer_norm(values, values.shape[-1:], scale, shift)
    mean, variance = norm.running_mean[number, 0], norm.running_variance[number, 0]
    return batch_norm(values, mean, variance, scale, shift, eps=EPSILON)


@pytest.mark.parametrize('norm', NORMS)
def test_every_network_is_its_layers_and_norms_in_the_order_of_the_paper(norm: Norm):
    stack = make_stack(norm)
    answers = stack(features())
    assert answers.shape == (2, 40, 2)
    for number in range(2):
        expected = layer_by_layer(stack, number, features())
        torch.testing.assert_close(answers[number], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_norm_is_torchs_own_with_a_line_for_each_network():
    norm = make_stack('layer').norms[0]
    values = torch.randn(2, 7, 6)
    for number, answer in enumerate(norm(values, is_training=True)):
        theirs = torch.nn.LayerNorm(6)
        theirs.weight.data, theirs.bias.data = norm.scale[number, 0], norm.shift[number, 0]
        torch.testing.assert_close(answer, theirs(values[number]))


def test_a_batch_norm_in_training_is_torchs_own():
    norm = make_stack('batch').norms[0]
    values = torch.randn(2, 40, 3) * 3.0 + 5.0
    for number, answer in enumerate(norm(values, is_training=True)):
        theirs = torch.nn.BatchNorm1d(3, eps=EPSILON)
        theirs.weight.data, theirs.bias.data = norm.scale[number, 0], norm.shift[number, 0]
        torch.testing.assert_close(answer, theirs(values[number]))


def test_running_statistics_take_over_a_hundredth_of_each_batch_and_only_in_training():
    norm = BatchNorm(1, 1)
    norm(column(1.0, 5.0), is_training=False)
    assert (norm.running_mean.item(), norm.running_variance.item()) == (0.0, 1.0)
    norm(column(1.0, 5.0), is_training=True)
    # The batch has mean 3 and variance 4: 0.01 * 3, and 0.99 + 0.01 * 4.
    assert norm.running_mean.item() == pytest.approx(0.03)
    assert norm.running_variance.item() == pytest.approx(1.03)


@pytest.mark.parametrize('norm', BATCH_NORMS)
def test_when_not_training_a_row_is_the_same_in_whatever_batch_and_nothing_changes(norm: Norm):
    stack = make_stack(norm)
    before = {name: value.clone() for name, value in stack.state_dict().items()}
    torch.testing.assert_close(stack(features())[:, :1], stack(features()[:1]))
    for name, value in stack.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize('norm', BATCH_NORMS)
def test_in_training_every_norm_takes_the_statistics_of_its_batch(norm: Norm):
    stack = make_stack(norm)
    assert (stack(features(), is_training=True) - stack(features())).abs().max() > 0.01
    mean = features().mean(dim=0)
    for number in range(2):
        fresh = Stack(2, SIZES, norm)
        fresh(features(), is_training=True)
        torch.testing.assert_close(fresh.norms[0].running_mean[number, 0], 0.01 * mean)


def test_batch_renormalisation_begins_as_batch_normalisation():
    renorm, norm = BatchRenorm(1, 1), BatchNorm(1, 1)
    for _ in range(3):
        ours, theirs = (each(column(7.0, 9.0, 20.0), is_training=True) for each in (renorm, norm))
        torch.testing.assert_close(ours, theirs)
    assert renorm.batches == 3.0


def begun_renorm() -> BatchRenorm:
    """Return one that has seen many batches, of mean 0 and deviation 1."""
    norm = BatchRenorm(1, 1)
    norm.batches.fill_(RENORM_FROM)
    norm.running_variance.fill_(1.0 - EPSILON)
    return norm


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ((0.5, 1.5), (0.5, 1.5)),  # near the statistics, it says what they say
        ((2.0, 6.0), (2.0, 6.0)),  # mean 4, deviation 2
        ((100.0, 104.0), (3.0, 7.0)),  # d = 102 is cut to 5; r = 2: 5 - 2 and 5 + 2
        ((-104.0, -100.0), (-7.0, -3.0)),
        ((-100.0, 100.0), (-3.0, 3.0)),  # r = 100 is cut to 3
        # deviation 0.001, where epsilon = 0.001 counts: normalised to 0.001 / sqrt(0.001001), and
        # r = sqrt(0.001001) is cut to 1 / 3
        ((-0.001, 0.001), (-0.010536, 0.010536)),
    ],
)
def test_batch_renormalisation_later_follows_the_running_statistics_within_bounds(
    values: tuple[float, ...], expected: tuple[float, ...]
):
    answer = begun_renorm()(column(*values), is_training=True)
    np.testing.assert_allclose(answer.detach().flatten(), expected, rtol=2e-4)


@pytest.mark.parametrize('norm', ['none', *BATCH_NORMS])
def test_plain_linear_layers_with_relus_are_the_same_function(norm: Norm):
    stack = make_stack(norm)
    for number in range(2):
        mean, scale = stack.input_norm(number)
        values = (features().double().numpy() - mean) * scale
        *hidden, (weight, bias) = stack.plain(number)
        for hidden_weight, hidden_bias in hidden:
            values = np.maximum(values @ hidden_weight + hidden_bias, 0.0)
        assert [w.shape for w, _ in stack.plain(number)] == list(itertools.pairwise(SIZES))
        expected = stack(features())[number].detach().numpy()
        np.testing.assert_allclose(values @ weight + bias, expected, rtol=1e-4, atol=1e-5)


def test_layer_norms_cannot_be_plain_linear_layers():
    with pytest.raises(ValueError, match=r'^layer normalisation cannot be folded into linear'):
        make_stack('layer').plain(0)


def test_projected_the_weights_of_every_unit_have_length_one_and_their_direction():
    stack = make_stack('batch')
    before = [weight.detach().clone() for weight in stack.weights]
    stack.project()
    for weight, old in zip(stack.weights, before, strict=True):
        for network, unit in itertools.product(range(2), range(weight.shape[2])):
            vector, old_vector = weight[network, :, unit], old[network, :, unit]
            assert vector.norm().item() == pytest.approx(1.0, abs=1e-6)
            torch.testing.assert_close(vector * old_vector.norm(), old_vector)


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('norm', NORMS)
def test_networks_know_nothing_of_each_other(norm: Norm, is_training: bool):
    stack = make_stack(norm, copies=3)
    stack(features(), is_training)[1].square().sum().backward()
    for name, parameter in stack.named_parameters():
        if not parameter.requires_grad:  # a bias that the batch norm behind it would take away
            assert norm == 'batch'
            assert not parameter.any()
            continue
        assert parameter.grad is not None
        assert parameter.grad[[0, 2]].abs().max() == 0.0, name
        assert torch.isfinite(parameter.grad).all(), name
    before = stack(features())
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter[1] += 1.0
    after = stack(features())
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert (after[1] != before[1]).all()


def test_what_is_dropped_leaves_the_bias_of_the_last_layer_and_what_is_kept_grows():
    stack = make_stack('none')
    nothing = [torch.zeros(2, 40, size) for size in (6, 5)]
    answer = stack(features(), True, nothing)
    torch.testing.assert_close(answer, stack.biases[-1].expand(2, 40, 2))
    doubled = stack(features(), True, [torch.full((2, 40, 6), 2.0), torch.full((2, 40, 5), 1.0)])
    hidden = (2.0 * (features() @ stack.weights[0] + stack.biases[0])).relu()
    hidden = (hidden @ stack.weights[1] + stack.biases[1]).relu()
    torch.testing.assert_close(doubled, hidden @ stack.weights[2] + stack.biases[2])
