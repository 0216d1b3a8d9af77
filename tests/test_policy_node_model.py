"""Another model for a policy node that runs: taken over between two ticks, or refused."""

from pathlib import Path

import numpy as np
import pytest
from builders import make_spec

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from node_process import NodeProcess
from policy_nodes import ACTION, BUSY, NODE, SPEC, Arm, wait_for_values
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue, SetParametersResult
from rcl_interfaces.srv import SetParameters
from ros import Peer, wait_for, write_constant_model
from std_srvs.srv import Trigger

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


def set_model(peer: Peer, path: Path) -> SetParametersResult:
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(path))
    request = SetParameters.Request(parameters=[Parameter(name='model', value=value)])
    return peer.call(SetParameters, f'{NODE}/set_parameters', request).results[0]


def running_arm(arm: Arm) -> None:
    arm.send_states()
    arm.activate()
    wait_for(lambda: arm.commands and arm.sent()[-1][0] > 0.89, 'the first model at full speed')


def assert_still_running(arm: Arm) -> None:
    """Assert that no other model has acted, and that the first one goes on."""
    count = len(arm.records)
    wait_for(lambda: len(arm.records) > count + 10, 'control goes on')
    wait_for(lambda: arm.sent()[-1][0] == pytest.approx(0.9), 'the first model at full speed')
    asked = [step.action for step in arm.steps() if step.action is not None]
    assert {tuple(np.round(action.astype(float), 6).tolist()) for action in asked} == {ACTION}
    assert arm.codes() <= BUSY


@pytest.mark.fault('B20 F07', 'ACTIVE', '')
def test_a_new_model_takes_over_without_a_gap_and_the_old_one_can_come_back(
    configured: None, peer: Peer, arm: Arm, tmp_path: Path
):
    slower = write_constant_model(tmp_path / 'slower.onnx', SPEC, (0.5, -0.9))
    running_arm(arm)
    first = len(arm.records) - 1

    result = set_model(peer, slower)

    assert (result.successful, result.reason) == (True, '')
    wait_for(lambda: arm.sent()[-1][0] == pytest.approx(0.5), 'the second model')
    slower.write_bytes(b'what was on the disk does not matter any more')
    assert arm.call('rollback').success
    wait_for(lambda: arm.sent()[-1][0] == pytest.approx(0.9), 'the first model again')
    steps = arm.steps(first)
    assert arm.codes(first) <= BUSY
    assert np.abs(np.diff([step.command for step in steps], axis=0)).max() <= 0.1 + 1e-12
    asked = [step.action for step in steps if step.action is not None]
    actions = {tuple(np.round(action.astype(float), 6).tolist()) for action in asked}
    assert actions == {ACTION, (0.5, -0.9)}  # one or the other, never a mixture
    # While the new one was checked, for seconds, control went on.
    assert [step.sequence for step in steps] == list(
        range(steps[0].sequence, steps[0].sequence + len(steps))
    )


@pytest.mark.fault('F04', 'ACTIVE', 'E_MODEL_CHANGE')
def test_a_model_that_acts_too_differently_is_refused_with_the_number(
    configured: None, peer: Peer, arm: Arm, tmp_path: Path
):
    other = write_constant_model(tmp_path / 'other.onnx', SPEC, (-0.9, -0.9))
    running_arm(arm)

    result = set_model(peer, other)

    assert not result.successful
    # from 0.9 to -0.9 of a range that is 2 wide
    assert result.reason.startswith('E_MODEL_CHANGE')
    assert '0.9' in result.reason
    assert '0.5' in result.reason
    assert_still_running(arm)


@pytest.mark.parametrize(
    ('code', 'content'),
    [
        ('E_MODEL_PATH', None),
        ('E_MODEL_PARSE', b'no model at all'),
        ('E_SPEC_MISMATCH', 'another contract'),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_and_the_running_one_stays(
    configured: None, peer: Peer, arm: Arm, tmp_path: Path, code: str, content: object
):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    path = tmp_path / 'bad.onnx'
    if content == 'another contract':
        other = make_spec(
            observation=[term.model_dump(exclude_none=True) for term in SPEC.observation],
            topics={key: one.model_dump(exclude_none=True) for key, one in SPEC.topics.items()},
            upper=0.5,
        )
        write_constant_model(path, other, (0.1, 0.1))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    running_arm(arm)

    result = set_model(peer, path)

    assert not result.successful
    assert result.reason.startswith(code)
    assert '\n' not in result.reason
    if code == 'E_SPEC_MISMATCH':
        assert 'action' in result.reason
    told = {'state': 'active', 'model_refused': result.reason}
    wait_for_values(diagnostics, NODE, 'the refusal', **told)
    assert_still_running(arm)


def test_a_model_in_the_home_of_nobody_is_refused_and_the_robot_goes_on(
    configured: None, process: NodeProcess, peer: Peer, arm: Arm
):
    running_arm(arm)
    result = set_model(peer, Path('~nobody-of-this-name/arm.onnx'))
    assert not result.successful
    assert result.reason.startswith("E_MODEL_PATH: model '~nobody-of-this-name/arm.onnx'")
    assert process.process.poll() is None
    assert_still_running(arm)


def test_without_an_earlier_model_there_is_nothing_to_go_back_to(configured: None, peer: Peer):
    answer = peer.call(Trigger, f'{NODE}/rollback', Trigger.Request())
    assert (answer.success, answer.message) == (False, 'there is no earlier model to go back to')
