"""`sac-ros bench control --kills` for real: stops, recoveries, and nothing left behind.

Not one of the measured times is judged here: they are those of the machine.
"""

import os
import signal
from pathlib import Path

import pytest
from bench_children import CLI, find_children

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from ros import wait_for

from sim_training import bench, bench_stop
from sim_training.bench_command import BenchCommand

pytestmark = pytest.mark.ros


def test_kills_of_the_robot_are_followed_by_a_stop_and_a_recovery(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    monkeypatch.setattr(bench_stop, 'STEADY_TIME', 0.1)
    result = bench.main(BenchCommand('control', kills=2))
    assert children() == []
    after_state, after_kill = (
        result[key]['each'] for key in ('periods_after_last_state', 'periods_after_kill')
    )
    assert len(after_state) == len(after_kill) == 2
    # No state is lost sooner than after its timeout, and the robot died after its last state.
    assert min(after_state) > 1.0
    assert all(0.0 < kill <= state for kill, state in zip(after_kill, after_state, strict=True))
    assert '2 kills of the robot' in bench.describe(result)


def test_ctrl_c_leaves_no_process_behind(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    with running(*CLI, '--kills', '1000') as process:
        wait_for(lambda: children('bench_robot_node'), 'the robot')
        assert process.end(signal.SIGINT) == 130
        assert 'Traceback' not in process.log()
        assert process.log().splitlines()[-1] == 'sac-ros: interrupted'
    wait_for(lambda: children() == [], 'the end of all processes', 5.0)


def test_the_death_of_the_node_is_told_at_once_in_one_line(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    with running(*CLI, '--kills', '1000') as process:
        wait_for(lambda: children('bench_robot_node'), 'the robot')
        (policy,) = children('sac_ros.policy_node')
        os.kill(policy, signal.SIGKILL)
        assert process.process.wait(30.0) == 1
        last = process.log().splitlines()[-1]
        assert last.startswith('sac-ros: policy_node ended with status -9; it last said: ')
    wait_for(lambda: children() == [], 'the end of all processes', 5.0)
