"""`sac-ros run`: two processes on real topics, their results, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders import export_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from ros import ROOT, wait_for

from sac_ros.errors import UserError
from sim_training import run
from sim_training.episode_record import EpisodeResult
from sim_training.run import RunCommand, describe, main, summary
from sim_training.tasks import load_task

pytestmark = pytest.mark.ros

KEYS = {
    'episode', 'return', 'length', 'success', 'terminated', 'latency_ms', 'missed', 'ended_at',
}  # fmt: skip


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return untrained models of both tasks."""
    folder = tmp_path_factory.mktemp('models')
    paths = {name: folder / f'{name}.onnx' for name in ('balance', 'reach')}
    for name, path in paths.items():
        export_model(path, load_task(name).spec)
    return paths


def processes_with(word: object) -> list[int]:
    """Return the processes that have `word` on their command line, this one left out."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            words = (folder / 'cmdline').read_bytes()
        except OSError:
            continue
        if str(word).encode() in words and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(('task', 'length'), [('balance', None), ('reach', 150)])
def test_two_episodes_of_an_untrained_policy_run_and_report(task, length, models, capfd):
    # reach falls nowhere, so its episodes are long: they run on a simulated clock, fast.
    factor = 1.0 if task == 'balance' else 3.0
    result = main(RunCommand(model=models[task], episodes=2, real_time_factor=factor))
    episodes = result['episodes']
    assert isinstance(episodes, list)
    assert [episode['episode'] for episode in episodes] == [1, 2]
    for episode in episodes:
        assert set(episode) == KEYS
        assert episode['length'] >= 10
        assert length in (None, episode['length'])
        assert 0 <= episode['missed'] < episode['length']
        assert 0.0 < episode['latency_ms']['p50'] <= episode['latency_ms']['p99']
    ends = [episode['ended_at'] for episode in episodes]
    lasted = 0.02 * episodes[1]['length']  # and one period for each, to show its end and its start
    assert ends[1] - ends[0] >= lasted + 0.019
    assert result['return_mean'] == pytest.approx(sum(e['return'] for e in episodes) / 2)
    assert 'run: episode 2 of 2: return ' in capfd.readouterr().err
    assert 'episodes with success' in describe(result)
    assert processes_with(models[task]) == []


@pytest.mark.fault('H08', 'exit 130 or 143', '')
@pytest.mark.parametrize(
    ('number', 'last'), [(signal.SIGINT, 'interrupted'), (signal.SIGTERM, 'terminated')]
)
def test_a_signal_leaves_no_process_behind(models, number: signal.Signals, last: str):
    cli = 'from sim_training.cli import main; main()'
    with running('-c', cli, 'run', str(models['balance']), '--episodes', '1000') as process:
        process.wait_for_log('run: episode 1 of 1000')
        assert len(processes_with(models['balance'])) >= 2
        assert process.end(number) == 128 + number
        assert 'Traceback' not in process.log()
        assert process.log().splitlines()[-1] == f'sac-ros: {last}'
    wait_for(lambda: processes_with(models['balance']) == [], 'the end of all processes', 5.0)


def test_the_death_of_a_node_is_told_at_once(models):
    cli = 'from sim_training.cli import main; main()'
    with running('-c', cli, 'run', str(models['balance']), '--episodes', '1000') as process:
        process.wait_for_log('run: episode 1 of 1000')
        (policy,) = [pid for pid in processes_with(models['balance']) if is_policy_node(pid)]
        os.kill(policy, signal.SIGKILL)
        assert process.process.wait(30.0) == 1
        last = process.log().splitlines()[-1]
        assert last.startswith('sac-ros: policy_node ended with status -9; it last said: [')
    assert processes_with(models['balance']) == []


def is_policy_node(pid: int) -> bool:
    return b'sac_ros.policy_node' in Path(f'/proc/{pid}/cmdline').read_bytes()


def test_when_nothing_comes_it_says_so_with_the_last_words_of_both(models, monkeypatch):
    monkeypatch.setattr(run, 'START_TIMEOUT', 3.0)
    monkeypatch.setattr(run, 'longest_episode', lambda env: 0)
    # Without a policy that is told to start, the simulated robot waits for ever.
    arguments = run.node_arguments

    def passive(command: RunCommand, task: str) -> tuple[list[str], list[str]]:
        sim, policy = arguments(command, task)
        return sim, [word.replace('autostart:=true', 'autostart:=false') for word in policy]

    monkeypatch.setattr(run, 'node_arguments', passive)
    with pytest.raises(
        UserError, match=r'^no episode has ended within 3 s; policy_node last said: '
    ):
        main(RunCommand(model=models['balance'], episodes=1))
    assert processes_with(models['balance']) == []


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'episodes': 0}, '--episodes is 0; 1 or more is needed'),
        ({'seed': -1}, '--seed is -1; 0 to 2147483647 is needed'),
        ({'real_time_factor': 0.0}, '--real-time-factor is 0.0; 0.01 to 100 is needed'),
        ({'model': Path('absent.onnx')}, 'model absent.onnx: nothing found'),
        ({'task': 'reach'}, "the model's contract 'balance' is not that of 'reach'"),
    ],
)
def test_bad_options_are_told_before_anything_starts(options, text, models):
    with pytest.raises(UserError, match=f'^{text}'):
        main(RunCommand(**{'model': models['balance'], **options}))


@pytest.mark.fault('H09', 'exit 1', '')
def test_without_ros_it_says_in_one_line_what_to_install(models, tmp_path: Path):
    (tmp_path / 'rclpy.py').write_text("raise ModuleNotFoundError('no', name='rclpy')\n")
    done = subprocess.run(
        [sys.executable, '-c', 'from sim_training.cli import main; main()', 'run',
         str(models['balance'])],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join((str(tmp_path), str(ROOT)))},
        timeout=150,
    )  # fmt: skip
    assert done.returncode == 1
    assert "sac-ros: ROS 2 is needed and 'rclpy' is missing" in done.stderr
    assert "pip install '.[ros]'" in done.stderr
    assert done.stdout == ''


def test_a_summary_takes_the_usual_p50_and_the_worst_p99():
    def episode(number: int, reward_sum: float, p50: float, p99: float) -> EpisodeResult:
        latency = {'p50': p50, 'p99': p99, 'max': p99 + 1.0}
        return EpisodeResult(number, reward_sum, 500, number > 1, False, latency, number, 10.0)

    episodes = [episode(1, 10.0, 0.5, 1.0), episode(2, 20.0, 0.7, 3.0), episode(3, 60.0, 0.6, 2.0)]
    result = summary(episodes)
    assert result['return_mean'] == 30.0
    assert result['success'] == 2
    assert result['latency_ms'] == {'p50': 0.6, 'p99': 3.0, 'max': 4.0}
    assert result['missed'] == 6
    assert describe({'physics': {'payload': 2.0}, **result}).startswith(
        'physics: payload 2 kg\nreturn 30.0 on average, '
    )
    unknown = describe({'physics': {}, **result, 'success': None})
    assert unknown.startswith('return 30.0 on average\nfrom state to command ')
    assert describe({'physics': {}, **result}) == (
        'return 30.0 on average, 2 of 3 episodes with success\n'
        'from state to command p50 0.60 ms, p99 3.00 ms, max 4.00 ms; 6 periods without a new '
        'command'
    )


def test_episodes_without_a_measured_latency_have_none():
    only = EpisodeResult(1, 1.0, 1, False, True, {}, 1, 0.02)
    assert summary([only])['latency_ms'] == {}
