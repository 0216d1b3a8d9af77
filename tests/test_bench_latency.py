"""`sac-ros bench control` for real: the latency of both nodes, each in a process of its own.

Not one of the measured times is judged here: they are those of the machine.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from bench_children import CLI, find_children

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from ros import wait_for

from sac_ros.errors import UserError
from sim_training import bench, bench_control
from sim_training.bench_command import BenchCommand
from sim_training.bench_process import MeasuredProcess, own_environment

pytestmark = pytest.mark.ros

NODE_FIGURES = {'p50_ms', 'p99_ms', 'answers', 'missed', 'cpu_ms_per_command', 'rounds'}


def test_both_nodes_are_measured_one_after_the_other(monkeypatch, tmp_path: Path, capfd):
    children = find_children(monkeypatch, tmp_path)
    monkeypatch.setattr(bench_control, 'WARM_UP', 0.1)
    result = bench.main(BenchCommand('control', rates=(100.0,), seconds=0.5, rounds=1))
    assert children() == []
    (figures,) = result['rates']
    for name in ('echo_node', 'policy_node'):
        node = figures[name]
        assert set(node) == NODE_FIGURES
        (a_round,) = node['rounds']
        # 50 states; one that is missed is not timed, and at most the next one with it.
        assert 50 - 2 * a_round['missed'] <= a_round['answers'] <= 50 - a_round['missed']
        if a_round['answers']:
            assert 0.0 < a_round['p50_ms'] <= a_round['p99_ms'] <= 10.0  # one period
    said = [line.split(': ')[1] for line in capfd.readouterr().err.splitlines()]
    assert [words.rpartition(', ')[2] for words in said] == ['echo_node', 'policy_node']
    assert 'ratio' in bench.describe(result)


def test_ctrl_c_leaves_no_process_behind(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    with running(*CLI, '--rates', '50', '--seconds', '30') as process:
        wait_for(lambda: children('echo_node'), 'the echo node')
        assert process.end(signal.SIGINT) == 130
        assert 'Traceback' not in process.log()
        assert process.log().splitlines()[-1] == 'sac-ros: interrupted'
    wait_for(lambda: children() == [], 'the end of all processes', 5.0)


def test_the_measurement_has_a_ros_domain_of_its_own_on_this_machine(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    monkeypatch.setattr('sim_training.ros_domain.free_domain_id', lambda: 7)
    environment = own_environment()
    assert environment['ROS_DOMAIN_ID'] == '7'
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'  # for our own node
    assert os.environ['ROS_DOMAIN_ID'] == '42'


def test_memory_and_cpu_time_of_a_process_are_its_own():
    with MeasuredProcess('sim_training.bench_hog', [], os.environ) as hog:
        wait_for(lambda: hog.cpu_time() > 0.2, 'the hog computes')
        words = ['ps', '-o', 'rss=', '-p', str(hog._process.pid)]
        listed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10)
        assert hog.resident_size() == pytest.approx(int(listed.stdout), rel=0.1)
        hog.kill()
        with pytest.raises(UserError, match=r'^bench_hog ended with status -9; '):
            hog.cpu_time()
