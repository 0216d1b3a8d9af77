"""What was accepted acts after the next start; what could not be written stops nothing."""

import json
from pathlib import Path

import pytest
from model_builders import constant_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from node_process import running
from offers import Learner, check_control, learning_in
from policy_nodes import ACTION, LONE_NODE, SPEC, Arm, start, wait_for_values
from ros import Peer, wait_for, write_constant_model
from std_msgs.msg import String

from sac_ros.accepted_model import Acceptance, keep_accepted
from sac_ros.control_step import Mode
from sac_ros.messages import LATCHED
from sac_ros.policy import OnnxPolicy

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

BETTER = constant_model(SPEC, (0.5, -0.9))
OTHER = constant_model(SPEC, (0.3, -0.9))


def accept(learner: Learner, arm: Arm) -> str:
    """Let the better model be accepted by an active node; return its sha256."""
    arm.wait_for_mode(Mode.ACTIVE)
    learner.tell(0, 9.0, 10.0, 11.0)
    better = learner.offer(BETTER)
    learner.wait_for('on trial', better)
    learner.tell(1, 12.0, 13.0, 14.0)
    learner.wait_for('accepted', better)
    return better


@pytest.mark.fault('F14', 'INACTIVE', 'W_ACCEPTED_IGNORED')
@pytest.mark.parametrize('damage', ['model', 'record', 'base', 'unwanted'])
def test_an_accepted_model_that_is_damaged_or_of_another_base_or_unwanted_does_not_act(
    model: Path, peer: Peer, lone_node, lone_arm: Arm, tmp_path: Path, damage: str
):
    told = peer.listen(String, f'{LONE_NODE}/policy_info', LATCHED)
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    base, better = OnnxPolicy(model.read_bytes(), 'm').sha256, OnnxPolicy(BETTER, 'm').sha256
    wrong = 'c' * 64 if damage == 'base' else base
    keep_accepted(tmp_path, BETTER, Acceptance(better, wrong, 'now', (2.0,) * 3, (1.0,) * 3))
    if damage == 'model':
        (tmp_path / 'accepted.onnx').write_bytes(BETTER[:-1])
    elif damage == 'record':
        (tmp_path / 'accepted.json').write_text('[')
    options = {**learning_in(tmp_path), 'accept_candidates': damage != 'unwanted'}
    lone_node(model=model, autostart=True, **options)

    wait_for_values(diagnostics, LONE_NODE, 'the warning', **{'count.W_ACCEPTED_IGNORED': '1'})
    assert [json.loads(message.data)['sha256'] for message in told] == [base]


@pytest.mark.fault('F08', 'ACTIVE', 'W_DISK')
def test_where_nothing_can_be_written_candidates_are_tried_and_control_goes_on(
    model: Path, peer: Peer, lone_node, lone_arm: Arm, tmp_path: Path
):
    folder = tmp_path / 'file'
    folder.write_bytes(b'')
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    lone_arm.send_states()
    lone_node(model=model, autostart=True, **learning_in(folder))
    learner = Learner(peer, LONE_NODE)
    accept(learner, lone_arm)

    found = wait_for_values(diagnostics, LONE_NODE, 'the accepted model', acting='accepted')
    assert int(found['count.W_DISK']) >= 2  # the model, and each decision
    check_control(lone_arm.steps())
    learner.close()


def test_another_model_is_a_new_base_and_ends_what_was_learnt_for_the_old_one(
    model: Path, peer: Peer, lone_node, lone_arm: Arm, tmp_path: Path
):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    path = write_constant_model(tmp_path / 'next.onnx', SPEC, (0.7, -0.9))
    lone_arm.send_states()
    lone_node(model=model, autostart=True, **learning_in(tmp_path))
    learner = Learner(peer, LONE_NODE)
    accept(learner, lone_arm)
    learner.wait_for('on trial', learner.offer(OTHER))

    assert learner.set('model', str(path))
    told = learner.wait_for('base model', OnnxPolicy(path.read_bytes(), 'm').sha256)
    assert told['text'] == 'another model was asked for'
    dropped = learner.wait_for('rolled back', OnnxPolicy(OTHER, 'm').sha256)
    assert dropped['text'] == 'another base model was asked for'
    lone_arm.wait_for_action((0.7, -0.9))
    wait_for_values(diagnostics, LONE_NODE, 'the new base', acting='base', base_return='')
    assert not (tmp_path / 'accepted.onnx').exists()
    assert learner.call('rollback').success  # to the base before, not to what had been learnt
    lone_arm.wait_for_action(ACTION)
    learner.close()


# The last test: a node that was killed haunts the others for 20 s.
@pytest.mark.fault('F14', 'INACTIVE', '')
def test_after_a_reboot_in_mid_trial_the_last_accepted_model_acts_and_the_trial_is_over(
    model: Path, peer: Peer, lone_arm: Arm, tmp_path: Path
):
    options = {'model': model, 'autostart': True, **learning_in(tmp_path)}
    lone_arm.send_states()
    with running(*start(**options)) as node:
        learner = Learner(peer, LONE_NODE)
        better = accept(learner, lone_arm)
        other = learner.offer(OTHER)
        learner.wait_for('on trial', other)
        node.process.kill()
        node.process.wait(30.0)

    # The learner lives, and its latched candidate comes to the new node at once.
    told = peer.listen(String, f'{LONE_NODE}/policy_info', LATCHED)
    with running(*start(**options)) as node:
        wait_for(lambda: told, 'the model in use')
        node.wait_for_log(f'model {better[:12]}')
        assert [json.loads(message.data)['sha256'] for message in told][-1] == better
        assert learner.wait_for('refused', other)['code'] == 'E_CAND_KNOWN'
    learner.close()
    log = (tmp_path / 'decisions.log').read_text().splitlines()
    words = [line.split('  ')[1:3] for line in log]
    assert words[-4:] == [
        [better[:12], 'accepted'],
        [other[:12], 'on trial'],
        [better[:12], 'restored'],
        [other[:12], 'refused'],
    ]
