"""Many faults, few lines."""

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


def test_what_stopped_the_robot_is_kept_and_what_was_bridged_is_not():
    log = FaultLog()
    log.note('hold', JOINT, 0.0)
    assert log.stops == {}
    log.note('safe', STALE, 0.1)
    log.note('active', None, 0.2)
    assert log.stops == {'E_OBS_STALE': STALE}


def test_what_happens_to_a_robot_that_a_person_has_put_aside_stopped_nothing():
    log = FaultLog()
    disabled = Fault('W_DISABLED', 'by a person')
    log.note('safe', disabled, 0.0)
    log.note('safe', STALE, 0.1)
    log.note('safe', None, 0.2)  # ten good ticks
    log.note('safe', STALE, 0.3)
    assert log.stops == {'W_DISABLED': disabled}
    log.note('active', None, 0.4)
    log.note('safe', STALE, 0.5)
    assert log.stops['E_OBS_STALE'] is STALE


def test_the_end_of_a_fault_is_said_once():
    log = FaultLog()
    log.note('safe', STALE, 0.0)
    lines = [log.note('active', None, now) for now in (0.5, 1.0, 1.5, 20.0)]
    assert lines == [None, 'active: the fault has gone', None, None]
