"""The ring of transitions: what goes in comes out, the oldest goes first, nonsense stays out."""

import os
from pathlib import Path

import numpy as np
import pytest

from sac_ros.errors import UserError
from sim_training.replay_buffer import COLUMNS, ReplayBuffer


def fill(buffer: ReplayBuffer, count: int, first: int = 0) -> None:
    """Add transitions that are numbered in every field."""
    for i in range(first, first + count):
        observation, unit_action = np.array([i, -i], np.float32), np.array([i / 100], np.float32)
        buffer.add(observation, unit_action, 10.0 * i, observation + 0.5, i % 2 == 1)


def make_transition(**changes: object) -> dict[str, object]:
    good: dict[str, object] = {
        'observation': np.zeros(2, np.float32),
        'unit_action': np.zeros(1, np.float32),
        'reward': 1.0,
        'next_observation': np.zeros(2, np.float32),
        'terminated': False,
    }
    return {**good, **changes}


def test_a_sample_holds_whole_transitions():
    buffer = ReplayBuffer(100, 2, 1, gamma=0.5)
    fill(buffer, 20)
    batch = buffer.sample(np.random.default_rng(0), 50)
    number = batch.observation[:, 0].numpy()
    np.testing.assert_array_equal(batch.observation[:, 1].numpy(), -number)
    np.testing.assert_allclose(batch.unit_action[:, 0].numpy(), number / 100)
    np.testing.assert_array_equal(batch.reward.numpy(), 10.0 * number)
    np.testing.assert_array_equal(batch.next_observation[:, 0].numpy(), number + 0.5)
    # The odd ones have terminated: nothing is behind them.
    np.testing.assert_array_equal(batch.discount.numpy(), np.where(number % 2, 0.0, 0.5))


def test_a_sample_draws_every_stored_transition_and_no_other():
    buffer = ReplayBuffer(100, 2, 1, gamma=0.5)
    fill(buffer, 20)
    drawn = buffer.sample(np.random.default_rng(0), 2_000).observation[:, 0].numpy()
    assert set(drawn) == set(range(20))
    # 2,000 draws of 20: 100 each, with a standard deviation of 9.7.
    counts = np.bincount(drawn.astype(int))
    assert counts.min() > 50
    assert counts.max() < 150


def test_the_oldest_transition_goes_first_when_the_ring_is_full():
    buffer = ReplayBuffer(8, 2, 1, gamma=0.5)
    fill(buffer, 11)
    assert buffer.size == 8
    drawn = buffer.sample(np.random.default_rng(0), 500).observation[:, 0].numpy()
    assert set(drawn) == set(range(3, 11))


def test_newest_returns_the_last_transitions_in_order_across_the_end_of_the_ring():
    buffer = ReplayBuffer(8, 2, 1, gamma=0.5)
    fill(buffer, 11)
    assert buffer.newest(5)['observation'][:, 0].tolist() == [6, 7, 8, 9, 10]
    assert list(buffer.newest(5)) == list(COLUMNS)
    assert buffer.newest(5)['terminated'].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert len(buffer.newest(0)['reward']) == 0


def test_what_is_stored_and_restored_goes_on_like_the_original():
    original, copy = (ReplayBuffer(8, 2, 1, gamma=0.5) for _ in range(2))
    fill(original, 11)
    copy.restore(original.stored(), original.cursor)
    fill(original, 3, first=11)
    fill(copy, 3, first=11)
    for name, array in original.arrays.items():
        np.testing.assert_array_equal(copy.arrays[name], array)


def test_what_is_restored_is_not_there_twice():
    original = ReplayBuffer(8, 2, 1, gamma=0.99)
    fill(original, 5)
    stored = original.stored()
    ReplayBuffer(8, 2, 1, gamma=0.99).restore(stored, original.cursor)
    assert stored == {}


def test_a_ring_that_no_memory_holds_is_refused_in_one_line():
    with pytest.raises(UserError) as refusal:
        ReplayBuffer(10**15, 3, 1, gamma=0.99)
    assert str(refusal.value) == (
        'a replay of 1000000000000000 transitions needs more memory than this machine has; '
        'choose a smaller replay_capacity'
    )


def test_the_same_generator_draws_the_same_sample():
    buffer = ReplayBuffer(100, 2, 1, gamma=0.5)
    fill(buffer, 20)
    first = buffer.sample(np.random.default_rng(3), 10)
    second = buffer.sample(np.random.default_rng(3), 10)
    np.testing.assert_array_equal(first.reward.numpy(), second.reward.numpy())


def test_a_sample_is_a_copy():
    buffer = ReplayBuffer(8, 2, 1, gamma=0.5)
    fill(buffer, 4)
    buffer.sample(np.random.default_rng(0), 4).reward.fill_(-1.0)
    assert buffer.arrays['reward'].min() >= 0.0


@pytest.mark.fault('E07', 'refused', 'UserError')
@pytest.mark.parametrize(
    ('field', 'value', 'text'),
    [
        ('reward', float('nan'), 'reward is nan; every number must be finite in float32'),
        ('reward', 1e39, 'reward is inf; every number must be finite in float32'),
        ('observation', np.array([0.0, np.inf]), r'^observation is \[ 0. inf\]; every number'),
        ('next_observation', np.array([np.nan, 0.0]), r'^next_observation is \[nan  0.\]; every'),
        ('unit_action', np.array([np.nan]), r'^unit_action is \[nan\]; every number'),
        ('observation', np.zeros(3), r'observation has shape \(3,\); needed: \(2,\)'),
        ('unit_action', np.float32(0.0), r'unit_action has shape \(\); needed: \(1,\)'),
    ],
)
def test_a_bad_value_is_refused_by_name_and_nothing_is_stored(
    field: str, value: object, text: str
):
    buffer = ReplayBuffer(8, 2, 1, gamma=0.5)
    with pytest.raises(UserError, match=text):
        buffer.add(**make_transition(**{field: value}))
    assert (buffer.size, buffer.cursor) == (0, 0)
    assert not any(array.any() for array in buffer.arrays.values())


def test_capacity_that_is_not_used_takes_no_memory():
    def resident_bytes() -> int:
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE')

    before = resident_bytes()
    buffer = ReplayBuffer(5_000_000, 26, 6, gamma=0.5)  # 1.2 GB when full
    fill_one = make_transition(
        observation=np.zeros(26), unit_action=np.zeros(6), next_observation=np.zeros(26)
    )
    buffer.add(**fill_one)
    assert resident_bytes() - before < 50e6


def play(buffer: ReplayBuffer, *episodes: list[tuple[float, float, bool]]) -> None:
    """Add episodes of (observation, reward, terminated), in turn: a step of each, then the next.

    The observation behind a step is that of the next one, or 99 behind the last.
    """
    for i in range(len(episodes[0])):
        for steps in episodes:
            observation, reward, terminated = steps[i]
            following = steps[i + 1][0] if i + 1 < len(steps) else 99.0
            buffer.add([observation], [0.0], reward, [following], terminated)


def seen_from(buffer: ReplayBuffer, observation: float) -> tuple[float, float, float]:
    """Return reward, next observation and discount of the transition that begins there."""
    batch = buffer.sample(np.random.default_rng(0), 500)
    rows = np.flatnonzero(batch.observation[:, 0].numpy() == observation)
    found = {
        (batch.reward[i].item(), batch.next_observation[i, 0].item(), batch.discount[i].item())
        for i in rows
    }
    assert len(found) == 1
    return found.pop()


def test_several_rewards_are_added_up_discounted_to_the_value_behind_the_last():
    buffer = ReplayBuffer(20, 1, 1, gamma=0.5, n_step=3)
    play(buffer, [(float(i), 10.0 * i, False) for i in range(1, 6)])
    # 10 + 0.5 * 20 + 0.25 * 30 = 27.5, then 0.5^3 times the value of 4
    assert seen_from(buffer, 1.0) == (27.5, 4.0, 0.125)
    # The newest steps have less behind them: 40 + 0.5 * 50, then 0.25 times the value of 99
    assert seen_from(buffer, 4.0) == (65.0, 99.0, 0.25)
    assert seen_from(buffer, 5.0) == (50.0, 99.0, 0.5)


def test_the_sum_of_rewards_ends_with_a_terminated_step_behind_which_nothing_counts():
    buffer = ReplayBuffer(20, 1, 1, gamma=0.5, n_step=3)
    play(buffer, [(1.0, 10.0, False), (2.0, 20.0, True), (99.0, 40.0, False)])
    assert seen_from(buffer, 1.0) == (20.0, 99.0, 0.0)  # 10 + 0.5 * 20, although 99 goes on
    assert seen_from(buffer, 2.0) == (20.0, 99.0, 0.0)


def test_the_sum_of_rewards_ends_where_an_episode_is_cut_off_and_its_value_counts():
    buffer = ReplayBuffer(20, 1, 1, gamma=0.5, n_step=3)
    play(buffer, [(1.0, 10.0, False), (2.0, 20.0, False)])
    play(buffer, [(7.0, 70.0, False), (8.0, 80.0, False)])  # begins elsewhere than at 99
    assert seen_from(buffer, 1.0) == (20.0, 99.0, 0.25)
    assert seen_from(buffer, 2.0) == (20.0, 99.0, 0.5)
    assert seen_from(buffer, 7.0) == (110.0, 99.0, 0.25)


def test_the_steps_of_two_envs_in_turn_are_added_up_apart():
    buffer = ReplayBuffer(20, 1, 1, gamma=0.5, n_step=2)
    buffer.stride = 2
    play(
        buffer,
        [(1.0, 10.0, False), (2.0, 20.0, False), (3.0, 30.0, False)],
        [(4.0, 1.0, False), (5.0, 2.0, True), (6.0, 3.0, False)],
    )
    assert seen_from(buffer, 1.0) == (20.0, 3.0, 0.25)
    assert seen_from(buffer, 2.0) == (35.0, 99.0, 0.25)
    assert seen_from(buffer, 4.0) == (2.0, 6.0, 0.0)
    assert seen_from(buffer, 5.0) == (2.0, 6.0, 0.0)


def test_the_sum_goes_on_over_the_end_of_the_ring_and_not_from_the_newest_to_the_oldest():
    buffer = ReplayBuffer(4, 1, 1, gamma=0.5, n_step=2)
    play(buffer, [(float(i), 10.0 * i, False) for i in range(1, 7)])  # 5 and 6 are where 1, 2 were
    assert buffer.cursor == 2
    assert seen_from(buffer, 4.0) == (65.0, 6.0, 0.25)
    assert seen_from(buffer, 6.0) == (60.0, 99.0, 0.5)  # the row behind it is that of 3
