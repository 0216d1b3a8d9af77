"""What critics should say and how far they are from it, worked out by hand for tiny cases."""

import math

import pytest
import torch
from torch import Tensor

from sim_training.value_heads import CategoricalHead, QuantileHead, ScalarHead

torch.set_num_threads(1)
ONE = torch.ones(1)


def logits(*histograms: tuple[float, ...]) -> Tensor:
    """Return what a critic puts out to say each of these, (critics, 1, bins)."""
    return torch.tensor(histograms).clamp(min=1e-30).log()[:, None, :]


def random_z(critics: int, count: int, outputs: int) -> Tensor:
    return torch.randn(critics, count, outputs, generator=torch.Generator().manual_seed(0)) * 3.0


def test_a_number_is_read_as_it_is_and_the_smallest_of_the_critics_counts():
    head, z = ScalarHead(), torch.tensor([[[7.0], [1.0]], [[4.0], [2.0]]])
    assert head.value(z).tolist() == [[7.0, 1.0], [4.0, 2.0]]
    reward, discount = torch.tensor([1.0, 10.0]), torch.tensor([0.5, 0.0])
    # 1 + 0.5 (4 + 2), and 10 alone
    assert head.target(z, reward, discount, torch.tensor([2.0, 3.0])).tolist() == [4.0, 10.0]


def test_the_loss_of_a_number_is_half_its_mean_squared_error_of_each_critic():
    z, target = torch.tensor([[[1.0], [2.0]], [[3.0], [3.0]]]), torch.tensor([3.0, 2.0])
    # Errors -2 and 0, then 0 and 1: 4 / 2 / 2 + 1 / 2 / 2
    assert ScalarHead().loss(z, target).item() == pytest.approx(1.25)


def test_the_value_of_quantiles_is_their_mean():
    assert QuantileHead(3, 1).value(torch.tensor([[[1.0, 2.0, 6.0]]])).tolist() == [[3.0]]


def test_the_largest_quantiles_of_all_critics_together_are_dropped():
    # Of 9, 8, 7 and 1, 2, 3 together the four smallest stay: not one for each critic.
    z = torch.tensor([[[9.0, 8.0, 7.0]], [[1.0, 2.0, 3.0]]])
    atoms = QuantileHead(3, 1).target(z, 10.0 * ONE, 0.5 * ONE, 1.0 * ONE)
    # 10 + 0.5 (1, 2, 3, 7 + 1)
    assert atoms.tolist() == [[11.0, 11.5, 12.0, 14.0]]


def test_each_row_drops_its_own_quantiles_and_none_are_dropped_when_none_are_asked_for():
    z = torch.tensor([[[1.0, 5.0], [8.0, 2.0]]])
    zeros, ones = torch.zeros(2), torch.ones(2)
    assert QuantileHead(2, 1).target(z, zeros, ones, zeros).tolist() == [[1.0], [2.0]]
    assert QuantileHead(2, 0).target(z, zeros, ones, zeros).tolist() == [[1.0, 5.0], [2.0, 8.0]]


def test_behind_a_terminated_step_every_atom_is_its_reward():
    z = random_z(5, 4, 25)
    zeros, reward = torch.zeros(4), torch.arange(4.0)
    atoms = QuantileHead(25, 2).target(z, reward, zeros, zeros + 9.0)
    assert torch.equal(atoms, reward[:, None].expand(4, 115))


def test_the_quantile_huber_loss_is_the_one_by_hand():
    # Quantiles 0 (tau 0.25) and 3 (tau 0.75), atoms 1 and -1; u is atom minus quantile:
    #   u = 1: 0.25 * 0.5 = 0.125          u = -1: 0.75 * 0.5 = 0.375
    #   u = -2: 0.25 * (2 - 0.5) = 0.375   u = -4: 0.25 * (4 - 0.5) = 0.875
    head, z = QuantileHead(2, 0), torch.tensor([[[0.0, 3.0]]])
    atoms = torch.tensor([[1.0, -1.0]])
    assert head.loss(z, atoms).item() == pytest.approx(1.75 / 4.0)
    assert head.loss(z.expand(3, 1, 2), atoms).item() == pytest.approx(3.0 * 1.75 / 4.0)


def test_learned_quantiles_are_those_of_what_they_were_shown():
    head, z = QuantileHead(4, 0), torch.zeros(1, 1, 4, requires_grad=True)
    atoms = torch.linspace(0.0, 10.0, 1_001)[None]
    optimiser = torch.optim.SGD([z], lr=20.0)
    for _ in range(400):
        optimiser.zero_grad()
        head.loss(z, atoms).backward()
        optimiser.step()
    # The slope is 0 where (1 - tau) (q - 0.5) = tau (9.5 - q), as errors below 1 count for less:
    # q = 0.5 + 9 tau, and tau is 1/8, 3/8, 5/8, 7/8.
    expected = torch.tensor([[[1.625, 3.875, 6.125, 8.375]]])
    torch.testing.assert_close(z.detach(), expected, rtol=0.0, atol=0.02)


def test_the_value_of_a_histogram_is_its_mean():
    # Bins -2, -1, 0, 1, 2: 0.1 * -2 + 0.3 * 1 + 0.6 * 2
    z = logits((0.1, 0.0, 0.0, 0.3, 0.6))
    assert CategoricalHead(5, 2.0).value(z).item() == pytest.approx(1.3)


def test_a_moved_histogram_is_shared_between_the_bins_around_it():
    # 0.3 + 0.5 z: the bins 0 and 1 move to 0.3 and 0.8, and both lie between the bins 0 and 1.
    # Bin 0: 0.2 * 0.7 + 0.8 * 0.2 = 0.3; bin 1: 0.2 * 0.3 + 0.8 * 0.8 = 0.7
    z = logits((0.0, 0.0, 0.2, 0.8, 0.0))
    moved = CategoricalHead(5, 2.0).target(z, 0.3 * ONE, 0.5 * ONE, 0.0 * ONE)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0.0, 0.3, 0.7, 0.0]]))
    # The entropy's bonus moves it too: 0.1 + 0.5 (z + 0.4) is the same.
    same = CategoricalHead(5, 2.0).target(z, 0.1 * ONE, 0.5 * ONE, 0.4 * ONE)
    torch.testing.assert_close(same, moved)


def test_mass_is_kept_and_inside_the_bounds_the_mean_is_moved_exactly():
    head, z = CategoricalHead(101, 5.0), random_z(3, 50, 101)
    reward = torch.linspace(-2.0, 2.0, 50)
    discount, bonus = torch.full((50,), 0.5), torch.linspace(0.5, -0.5, 50)
    moved = head.target(z, reward, discount, bonus)
    assert (moved >= 0.0).all()
    torch.testing.assert_close(moved.sum(dim=1), torch.ones(50))
    expected = reward + discount * (head.value(z).amin(dim=0) + bonus)
    bins = torch.linspace(-5.0, 5.0, 101)
    torch.testing.assert_close((moved * bins).sum(dim=1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('reward', 'bin_number'), [(100.0, 4), (2.0, 4), (-100.0, 0), (-2.0, 0)])
def test_what_lies_outside_is_put_on_the_rim(reward: float, bin_number: int):
    head = CategoricalHead(5, 2.0)
    moved = head.target(random_z(2, 1, 5), reward * ONE, 0.0 * ONE, 0.0 * ONE)
    expected = torch.zeros(1, 5)
    expected[0, bin_number] = 1.0
    torch.testing.assert_close(moved, expected)


@pytest.mark.fault('D13', 'stopped', '')
def test_a_bonus_that_is_no_number_reaches_the_loss_that_is_looked_at():
    head, z = CategoricalHead(5, 2.0), random_z(2, 1, 5)
    moved = head.target(z, ONE, ONE, math.nan * ONE)
    assert head.loss(z, moved).isnan()


def test_the_histogram_of_the_critic_with_the_smallest_mean_counts_row_by_row():
    low, high = (0.0, 0.5, 0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 0.5, 0.5)
    z = torch.cat((logits(low, high), logits(high, low)), dim=1)  # two critics, two rows
    z[1, 0] = logits((0.2, 0.2, 0.2, 0.2, 0.2))[0, 0]  # mean 0, above that of low
    zeros, ones = torch.zeros(2), torch.ones(2)
    moved = CategoricalHead(5, 2.0).target(z, zeros, ones, zeros)
    torch.testing.assert_close(moved, torch.tensor([low, low]))


def test_the_loss_of_a_histogram_is_its_cross_entropy():
    z = logits((0.25, 0.75), (0.5, 0.5))
    # 0.9 log(1 / 0.25) + 0.1 log(1 / 0.75), and log 2 of the second critic
    by_hand = -0.9 * math.log(0.25) - 0.1 * math.log(0.75) + math.log(2.0)
    loss = CategoricalHead(2, 1.0).loss(z, torch.tensor([[0.9, 0.1]]))
    assert loss.item() == pytest.approx(by_hand)
