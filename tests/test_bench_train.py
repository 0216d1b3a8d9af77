"""Updates per second: each side really computes, and the ratios are those of the rounds."""

import pytest
import torch

from sac_ros.errors import UserError
from sim_training import bench
from sim_training.bench_command import BenchCommand
from sim_training.bench_train import describe_train, measure_train
from sim_training.bench_train_side import AT_ONCE, make_ours, rate


def test_a_rate_counts_updates_and_leaves_the_first_ones_out():
    calls: list[int] = []
    found = rate(lambda: calls.append(1), seconds=0.05)
    assert found == pytest.approx((len(calls) - 3) * AT_ONCE / 0.05, rel=0.5)


def test_ours_really_updates():
    torch.set_num_threads(1)
    for precision in ('float32', 'bfloat16'):
        updates = make_ours(is_compiled=False, precision=precision)
        assert rate(updates, seconds=0.1) > 0.0


def test_the_sides_are_measured_in_turn_and_told_as_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # The compiled side takes half a minute to begin; tests/test_compiler.py compiles the update.
    sides = {'matmuls': 'the floor', 'sac_ros eager': 'ours', 'stable_baselines3': 'a peer'}
    monkeypatch.setattr('sim_training.bench_train.SIDES', sides)
    monkeypatch.setattr('sim_training.bench_train.OURS', 'sac_ros eager')
    result = bench.main(BenchCommand('train', rounds=1, seconds=0.5))
    figures = result['sides']
    assert list(figures) == list(sides)
    ours = figures['sac_ros eager']
    assert ours['ours_over_it'] == {'median': 1.0, 'min': 1.0, 'max': 1.0}
    theirs = figures['stable_baselines3']
    expected = ours['updates_per_second'] / theirs['updates_per_second']
    assert theirs['ours_over_it']['median'] == pytest.approx(expected)
    assert 'round 1 of 1, stable_baselines3' in capsys.readouterr().err
    assert 'ours is 1.00 (1.00 to 1.00) of it' in describe_train(result)
    assert bench.describe(result) == describe_train(result)


def test_a_side_that_breaks_down_is_named_with_its_last_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('sim_training.bench_train.SIDES', {'nobody': ''})
    monkeypatch.setattr('sim_training.bench_train.OURS', 'nobody')
    with pytest.raises(UserError, match="nobody ended with status 1; it last said: KeyError: 'no"):
        measure_train(1, 0.5, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_a_measurement_on_one_is_refused():
    with pytest.raises(UserError, match='device is cuda, and torch finds no GPU'):
        bench.main(BenchCommand('train', device='cuda'))


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'what': 'train', 'kills': 2}, '--kills does not go with train'),
        ({'what': 'env', 'threads': 2}, '--threads does not go with env'),
        ({'what': 'control', 'threads': 2}, '--threads does not go with control'),
        ({'what': 'env', 'device': 'cuda'}, '--device does not go with env'),
        ({'what': 'train', 'threads': 0}, '--threads is 0; 1 to 1024 is needed'),
    ],
)
def test_options_of_another_measurement_are_refused(options: dict[str, object], text: str):
    with pytest.raises(UserError, match=text):
        bench.main(BenchCommand(**options))
