"""`sac-ros bench env`: both are timed, and the figures are those of the rounds."""

import math
import sys

import pytest

from sim_training.bench_env import PEER, describe_env, measure_env, summarise


def test_figures_are_medians_over_rounds_and_ratios_are_those_of_a_round():
    # [s]; the ratios are 2, 1.5 and 4
    figures = summarise([(200e-6, 100e-6), (300e-6, 200e-6), (80e-6, 20e-6)])
    assert figures['step_us'] == pytest.approx(200.0)
    assert figures['bare_us'] == pytest.approx(100.0)
    assert figures['steps_per_second'] == pytest.approx(5_000.0)
    assert figures['ratio'] == pytest.approx({'median': 2.0, 'min': 1.5, 'max': 4.0})


def test_the_table_has_a_line_for_each_env_and_says_what_is_missing():
    envs = [
        {'env': 'reach', **summarise([(300e-6, 200e-6)])},
        {'env': 'HopperBulletEnv-v0', **summarise([(280e-6, 70e-6)])},
    ]
    result = {'rounds': 1, 'seconds': 2.0, 'peer': f'{PEER} 0.6.0', 'envs': envs}
    assert describe_env(result).splitlines() == [
        'a step of the env beside a bare stepSimulation of the same robot; medians of 1 rounds of '
        '2 s each, ratios with the smallest and largest of a round',
        'env                 step      bare      ratio                steps/s',
        'reach               300.0 us  200.0 us  1.50 (1.50 to 1.50)  3333',
        'HopperBulletEnv-v0  280.0 us  70.0 us   4.00 (4.00 to 4.00)  3571',
    ]
    lines = describe_env({**result, 'peer': None}).splitlines()
    assert lines[-1] == f'without a peer: {PEER} is not installed (pip install {PEER})'


def test_our_envs_are_measured_also_where_the_peer_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, PEER, None)  # as if it were not installed
    result = measure_env(rounds=2, seconds=0.05)
    assert [figures['env'] for figures in result['envs']] == ['balance', 'reach']
    for figures in result['envs']:
        assert 0.0 < figures['bare_us'] < math.inf
        assert 0.0 < figures['step_us'] < math.inf
    output, errors = capsys.readouterr()
    assert output == ''
    assert errors.count('bench: reach, round ') == 2


def test_the_envs_of_the_peer_are_measured_in_the_same_way():
    pytest.importorskip(PEER, reason=f'needs the peer: pip install {PEER}')
    result = measure_env(rounds=1, seconds=0.05)
    assert [figures['env'] for figures in result['envs']] == [
        'balance', 'reach', 'HopperBulletEnv-v0', 'HalfCheetahBulletEnv-v0', 'AntBulletEnv-v0'
    ]  # fmt: skip
    assert str(result['peer']).startswith(PEER)
