"""The rate limit inside an update does what the ActionMap of the robot does."""

import numpy as np
import pytest
import torch
from builders import make_spec

from sac_ros.action import ActionMap
from sac_ros.spec import TaskSpec
from sim_training.rate_limit import find_rate_limit


def limited(spec: TaskSpec, previous: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return what the limit makes of an action, in its own units."""
    limit = find_rate_limit(spec)
    assert limit is not None
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    observation = torch.zeros(1, spec.observation_size)
    observation[0, 7:9] = torch.tensor(previous)
    unit = torch.tensor((action - middle) / half, dtype=torch.float32)[None]
    return limit(observation, unit)[0].double().numpy() * half + middle


@pytest.mark.parametrize(
    ('previous', 'action'),
    [
        ((0.0, 0.0), (1.0, -1.0)),  # limited to 0.1 rad/s in a period, both ways
        ((0.0, 0.0), (0.05, -0.02)),  # not limited
        ((0.95, -1.0), (1.0, 1.0)),
    ],
)
def test_it_is_the_action_map_of_the_robot(
    previous: tuple[float, float], action: tuple[float, float]
):
    spec = make_spec()
    action_map = ActionMap(spec)
    action_map.remember(np.array(previous))
    expected = action_map.to_command(np.array(action))
    found = limited(spec, np.array(previous), np.array(action))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_each_element_has_its_own_units():
    spec = make_spec(lower=[-1.0, 2.0], upper=[1.0, 6.0], stop=[0.0, 3.0], max_rate=[5.0, 50.0])
    found = limited(spec, np.array([0.0, 3.0]), np.array([1.0, 6.0]))
    np.testing.assert_allclose(found, [0.1, 4.0], atol=1e-6)  # + 5 * 0.02, + 50 * 0.02


def test_an_action_beyond_the_limit_still_has_a_slope():
    limit = find_rate_limit(make_spec())
    assert limit is not None
    action = torch.tensor([[0.9, 0.01]], requires_grad=True)
    (limit(torch.zeros(1, 9), action) * torch.tensor([3.0, 5.0])).sum().backward()
    assert action.grad is not None
    assert action.grad.tolist() == [[3.0, 5.0]]


@pytest.mark.parametrize(
    'changes',
    [
        {'max_rate': 100.0},  # 2 rad/s in a period: from one end to the other
        {'observation': [{'term': 'joint_position'}]},  # the last command is not known
    ],
)
def test_where_it_never_acts_or_cannot_be_known_there_is_none(changes: dict[str, object]):
    assert find_rate_limit(make_spec(**changes)) is None
