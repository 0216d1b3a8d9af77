"""Learning from the replay of another run as well: its share of each batch, what is refused."""

import dataclasses
import shutil
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_runs import PENDULUM, SMALL, differences, make_command, resume, run

from sac_ros.errors import UserError
from sim_training.checkpoint import CURRENT
from sim_training.return_scale import FIRST
from sim_training.run_state import Run, new_run
from sim_training.train import _batches
from sim_training.train_command import TrainCommand

QUARTER = dataclasses.replace(SMALL, prior_fraction=0.25)


def make_run(folder: Path, prior: Path, fraction: float) -> Run:
    """Return a run with one step in its replay, of reward -1; those of `prior` get reward 1."""
    sac = dataclasses.replace(SMALL, prior_fraction=fraction)
    state = new_run(make_command(folder, prior=prior, sac=sac), gymnasium.make(PENDULUM))
    assert state.prior is not None
    state.prior.arrays['reward'].fill(1.0)
    state.remember(0, (np.zeros(3), np.zeros(1), -1.0, np.zeros(3), False), length=None)
    return state


def test_prior_data_are_all_that_the_other_run_remembers(tmp_path: Path, finished_run: Path):
    command = make_command(tmp_path / 'run', prior=finished_run, sac=QUARTER)
    prior = new_run(command, gymnasium.make(PENDULUM)).prior
    assert prior is not None
    assert prior.size == prior.capacity == 300
    assert prior.stored()['reward'].max() <= 0.0  # as Pendulum-v1 pays
    assert (prior.gamma, prior.n_step, prior.stride) == (0.98, 1, 1)


@pytest.mark.parametrize(('fraction', 'share'), [(0.25, 2), (0.5, 4), (0.4, 3), (1.0, 8)])
def test_each_batch_has_its_share_of_prior_data(
    tmp_path: Path, finished_run: Path, fraction: float, share: int
):
    state = make_run(tmp_path / 'run', finished_run, fraction)
    batches = _batches(state, updates=3)
    rewards = batches.reward.reshape(3, 8).numpy()
    assert (rewards == 1.0).sum(axis=1).tolist() == [share] * 3
    assert (rewards == -1.0).sum(axis=1).tolist() == [8 - share] * 3
    # Rows stay whole: what is not of the other run is the step of zeros.
    zeros = (batches.observation == 0.0).all(dim=1).numpy()
    np.testing.assert_array_equal(zeros, batches.reward.numpy() == -1.0)


def test_a_run_with_prior_data_goes_on_bit_for_bit_and_leaves_the_other_alone(
    tmp_path: Path, finished_run: Path
):
    before = (finished_run / CURRENT).read_bytes()
    options = {'prior': finished_run, 'sac': QUARTER, 'evaluate_every': 1_000}
    whole, halves, alone = (tmp_path / name for name in ('whole', 'halves', 'alone'))
    run(make_command(whole, steps=200, **options))
    run(make_command(halves, steps=120, **options))
    assert run(resume(halves, steps=200))['step'] == 200  # it knows where its prior data are
    run(make_command(alone, steps=200, evaluate_every=1_000))
    assert differences(whole, halves) == []
    assert 'critic.body.weights.0' in differences(whole, alone)
    assert (finished_run / CURRENT).read_bytes() == before


SCALED = dataclasses.replace(QUARTER, normalise_reward=True, normalise_observation=True)


def test_rewards_are_scaled_to_fit_the_returns_of_prior_data_too(
    tmp_path: Path, finished_run: Path
):
    begun = new_run(
        make_command(tmp_path / 'run', prior=finished_run, sac=SCALED), gymnasium.make(PENDULUM)
    )
    other = load_file(finished_run / CURRENT)['returns']
    assert other[0] == 300.0  # rewards
    assert begun.returns.state.tolist() == [*other[:FIRST], 0.0]
    assert begun.returns.scale <= 5.0 / other[3] < 1.0


def test_observations_are_normalised_by_those_of_prior_data_too(
    tmp_path: Path, finished_run: Path
):
    folder = tmp_path / 'run'
    run(make_command(folder, steps=80, prior=finished_run, sac=SCALED))
    now, other = load_file(folder / CURRENT), load_file(finished_run / CURRENT)
    seen = [now['replay.observation'][: SCALED.learning_starts], other['replay.observation']]
    expected = np.concatenate(seen).mean(axis=0)
    np.testing.assert_allclose(now['actor.observation_mean'], expected, rtol=1e-4, atol=1e-5)


def test_prior_data_of_another_discount_cannot_be_scaled_alike(tmp_path: Path, finished_run: Path):
    other = dataclasses.replace(SCALED, gamma=0.9)
    with pytest.raises(UserError) as refusal:
        new_run(
            make_command(tmp_path / 'run', prior=finished_run, sac=other),
            gymnasium.make(PENDULUM),
        )
    assert str(refusal.value) == (
        f'--prior {finished_run / CURRENT} was played with sac.gamma 0.98; allowed with '
        'sac.normalise_reward: that of this run, 0.9, or its returns could not be scaled alike'
    )


def test_a_share_of_prior_data_that_are_not_given_is_refused():
    with pytest.raises(UserError) as refusal:
        TrainCommand(PENDULUM, sac=QUARTER)
    assert str(refusal.value) == (
        'sac.prior_fraction is 0.25 and there is no prior data: give --prior, or '
        '--sac.prior-fraction 0'
    )


def test_prior_data_without_a_share_are_refused(tmp_path: Path):
    with pytest.raises(UserError) as refusal:
        TrainCommand(PENDULUM, prior=tmp_path)
    assert str(refusal.value) == (
        f'--prior {tmp_path} would not be learned from, for sac.prior_fraction is 0: give '
        '--sac.prior-fraction 0.5, or --preset robot'
    )


def test_prior_data_that_have_changed_since_are_told_when_the_run_goes_on(
    tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    other = shutil.copytree(finished_run, tmp_path / 'other')
    monkeypatch.chdir(tmp_path)
    run(make_command(tmp_path / 'run', steps=120, prior=Path('other'), sac=QUARTER))
    monkeypatch.chdir('/')
    assert run(resume(tmp_path / 'run', steps=130))['step'] == 130
    assert 'bit for bit' not in capsys.readouterr().err
    run(resume(other, steps=310))
    capsys.readouterr()
    assert run(resume(tmp_path / 'run', steps=140))['step'] == 140
    told = f'--prior {other} has other steps than when the run began: it goes on, but not bit'
    assert told in ' '.join(capsys.readouterr().err.split())


def test_prior_data_of_another_env_are_refused(tmp_path: Path, finished_run: Path):
    env = gymnasium.make('MountainCarContinuous-v0')
    command = TrainCommand(
        'MountainCarContinuous-v0', steps=100, out=tmp_path, prior=finished_run, sac=QUARTER
    )
    with pytest.raises(UserError) as refusal:
        new_run(command, env)
    assert str(refusal.value) == (
        f'--prior {finished_run / CURRENT}: observation_size is 3; the env has 2'
    )


def test_prior_data_of_another_env_of_the_same_sizes_are_refused(
    tmp_path: Path, finished_run: Path
):
    name = 'cluster_envs:Raising-v0'  # a pendulum as well
    command = TrainCommand(name, steps=100, out=tmp_path, prior=finished_run, sac=QUARTER)
    with pytest.raises(UserError) as refusal:
        new_run(command, gymnasium.make(name))
    assert str(refusal.value) == (
        f"--prior {finished_run / CURRENT} was played on 'Pendulum-v1', whose contract is not "
        "that of 'Raising-v0': they differ in name"
    )


def test_prior_data_of_no_run_are_refused(tmp_path: Path):
    command = make_command(tmp_path / 'run', prior=tmp_path / 'nothing', sac=QUARTER)
    with pytest.raises(UserError, match=f'^no checkpoint in {tmp_path / "nothing"}: '):
        new_run(command, gymnasium.make(PENDULUM))
