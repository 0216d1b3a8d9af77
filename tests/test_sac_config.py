"""Options of soft actor-critic that cannot work, alone or together: refused by name."""

import math

import pytest

from sac_ros.errors import UserError
from sim_training.sac_config import SACConfig

SHARE = '0 to 1, and a row of each batch or more on either side'


@pytest.mark.parametrize(
    ('option', 'value', 'allowed'),
    [
        ('hidden_sizes', (), r'widths of 1 or more'),
        ('hidden_sizes', (64, 0), r'widths of 1 or more'),
        ('critics', 0, '1 or more'),
        ('gamma', 1.0, 'from 0 to below 1'),
        ('gamma', math.nan, 'from 0 to below 1'),
        ('tau', 0.0, 'above 0, up to 1'),
        ('learning_rate', math.inf, 'finite and above 0'),
        ('batch_size', 0, '1 or more'),
        ('learning_starts', 255, 'batch_size 256 or more'),
        ('replay_capacity', 999, 'learning_starts 1000 or more'),
        ('utd_ratio', 0.0, 'finite and above 0'),
        ('target_entropy', math.nan, 'finite and below log 2 = 0.69'),
        ('target_entropy', 1.0, 'finite and below log 2 = 0.69'),
        ('final_target_entropy', 1.0, 'finite and below log 2 = 0.69'),
        ('final_target_entropy', -math.inf, 'finite and below log 2 = 0.69'),
        ('initial_alpha', -0.1, 'finite and above 0'),
        ('critic_sizes', (), r'widths of 1 or more'),
        ('target_subset', 0, '1 to critics 2'),
        ('target_subset', 3, '1 to critics 2'),
        ('value_bound', 0.0, 'above 0, up to 1e9'),
        ('value_bound', 1e40, 'above 0, up to 1e9'),
        ('dropout', 1.0, 'from 0 to below 1'),
        ('adam_beta1', -0.1, 'from 0 to below 1'),
        ('final_learning_rate', -1e-4, '0 or more'),
        ('final_learning_rate', math.nan, '0 or more'),
        ('policy_delay', 0, '1 or more'),
        ('n_step', 0, '1 or more'),
        ('atoms', 0, '1 or more'),
        ('reset_every', -1, '0 or more'),
        ('average_actor', -1, '0 or more'),
        ('prior_fraction', 1.1, SHARE),
        ('prior_fraction', 0.001, SHARE),
        ('prior_fraction', 0.999, SHARE),
        ('prior_fraction', math.nan, SHARE),
        ('head', 'quantil', "scalar, quantile, categorical; did you mean 'quantile'?"),
        ('target', 'nonee', "critics, value, none; did you mean 'none'?"),
        ('exploration', 'brown', 'white, pink, state, repeated'),
        ('precision', 'float16', "float32, bfloat16; did you mean 'bfloat16'?"),
    ],
)
def test_an_impossible_option_is_refused_by_name(option: str, value: object, allowed: str):
    with pytest.raises(UserError) as refusal:
        SACConfig(**{option: value})
    assert str(refusal.value) == f'sac.{option} is {value}; allowed: {allowed}'


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (
            {'head': 'categorical', 'target': 'value'},
            'sac.head is categorical; allowed: scalar where target is value',
        ),
        (
            {'backup_entropy': False, 'target': 'value'},
            'sac.backup_entropy is False; allowed: True where target is value',
        ),
        (
            {'target_subset': 1, 'target': 'value'},
            'sac.target_subset is 1; allowed: None where target is value',
        ),
        (
            {'learn_alpha': False, 'final_target_entropy': -2.0},
            'sac.final_target_entropy is -2.0; allowed: None where learn_alpha is False, for '
            'nothing holds the entropy there',
        ),
        (
            {'head': 'quantile', 'atoms': 1, 'dropped_atoms': 0},
            'sac.head is quantile; allowed: scalar, or 2 atoms or more',
        ),
        (
            {'head': 'quantile', 'atoms': 5, 'dropped_atoms': 5},
            'sac.dropped_atoms is 5; allowed: 0 to below atoms 5',
        ),
    ],
)
def test_options_that_cannot_go_together_are_refused(options: dict[str, object], text: str):
    with pytest.raises(UserError) as refusal:
        SACConfig(**options)
    assert str(refusal.value) == text
