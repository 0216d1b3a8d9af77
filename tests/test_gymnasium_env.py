import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from sac_ros.errors import UserError
from sac_ros.spec import spec_from_json
from sim_training.env import make_env
from sim_training.gymnasium_env import generic_contract


class SpacesOnly(gymnasium.Env):
    """An env of which only the spaces are asked."""

    def __init__(self, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
        self.observation_space = observations
        self.action_space = actions


UNIT = Box(-1.0, 1.0, (2,), np.float32)


def test_contract_of_pendulum_is_its_spaces():
    contract = make_env('Pendulum-v1').contract
    assert contract.name == 'Pendulum-v1'
    assert contract.observation_size == 3
    assert contract.action_names == ('action[0]',)
    assert (contract.action.lower, contract.action.upper) == ((-2.0,), (2.0,))
    assert contract.control_rate == 30.0  # its render_fps
    assert spec_from_json(contract.to_json(), 'copy') == contract


def test_it_steps_exactly_as_the_env_inside():
    ours, plain = make_env('Pendulum-v1'), gymnasium.make('Pendulum-v1')
    first, _ = ours.reset(seed=4)
    np.testing.assert_array_equal(first, plain.reset(seed=4)[0])
    for action in np.linspace(-2.0, 2.0, 20, dtype=np.float32):
        observation, reward, terminated, truncated, _ = ours.send(np.array([action], np.float64))
        expected = plain.step(np.array([action]))
        np.testing.assert_array_equal(observation, expected[0])
        assert (reward, terminated, truncated) == expected[1:4]
    assert ours.time == pytest.approx(20 / 30.0)


def test_state_is_the_observation_with_its_time():
    env = make_env('Pendulum-v1')
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(env.state.vector, observation)
    env.send(np.zeros(1))
    assert env.state.stamps == {'vector': env.time}


def test_stop_command_is_inside_bounds_that_do_not_contain_zero():
    contract = generic_contract('x', SpacesOnly(UNIT, Box(1.0, 3.0, (2,), np.float32)))
    assert contract.action.stop == (2.0, 2.0)


@pytest.mark.parametrize(
    ('observations', 'actions', 'text'),
    [
        (UNIT, Discrete(3), r'its actions are Discrete\(3\); a Box of floating-point numbers'),
        (Dict({'a': UNIT}), UNIT, r'its observations are Dict\(.*; a Box of floating-point'),
        (Box(0, 255, (4,), np.uint8), UNIT, r'its observations are Box\(0, 255, \(4,\), uint8\)'),
        (UNIT, Box(-np.inf, np.inf, (2,), np.float32), r'its actions are unbounded; finite'),
    ],
)
def test_spaces_that_do_not_fit_are_refused_with_what_does(observations, actions, text):
    with pytest.raises(UserError, match=rf"env 'odd': {text}"):
        generic_contract('odd', SpacesOnly(observations, actions))


def test_a_typo_in_the_id_gets_the_nearest_name():
    with pytest.raises(UserError, match=r"'Pendulm-v1' is no task .*; did you mean 'Pend"):
        make_env('Pendulm-v1')
