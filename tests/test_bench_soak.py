"""`sac-ros bench control --soak` for real: what it counts, and that it leaves nothing behind.

Not one of the measured times is judged here: they are those of the machine.
"""

import csv
import signal
from pathlib import Path

import pytest
from bench_children import CLI, find_children

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from ros import wait_for

from sac_ros.errors import UserError
from sim_training import bench, bench_process, bench_soak
from sim_training.bench_command import BenchCommand

pytestmark = pytest.mark.ros


def test_a_soak_counts_what_comes_and_writes_its_samples(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    monkeypatch.setattr(bench_soak, 'SAMPLE_PERIOD', 0.2)
    path = tmp_path / 'soak.csv'
    result = bench.main(BenchCommand('control', soak=1.0 / 60.0, hog=True, out=path))
    assert children() == []
    assert result['violations'] == 0
    assert result['hog'] is True
    assert result['commands'] > 0
    assert result['ticks'] > 0
    assert result['missed'] >= 0
    assert result['late_sleeper'] >= 0
    assert result['resident_kib'] > 10_000  # Python alone holds more than 10 MiB
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) >= 2
    assert rows[-1]['commands'] == str(result['commands'])
    assert 'growing' not in bench.describe(result)  # nothing can be said after a second


def test_ctrl_c_leaves_no_process_behind(monkeypatch, tmp_path: Path):
    children = find_children(monkeypatch, tmp_path)
    with running(*CLI, '--soak', '5', '--hog') as process:
        process.wait_for_log('bench: 0 s, ')
        assert len(children('bench_hog')) == 1
        assert process.end(signal.SIGINT) == 130
        assert 'Traceback' not in process.log()
        assert process.log().splitlines()[-1] == 'sac-ros: interrupted'
    wait_for(lambda: children() == [], 'the end of all processes', 5.0)


def test_a_node_that_does_not_become_active_is_given_up_with_its_last_words(
    monkeypatch, tmp_path: Path
):
    children = find_children(monkeypatch, tmp_path)
    monkeypatch.setattr(bench_process, 'START_TIMEOUT', 5.0)
    absent = tmp_path / 'absent.onnx'
    monkeypatch.setattr(bench_soak, 'write_untrained_model', lambda path, spec: absent)
    text = r'^policy_node has sent no command within 5 s; it last said: .*absent\.onnx'
    with pytest.raises(UserError, match=text):
        bench.main(BenchCommand('control', soak=1.0))
    assert children() == []
