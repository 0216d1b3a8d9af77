"""learner_node as a process: killed, stopped, ended and diverged; the robot never notices."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from learner_nodes import Ticks, learning, tick, wait_for_learning, write_files
from node_process import NodeProcess, parameters, running
from policy_nodes import BUSY, SPEC, Arm
from ros import Peer, wait_for
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import Mode
from sac_ros.step_numbers import step_from_numbers
from sim_training.experience import JOURNAL
from sim_training.fine_tuner import CHECKPOINT
from sim_training.journal import Journal

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

NODE = '/arm/learner_node'
KILLS = 20
# Importing torch takes seconds: one process does it, and every learner is a copy of it.
COPIES = """
import ctypes, os, sys
import sim_training.learner
from sim_training.learner_node import main
PR_SET_PDEATHSIG, SIGKILL = 1, 9
prctl = ctypes.CDLL(None).prctl
prctl(PR_SET_PDEATHSIG, SIGKILL)  # nobody is left behind when the test is killed
while True:
    child = os.fork()
    if child == 0:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        sys.exit(main())
    print(f'learner is process {child}', flush=True)
    os.waitpid(child, 0)
"""
# It believes rewards of any size, which are refused otherwise.
CREDULOUS = """
import math, sys
from sim_training import learner_scores, transitions
from sim_training.learner_node import main
learner_scores.LARGEST_REWARD = transitions.LARGEST_REWARD = math.inf
sys.exit(main())
"""
# It gives way as every learner does, and never rests.
ENDLESS = """
from sim_training.learner_node import _give_way
_give_way()
while True:
    pass
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the arguments of a learner of the shared policy node."""
    return [*parameters(**write_files(tmp_path, SPEC)), '-r', '__ns:=/arm']


@pytest.fixture
def diagnostics(peer: Peer) -> Iterator[list[DiagnosticArray]]:
    messages = peer.listen(DiagnosticArray, '/diagnostics')
    yield messages
    peer.forget(messages)


def transitions(diagnostics: list) -> int:
    return int(learning(diagnostics, NODE).get('transitions', 0))


def assert_never_disturbed(arm: Arm) -> None:
    """Assert that a command has left in each period, and that the policy acts."""
    arm.wait_for_mode(Mode.ACTIVE)
    steps = arm.steps()
    assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
    assert arm.codes() <= BUSY
    gaps = np.diff([step.stamp for step in steps])
    assert np.median(gaps) == pytest.approx(SPEC.dt, rel=0.1)
    assert gaps.max() < 1.0  # a busy machine costs some; to wait for a learner would cost all


@pytest.mark.fault('F02', 'ACTIVE', '')
def test_a_learner_that_hangs_disturbs_nobody_and_catches_up(
    configured: None, arm: Arm, diagnostics: list, words: list[str]
):
    with running('-m', 'sim_training.learner_node', *words) as learner:
        pid = learner.process.pid
        wait_for(lambda: learning(diagnostics, NODE), 'the learner')
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.nice(0) + 10)
        cores = sorted(os.sched_getaffinity(0))
        assert sorted(os.sched_getaffinity(pid)) == (cores[1:] or cores)
        arm.send_states()
        arm.activate()
        wait_for(lambda: transitions(diagnostics) > 0, 'a transition')
        before = len(arm.records)
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: len(arm.records) > before + 150, 'three seconds of control')
        os.kill(pid, signal.SIGCONT)
        # None of the ticks that it has slept through is lost.
        wait_for(lambda: transitions(diagnostics) > before + 100, 'the learner to catch up')
    assert_never_disturbed(arm)


@pytest.mark.fault('F02', 'ACTIVE', '')
def test_learners_that_take_every_processor_leave_one_to_the_robot(configured: None, arm: Arm):
    with running('-c', ENDLESS), running('-c', ENDLESS):
        arm.send_states()
        arm.activate()
        wait_for(lambda: len(arm.records) > 250, 'five seconds of control')
    steps = arm.steps()
    assert_never_disturbed(arm)
    assert sum(step.fault is not None for step in steps) < len(steps) / 4


def test_a_learner_that_is_told_to_end_saves_and_goes_on_later(
    peer: Peer, diagnostics: list, words: list[str], tmp_path: Path
):
    ticks = Ticks(peer, SPEC, '/arm/policy_node')
    with running('-m', 'sim_training.learner_node', *words) as first:
        ticks.send(tick(SPEC, 1), tick(SPEC, 2), tick(SPEC, 3))
        ticks.settle()
        wait_for_learning(diagnostics, NODE, transitions='2', updates='2')
        assert first.end(signal.SIGTERM) == 0
        assert 'Traceback' not in first.log()
    assert (tmp_path / 'learner' / CHECKPOINT).exists()
    diagnostics.clear()
    with running('-m', 'sim_training.learner_node', *words) as second:
        second.wait_for_log("arm.yaml' from 2 transitions of the robot and 0 of the simulation")
        wait_for_learning(
            diagnostics, NODE, state='waiting for control steps', transitions='2', updates='2'
        )
        assert second.end(signal.SIGINT) == 0
    ticks.close()


def test_prior_steps_for_a_preset_that_would_not_learn_from_them_are_told(tmp_path: Path):
    values = {**write_files(tmp_path, SPEC), 'prior_steps': 5, 'preset': 'sac'}
    with running('-m', 'sim_training.learner_node', *parameters(**values)) as learner:
        learner.wait_for_log(
            'prior_steps is 5 and nothing is simulated: the preset has sac.prior_fraction 0'
        )


@pytest.mark.fault('D13', 'exit 1', '')
def test_a_learner_whose_losses_are_no_numbers_ends_with_one_line_and_saves_nothing(
    peer: Peer, words: list[str], tmp_path: Path
):
    ticks = Ticks(peer, SPEC, '/arm/policy_node')
    rewards = peer.node.create_publisher(Float64MultiArray, '/arm/reward', 100)
    more = ['-p', 'reward_topic:=reward']
    with running('-c', CREDULOUS, *words, *more) as learner:
        wait_for(lambda: rewards.get_subscription_count() == 1, 'the learner')
        rewards.publish(Float64MultiArray(data=[2.0, 3e38]))  # its square is infinite in float32
        wait_for(lambda: rewards.wait_for_all_acked(), 'the reward')
        ticks.send(tick(SPEC, 1), tick(SPEC, 2))
        rewards.publish(Float64MultiArray(data=[2.0, 3e38]))
        ticks.settle()
        assert learner.process.wait(30.0) == 1
        last = learner.log().splitlines()[-1]
        assert last.startswith('learner_node: learning has diverged: critic is ')
        assert 'Traceback' not in learner.log()
    assert not (tmp_path / 'learner' / CHECKPOINT).exists()
    peer.unpublish(rewards)
    ticks.close()


# The last one: those that were killed are listeners for 20 s more.
@pytest.mark.fault('F01', 'ACTIVE', '')
def test_twenty_learners_that_are_killed_disturb_nobody_and_lose_nothing(
    configured: None, arm: Arm, diagnostics: list, words: list[str], tmp_path: Path
):
    journal = tmp_path / 'learner' / JOURNAL
    delays = np.random.default_rng(0).uniform(0.0, 1.0, KILLS)  # [s]
    arm.send_states()
    arm.activate()
    with running('-c', COPIES, *words) as copies:
        for number, delay in enumerate(delays, start=1):
            pid = newest_learner(copies, number)
            if number % 2 == 0:  # the others are killed as they begin
                wait_for_more(journal)
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        newest_learner(copies, KILLS + 1)
        wait_for_more(journal)
        wait_for(lambda: transitions(diagnostics) > 0, 'its word')
    assert_never_disturbed(arm)
    found = Journal(journal, {'sac_ros.journal': 1, 'spec': SPEC.sha256})
    heard = [step_from_numbers(SPEC, numbers).sequence for _, numbers in found.rows()]
    assert found.damaged == 0
    assert heard == sorted(set(heard))  # nothing twice, and in order
    gaps = np.diff(heard) - 1
    assert np.count_nonzero(gaps) <= KILLS + 1  # only where nobody was there to listen
    assert len(heard) > KILLS // 2
    found.close()


def wait_for_more(journal: Path) -> None:
    """Wait until a learner has written something that it has heard."""
    known = journal.stat().st_size if journal.exists() else 1_000  # more than the first line
    wait_for(lambda: journal.exists() and journal.stat().st_size > known, 'a row')


def newest_learner(copies: NodeProcess, number: int) -> int:
    """Return the process of learner `number`."""

    def pids() -> list[str]:
        return re.findall(r'learner is process (\d+)\n', copies.log())

    wait_for(lambda: len(pids()) >= number or copies.process.poll() is not None, 'a learner')
    return int(pids()[number - 1])
