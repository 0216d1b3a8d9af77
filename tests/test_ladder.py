"""ladder.py: a model that is worse than the one before it falls, and what stands above it."""

import pytest
from builders import make_spec
from model_builders import constant_model

from sac_ros.episode_return import EpisodeReturn
from sac_ros.errors import UserError
from sac_ros.ladder import REMEMBERED, Conditions, Ladder, Rung
from sac_ros.policy import OnnxPolicy

BEFORE = (9.0, 10.0, 11.0)
SPEC = make_spec()


def policy(action: float) -> OnnxPolicy:
    return OnnxPolicy(constant_model(SPEC, (action, 0.0)), 'm')


BASE, BETTER, BEST = (policy(action) for action in (0.0, 0.1, 0.2))


def episode(model: int, value: float) -> EpisodeReturn:
    return EpisodeReturn.model_validate({'model': model, 'return': value, 'length': 50})


def known_ladder() -> Ladder:
    """Return a ladder whose base model, number 0, has the returns BEFORE."""
    ladder = Ladder(Rung(BASE), Conditions(0.0, 1.0))
    ladder.base.numbers.append(0)
    for value in BEFORE:
        assert ladder.add(episode(0, value)) is None
    return ladder


def with_accepted() -> Ladder:
    ladder = known_ladder()
    ladder.try_out(BETTER, b'better')
    assert ladder.on_trial is not None
    ladder.on_trial.numbers.append(1)
    verdicts = [ladder.add(episode(1, value)) for value in (12.0, 13.0, 14.0)]
    assert verdicts[:2] == [None, None]
    assert verdicts[2] is not None
    assert verdicts[2].code == ''
    assert verdicts[2].text == 'return 13 +- 1 of 3 episodes; 10 +- 1 of 3 episodes before'
    ladder.accept(verdicts[2].rung)
    return ladder


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_the_base_acts_again_after_one_bad_episode_of_a_candidate():
    ladder = known_ladder()
    ladder.try_out(BETTER, b'better')
    assert ladder.acting_name == 'on trial'
    assert ladder.acting.policy is BETTER
    ladder.acting.numbers.append(1)

    verdict = ladder.add(episode(1, 2.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    assert verdict.text == 'return 2 of 1 episode; 10 +- 1 of 3 episodes before'
    ladder.drop(verdict.rung)
    assert ladder.acting.policy.sha256 == BASE.sha256
    assert ladder.acting_name == 'base'


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_a_candidate_that_is_worse_than_the_accepted_model_falls_to_that():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    ladder.acting.numbers.append(2)

    verdict = ladder.add(episode(2, 10.0))  # as good as the base: 3 less than the accepted one
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    ladder.drop(verdict.rung)
    assert ladder.acting.policy is BETTER
    assert ladder.acting_name == 'accepted'


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_an_accepted_model_that_becomes_worse_than_the_base_falls_with_all_above_it():
    ladder = with_accepted()
    assert ladder.add(episode(1, 10.0)) is None
    ladder.try_out(BEST, b'best')
    verdict = ladder.add(episode(1, 2.0))  # told late
    assert verdict is not None
    assert verdict.rung is ladder.accepted
    ladder.drop(verdict.rung)
    assert ladder.acting.policy is BASE
    assert ladder.on_trial is None


def test_returns_of_a_model_that_has_left_count_for_nobody():
    ladder = with_accepted()
    with pytest.raises(UserError, match=r'model 7 is none of those that count: 0, 1$'):
        ladder.add(episode(7, 1.0))


def test_a_ladder_knows_its_models():
    ladder = with_accepted()
    assert ladder.holds(BASE.sha256)
    assert ladder.holds(BETTER.sha256)
    assert not ladder.holds(BEST.sha256)


def test_only_the_newest_twenty_returns_count():
    ladder = known_ladder()
    for value in range(30):
        ladder.add(episode(0, float(value)))
    assert list(ladder.base.returns) == [float(value) for value in range(10, 30)]


def test_an_interrupted_episode_ends_a_trial_and_nothing_else():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    ladder.acting.numbers.append(2)
    told = {'model': 1, 'return': 1.0, 'length': 50, 'interrupted': True}
    assert ladder.add(EpisodeReturn.model_validate(told)) is None
    verdict = ladder.add(EpisodeReturn.model_validate({**told, 'model': 2}))
    assert verdict is not None
    assert (verdict.rung.policy, verdict.code) == (BEST, 'E_CAND_STOPPED')
    assert list(verdict.rung.returns) == []


def test_returns_of_other_conditions_are_kept_apart_and_are_there_again_with_these():
    ladder = with_accepted()
    ladder.try_out(BEST, b'best')
    before = ladder.conditions
    ladder.change_conditions(Conditions(0.1, 1.0))
    assert ladder.acting.policy is BETTER  # no trial outlives that
    assert list(ladder.acting.returns) == []
    assert ladder.acting.watch is None  # what the base comes to with noise is not known
    with pytest.raises(UserError, match='model 1 is none of those that count'):
        ladder.add(episode(1, 12.0))  # it began before
    for number in range(20):
        ladder.change_conditions(Conditions(0.1, number / 100))
    assert len(ladder.base.elsewhere) <= REMEMBERED

    ladder = with_accepted()
    ladder.change_conditions(Conditions(0.1, 1.0))
    ladder.change_conditions(before)
    ladder.acting.numbers.append(4)
    assert list(ladder.acting.returns) == [12.0, 13.0, 14.0]
    verdict = ladder.add(episode(4, 1.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'


def test_where_nothing_is_known_of_the_base_an_accepted_model_must_not_become_worse_than_it_is():
    ladder = with_accepted()
    ladder.change_conditions(Conditions(0.1, 1.0))
    ladder.acting.numbers.append(3)
    assert [ladder.add(episode(3, value)) for value in (6.0, 7.0, 8.0)] == [None] * 3
    verdict = ladder.add(episode(3, 1.0))
    assert verdict is not None
    assert verdict.code == 'E_CAND_WORSE'
    assert verdict.text == 'return 1 of 1 episode; 7 +- 1 of 3 episodes before'


def test_what_was_accepted_beside_a_base_without_returns_is_to_stay_as_good_as_in_its_trial():
    ladder = Ladder(Rung(BASE), Conditions(0.0, 1.0))
    rung = Rung(BETTER, b'better')
    rung.returns.extend((12.0, 13.0, 14.0))
    rung.numbers.append(1)
    ladder.accept(rung)
    verdict = ladder.add(episode(1, 5.0))
    assert verdict is not None
    assert verdict.text == 'return 5 of 1 episode; 13 +- 1 of 3 episodes before'


@pytest.mark.parametrize('exploration', [0.0, 0.05])
def test_with_less_noise_an_accepted_model_is_to_be_as_good_as_the_base_was_with_more(
    exploration: float,
):
    ladder = Ladder(Rung(BASE), Conditions(0.1, 1.0))
    ladder.base.returns.extend(BEFORE)
    ladder.accept(Rung(BETTER, b'better'))
    ladder.change_conditions(Conditions(exploration, 1.0))
    ladder.acting.numbers.append(3)
    assert ladder.add(episode(3, 10.0)) is None
    verdict = ladder.add(episode(3, 1.0))
    assert verdict is not None
    assert verdict.text == 'return 1 of 1 episode; 10 +- 1 of 3 episodes before'
