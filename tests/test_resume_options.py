"""Runs with every kind of option, stopped and resumed: they equal runs that never were stopped."""

import dataclasses
from pathlib import Path

import pytest
from tiny_runs import SMALL, column, differences, make_command, resume, run

STEPS = 220  # the episodes have 200
KINDS = {
    'as in flash': dataclasses.replace(
        SMALL, head='categorical', atoms=11, norm='batch', unit_weights=True,
        normalise_reward=True, policy_delay=2, final_learning_rate=1e-5, exploration='repeated',
        average_actor=20,
    ),
    'as in crossq': dataclasses.replace(
        SMALL, critic_sizes=(12, 12), norm='batch_renorm', target='none', policy_delay=3,
        adam_beta1=0.5, exploration='pink',
    ),
    'as in droq': dataclasses.replace(
        SMALL, critics=3, target_subset=2, norm='layer', dropout=0.1, actor_value='mean',
        reset_every=20, exploration='state',
    ),
    'as in sac_v1': dataclasses.replace(
        SMALL, target='value', learn_alpha=False, n_step=3, normalise_observation=True
    ),
    'as in tqc': dataclasses.replace(
        SMALL, head='quantile', atoms=5, dropped_atoms=1, backup_entropy=False,
        normalise_reward=True,
    ),
}  # fmt: skip


@pytest.mark.fault('D10', 'resumed', '')
@pytest.mark.parametrize('kind', KINDS)
def test_a_run_that_was_stopped_equals_one_that_never_was_bit_for_bit(tmp_path: Path, kind: str):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    options = {'steps': STEPS, 'evaluate_every': 1_000, 'sac': KINDS[kind]}
    run(make_command(whole, **options))
    stop = iter([False] * 101 + [True] * 10)
    assert run(make_command(parts, **options), should_stop=lambda: next(stop))['step'] == 101
    # Before the end of the first episode, and in the second one.
    stop = iter([False] * 109 + [True] * 10)
    assert run(resume(parts), should_stop=lambda: next(stop))['step'] == 210
    assert run(resume(parts))['step'] == STEPS
    assert differences(whole, parts) == []
    for metric in ('episode/return', 'evaluation/return', 'loss/critic', 'loss/actor'):
        assert column(whole, metric) == column(parts, metric)
