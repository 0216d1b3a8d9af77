"""A control tick as a message, and back."""

import dataclasses

import numpy as np
import pytest
from builders import make_spec, make_state

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.errors import UserError
from sac_ros.fault import CODES, Fault
from sac_ros.step_message import step_from_message, step_layout, step_message

pytestmark = pytest.mark.ros

SPEC = make_spec()


def through_the_wire(step: ControlStep) -> ControlStep:
    data = serialize_message(step_message(step, step_layout(SPEC)))
    return step_from_message(SPEC, deserialize_message(data, Float64MultiArray))


def a_step(now: float = 1795377249.25) -> ControlStep:
    controller = PolicyController(SPEC, lambda _: np.array([0.7, -1 / 3], dtype=np.float32))
    assert controller.activate(make_state(now), now) is None
    return controller.step(make_state(now), now)


def test_a_tick_comes_back_exactly():
    sent = a_step()
    received = through_the_wire(sent)
    for field in dataclasses.fields(ControlStep):
        ours, theirs = getattr(sent, field.name), getattr(received, field.name)
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype, field.name
        else:
            assert ours == theirs, field.name


def test_who_has_acted_comes_back():
    sent = dataclasses.replace(a_step(), is_takeover=True, model=12)
    received = through_the_wire(sent)
    assert received.is_takeover is True
    assert received.model == 12
    assert through_the_wire(a_step()).is_takeover is False


def test_a_tick_with_a_fault_has_neither_observation_nor_action():
    fault = Fault('E_OBS_STALE', 'joint_states is 0.310 s old (limit 0.1 s)')
    sent = ControlStep(1.0, 7, Mode.SAFE, None, None, np.array([0.1, -0.1]), fault)
    received = through_the_wire(sent)
    assert (received.sequence, received.mode) == (7, Mode.SAFE)
    assert received.observation is None
    assert received.action is None
    np.testing.assert_array_equal(received.command, [0.1, -0.1])
    assert received.fault == Fault('E_OBS_STALE', CODES['E_OBS_STALE'])


@pytest.mark.parametrize('mode', list(Mode))
@pytest.mark.parametrize('code', list(CODES))
def test_every_mode_and_every_code_comes_back(mode, code):
    sent = ControlStep(1.0, 1, mode, None, None, np.zeros(2), Fault(code, 'numbers'))
    received = through_the_wire(sent)
    assert received.mode is mode
    assert received.fault is not None
    assert received.fault.code == code


def test_the_parts_are_labelled_for_people_with_a_plotter():
    labels = [(dimension.label, dimension.size) for dimension in step_layout(SPEC).dim]
    assert labels == [
        ('stamp', 1),
        ('sequence', 1),
        ('mode', 1),
        ('fault', 1),
        ('takeover', 1),
        ('model', 1),
        ('observation', 9),
        ('action', 2),
        ('command', 2),
    ]


def test_the_tick_of_another_contract_is_refused():
    message = step_message(a_step(), step_layout(SPEC))
    other = make_spec(observation=[{'term': 'joint_position'}])
    with pytest.raises(UserError, match=r"control_step has the parts .* 'tiny' needs"):
        step_from_message(other, message)
    cut = Float64MultiArray(layout=message.layout, data=message.data[:-1])
    with pytest.raises(UserError, match='and 18 numbers'):
        step_from_message(SPEC, cut)
