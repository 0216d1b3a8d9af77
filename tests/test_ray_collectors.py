"""Collectors on real Ray clusters of this machine: what they bring, and what is lost with them.

Processes and machines (Ray's word is node) are killed; every wait has a limit.
"""

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from command_lines import start_cli, wait_for
from tiny_runs import PENDULUM, SMALL, resume, run

from sac_ros.errors import UserError
from sim_training.checkpoint import Playing, has_checkpoint, read_checkpoint
from sim_training.run_state import Run, new_run, save_run
from sim_training.stop_signals import StopSignals
from sim_training.train_command import TrainCommand

ray = pytest.importorskip('ray', reason="needs Ray: pip install '.[cluster]'")

from ray.cluster_utils import Cluster  # noqa: E402 (behind the line that skips)

from sim_training.ray_collectors import RayCollectors, add_chunk  # noqa: E402
from sim_training.remote_collector import RemoteCollector  # noqa: E402

LIMIT = 60.0  # [s] of every wait
# Nearly the least object store that Ray takes [bytes], and none of its helpers.
MACHINE = {
    'object_store_memory': 80_000_000,
    'include_dashboard': False,
    'include_log_monitor': False,
}
# A machine that does not answer is given up after a second or two; by default it takes long.
IMPATIENT = {
    'health_check_initial_delay_ms': 0,
    'health_check_period_ms': 500,
    'health_check_timeout_ms': 500,
    'health_check_failure_threshold': 2,
}


@pytest.fixture(scope='module', autouse=True)
def ray_folder() -> Iterator[None]:
    """Let Ray keep its logs and sockets in a folder that goes; their paths must be short."""
    with (
        tempfile.TemporaryDirectory(prefix='ray') as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv('RAY_TMPDIR', folder)
        yield


@pytest.fixture(scope='module')
def cluster() -> Iterator[Cluster]:
    """A cluster of one machine with two processors; nobody has joined it yet."""
    head = {**MACHINE, 'num_cpus': 2, '_system_config': IMPATIENT}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(Path(__file__).parent), prepend=os.pathsep)  # its envs
        cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def join(cluster: Cluster) -> Iterator[Callable[..., RayCollectors]]:
    """Join that cluster; what is joined is left when the test is over."""
    joined = []

    def join(count: int, patience: float = LIMIT) -> RayCollectors:
        joined.append(RayCollectors(cluster.address, count, patience))
        return joined[-1]

    yield join
    for collectors in joined:
        collectors.close()


def make_run(folder: Path, task: str = PENDULUM, steps: int = 100_000) -> Run:
    run = new_run(TrainCommand(task, steps=steps, out=folder, sac=SMALL), gymnasium.make(task))
    save_run(run)
    return run


def collect_until(collectors: RayCollectors, run: Run, is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline, (run.counters.step, collectors.places, run.notes)
        collectors.collect(run)
        time.sleep(0.02)  # leaves the processors to those that are about to begin


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != 'Z'


def clusters() -> list[int]:
    """Return the processes that have started the Ray clusters of this machine."""
    parents = []
    for path in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b'/gcs_server' in (path / 'cmdline').read_bytes():
                parents.append(int((path / 'stat').read_text().rpartition(')')[2].split()[1]))
    return parents


def collector_processes() -> list[int]:
    """Return the processes that collect; Ray names them."""
    pids = []
    for path in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b'ray::RemoteCollector' in (path / 'cmdline').read_bytes():
                pids.append(int(path.name))
    return pids


def test_auto_without_a_cluster_starts_one_of_its_own_and_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if clusters():
        pytest.skip('a Ray cluster runs on this machine')
    monkeypatch.delenv('RAY_ADDRESS', raising=False)
    run = make_run(tmp_path)
    with StopSignals() as signals:
        collectors = RayCollectors('auto', 1)
        try:
            collect_until(collectors, run, lambda: run.counters.step >= 50)
            pid = collectors.places[0].pid
            assert os.getpid() in clusters()
            os.kill(os.getpid(), signal.SIGTERM)  # Ray has not put itself in between
            assert signals.received == signal.SIGTERM
            assert signal.alarm(0) == 0
            collectors.collect(run)
        finally:
            collectors.close()
    assert run.notes == [
        'no Ray cluster is named or found: collecting on a Ray cluster of this run: machines 1, '
        'processors 1'
    ]
    wait_until(lambda: not is_alive(pid) and os.getpid() not in clusters())


def test_whole_episodes_arrive_in_order_from_all_collectors(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path, steps=380), join(2)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    collect_until(collectors, run, lambda: run.counters.step == 380)  # and never 400
    assert run.replay.size == 380
    stored = run.replay.stored()
    chains = np.all(stored['next_observation'][:-1] == stored['observation'][1:], axis=1)
    assert set(np.flatnonzero(~chains) % 50) <= {49}  # only from one answer to the next
    cosine, sine, velocity = stored['observation'].T
    torque = 2.0 * stored['unit_action'][:, 0]
    rewards = -(np.arctan2(sine, cosine) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2)
    np.testing.assert_allclose(stored['reward'], rewards, atol=1e-4)
    assert not stored['terminated'].any()
    firsts = stored['observation'][::50]
    assert len(np.unique(firsts, axis=0)) == len(firsts)  # no two play the same episode


def test_when_learning_is_slow_nobody_is_passed_over(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(2)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    first = run.counters.step
    for _ in range(7):
        answered, _ = ray.wait(list(collectors._requests), num_returns=2, timeout=LIMIT)
        assert len(answered) == 2
        collectors.collect(run)
    assert run.counters.step == first + 350
    stored = run.replay.newest(350)
    begins, ends = stored['observation'][::50], stored['next_observation'][49::50]
    goes_on = [torch.equal(begins[i + 2], ends[i]) for i in range(5)]
    assert goes_on.count(True) >= 3  # each second answer is of the same collector; an episode
    assert not any(torch.equal(begins[i + 1], ends[i]) for i in range(6))  # may end in between


def test_collectors_act_with_the_newest_weights(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(1)
    collect_until(collectors, run, lambda: run.counters.step >= SMALL.learning_starts)
    head = run.agent.actor.mean_head.bias
    for bias in (8.0, -8.0):  # tanh(8) is 1 within 3e-7
        head.fill_(bias)
        run.agent.actor.mean_head.weight.zero_()
        run.agent.actor.log_std_head.bias.fill_(-20.0)
        last = run.counters.step
        collect_until(collectors, run, lambda: run.counters.step >= last + 150)  # noqa: B023
        newest = run.replay.newest(50)['unit_action'].numpy()
        np.testing.assert_allclose(newest, np.sign(bias), atol=0.01)


@pytest.mark.fault('D12', 'resumed', '')
def test_a_collector_that_is_killed_is_replaced_and_nothing_stops(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(2)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    run.notes.clear()
    lost, other = collectors.places[0], collectors.places[1]
    os.kill(lost.pid, signal.SIGKILL)
    step = run.counters.step
    collect_until(collectors, run, lambda: collectors.places.get(0, lost) != lost)
    assert run.counters.step > step  # the other one went on
    assert collectors.places[1] == other
    assert len(run.notes) == 1
    assert run.notes[0].startswith(f'collector 0 (process {lost.pid} on {lost.host}) is lost (')
    assert run.notes[0].endswith('): a new one takes its place')
    step = run.counters.step
    collect_until(collectors, run, lambda: run.counters.step >= step + 500)


@pytest.mark.fault('D12', 'resumed', '')
def test_a_machine_that_is_lost_takes_only_its_own_collectors_along(
    join: Callable[..., RayCollectors], cluster: Cluster, tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(3)
    assert collectors.places == {}
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    assert '3 collectors are to share 2 processors: those that find none wait for one' in run.notes
    machine = cluster.add_node(num_cpus=1, **MACHINE)
    collect_until(collectors, run, lambda: len(collectors.places) == 3)
    before = collectors.places
    run.notes.clear()
    cluster.remove_node(machine, allow_graceful=False)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    assert len(run.notes) == 1
    assert set(collectors.places.items()) < set(before.items())
    step = run.counters.step
    collect_until(collectors, run, lambda: run.counters.step >= step + 200)
    machine = cluster.add_node(num_cpus=1, **MACHINE)
    collect_until(collectors, run, lambda: len(collectors.places) == 3)
    cluster.remove_node(machine, allow_graceful=False)


@pytest.mark.fault('D12', 'stopped', 'UserError')
def test_an_env_that_raises_on_a_cluster_ends_the_run_in_one_line(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path, 'cluster_envs:Raising-v0'), join(1)
    text = (
        r'^collector 0 \(process \d+ on .*\): the env raised ZeroDivisionError: float division by '
        r'zero \(cluster_envs.py:\d+\)$'
    )
    with pytest.raises(UserError, match=text):
        collect_until(collectors, run, lambda: run.counters.step > 100)
    assert run.counters.step == 50


@pytest.mark.fault('D12', 'stopped', 'UserError')
def test_a_number_that_is_not_finite_is_refused_with_its_step(tmp_path: Path):
    run = make_run(tmp_path, 'cluster_envs:Infinite-v0')
    collector = RemoteCollector(run.command, run.contract.to_json(), seed=0)
    collector.begin()
    with pytest.raises(UserError, match=r'^next_observation is \[.*inf.*\]; every number must be'):
        add_chunk(run, 0, collector.play(200, None), run.steps)
    assert (run.counters.step, run.replay.size) == (70, 69)


def test_a_run_takes_no_step_more_than_was_asked_for(tmp_path: Path):
    run = make_run(tmp_path)
    collector = RemoteCollector(run.command, run.contract.to_json(), seed=0)
    collector.begin()
    for steps, returns in ((150, 0), (200, 1), (230, 1)):
        chunk = collector.play(150, None)
        add_chunk(run, 2, chunk, end=230)
        assert (run.counters.step, run.replay.size) == (steps, steps)
        # The discounted return of collector 2 runs on, and ends with its episode.
        assert run.returns.state[0] == steps
        assert (run.returns.state[-1] == 0.0) == (steps == 200)
        assert len(run.counters.episode_returns) == returns


@pytest.mark.fault('D12', 'stopped', 'UserError')
def test_without_any_collector_the_run_is_saved_and_ends(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(1, patience=2.0)
    ray.get(ray.remote(num_cpus=2)(Hog).remote().take.remote(), timeout=LIMIT)
    run.counters.step = 7  # since the checkpoint
    # The run was resumed, and two envs of its own were in the middle of their episodes.
    run.playing = (Playing(3, length=20), Playing(5, length=20))
    run.under_way = np.zeros((2, 1), np.float32)
    with pytest.raises(UserError) as refusal:
        collect_until(collectors, run, lambda: False)
    assert str(refusal.value) == (
        'no collector has begun on the Ray cluster for 2 s (no processor is free); it has 2 '
        'processors, each collector needs one'
    )
    arrays, facts, _ = read_checkpoint(tmp_path)
    assert facts.counters.step == 7
    assert facts.playing == (Playing(6, length=0), Playing(7, length=0))
    assert 'under_way' not in arrays


class Hog:
    """It takes processors, and that is all."""

    def take(self) -> None:
        """Answer when they are taken."""


@pytest.mark.fault('D01', 'resumed', '')
def test_a_learner_that_is_killed_goes_on_from_its_checkpoint_with_new_collectors(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    options = '--sac.hidden-sizes 8 8 --sac.batch-size 8 --sac.learning-starts 60 '
    options += '--steps 40000 --envs 2 --evaluation-episodes 1 --checkpoint-every 100'
    folder = tmp_path / 'run'
    words = ('--out', folder, '--ray', cluster.address, *options.split())
    learner = start_cli('train', PENDULUM, *words)

    def has_saved() -> bool:
        return has_checkpoint(folder) and read_checkpoint(folder)[1].counters.step >= 200

    wait_for(lambda: has_saved() and len(collector_processes()) == 2, learner)
    collectors = collector_processes()
    learner.kill()
    assert learner.wait(LIMIT) == -signal.SIGKILL
    arrays, facts, _ = read_checkpoint(folder)
    assert facts.playing == (Playing(0, length=0), Playing(1, length=0))
    wait_until(lambda: not any(map(is_alive, collectors)))  # they do not outlive it
    step = facts.counters.step
    assert run(resume(folder, steps=step + 201))['step'] == step + 201
    assert 'cannot go on' not in capsys.readouterr().err
    later, facts, _ = read_checkpoint(folder)
    assert facts.counters.step == len(later['replay.reward']) == step + 201
    np.testing.assert_array_equal(later['replay.reward'][:step], arrays['replay.reward'])
    new = later['replay.observation'][step:, 0]
    assert not np.isin(new, arrays['replay.observation'][:, 0]).any()  # new episodes


def test_ray_address_names_the_cluster_for_auto(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv('RAY_ADDRESS', cluster.address)
    collectors = RayCollectors('auto', 1)
    try:
        run = make_run(tmp_path)
        collectors.collect(run)
    finally:
        collectors.close()
    assert run.notes == [
        f'collecting on the Ray cluster at {cluster.address}: machines 1, processors 2'
    ]


@pytest.mark.parametrize('how', ['address', 'RAY_ADDRESS'])
def test_a_cluster_that_does_not_answer_is_refused_in_one_line(
    how: str, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as nobody:  # bound, but it does not listen
        nobody.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{nobody.getsockname()[1]}'
        if how == 'RAY_ADDRESS':
            monkeypatch.setenv('RAY_ADDRESS', address)
        with pytest.raises(UserError) as refusal:
            RayCollectors(address if how == 'address' else 'auto', 1)
    assert str(refusal.value) == (
        f'the Ray cluster at {address} cannot be joined ([Errno 111] Connection refused); '
        'start one with: ray start --head'
    )


def test_an_address_that_is_none_is_refused_with_what_is_allowed():
    with pytest.raises(UserError) as refusal:
        RayCollectors('automatic', 1)
    assert str(refusal.value) == (
        'the Ray cluster at automatic cannot be joined (allowed: auto, local, host:port, '
        'ray://host:port); start one with: ray start --head'
    )
