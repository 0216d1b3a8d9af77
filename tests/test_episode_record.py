"""What an episode over ROS came to, and its way through JSON."""

import json

import pytest

from sim_training.episode_record import (
    EpisodeRecord,
    result_from_json,
    result_to_json,
    success_in_words,
    successes,
)


def test_an_episode_adds_up():
    record = EpisodeRecord(3)
    for reward, has_new_command in ((1.0, True), (0.5, False), (-0.25, True)):
        record.add_period(reward, has_new_command=has_new_command)
    record.latency.add(0.0012)
    record.latency.add(0.0016)
    result = record.result(success=True, terminated=False, ended_at=12.5)
    assert result.as_data() == {
        'episode': 3,
        'return': 1.25,
        'length': 3,
        'success': True,
        'terminated': False,
        'latency_ms': {'p50': 1.4, 'p99': pytest.approx(1.596), 'max': 1.6},
        'missed': 1,
        'ended_at': 12.5,
    }


def test_success_is_left_out_where_the_env_does_not_say():
    assert successes([True, False, True]) == 2
    assert successes([True, None]) is None
    assert [success_in_words(each) for each in (True, False, None)] == [
        ', success',
        ', no success',
        '',
    ]
    result = EpisodeRecord(1).result(success=None, terminated=True, ended_at=0.0)
    assert result_from_json(result_to_json(result)) == result


def test_a_result_comes_back_from_json():
    record = EpisodeRecord(1)
    record.add_period(0.1 + 0.2, has_new_command=False)
    result = record.result(success=False, terminated=True, ended_at=0.1 + 0.2)
    text = result_to_json(result)
    assert json.loads(text)['return'] == 0.1 + 0.2
    assert json.loads(text)['latency_ms'] == {}
    assert result_from_json(text) == result
