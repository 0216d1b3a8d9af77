"""Which model of a running node acts when another has to give way, and how soon."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from model_builders import constant_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from offers import Learner, learning_in
from policy_nodes import ACTION, LONE_NODE, SPEC, Arm, start
from ros import Peer, wait_for

from sac_ros.accepted_model import Acceptance, keep_accepted
from sac_ros.control_step import Mode
from sac_ros.policy import OnnxPolicy

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

BETTER = constant_model(SPEC, (0.5, -0.9))
OTHER = constant_model(SPEC, (0.3, -0.9))

BLOCKED = """
import sys
import time
from sac_ros import lifecycle_node
from sac_ros.policy_node import main

whole = lifecycle_node.PolicyNode._report

def blocked(self):
    time.sleep(1e6 if self.loop and self.loop.last_step else 0.0)
    return whole(self)

lifecycle_node.PolicyNode._report = blocked
sys.exit(main())
"""


def accept_before(model: Path, folder: Path) -> str:
    """Leave the better model accepted in a folder; return its sha256."""
    base, better = (OnnxPolicy(data, 'm').sha256 for data in (model.read_bytes(), BETTER))
    keep_accepted(folder, BETTER, Acceptance(better, base, 'now', (2.0,) * 3, (1.0,) * 3))
    return better


def test_the_base_model_is_asked_for_past_a_callback_that_blocks(
    model: Path, lone_arm: Arm, tmp_path: Path
):
    accept_before(model, tmp_path)
    lone_arm.send_states()
    words = start(model=model, autostart=True, **learning_in(tmp_path))[2:]
    with running('-c', BLOCKED, *words) as node:
        lone_arm.wait_for_action((0.5, -0.9))
        assert lone_arm.call('base_model').success
        lone_arm.wait_for_action(ACTION)
        assert not (tmp_path / 'accepted.onnx').exists()
        assert node.process.poll() is None
        node.process.kill()  # it could not end by itself


def test_the_base_model_acts_at_once_while_another_thread_waits_for_the_disk(
    model: Path, peer: Peer, lone_arm: Arm, tmp_path: Path
):
    """Let a candidate be accepted, of which a log should tell that cannot be written."""
    lone_arm.send_states()
    with running(*start(model=model, autostart=True, **learning_in(tmp_path))) as node:
        lone_arm.wait_for_mode(Mode.ACTIVE)
        learner = Learner(peer, LONE_NODE)
        learner.tell(0, 9.0, 10.0, 11.0)
        learner.wait_for('on trial', learner.offer(BETTER), timeout=90.0)
        lone_arm.wait_for_action((0.5, -0.9))
        log = tmp_path / 'decisions.log'
        log.unlink()
        os.mkfifo(log)  # whoever opens it to write waits for a reader
        learner.tell(1, 12.0, 13.0, 14.0)
        wait_for((tmp_path / 'accepted.json').exists, 'the accepted model')
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(lone_arm.call, 'base_model')
            lone_arm.wait_for_action(ACTION)
            assert not answer.done()  # what is to be remembered waits for the disk
            reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
            assert answer.result(timeout=30.0).success
        lone_arm.wait_for_action(ACTION)
        assert node.process.poll() is None
        learner.close()
    os.close(reader)


@pytest.mark.fault('F05', 'SAFE', 'E_OBS_RANGE')
def test_an_accepted_model_does_not_fall_for_where_a_candidate_has_led_the_robot(
    model: Path, peer: Peer, lone_arm: Arm, tmp_path: Path
):
    better = accept_before(model, tmp_path)
    lone_arm.send_states()
    with running(*start(model=model, autostart=True, **learning_in(tmp_path))):
        lone_arm.wait_for_action((0.5, -0.9))
        learner = Learner(peer, LONE_NODE)
        learner.tell(1, 9.0, 10.0, 11.0)
        other = learner.offer(OTHER)
        learner.wait_for('on trial', other, timeout=90.0)
        lone_arm.wait_for_action((0.3, -0.9))
        lone_arm.send_states(lone_arm.out_of_limits)
        assert learner.wait_for('rolled back', other)['code'] == 'E_OBS_RANGE'
        begin = len(lone_arm.records)
        wait_for(lambda: len(lone_arm.records) > begin + 50, 'a second out of its limits')
        assert 'rolled back' not in [one['decision'] for one in learner.decisions(better)]

        lone_arm.send_states()
        lone_arm.wait_for_mode(Mode.ACTIVE)
        lone_arm.wait_for_action((0.5, -0.9))
        assert (tmp_path / 'accepted.onnx').exists()
        learner.close()
