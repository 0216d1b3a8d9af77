"""Many faults, few lines."""

import pytest

from sac_ros.fault import Fault
from sac_ros.fault_log import FaultLog

STALE = Fault('E_OBS_STALE', 'joint_states is 0.310 s old (limit 0.1 s)')
JOINT = Fault('E_OBS_MISSING_JOINT', "joint 'elbow' is absent from joint_states: it has wrist")


def test_a_log_without_faults_says_nothing():
    log = FaultLog()
    assert [log.note('active', None, now) for now in (0.0, 1.0, 100.0)] == [None, None, None]


def test_the_first_fault_is_said_at_once_with_its_numbers_and_its_limit():
    log = FaultLog()
    assert log.note('hold', STALE, 0.0) == f'hold: {STALE}'
    assert 'joint_states is 0.310 s old (limit 0.1 s)' in str(STALE)


def test_a_fault_in_each_of_1000_ticks_makes_three_lines_in_20_seconds():
    log = FaultLog()
    lines = [log.note('safe', STALE, tick * 0.02) for tick in range(1001)]
    said = [tick * 0.02 for tick, line in enumerate(lines) if line is not None]
    assert said == [0.0, 10.0, 20.0]
    assert log.counts == {'E_OBS_STALE': 1001}


def test_a_worse_mode_and_another_fault_are_said_but_never_two_lines_in_a_second():
    log = FaultLog()
    assert log.note('hold', STALE, 0.0) is not None
    assert log.note('safe', STALE, 0.5) is None
    assert log.note('safe', STALE, 1.0) == f'safe: {STALE}'
    assert log.note('safe', JOINT, 2.5) == f'safe: {JOINT}'
    assert log.counts == {'E_OBS_STALE': 3, 'E_OBS_MISSING_JOINT': 1}


def test_what_stopped_the_robot_is_of_the_model_that_acted_and_what_was_bridged_is_not():
    log = FaultLog()
    log.note('active', None, 0.0, model=3)
    log.note('hold', JOINT, 0.1, model=3)
    assert log.stops == {}
    log.note('safe', STALE, 0.2, model=3)
    log.note('active', None, 0.3, model=3)
    assert log.stops == {3: {'E_OBS_STALE': STALE}}


def test_a_model_that_comes_while_the_robot_is_stopped_has_not_led_it_there():
    log = FaultLog()
    log.note('active', None, 0.0, model=3)
    log.note('safe', STALE, 0.1, model=3)
    log.note('safe', JOINT, 0.2, model=4)
    assert log.stops == {3: {'E_OBS_STALE': STALE, 'E_OBS_MISSING_JOINT': JOINT}}
    log.note('active', None, 0.3, model=4)
    log.note('safe', JOINT, 0.4, model=4)
    assert log.stops[4] == {'E_OBS_MISSING_JOINT': JOINT}


def test_an_action_that_is_no_number_is_of_the_model_that_asked_for_it():
    log = FaultLog()
    nonsense = Fault('E_ACT_NONFINITE', 'the action of elbow is nan')
    log.note('active', None, 0.0, model=3)
    log.note('safe', nonsense, 0.1, model=4)
    assert log.stops == {4: {'E_ACT_NONFINITE': nonsense}}
    log.note('fault', nonsense, 0.2)  # latched: the model that acts meanwhile is not asked
    assert list(log.stops) == [4]


def test_after_another_activation_a_robot_was_brought_where_it_is_by_no_model():
    log = FaultLog()
    log.note('active', None, 0.0, model=3)
    log.restart()
    log.note('safe', STALE, 0.1, model=3)
    assert log.stops == {}


@pytest.mark.parametrize('model', [3, None], ids=['put aside', 'driven'])
def test_where_a_person_has_brought_the_robot_no_model_has(model: int | None):
    log = FaultLog()
    log.note('active', None, 0.0, model)
    if model is not None:
        log.note('safe', Fault('W_DISABLED', 'by a person'), 0.1, model)
    log.note('safe', STALE, 0.2, model=3)
    log.note('safe', None, 0.3, model=3)  # ten good ticks
    log.note('safe', STALE, 0.4, model=3)
    assert log.stops == {}
    log.note('active', None, 0.5, model=3)
    log.note('safe', STALE, 0.6, model=3)
    assert log.stops == {3: {'E_OBS_STALE': STALE}}


def test_the_end_of_a_fault_is_said_once():
    log = FaultLog()
    log.note('safe', STALE, 0.0)
    lines = [log.note('active', None, now) for now in (0.5, 1.0, 1.5, 20.0)]
    assert lines == [None, 'active: the fault has gone', None, None]
