"""Candidates at the gate of a running node: the bad ones are refused, and control has no gap."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import make_actor
from model_builders import constant_model, edit_model
from onnx import ModelProto, numpy_helper

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import NodeProcess, running
from offers import Learner, check_control, learning_in
from policy_nodes import ACTION, SPEC, Arm, as_sent, start
from ros import wait_for

from sac_ros.model_file import MAX_BYTES
from sim_training.export import build_policy

pytest_plugins = ('policy_nodes', 'offers')
pytestmark = pytest.mark.ros

BASE = constant_model(SPEC, ACTION)


@pytest.fixture(scope='module')
def process(model: Path, folder: Path) -> Iterator[NodeProcess]:
    with running(*start('/arm', model=model, **learning_in(folder))) as process:
        yield process


def spoilt(name: str, number: float) -> bytes:
    """Return the model of an untrained actor, a number of it replaced after the export."""
    data = build_policy(make_actor(SPEC), SPEC, {}, 'm')[1]

    def spoil(model: ModelProto) -> None:
        weights = next(each for each in model.graph.initializer if each.name == name)
        values = numpy_helper.to_array(weights).copy()
        values.flat[0] += np.float32(number)
        weights.CopyFrom(numpy_helper.from_array(values, name))

    return edit_model(data, spoil)


@pytest.mark.fault('F03', 'refused', 'E_MODEL_NONFINITE')
def test_a_candidate_with_nan_never_acts(learner: Learner, arm: Arm):
    refused_by(learner, arm, spoilt('mean_head.bias', np.nan), 'E_MODEL_NONFINITE')


@pytest.mark.fault('F04', 'refused', 'E_MODEL_CHANGE')
def test_a_candidate_that_acts_too_differently_never_acts(learner: Learner, arm: Arm):
    text = refused_by(learner, arm, constant_model(SPEC, (-0.5, -0.9)), 'E_MODEL_CHANGE')
    assert 'changes shoulder from 0.9 to -0.5' in text


@pytest.mark.fault('F06', 'refused', 'E_MODEL_PARITY')
def test_a_candidate_that_is_not_what_was_trained_never_acts(learner: Learner, arm: Arm):
    refused_by(learner, arm, spoilt('mean_head.bias', 0.01), 'E_MODEL_PARITY')


@pytest.mark.fault('B04', 'refused', 'E_MODEL_PATH')
def test_a_candidate_that_is_larger_than_any_policy_never_acts(learner: Learner, arm: Arm):
    refused_by(learner, arm, bytes(MAX_BYTES + 1), 'E_MODEL_PATH')


@pytest.mark.fault('B19', 'refused', 'E_CAND_UNWANTED')
def test_nobody_gets_a_candidate_in_who_was_not_let_in(learner: Learner, arm: Arm):
    assert learner.set('accept_candidates', False)
    refused_by(learner, arm, constant_model(SPEC, (0.8, -0.9)), 'E_CAND_UNWANTED')


def refused_by(learner: Learner, arm: Arm, data: bytes, code: str) -> str:
    learner.tell(0, 9.0, 10.0, 11.0)
    refused = learner.wait_for('refused', learner.offer(data))
    assert refused['code'] == code
    assert '\n' not in refused['text']
    assert {step.model for step in arm.steps()} == {0}
    return refused['text']


@pytest.mark.fault('F07', 'ACTIVE', '')
def test_twenty_candidates_leave_no_gap_and_no_mixture(learner: Learner, arm: Arm):
    first = len(arm.records) - 1
    expected = {0: as_sent(ACTION)}
    model = 0
    learner.tell(0, 9.0, 10.0, 11.0)
    for i in range(10):
        bad = learner.offer([b'no model', BASE[: 100 * i + 50]][i % 2] + bytes([i]))
        assert learner.wait_for('refused', bad)['code'].startswith('E_MODEL_')
        action = (0.85 - 0.03 * i, -0.85)
        good = learner.offer(constant_model(SPEC, action))
        learner.wait_for('on trial', good)
        expected[model + 1], expected[model + 2] = as_sent(action), as_sent(ACTION)
        learner.tell(model + 1, 0.0)
        learner.wait_for('rolled back', good)
        model += 2

    wait_for(lambda: arm.newest().model == 20, 'the base after the last candidate')
    steps = arm.steps(first)
    check_control(steps)
    assert [step.model for step in steps] == sorted(step.model for step in steps)
    acted = {(step.model, tuple(step.action.astype(float))) for step in steps if not step.fault}
    assert acted <= set(expected.items())
    assert {model for model, _ in acted} >= set(range(0, 21, 2))
