"""What a sweep searches: options by name, wide enough for the setting to beat."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sac_ros.errors import UserError
from sim_training.sac_config import SACConfig
from sim_training.sweep_space import SPACE, search_space, start_values, with_values

DEFAULT = SACConfig()


def test_the_defaults_are_inside_the_space_as_it_is_written():
    assert search_space(SPACE, DEFAULT) == dict(SPACE)


def test_the_entropy_is_searched_for_each_action_however_many_there_are():
    space = search_space(['target_entropy'], DEFAULT)
    assert space == {'target_entropy': FloatDistribution(-2.0, -0.25)}
    assert start_values(['target_entropy'], DEFAULT) == {'target_entropy': -1.0}


def test_the_space_is_widened_to_hold_the_setting_to_beat():
    start = SACConfig(learning_rate=0.01, tau=0.001, hidden_sizes=(8, 8), gamma=0.9)
    space = search_space(['tau', 'learning_rate', 'hidden_sizes', 'gamma'], start)
    assert space == {
        'learning_rate': FloatDistribution(1e-4, 0.01, log=True),
        'gamma': CategoricalDistribution((0.95, 0.97, 0.98, 0.99, 0.995, 0.9)),
        'tau': FloatDistribution(0.001, 0.1, log=True),
        'hidden_sizes': CategoricalDistribution(('64 64', '128 128', '256 256', '400 300', '8 8')),
    }
    assert list(space) == ['learning_rate', 'gamma', 'tau', 'hidden_sizes']


def test_values_become_options_and_the_others_stay():
    start = SACConfig(critics=3)
    values = {'hidden_sizes': '64 32', 'gamma': 0.99, 'norm': 'layer', 'n_step': 3}
    assert with_values(start, values) == SACConfig(
        hidden_sizes=(64, 32), gamma=0.99, norm='layer', n_step=3, critics=3
    )
    assert with_values(start, start_values(SPACE, start)) == start


def test_an_unknown_option_is_refused_with_the_nearest_known_one():
    known = ', '.join(SPACE)
    with pytest.raises(UserError) as refusal:
        search_space(['gamma', 'learning_rat'], DEFAULT)
    assert str(refusal.value) == (
        f"option 'learning_rat' cannot be searched; did you mean 'learning_rate'?; known: {known}"
    )
    with pytest.raises(UserError) as refusal:
        search_space([], DEFAULT)
    assert str(refusal.value) == f'options is empty; allowed: one or more of {known}'


def test_a_value_that_cannot_go_with_the_other_options_is_refused_before_any_trial():
    with pytest.raises(UserError) as refusal:
        search_space(['batch_size'], SACConfig(batch_size=50, learning_starts=60))
    assert str(refusal.value) == (
        "option 'batch_size' cannot be 64: sac.learning_starts is 60; "
        'allowed: batch_size 64 or more'
    )
