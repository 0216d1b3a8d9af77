"""Collectors on real Ray clusters of this machine when something breaks: what is lost with them.

Processes and machines (Ray's word is node) are killed; every wait has a limit.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_lines import start_cli, wait_for
from tiny_runs import PENDULUM, resume, run

from sac_ros.errors import UserError
from sim_training.checkpoint import Playing, has_checkpoint, read_checkpoint

ray = pytest.importorskip('ray', reason="needs Ray: pip install '.[cluster]'")

from ray.cluster_utils import Cluster  # noqa: E402 (behind the line that skips)
from ray_clusters import (  # noqa: E402
    LIMIT,
    MACHINE,
    collect_until,
    collector_processes,
    is_alive,
    make_run,
    wait_until,
)

from sim_training.ray_collectors import RayCollectors, add_chunk  # noqa: E402
from sim_training.remote_collector import RemoteCollector  # noqa: E402

pytest_plugins = ('ray_clusters',)
pytestmark = pytest.mark.usefixtures('ray_folder')


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
def test_a_collector_that_hangs_is_replaced_and_nothing_stops(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(2)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    run.notes.clear()
    collectors._silence = 3.0
    silent, other = collectors.places[0], collectors.places[1]
    os.kill(silent.pid, signal.SIGSTOP)
    step = run.counters.step
    collect_until(collectors, run, lambda: collectors.places.get(0) != silent)
    wait_until(lambda: not is_alive(silent.pid))
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    assert run.counters.step > step  # the other one went on
    assert collectors.places[1] == other
    assert run.notes == [
        f'collector 0 (process {silent.pid} on {silent.host}) is lost (no answer for 3 s): '
        'a new one takes its place'
    ]


@pytest.mark.fault('D12', 'resumed', '')
def test_a_learner_that_is_late_itself_finds_the_answers_and_replaces_nobody(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path), join(2)
    collect_until(collectors, run, lambda: len(collectors.places) == 2)
    run.notes.clear()
    collectors._silence = 0.5
    before = collectors.places
    for _ in range(3):
        ray.wait(list(collectors._requests), num_returns=2, timeout=LIMIT)
        time.sleep(1.0)  # as in updates that take longer than the collectors may
        collectors.collect(run)
    assert (collectors.places, run.notes) == (before, [])


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


@pytest.mark.fault('D12', 'stopped', 'UserError')
def test_collectors_that_die_again_and_again_end_the_run_which_is_saved(
    join: Callable[..., RayCollectors], tmp_path: Path
):
    run, collectors = make_run(tmp_path, 'cluster_envs:Deadly-v0'), join(1)
    run.counters.step = 7  # since the checkpoint
    text = r'^collectors were lost 4 times without a step in between \(.+\)$'
    with pytest.raises(UserError, match=text):
        collect_until(collectors, run, lambda: False)
    assert read_checkpoint(tmp_path)[1].counters.step == 7


@pytest.mark.fault('D12', 'stopped', 'UserError')
def test_what_ray_itself_refuses_ends_the_run_in_one_line(
    join: Callable[..., RayCollectors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_weights: object) -> None:
        raise ray.exceptions.ObjectStoreFullError('no room')

    run, collectors = make_run(tmp_path), join(1)
    collect_until(collectors, run, lambda: run.counters.step >= run.command.sac.learning_starts)
    monkeypatch.setattr(ray, 'put', full)
    with pytest.raises(UserError, match=r'^the Ray cluster fails: The local object store is full'):
        collectors.collect(run)


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
    learner = start_cli('train', PENDULUM, '--preset', 'sac', *words)

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
    old = {row.tobytes() for row in arrays['replay.observation']}
    new = {row.tobytes() for row in later['replay.observation'][step:]}
    assert new.isdisjoint(old)  # new episodes; single elements are sometimes equal by chance
