"""learner_node: what it makes of ticks, rewards and verdicts, what it offers and what it tells."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import make_spec
from full_disks import full_disk, tensorboard_dies_loudly

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from learner_nodes import Ticks, learning, make_node, tick, wait_for_learning, write_files
from policy_nodes import SPEC, Arm
from ros import Peer, wait_for
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray
from std_srvs.srv import SetBool, Trigger

from sac_ros.control_step import Mode
from sac_ros.errors import UserError
from sac_ros.fault import Fault
from sac_ros.messages import LATCHED, RESULTS
from sac_ros.policy import OnnxPolicy
from sac_ros.step_numbers import step_numbers
from sim_training import fine_tuner
from sim_training.episode_record import EpisodeResult, result_to_json
from sim_training.experience import JOURNAL, Kind
from sim_training.journal import Journal
from sim_training.learner import LearnerNode

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

NODE, POLICY = '/learning/learner_node', '/learning/policy_node'
Start = Callable[..., LearnerNode]


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuner, 'PATIENCE', 5)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, object]:
    return write_files(tmp_path, SPEC)


@pytest.fixture
def start(peer: Peer, files: dict[str, object]) -> Iterator[Start]:
    """Return a function that starts a learner, served by the peer's thread."""
    made: list[LearnerNode] = []

    def make(namespace: str = '/learning', **values: object) -> LearnerNode:
        made.append(make_node(peer, {**files, **values}, namespace))
        peer.executor.add_node(made[-1])
        return made[-1]

    yield make

    def end(node: LearnerNode) -> None:
        peer.executor.remove_node(node)
        node.close()
        node.destroy_node()

    while made:
        peer.do(end, made.pop())


@pytest.fixture
def ticks(peer: Peer) -> Iterator[Ticks]:
    ticks = Ticks(peer, SPEC, POLICY)
    yield ticks
    ticks.close()


@pytest.fixture
def diagnostics(peer: Peer) -> Iterator[list[DiagnosticArray]]:
    messages = peer.listen(DiagnosticArray, '/diagnostics')
    yield messages
    peer.forget(messages)


@pytest.fixture
def returns(peer: Peer) -> Iterator[list[String]]:
    messages = peer.listen(String, f'{POLICY}/episode_return')
    yield messages
    peer.forget(messages)


def wait_for_return(returns: list[String]) -> dict[str, float]:
    wait_for(lambda: returns, 'the return of an episode')
    return json.loads(returns[-1].data)


def call(peer: Peer, name: str) -> tuple[bool, str]:
    answer = peer.call(Trigger, f'{NODE}/{name}', Trigger.Request())
    return answer.success, answer.message


def test_ticks_are_learned_from_and_a_whole_episode_is_told(
    start: Start, ticks: Ticks, diagnostics: list, returns: list
):
    start()
    wait_for_learning(diagnostics, NODE, state='waiting for control steps')
    ticks.send(*(tick(SPEC, number) for number in range(1, 12)))
    ticks.settle()
    found = wait_for_learning(diagnostics, NODE, transitions='10', updates_due='0')
    assert found['state'] == 'learning'
    assert found['updates'] == '10'  # one for each, as `robot` says
    # 0.02 + 0.03 + ... + 0.11: where each step has led to
    assert wait_for_return(returns) == {
        'model': 0,
        'return': pytest.approx(0.65),
        'length': 10,
    }
    assert float(found['newest_return']) == pytest.approx(0.65)


@pytest.mark.fault('F12', 'refused', '')
def test_ticks_that_do_not_follow_each_other_are_no_transition(
    start: Start, ticks: Ticks, diagnostics: list, returns: list
):
    start()
    numbers = [1, 2, 3, 5, 6, 6, 4, 7]  # one was lost, one came twice, one late
    ticks.send(*(tick(SPEC, number) for number in numbers))
    ticks.send(tick(SPEC, 8, stamp=50.0), tick(SPEC, 1, stamp=50.02))
    ticks.settle()
    wait_for_learning(diagnostics, NODE, episodes='1', transitions='3')  # 1-2, 2-3, 5-6
    assert returns == []  # that episode was not whole


def test_a_message_of_another_contract_is_refused_and_the_next_one_taken(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list
):
    start()
    other = Ticks(peer, make_spec(), POLICY)
    other.send(tick(make_spec(), 1))
    ticks.send(tick(SPEC, 1), tick(SPEC, 2))
    ticks.settle()
    wait_for_learning(diagnostics, NODE, transitions='1')
    other.close()


@pytest.mark.parametrize(
    ('verdict', 'expected'),
    [('success', 0.05 + 1.0), ('failure', 0.05 - 1.0)],  # 0.02 + 0.03 = 0.05, and the verdict
)
def test_a_person_ends_the_episode_by_a_verdict(
    verdict: str, expected: float, start: Start, ticks: Ticks, peer: Peer, diagnostics: list,
    returns: list, files: dict[str, object],
):  # fmt: skip
    start()
    assert call(peer, verdict) == (False, 'nothing is being learned from that could be judged')
    ticks.send(tick(SPEC, 1), tick(SPEC, 2), tick(SPEC, 3))
    wait_for_learning(diagnostics, NODE, state='learning')
    assert call(peer, verdict) == (True, f'{verdict}: the episode has ended')
    ticks.settle()
    assert wait_for_return(returns) == {
        'model': 0,
        'return': pytest.approx(expected),
        'length': 2,
    }


def test_a_robot_that_was_stopped_can_be_judged_once(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list, returns: list
):
    start()
    stopped = {'observation': None, 'fault': Fault('W_DISABLED', ''), 'mode': Mode.SAFE}
    ticks.send(tick(SPEC, 1), tick(SPEC, 2), tick(SPEC, 3), tick(SPEC, 4, **stopped))
    wait_for_learning(diagnostics, NODE, state='learning')
    assert call(peer, 'failure') == (True, 'failure: the episode has ended')
    ticks.send(tick(SPEC, 5, **stopped))
    assert call(peer, 'failure')[0] is False  # it has done nothing since
    ticks.settle()
    wait_for_learning(diagnostics, NODE, transitions='2')
    assert wait_for_return(returns) == {
        'model': 0,
        'return': pytest.approx(0.05),
        'length': 2,
        'interrupted': True,
    }


def test_nonsense_from_others_is_left_out(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list, returns: list
):
    start(episode_topic='sim_node/episode')
    texts = ('', '{', '{}', '[]', '[' * 9_999, '{"return": 1}', '{"decision": 1}')
    for topic in ('/learning/sim_node/episode', f'{POLICY}/decisions'):
        publisher = peer.node.create_publisher(String, topic, RESULTS)
        wait_for(publisher.get_subscription_count, 'the learner')
        for text in texts:
            publisher.publish(String(data=text))
        wait_for(publisher.wait_for_all_acked, 'the nonsense')
        peer.unpublish(publisher)
    ticks.send(*(tick(SPEC, number) for number in range(1, 4)))
    ticks.settle()
    wait_for_learning(diagnostics, NODE, transitions='2')


def test_the_simulation_ends_an_episode_where_it_says(
    start: Start, ticks: Ticks, peer: Peer, returns: list
):
    results = peer.node.create_publisher(String, '/learning/sim_node/episode', RESULTS)
    before = EpisodeResult(1, 0.0, 3, True, False, {}, 0, ended_at=1.0)
    results.publish(String(data=result_to_json(before)))  # latched; it is none of ours
    start(episode_topic='sim_node/episode')
    wait_for(lambda: results.get_subscription_count() == 1, 'the learner')
    ticks.send(*(tick(SPEC, number) for number in range(1, 7)))
    ended_at = tick(SPEC, 4).stamp
    now = EpisodeResult(2, 0.0, 3, True, False, {}, 0, ended_at)
    results.publish(String(data=result_to_json(now)))
    wait_for(lambda: results.wait_for_all_acked(), 'the result')
    ticks.settle()
    assert wait_for_return(returns)['length'] == 3  # 1-2, 2-3, 3-4
    peer.unpublish(results)


def test_while_paused_nothing_is_learned(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list
):
    start()
    pause = f'{NODE}/pause'
    told = peer.call(SetBool, pause, SetBool.Request(data=True)).message
    assert told == 'paused; the robot is not: to stop it, ~/enable false of the policy node'
    ticks.send(*(tick(SPEC, number) for number in range(1, 5)))
    wait_for_learning(diagnostics, NODE, state='paused')
    assert peer.call(SetBool, pause, SetBool.Request(data=False)).message == 'learning'
    ticks.send(tick(SPEC, 5), tick(SPEC, 6))
    ticks.settle()
    wait_for_learning(diagnostics, NODE, state='learning', transitions='1')


def test_candidates_are_models_of_the_contract_offered_now_and_then(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list
):
    start(candidate_period=0.1)  # 5 transitions at 50 Hz
    ticks.send(*(tick(SPEC, number) for number in range(1, 6)))  # 4 transitions: too few
    ticks.settle()
    wait_for_learning(diagnostics, NODE, transitions='4', candidates_offered='0')
    ticks.send(*(tick(SPEC, number, stamp=2e6 + number * SPEC.dt) for number in range(1, 8)))
    ticks.send(tick(SPEC, 9_000, stamp=3e6))
    found = wait_for_learning(diagnostics, NODE, transitions='10', updates_due='0')
    assert found['candidates_offered'] == '1'
    candidates = peer.listen(UInt8MultiArray, f'{POLICY}/candidate', LATCHED)  # late
    wait_for(lambda: candidates, 'the candidate')
    policy = OnnxPolicy(bytes(candidates[0].data), 'the candidate')
    assert policy.spec == SPEC
    assert policy.origin['robot_steps'] == 10
    peer.forget(candidates)


@pytest.mark.fault('F03 F06', 'refused', '')
def test_a_candidate_that_answers_with_nan_is_not_even_offered(
    start: Start, ticks: Ticks, peer: Peer, diagnostics: list
):
    node = start(candidate_period=0.02)
    candidates = peer.listen(UInt8MultiArray, f'{POLICY}/candidate', LATCHED)
    ticks.send(*(tick(SPEC, number) for number in range(1, 11)))
    wait_for_learning(diagnostics, NODE, state='learning', transitions='0')

    def spoil() -> None:
        bias = node._tuner.agent.average.mean_head.bias
        torch.nn.init.constant_(bias, float('nan'))
        node._tuner._has_learned, node._tuner._offered = True, -100
        node._offer(node._tuner)
        torch.nn.init.zeros_(bias)  # or the learner would not save it when it ends

    peer.do(spoil)
    wait_for_learning(diagnostics, NODE, candidates_failed='1', candidates_offered='0')
    assert candidates == []
    peer.forget(candidates)


@pytest.mark.fault('F11', 'ACTIVE', '')
def test_without_rewards_nothing_is_learned_and_control_goes_on(
    configured: None, start: Start, peer: Peer, arm: Arm, diagnostics: list
):
    node = '/arm/learner_node'
    start('/arm', reward_topic='reward')
    rewards = peer.node.create_publisher(Float64MultiArray, '/arm/reward', 100)
    wait_for(lambda: rewards.get_subscription_count() == 1, 'the learner')
    arm.send_states()
    arm.activate()
    wait_for(lambda: len(arm.records) > 60, 'a second of control')  # more than the learner waits
    found = wait_for_learning(diagnostics, node, state='learning')
    assert (found['transitions'], found['updates']) == ('0', '0')

    # Nonsense is no reward either; then come three, each for its tick, and one twice.
    for data in ([float('nan'), 1.0], [1.0], []):
        rewards.publish(Float64MultiArray(data=data))
    newest = arm.steps(-1)[0].sequence
    for sequence in (newest + 10, newest + 11, newest + 11, newest + 13):
        rewards.publish(Float64MultiArray(data=[float(sequence), 1.0]))
    wait_for_learning(diagnostics, node, transitions='3')

    arm.wait_for_mode(Mode.ACTIVE)
    steps = arm.steps()
    assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
    peer.unpublish(rewards)


@tensorboard_dies_loudly
@pytest.mark.fault('F08', 'ACTIVE', 'W_DISK')
def test_on_a_full_disk_it_warns_and_learns_on(start: Start, ticks: Ticks, diagnostics: list):
    start()
    ticks.send(tick(SPEC, 1), tick(SPEC, 2))
    ticks.settle()
    wait_for_learning(diagnostics, NODE, transitions='1', warning='')
    with full_disk(100):  # bytes
        ticks.send(*(tick(SPEC, number, stamp=2e6 + number * SPEC.dt) for number in range(1, 5)))
        ticks.send(tick(SPEC, 9_000, stamp=3e6))
        found = wait_for_learning(diagnostics, NODE, transitions='4', updates='4')
    assert found['warning'].startswith('W_DISK: cannot write ')
    assert found['message'] == f'learning: {found["warning"]}'


@pytest.mark.fault('F08', 'kept', '')
def test_the_warning_of_a_full_disk_ends_when_all_is_written_again(
    start: Start, ticks: Ticks, diagnostics: list
):
    start(save_period=0.2)
    ticks.send(tick(SPEC, 1))
    wait_for_learning(diagnostics, NODE, state='learning', warning='')
    with full_disk(100):  # bytes
        ticks.send(tick(SPEC, 2))
        wait_for(lambda: learning(diagnostics, NODE)['warning'].startswith('W_DISK'), 'a warning')
    ticks.send(tick(SPEC, 3))
    wait_for_learning(diagnostics, NODE, state='learning', warning='')


@pytest.mark.fault('E07', 'refused', '')
def test_a_reward_of_the_task_that_is_no_number_is_told_once_and_learned_around(
    start: Start, ticks: Ticks, diagnostics: list, files: dict[str, Path], capfd
):
    task = files['task'].with_suffix('.py')
    angle = "float(terms['joint_position'][0])"
    task.write_text(task.read_text().replace(angle, f"{angle} or float('nan')"))
    zeros = np.zeros(SPEC.observation_size, np.float32)
    steps = [tick(SPEC, number) for number in range(1, 9)]
    for number in (2, 3, 6):
        steps[number] = tick(SPEC, number + 1, observation=zeros)
    files['folder'].mkdir()
    journal = Journal(files['folder'] / JOURNAL, {'sac_ros.journal': 1, 'spec': SPEC.sha256})
    for step in steps[:5]:  # what a learner has heard before it was ended
        journal.add(Kind.TICK, step_numbers(step, SPEC.observation_size))
    journal.close()
    start()
    ticks.send(*steps[5:])
    ticks.settle()
    wait_for_learning(diagnostics, NODE, state='learning', transitions='4')
    told = 'not learned from: a reward of the task is nan; -1e+06 to 1e+06 is allowed'
    assert capfd.readouterr().err.count(told) == 1


def test_two_learners_do_not_learn_in_one_folder(
    start: Start, peer: Peer, diagnostics: list, files: dict[str, object]
):
    start()
    wait_for_learning(diagnostics, NODE, state='waiting for control steps')
    with pytest.raises(UserError, match=r'learner is in use: process \d+ trains there'):
        make_node(peer, files, '/second')
