"""Candidates on trial at a running node: accepted, or rolled back within an episode."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_builders import constant_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from node_process import NodeProcess, running
from offers import Learner, check_control, learning_in
from policy_nodes import ACTION, NODE, SPEC, Arm, start, wait_for_values
from ros import Peer, wait_for
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import Mode

pytest_plugins = ('policy_nodes', 'offers')
pytestmark = pytest.mark.ros

BETTER = constant_model(SPEC, (0.5, -0.9))  # 0.4 / 2 = 0.2 of the range of the first joint away
OTHER = constant_model(SPEC, (0.3, -0.9))


@pytest.fixture(scope='module')
def process(model: Path, folder: Path) -> Iterator[NodeProcess]:
    with running(*start('/arm', model=model, **learning_in(folder))) as process:
        yield process


@pytest.mark.fault('F05', 'ACTIVE', 'E_CAND_WORSE')
def test_a_candidate_is_tried_and_accepted_and_a_worse_one_is_rolled_back_after_one_episode(
    learner: Learner, peer: Peer, arm: Arm, folder: Path
):
    first = len(arm.records) - 1
    better = learner.offer(BETTER)
    waits = learner.wait_for('waits', better)
    assert waits['text'] == 'fewer than 3 returns of the model that acts are known'

    learner.tell(0, 9.0, 10.0, 11.0)
    assert learner.wait_for('on trial', better)['before'] == [9.0, 10.0, 11.0]
    arm.wait_for_action((0.5, -0.9))
    assert arm.newest().model == 1
    learner.tell(1, 12.0, 13.0, 14.0)
    accepted = learner.wait_for('accepted', better)
    assert accepted['text'] == 'return 13 +- 1 of 3 episodes; 10 +- 1 of 3 episodes before'
    assert accepted['returns'] == [12.0, 13.0, 14.0]
    assert (folder / 'accepted.onnx').read_bytes() == BETTER

    other = learner.offer(OTHER)
    learner.wait_for('on trial', other)
    arm.wait_for_action((0.3, -0.9))
    learner.tell(2, 5.0)
    fallen = learner.wait_for('rolled back', other)
    assert fallen['code'] == 'E_CAND_WORSE'
    assert fallen['text'] == 'return 5 of 1 episode; 13 +- 1 of 3 episodes before'
    arm.wait_for_action((0.5, -0.9))
    learner.offer(OTHER)
    assert learner.wait_for('refused', other)['code'] == 'E_CAND_KNOWN'

    learner.tell(3, 1.0)  # the accepted one, now far below the base
    assert learner.wait_for('rolled back', better)['before'] == [9.0, 10.0, 11.0]
    arm.wait_for_action(ACTION)
    assert not (folder / 'accepted.onnx').exists()
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    told = wait_for_values(diagnostics, NODE, 'the base', acting='base', base_return='10')
    assert (told['candidates_accepted'], told['candidates_rolled_back']) == ('1', '2')
    assert told['last_decision'].endswith('return 1 of 1 episode; 10 +- 1 of 3 episodes before')
    check_control(arm.steps(first))
    log = (folder / 'decisions.log').read_text()
    assert f'{other[:12]}  rolled back  E_CAND_WORSE: return 5 of 1 episode;' in log


def test_the_base_model_acts_at_once_when_somebody_asks_for_it(
    learner: Learner, arm: Arm, folder: Path
):
    better = constant_model(SPEC, (0.6, -0.9))
    learner.tell(0, 9.0, 10.0, 11.0)
    sha256 = learner.offer(better)
    learner.wait_for('on trial', sha256)
    learner.tell(1, 12.0, 13.0, 14.0)
    learner.wait_for('accepted', sha256)

    answer = learner.call('base_model')
    assert answer.success
    assert answer.message == 'the base model acts; no candidate is accepted any more'
    arm.wait_for_action(ACTION)
    assert not (folder / 'accepted.onnx').exists()
    learner.offer(better)
    assert learner.wait_for('refused', sha256)['code'] == 'E_CAND_UNWANTED'
    assert learner.set('accept_candidates', True)
    learner.offer(better)
    wait_for(lambda: learner.decisions(sha256)[-1]['code'] == 'E_CAND_KNOWN', 'the refusal')


def test_a_trial_ends_when_no_candidate_is_wanted_any_more(learner: Learner, arm: Arm):
    learner.tell(0, 9.0, 10.0, 11.0)
    sha256 = learner.offer(constant_model(SPEC, (0.75, -0.9)))
    learner.wait_for('on trial', sha256)

    assert learner.set('accept_candidates', False)
    assert learner.wait_for('rolled back', sha256)['code'] == 'E_CAND_UNWANTED'
    arm.wait_for_action(ACTION)


@pytest.mark.fault('F05', 'FAULT', 'E_ESTOP')
def test_an_emergency_stop_ends_a_trial(learner: Learner, arm: Arm):
    learner.tell(0, 9.0, 10.0, 11.0)
    sha256 = learner.offer(constant_model(SPEC, (0.7, -0.9)))
    learner.wait_for('on trial', sha256)

    assert arm.call('estop').success
    assert learner.wait_for('rolled back', sha256)['code'] == 'E_ESTOP'
    assert arm.call('reset').success
    arm.wait_for_mode(Mode.ACTIVE)
    arm.wait_for_action(ACTION)


def try_out(learner: Learner, arm: Arm, *action: float) -> tuple[str, int]:
    """Let a candidate act on trial; return its sha256 and its number."""
    learner.tell(0, 9.0, 10.0, 11.0)
    sha256 = learner.offer(constant_model(SPEC, action))
    learner.wait_for('on trial', sha256)
    arm.wait_for_action(action)
    return sha256, arm.newest().model


@pytest.mark.fault('F05', 'SAFE', 'E_OBS_RANGE')
def test_a_candidate_under_which_the_robot_leaves_its_limits_is_rolled_back_at_once(
    learner: Learner, arm: Arm
):
    sha256, _ = try_out(learner, arm, 0.65, -0.9)
    arm.send_states(arm.out_of_limits)
    told = learner.wait_for('rolled back', sha256)
    assert told['code'] == 'E_OBS_RANGE'
    assert told['text'].startswith('joint_position of shoulder 100 is outside')
    arm.wait_for_mode(Mode.SAFE)
    arm.send_states()
    arm.wait_for_mode(Mode.ACTIVE)
    arm.wait_for_action(ACTION)


@pytest.mark.fault('F05', 'SAFE', 'E_OBS_RANGE')
def test_an_accepted_model_under_which_the_robot_leaves_its_limits_falls_to_the_base(
    learner: Learner, arm: Arm, folder: Path
):
    sha256, number = try_out(learner, arm, 0.62, -0.9)
    learner.tell(number, 12.0, 13.0, 14.0)
    learner.wait_for('accepted', sha256)

    assert arm.enable(False).success  # a person moves it anywhere
    arm.wait_for_mode(Mode.SAFE, 'W_DISABLED')
    arm.send_states(arm.out_of_limits)
    assert arm.enable(True).success
    arm.wait_for_mode(Mode.SAFE, 'E_OBS_RANGE')
    arm.send_states()
    arm.wait_for_mode(Mode.ACTIVE)
    arm.wait_for_action((0.62, -0.9))

    arm.send_states(arm.out_of_limits)
    assert learner.wait_for('rolled back', sha256)['code'] == 'E_OBS_RANGE'
    assert not (folder / 'accepted.onnx').exists()
    arm.send_states()
    arm.wait_for_action(ACTION)


@pytest.mark.fault('F05', 'ACTIVE', 'E_CAND_STOPPED')
def test_a_person_who_takes_over_ends_a_trial(learner: Learner, peer: Peer, arm: Arm):
    sha256, _ = try_out(learner, arm, 0.61, -0.9)
    says = [(0.1, -0.5)]
    person = peer.stream(f'{NODE}/takeover', lambda: Float64MultiArray(data=says[-1]), rate=50.0)
    told = learner.wait_for('rolled back', sha256)
    assert (told['code'], told['text']) == ('E_CAND_STOPPED', 'a person has taken over')
    says.append(())
    arm.wait_for_action(ACTION)
    person.stop()


@pytest.mark.fault('F05', 'ACTIVE', 'E_CAND_STOPPED')
def test_a_person_who_stops_the_robot_in_mid_episode_ends_a_trial(learner: Learner, arm: Arm):
    sha256, number = try_out(learner, arm, 0.6, -0.8)
    episode = {'model': number, 'return': 9.0, 'length': 5, 'interrupted': True}
    learner.say(json.dumps(episode))
    assert learner.wait_for('rolled back', sha256)['code'] == 'E_CAND_STOPPED'
    arm.wait_for_action(ACTION)


@pytest.mark.fault('F05', 'ACTIVE', 'E_CAND_STOPPED')
def test_a_person_who_deactivates_the_node_ends_a_trial(learner: Learner, peer: Peer, arm: Arm):
    sha256, _ = try_out(learner, arm, 0.64, -0.9)
    assert peer.change(NODE, 'deactivate')
    told = learner.wait_for('rolled back', sha256)
    assert (told['code'], told['text']) == ('E_CAND_STOPPED', 'the node was deactivated')
    count = len(arm.records)
    arm.activate()
    arm.wait_for_action(ACTION)
    assert not any(step.model == arm.newest().model - 1 for step in arm.steps(count))


@pytest.mark.fault('F05', 'ACTIVE', 'E_ESTOP')
def test_an_emergency_stop_ends_a_trial_also_where_it_is_reset_while_the_node_is_busy(
    learner: Learner, arm: Arm, tmp_path: Path
):
    sha256, _ = try_out(learner, arm, 0.63, -0.9)
    bad = tmp_path / 'bad.onnx'
    bad.write_bytes(b'no model')
    checked = threading.Thread(target=learner.set, args=('model', str(bad)))
    checked.start()
    assert arm.call('estop').success
    assert arm.call('reset').success
    checked.join()
    assert learner.wait_for('rolled back', sha256)['code'] == 'E_ESTOP'
    arm.wait_for_action(ACTION)


def test_while_a_person_drives_no_candidate_is_tried(learner: Learner, peer: Peer, arm: Arm):
    says = [(0.1, -0.5)]
    person = peer.stream(f'{NODE}/takeover', lambda: Float64MultiArray(data=says[-1]), rate=50.0)
    wait_for(lambda: arm.newest().is_takeover, 'the person')
    learner.tell(0, 9.0, 10.0, 11.0)
    sha256 = learner.offer(constant_model(SPEC, (0.66, -0.9)))
    learner.wait_for_reason('the policy does not act', sha256)
    says.append(())
    learner.wait_for('on trial', sha256)
    arm.wait_for_action((0.66, -0.9))
    person.stop()


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_in_shadow_mode_no_model_is_judged_by_what_others_do_with_the_robot(
    learner: Learner, peer: Peer, arm: Arm, folder: Path
):
    sha256, number = try_out(learner, arm, 0.67, -0.9)
    learner.tell(number, 12.0, 13.0, 14.0)
    learner.wait_for('accepted', sha256)

    def configure(is_shadow: bool) -> None:
        assert peer.change(NODE, 'deactivate')
        assert peer.change(NODE, 'cleanup')
        assert learner.set('shadow', is_shadow)
        assert peer.change(NODE, 'configure')
        arm.activate()

    looked_at = Arm(peer, record='shadow_control_step')
    configure(is_shadow=True)
    looked_at.wait_for_action((0.67, -0.9))
    learner.tell(looked_at.newest().model, -99.0)
    arm.send_states(arm.out_of_limits)
    looked_at.wait_for_mode(Mode.SAFE, 'E_OBS_RANGE')
    count = len(looked_at.records)
    wait_for(lambda: len(looked_at.records) > count + 30, 'several looks at it')
    arm.send_states()
    configure(is_shadow=False)
    arm.wait_for_action((0.67, -0.9))
    assert (folder / 'accepted.onnx').exists()
    assert [told['decision'] for told in learner.decisions(sha256)][-1] == 'restored'
    looked_at.close()


def test_returns_with_another_speed_judge_nobody(learner: Learner, arm: Arm):
    sha256, _ = try_out(learner, arm, 0.6, -0.7)
    number = arm.newest().model
    assert learner.set('speed_scale', 0.5)
    told = learner.wait_for('rolled back', sha256)
    assert (told['code'], told['text']) == ('', 'exploration or speed_scale has changed')
    wait_for(lambda: arm.newest().model > number, 'another number')
    learner.offer(constant_model(SPEC, (0.6, -0.7)))
    learner.wait_for_reason('fewer than 3 returns', sha256)
    assert learner.set('speed_scale', 1.0)  # of which the returns of the base are known
    wait_for(
        lambda: [one['decision'] for one in learner.decisions(sha256)].count('on trial') == 2,
        'the second trial',
    )


@pytest.mark.fault('F01', 'ACTIVE', 'W_LEARNER_LOST')
def test_a_trial_that_nobody_judges_ends(learner: Learner, peer: Peer, arm: Arm):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    learner.tell(0, 9.0, 10.0, 11.0, length=3)
    sha256 = learner.offer(constant_model(SPEC, (0.8, -0.9)))
    learner.wait_for('on trial', sha256)
    begin = len(arm.records)
    assert arm.enable(False).success
    wait_for(lambda: len(arm.records) > begin + 200, 'ticks in which it does not act')
    assert arm.enable(True).success

    told = learner.wait_for('rolled back', sha256, timeout=150.0)
    assert told['code'] == 'W_LEARNER_LOST'
    # 5 episodes of 3 ticks are over at once: a model that does not fall has 30 s of 50 ticks.
    acted = int(told['text'].split()[3])
    assert acted > 1_500
    assert len(arm.records) - begin > acted + 150  # those in which it did not act do not count
    assert told['text'].endswith('; the longest episode has 3')
    arm.wait_for_action(ACTION)
    wait_for_values(diagnostics, NODE, 'the warning', **{'count.W_LEARNER_LOST': '1'})


def test_nonsense_about_episodes_is_dropped_with_a_warning(
    learner: Learner, peer: Peer, process: NodeProcess
):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    before = process.log().count('W_EPISODE_RETURN')
    for text in ('', '{}', '[' * 999, json.dumps({'model': 9, 'return': 1.0, 'length': 1})):
        learner.say(text)
    wait_for_values(
        diagnostics, NODE, 'the warnings', acting_return='', **{'count.W_EPISODE_RETURN': '4'}
    )
    assert process.log().count('W_EPISODE_RETURN') == before + 1
