"""Collectors on real Ray clusters of this machine: how they are joined, and what they bring.

Every wait has a limit.
"""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import SMALL

from sac_ros.errors import UserError
from sim_training.stop_signals import StopSignals

ray = pytest.importorskip('ray', reason="needs Ray: pip install '.[cluster]'")

from ray.cluster_utils import Cluster  # noqa: E402 (behind the line that skips)
from ray_clusters import (  # noqa: E402
    LIMIT,
    clusters,
    collect_until,
    is_alive,
    make_run,
    wait_until,
)

from sim_training.ray_collectors import RayCollectors, add_chunk  # noqa: E402
from sim_training.remote_collector import RemoteCollector  # noqa: E402

pytest_plugins = ('ray_clusters',)
pytestmark = pytest.mark.usefixtures('ray_folder')


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


@pytest.mark.parametrize('address', ['automatic', 'localhost:70000', ':6379', 'localhost:²'])
def test_an_address_that_is_none_is_refused_with_what_is_allowed(address: str):
    with pytest.raises(UserError) as refusal:
        RayCollectors(address, 1)
    assert str(refusal.value) == (
        f'the Ray cluster at {address} cannot be joined (allowed: auto, local, host:port, '
        'ray://host:port); start one with: ray start --head'
    )
