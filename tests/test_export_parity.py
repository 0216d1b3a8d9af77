"""torch = onnxruntime, and the contract survives the round trip: one of the four main tests."""

import gymnasium
import numpy as np
import onnx
import pytest
import torch
from builders import make_actor
from model_builders import edit_model
from onnx import numpy_helper

from sac_ros.model_metadata import read_golden
from sac_ros.policy import PARITY, OnnxPolicy, action_range, load_policy
from sim_training.export import (
    ExportError,
    build_policy,
    export_policy,
)
from sim_training.gymnasium_env import generic_contract
from sim_training.networks import Actor
from sim_training.parity import (
    ParityError,
    check_parity,
    mean_actions,
    plausible_observations,
    plausible_range,
    rounding,
)
from sim_training.sac_config import Norm
from sim_training.tasks import load_task, task_names


def task_actor(task: str, seed: int = 0) -> Actor:
    """Return an untrained actor of a task that normalises its observations."""
    actor = make_actor(load_task(task).spec, seed)
    actor.observation_mean.uniform_(-1.0, 1.0)
    actor.observation_scale.uniform_(0.5, 2.0)
    return actor


@pytest.mark.parametrize('task', task_names())
def test_onnxruntime_answers_as_torch_does(task, tmp_path):
    actor, spec = task_actor(task), load_task(task).spec
    policy = export_policy(actor, spec, {}, tmp_path / 'model.onnx')
    observations = plausible_observations(actor, spec, 3000)
    with torch.no_grad():
        expected = actor.mean_action(torch.from_numpy(observations)).numpy()
    answers = np.stack([policy(observation) for observation in observations])
    assert np.ptp(expected, axis=0).min() > 0.1 * action_range(spec).min()  # they say something
    assert (np.abs(answers - expected) <= PARITY * action_range(spec)).all()


@pytest.mark.parametrize('norm', ['batch', 'batch_renorm'])
def test_the_statistics_of_batch_norms_are_folded_into_the_same_kind_of_model(norm: Norm):
    plain, spec = task_actor('reach'), load_task('reach').spec
    bounds = plain.action_lower.numpy(), plain.action_upper.numpy()
    actor = Actor(spec.observation_size, (16, 16), *bounds, norm)
    observations = torch.from_numpy(plausible_observations(actor, spec, 3000))
    for start in range(0, 3000, 30):  # statistics of what is seen
        actor(observations[start : start + 30], is_training=True)
    policy, data = build_policy(actor, spec, {}, 'model')
    with torch.no_grad():
        expected = actor.mean_action(observations).numpy()
    answers = np.stack([policy(observation) for observation in observations[:500].numpy()])
    assert (np.abs(answers - expected[:500]) <= PARITY * action_range(spec)).all()
    _, other = build_policy(plain, spec, {}, 'model')
    models = [onnx.load_from_string(each) for each in (data, other)]
    kinds = [[node.op_type for node in model.graph.node] for model in models]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize('norm', ['batch', 'batch_renorm'])
def test_far_from_zero_batch_norms_lose_nothing_and_are_asked_where_observations_are(norm):
    spec = generic_contract('Pendulum-v1', gymnasium.make('Pendulum-v1'))
    torch.manual_seed(0)
    actor = Actor(3, (64, 64), np.array([-2.0]), np.array([2.0]), norm)
    seen = torch.randn(3_000, 3) + torch.tensor([0.0, 1e4, -1e5])  # as of a sensor in pascal
    actor.body.norms[0].running_mean.copy_(seen.mean(dim=0))
    actor.body.norms[0].running_variance.copy_(seen.var(dim=0))
    observations = plausible_observations(actor, spec, 3_000)
    middle, spread = seen.mean(dim=0).numpy(), seen.std(dim=0).numpy()
    np.testing.assert_allclose(observations.mean(axis=0), middle, atol=0.5)
    np.testing.assert_allclose(observations.max(axis=0) - middle, 10.0 * spread, rtol=0.1)
    policy, _ = build_policy(actor, spec, {}, 'model')
    answers = np.stack([policy(observation) for observation in seen[:500].numpy()])
    expected = mean_actions(actor, seen[:500].numpy())
    assert (np.abs(answers - expected) <= PARITY * action_range(spec)).all()
    assert np.ptp(expected) > 0.1


def test_observations_are_what_the_contract_allows_from_corner_to_corner():
    spec = load_task('reach').spec
    actor = make_actor(spec)
    lower, upper = plausible_range(actor, spec)
    np.testing.assert_array_equal(lower[:2], [-3.0171, -1.8826])  # joint_position
    np.testing.assert_array_equal(upper[7:14], np.full(7, 1.5))  # joint_velocity
    # goal_from_tool: 0.65 - -0.1, 0.35 - -0.7, 0.65 - 0.0 [m]
    np.testing.assert_allclose(upper[14:17], [0.75, 1.05, 0.65])
    np.testing.assert_array_equal(lower[17:], -np.ones(7))  # previous_action
    observations = plausible_observations(actor, spec, 3000)
    np.testing.assert_allclose(observations.min(axis=0), lower, atol=1e-6)
    np.testing.assert_allclose(observations.max(axis=0), upper, atol=1e-6)


def test_a_term_without_limits_ranges_over_ten_standard_deviations():
    spec = generic_contract('Pendulum-v1', gymnasium.make('Pendulum-v1'))
    actor = make_actor(spec)
    actor.observation_mean.fill_(1.0)
    actor.observation_scale.fill_(2.0)
    lower, upper = plausible_range(actor, spec)
    np.testing.assert_array_equal(lower, [-4.0] * 3)  # 1 - 10 / 2
    np.testing.assert_array_equal(upper, [6.0] * 3)


@pytest.mark.parametrize('task', task_names())
def test_contract_survives_the_round_trip(task, tmp_path):
    spec = load_task(task).spec
    export_policy(task_actor(task), spec, {'seed': 3}, tmp_path / 'model.onnx')
    policy = load_policy(tmp_path / 'model.onnx')
    assert policy.spec == spec
    assert policy.origin['seed'] == 3


@pytest.mark.parametrize('task', task_names())
def test_actions_stay_inside_the_bounds_whatever_is_observed(task):
    actor, spec = task_actor(task), load_task(task).spec
    policy, _ = build_policy(actor, spec, {}, 'model')
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    for scale in (1e3, 1e10, 1e30, 3e38):
        for sign in (-1.0, 1.0):
            observation = np.full(spec.observation_size, sign * scale, dtype=np.float32)
            action = policy(observation).astype(np.float64)
            if np.isfinite(action).all():  # float32 may overflow inside; the controller refuses it
                assert (lower <= action).all()
                assert (action <= upper).all()


def test_bounds_that_float32_cannot_hold_are_rounded_inwards():
    spec = load_task('reach').spec.model_copy(
        update={'action': load_task('reach').spec.action.model_copy(update={'upper': 0.1})}
    )
    actor = task_actor('reach')
    torch.nn.init.constant_(actor.mean_head.bias, 100.0)  # saturated at the upper bound
    actor.action_middle.fill_(-0.45)
    actor.action_half_range.fill_(0.55)
    actor.action_upper.fill_(0.1)
    assert float(np.float32(0.1)) > 0.1  # the trap
    policy, _ = build_policy(actor, spec, {}, 'model')
    action = policy(np.zeros(spec.observation_size, np.float32)).astype(np.float64)
    assert (action <= 0.1).all()
    np.testing.assert_allclose(action, 0.1, rtol=1e-6)


def test_same_weights_give_the_same_bytes():
    spec = load_task('balance').spec
    _, first = build_policy(task_actor('balance'), spec, {'seed': 0}, 'model')
    _, again = build_policy(task_actor('balance'), spec, {'seed': 0}, 'model')
    _, other = build_policy(task_actor('balance', seed=1), spec, {'seed': 0}, 'model')
    assert first == again
    assert first != other


def test_graph_has_only_the_allowed_operators_and_no_external_data():
    spec = load_task('balance').spec
    _, data = build_policy(task_actor('balance'), spec, {}, 'model')
    model = onnx.load_from_string(data)
    allowed = {'Sub', 'Mul', 'Gemm', 'Relu', 'Tanh', 'Add', 'Max', 'Min'}
    assert {node.op_type for node in model.graph.node} == allowed
    assert [opset.version for opset in model.opset_import] == [17]
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_a_model_that_differs_from_its_actor_is_refused_by_the_worst_element(tmp_path):
    actor, spec = task_actor('reach'), load_task('reach').spec
    _, data = build_policy(actor, spec, {}, 'model')
    altered = task_actor('reach')
    with torch.no_grad():
        altered.mean_head.bias[3] += 0.01
    with pytest.raises(ParityError, match=r'panda_joint4 is .* in torch and .* in onnxruntime'):
        check_parity(altered, OnnxPolicy(data, 'model'), 'model x.onnx')


def steep_actor(times: float) -> Actor:
    """Return an actor that magnifies what goes into tanh, and with it the rounding before."""
    plain = task_actor('reach')
    bounds = plain.action_lower.numpy(), plain.action_upper.numpy()
    actor = Actor(len(plain.observation_mean), (256, 256), *bounds)
    with torch.no_grad():
        actor.mean_head.weight.mul_(times)
        actor.mean_head.bias.mul_(times)
    return actor


def test_a_steep_policy_may_differ_as_much_as_float32_rounds_and_its_golden_pairs_are_calm():
    actor, spec = steep_actor(300.0), load_task('reach').spec
    observations = plausible_observations(actor, spec, 10_000)
    noise = rounding(actor, spec, observations, mean_actions(actor, observations))
    assert noise.max() > PARITY  # in torch alone
    policy, _ = build_policy(actor, spec, {}, 'model')
    difference = check_parity(actor, policy, 'model')
    assert PARITY < difference <= 4.0 * noise.max()
    observations, actions = read_golden(policy.origin, spec)
    assert rounding(actor, spec, observations, actions).max() <= 1e-6
    assert (np.ptp(actions, axis=0) > 0.1 * action_range(spec)).sum() >= 5  # they say something


def test_a_steep_policy_that_is_another_one_is_refused():
    actor, spec = steep_actor(300.0), load_task('reach').spec
    policy, _ = build_policy(actor, spec, {}, 'model')
    with torch.no_grad():
        actor.mean_head.bias[3] += 0.01
    with pytest.raises(
        ParityError, match=r'panda_joint4 is .* the limit is [0-9.e-]+ of the range'
    ):
        check_parity(actor, policy, 'model x.onnx')


def test_a_policy_that_is_all_rounding_is_refused():
    actor, spec = steep_actor(1e5), load_task('reach').spec
    with pytest.raises(ParityError, match=r'the limit is 0\.001 of the range'):
        build_policy(actor, spec, {}, 'model')


def test_an_actor_with_nan_is_refused_and_nothing_is_written(tmp_path):
    actor = task_actor('balance')
    with torch.no_grad():
        actor.mean_head.bias[0] = float('nan')
    with pytest.raises(ExportError, match='NaN'):
        export_policy(actor, load_task('balance').spec, {}, tmp_path / 'model.onnx')
    assert list(tmp_path.iterdir()) == []


def test_an_actor_of_another_task_is_refused():
    with pytest.raises(ExportError, match=r"24 observations to 7 actions; the contract 'balance'"):
        build_policy(task_actor('reach'), load_task('balance').spec, {}, 'model')


def test_a_changed_golden_pair_is_found_when_the_model_is_loaded():
    _, data = build_policy(task_actor('balance'), load_task('balance').spec, {}, 'model')

    def shift(model):
        bias = next(t for t in model.graph.initializer if t.name == 'mean_head.bias')
        changed = numpy_helper.to_array(bias) + np.float32(0.01)
        bias.CopyFrom(numpy_helper.from_array(changed, bias.name))

    with pytest.raises(ValueError, match=r'golden pair \d+, slider_to_cart: this machine answers'):
        OnnxPolicy(edit_model(data, shift), 'model')
