"""Real Ray clusters of this machine for tests: joined, waited for, and the processes of them.

A test module takes the fixtures by `pytest_plugins = ('ray_clusters',)`.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import pytest
from ray.cluster_utils import Cluster
from tiny_runs import PENDULUM, SMALL

from sim_training.ray_collectors import RayCollectors
from sim_training.run_state import Run, new_run, save_run
from sim_training.train_command import TrainCommand

LIMIT = 150.0  # [s] of every wait: a collector that begins on a busy machine takes 20
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


@pytest.fixture(scope='module')
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
