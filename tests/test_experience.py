"""What a learner hears is on the disk, and is heard again after a kill."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from full_disks import full_disk
from learner_ticks import SPEC, make_maker, tick

from sac_ros.errors import UserError
from sim_training import experience as experience_module
from sim_training import learner_scores
from sim_training.experience import Experience
from sim_training.learner_scores import GivenRewards
from sim_training.transitions import Transition, TransitionMaker


def open_experience(path: Path, given: GivenRewards | None = None) -> Experience:
    if given is None:
        return Experience(path, SPEC, make_maker(), None)
    maker = TransitionMaker(SPEC, given.score, lambda terms: False, None)
    return Experience(path, SPEC, maker, given)


def add_ticks(experience: Experience, first: int, last: int) -> None:
    """Add ticks; the last one comes 5 ms late, so that it is clear which ones it settles."""
    for number in range(first, last):
        experience.add_tick(tick(number))
    experience.add_tick(tick(last, stamp=tick(last).stamp + 0.005))


def test_what_was_heard_gives_the_same_transitions_after_a_kill(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal')
    add_ticks(experience, 1, 39)
    experience.add_end(tick(6).stamp, 1.0)
    before = experience.take()[0]  # it is killed here: nothing is closed
    assert len(before) == 12  # ticks 1 to 14 are settled, and none leads from 6 to 7
    resumed = open_experience(tmp_path / 'journal')
    after, returns = resumed.take()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.observation, new.observation)
        np.testing.assert_array_equal(old.command, new.command)
        assert (old.reward, old.terminated) == (new.reward, new.terminated)
    assert [found.length for found in returns] == [5]
    add_ticks(resumed, 40, 69)
    rest = resumed.take()[0]
    assert len(after) + len(rest) == 42  # 44 ticks are settled: not one was lost
    resumed.close()


def test_episodes_end_where_they_did_also_when_the_clock_has_begun_anew(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal')
    before: list[Transition] = []
    for length in (60, 90, 60):  # sessions of one rehearsal, each with stamps from the same on
        for number in range(1, length + 1):
            experience.add_tick(tick(number))
            if number % 20 == 0:
                experience.add_end(tick(number).stamp, 1.0)
            before += experience.take()[0]
        experience.add_end(tick(length + 1).stamp, 1.0)  # whose tick never came
    after, _ = open_experience(tmp_path / 'journal').take()
    parts = [[(step.reward, step.terminated) for step in steps] for steps in (before, after)]
    assert parts[0] == parts[1]
    # The last session is settled up to tick 34; no transition leads from an end.
    assert len(after) == 3 * 19 + (4 * 19 + 9) + (19 + 13)
    assert sum(step.terminated for step in after) == 3 + 4 + 1


def test_rewards_are_not_those_of_another_activation_whose_first_tick_was_not_heard(
    tmp_path: Path,
):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    for first, reward in ((1, 1.0), (5, 2.0)):  # paused, or a disk was full, up to tick 4
        for number in range(first, 11):
            experience.add_tick(tick(number))
            experience.add_reward(np.array([number, reward]))
    experience.add_tick(tick(1_000))
    rewards = [
        step.reward for step in open_experience(tmp_path / 'journal', GivenRewards()).take()[0]
    ]
    assert rewards == [1.0] * 9 + [2.0] * 5


def test_rewards_are_heard_again_with_the_ticks_that_they_belong_to(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    add_ticks(experience, 1, 39)
    for number in range(1, 40):
        experience.add_reward(np.array([number, 0.5 * number]))
    resumed = open_experience(tmp_path / 'journal', GivenRewards())
    rewards = [transition.reward for transition in resumed.take()[0]]
    assert rewards == [0.5 * number for number in range(2, 15)]


def test_rewards_of_the_last_ticks_before_another_activation_still_count(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    for number in range(1, 6):
        experience.add_tick(tick(number))
        experience.add_reward(np.array([number, 0.5 * number]))
    experience.add_end(tick(5).stamp, 1.0)
    later = tick(5).stamp + 2.0
    for number in (1, 2, 3):
        experience.add_tick(tick(number, stamp=later + number * SPEC.dt))
    for opened in (experience, open_experience(tmp_path / 'journal', GivenRewards())):
        transitions, returns = opened.take()
        assert [transition.reward for transition in transitions] == [1.0, 1.5, 2.0, 2.5 + 1.0]
        assert [(found.length, found.is_whole) for found in returns] == [(4, True)]


def test_rewards_of_a_long_activation_are_heard_again_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(learner_scores, 'LARGEST_BACKLOG', 100)
    monkeypatch.setattr(experience_module, 'LARGEST_BACKLOG', 100)
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    before: list[Transition] = []
    for number in range(1, 1_001):
        experience.add_tick(tick(number))
        experience.add_reward(np.array([number, 0.5 * number]))
        before += experience.take()[0]
    after = open_experience(tmp_path / 'journal', GivenRewards()).take()[0]
    rewards = [[transition.reward for transition in heard] for heard in (before, after)]
    # Ticks 1 to 974 have waited for half a second, which is 25 periods.
    assert rewards == [[0.5 * number for number in range(2, 975)]] * 2


def test_a_clock_that_goes_back_in_mid_activation_is_heard_again_as_it_was(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal')
    before: list[Transition] = []
    back = 60 * SPEC.dt  # [s]: the simulation began anew under a node that went on
    for number in range(1, 121):
        step = tick(number)
        stamp = step.stamp if number <= 60 else step.stamp - back
        experience.add_tick(dataclasses.replace(step, stamp=stamp))
        if number == 70:
            experience.add_end(stamp, 1.0)
        before += experience.take()[0]
    after = open_experience(tmp_path / 'journal').take()[0]
    ends = [[step.terminated for step in steps].index(True) for steps in (before, after)]
    assert len(after) == len(before) == 59 + 9 + (120 - 70 - 1 - 26)
    assert ends == [59 + 8] * 2  # from tick 69 to 70


@pytest.mark.fault('E07', 'refused', 'UserError')
def test_a_reward_that_float32_cannot_hold_is_refused_and_one_in_a_journal_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    with pytest.raises(UserError, match=r'^a reward is 1e\+39; -1e\+06 to 1e\+06 is allowed$'):
        experience.add_reward(np.array([2.0, 1e39]))
    monkeypatch.setattr(learner_scores, 'LARGEST_REWARD', np.inf)  # as it was
    experience.add_reward(np.array([2.0, 1e39]))
    monkeypatch.undo()
    assert open_experience(tmp_path / 'journal', GivenRewards()).damaged == 1


def test_a_pause_is_heard_again_as_well(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal')
    add_ticks(experience, 1, 5)
    experience.add_break(tick(5).stamp)
    add_ticks(experience, 101, 140)
    experience.add_end(tick(104).stamp, 1.0)
    for opened in (experience, open_experience(tmp_path / 'journal')):
        _, returns = opened.take()
        assert [(found.length, found.is_whole) for found in returns] == [(4, False), (3, True)]


def test_when_ticks_are_counted_anew_the_rewards_of_before_are_forgotten(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    experience.add_reward(np.array([2, 5.0]))
    add_ticks(experience, 1, 39)
    assert experience.take()[0] == []


def test_a_reward_that_is_none_is_refused_and_not_kept(tmp_path: Path):
    experience = open_experience(tmp_path / 'journal', GivenRewards())
    size = (tmp_path / 'journal').stat().st_size
    with pytest.raises(UserError, match='a reward is'):
        experience.add_reward(np.array([1.0, np.nan]))
    assert (tmp_path / 'journal').stat().st_size == size


@pytest.mark.fault('F08', 'ACTIVE', '')
def test_on_a_full_disk_it_is_told_once_and_goes_on(tmp_path: Path):
    path = tmp_path / 'journal'
    experience = open_experience(path)
    with full_disk(path.stat().st_size), pytest.raises(UserError, match='File too large'):
        experience.add_tick(tick(1))
    add_ticks(experience, 2, 39)
    assert len(experience.take()[0]) == 13


@pytest.mark.fault('F08', 'kept', '')
def test_when_a_disk_has_room_again_the_journal_goes_on_behind_the_last_whole_row(tmp_path: Path):
    path = tmp_path / 'journal'
    experience = open_experience(path)
    experience.add_tick(tick(1))
    size = path.stat().st_size
    with full_disk(size + 100):  # half a tick
        with pytest.raises(UserError, match='File too large'):
            experience.add_tick(tick(2))
        experience.add_tick(tick(3))  # told once
        assert experience.is_full
    experience.add_end(tick(3).stamp, 1.0)  # shorter than what was left behind
    assert not experience.is_full
    again = open_experience(path)  # as after a kill
    assert (again.damaged, path.stat().st_size) == (0, size + 29)
    again.close()
    add_ticks(experience, 4, 42)
    with full_disk(1), pytest.raises(UserError, match='File too large'):
        experience.add_tick(tick(43))  # told anew
    reopened = open_experience(path)
    assert reopened.damaged == 0
    assert len(reopened.take()[0]) == 13  # from ticks 4 to 16: none leads over the gap


def test_a_row_that_the_disk_has_changed_is_counted_and_makes_a_gap(tmp_path: Path):
    path = tmp_path / 'journal'
    experience = open_experience(path)
    add_ticks(experience, 1, 39)
    experience.close()
    lines = path.read_bytes().split(b'\n')
    lines[5] = lines[5][::-1]  # tick 5
    path.write_bytes(b'\n'.join(lines))
    resumed = open_experience(path)
    assert resumed.damaged == 1
    assert len(resumed.take()[0]) == 11  # of 13, neither to 5 nor from it
