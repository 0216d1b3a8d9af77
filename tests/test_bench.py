"""`sac-ros bench`: what it refuses, what it says, and how it reads what nodes have done."""

import io
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training import bench
from sim_training.bench_command import BenchCommand
from sim_training.bench_models import (
    CONSTANT_ACTION,
    bench_spec,
    write_constant_model,
    write_untrained_model,
)
from sim_training.bench_robot import swing
from sim_training.bench_soak import memory_growth
from sim_training.bench_soak_record import Sample, SampleLog, SoakRecord
from sim_training.bench_stop import StopRecord
from sim_training.cli import run

pytestmark = pytest.mark.ros

FULL, STILL = [CONSTANT_ACTION] * 7, [0.0] * 7
SPEC = bench_spec(50.0, timeout=0.1)


def refusal(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit status and the one line of a command line that is refused."""
    output = io.StringIO()
    status = run(words.split(), output)
    error = capsys.readouterr().err
    assert output.getvalue() == ''
    assert error.count('\n') == 1
    return status, error.strip()


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        ('--rates 0', '--rates is 0; 1 to 1000 Hz is needed'),
        ('--rates nan', '--rates is nan; 1 to 1000 Hz is needed'),
        ('--rates 50 1e9', '--rates is 1e+09; 1 to 1000 Hz is needed'),
        ('--rates 50 -3', '--rates is -3; 1 to 1000 Hz is needed'),
        ('--rates', '--rates is empty; one rate or more is needed'),
        ('--seconds 0', '--seconds is 0; 0.5 to 3600 s is needed'),
        ('--seconds nan', '--seconds is nan; 0.5 to 3600 s is needed'),
        ('--rounds 0', '--rounds is 0; 1 to 1000 is needed'),
        ('--kills -1', '--kills is -1; 1 to 100000 is needed'),
        ('--soak nan', '--soak is nan; 0.01 to 10080 minutes is needed'),
        ('--soak -3', '--soak is -3; 0.01 to 10080 minutes is needed'),
        ('--soak 1e9', '--soak is 1e+09; 0.01 to 10080 minutes is needed'),
        ('--kills 2 --soak 1', '--kills and --soak are two measurements; give one of them'),
        ('--hog', '--hog goes with --soak, which is missing'),
        ('--kills 2 --out x.csv', '--out goes with --soak, which is missing'),
        ('--kills 2 --rates 50', '--rates does not go with --kills'),
        ('--soak 1 --rounds 2', '--rounds does not go with --soak'),
    ],
)
def test_bad_options_are_refused_in_one_line_before_anything_starts(words, text, capsys):
    status, error = refusal(f'bench control {words}', capsys)
    assert status == 2
    assert error.startswith(f'sac-ros: {text}')


def test_a_file_that_cannot_be_written_is_told_before_anything_starts(capsys):
    status, error = refusal('bench control --soak 1 --out /proc/x/y', capsys)
    assert status == 1
    assert error.startswith('sac-ros: cannot write to folder /proc/x: ')


@pytest.mark.parametrize(
    ('what', 'meant'), [('training', 'train'), ('envs', 'env'), ('contrl', 'control')]
)
def test_what_cannot_be_measured_is_refused_with_what_can(what, meant, capsys):
    status, error = refusal(f'bench {what}', capsys)
    assert status == 2
    assert f"'{what}' is unknown; did you mean '{meant}'?; known: 'control', 'train'" in error


def test_an_untrained_model_is_the_same_each_time_and_makes_the_limits_work(tmp_path: Path):
    one, two = (write_untrained_model(tmp_path / f'{i}.onnx', SPEC) for i in range(2))
    assert one.read_bytes() == two.read_bytes()
    policy = load_policy(one)
    states = [swing(0.02 * tick) for tick in range(200)]
    actions = np.array([policy(np.hstack((*state, np.zeros(7)))) for state in states])
    assert np.abs(actions).max() > 0.9  # of 1 rad/s
    assert np.abs(np.diff(actions, axis=0)).max() > 0.1  # rad/s: what may change in a period


def test_a_constant_model_always_asks_for_the_same(tmp_path: Path):
    policy = load_policy(write_constant_model(tmp_path / 'constant.onnx', SPEC))
    for value in (-3.0, 0.0, 0.7):
        action = policy(np.full(SPEC.observation_size, value))
        assert action == pytest.approx([0.9] * 7, abs=1e-6)


def stopped_at(*commands: tuple[float, list[float]], last_state: float = 9.99) -> StopRecord:
    record = StopRecord()
    record.add_state(last_state)
    for arrival, command in commands:
        record.add_command(arrival, command)
    return record


def test_a_stop_is_dated_by_the_first_command_that_is_less_than_the_full_action():
    # Held once after the kill at 10.0, then 0.1 less, then less again.
    record = stopped_at((9.99, FULL), (10.02, FULL), (10.04, [0.8] * 7), (10.06, [0.7] * 7))
    stop = record.stop_after(killed_at=10.0)
    assert stop is not None
    assert stop.after_kill == pytest.approx(0.04)
    assert stop.after_state == pytest.approx(0.05)
    assert record.is_steady(until=10.0)


def test_one_joint_that_slows_down_is_enough_for_a_stop():
    record = stopped_at((9.99, FULL), (10.03, [*FULL[:6], 0.8]))
    assert record.stop_after(10.0) is not None


def test_there_is_no_stop_as_long_as_the_full_action_goes_on():
    record = stopped_at((9.99, FULL), (10.02, FULL))
    assert record.stop_after(10.0) is None


def test_a_kill_of_a_node_that_was_stopping_anyway_does_not_count():
    record = stopped_at((9.97, FULL), (9.99, [0.8] * 7), (10.01, [0.7] * 7))
    assert not record.is_steady(until=10.0)


def test_a_robot_that_was_never_heard_is_not_killed_yet():
    record = StopRecord()
    record.add_command(1.0, FULL)
    assert not record.is_steady()
    record.add_state(1.0)
    assert record.is_steady()
    record.forget()
    assert not record.is_steady()


def sample(seconds: float, resident_kib: int) -> Sample:
    return Sample(seconds, resident_kib, 0, 0, 0, 0, 0, 0)


def test_growth_of_memory_is_that_after_the_first_minute():
    # 1 KiB in 10 s is 360 KiB/h; the first minute, in which everything is loaded, is left out.
    samples = [sample(0.0, 1), sample(50.0, 90_000), sample(60.0, 100_000), sample(70.0, 100_001)]
    assert memory_growth(samples) == pytest.approx(360.0)
    assert str(memory_growth(samples[:3])) == 'nan'


def test_samples_are_in_the_file_as_soon_as_they_are_taken(tmp_path: Path, capsys):
    path = tmp_path / 'soak.csv'
    with SampleLog(path) as log:
        log.add(Sample(0.5, 100_000, 25, 1, 3, 26, 2, 0))
        assert path.read_text().splitlines() == [
            'seconds,resident_kib,ticks,missed_by_node,late_sleeper,commands,missed,violations',
            '0.5,100000,25,1,3,26,2,0',
        ]
    assert '26 commands, 2 missed, 0 bad' in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path):
    with pytest.raises(UserError, match=r'^cannot write .*: Is a directory$'):
        SampleLog(tmp_path)


def test_counters_of_the_node_are_those_of_its_newest_status():
    record = SoakRecord(SPEC)
    assert record.counted('ticks') == 0
    record.add_status({'ticks': '12', 'missed': '1'})
    record.add_status({'ticks': '62', 'missed': '1'})
    assert (record.counted('ticks'), record.counted('missed')) == (62, 1)


def table(missed: int) -> list[list[str]]:
    """Return the cells of a table in which the policy node has missed states."""

    def node(p50: float, missed: int) -> dict[str, object]:
        return {
            'p50_ms': p50,
            'p99_ms': 2.0 * p50,
            'answers': 1000 - missed,
            'missed': missed,
            'cpu_ms_per_command': 0.25,
        }

    ratio = {'median': 1.125, 'min': 1.0, 'max': 2.0}
    rate = {
        'rate': 50.0,
        'echo_node': node(0.4, 0),
        'policy_node': node(0.45, missed),
        'ratio_p50': ratio,
        'ratio_p99': {**ratio, 'max': 3.0},
    }
    result = {'measurement': 'latency', 'rounds': 5, 'seconds': 20.0, 'rates': [rate]}
    return [re.split(' {2,}', line) for line in bench.describe(result).splitlines()]


def test_the_table_of_latencies_has_each_figure_in_its_place():
    lines = table(missed=10)
    assert 'medians of 5 rounds of 20 s each' in lines[0][0]
    assert lines[1] == ['rate', 'node', 'p50', 'p99', 'answers', 'missed', 'CPU per command']
    assert lines[2] == ['50 Hz', 'echo_node', '0.400 ms', '0.800 ms', '1000', '0', '0.250 ms']
    assert lines[3] == ['50 Hz', 'policy_node', '0.450 ms', '0.900 ms', '990', '10', '0.250 ms']
    assert lines[4] == ['50 Hz', 'ratio', '1.12 (1.00 to 2.00)', '1.12 (1.00 to 3.00)']
    assert len(lines) == 5


def test_a_p99_that_leaves_out_the_slowest_answers_is_marked():
    lines = table(missed=11)  # of 1000
    assert [line[3] for line in lines[2:5]] == ['0.800 ms', '0.900 ms*', '1.12 (1.00 to 3.00)*']
    assert lines[5][0].startswith('* more than 1 state in 100 was missed')


def test_options_that_fit_are_not_refused(monkeypatch, tmp_path: Path):
    monkeypatch.setattr('sim_training.bench_soak.main', lambda command: {'seconds': command.soak})
    result = bench.main(BenchCommand('control', soak=0.5, hog=True, out=tmp_path / 'x.csv'))
    assert result['measurement'] == 'soak'
    assert result['seconds'] == 0.5
    assert {'cores', 'load_before', 'python', 'middleware'} <= set(result)
