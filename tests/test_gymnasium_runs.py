"""Runs in Gymnasium envs by their plain ids: trained, resumed, exported, scored, on ROS topics."""

from pathlib import Path

import pytest
from gymnasium_episodes import make
from tiny_runs import SMALL, differences, short_command

from sac_ros.policy import load_policy
from sim_training.evaluate import EvaluateCommand
from sim_training.evaluate import main as evaluate
from sim_training.export import ExportCommand
from sim_training.export import main as export
from sim_training.train import main as train
from sim_training.train_command import TrainCommand

TRAINED = ['Hopper-v5', 'HopperBulletEnv-v0']


@pytest.fixture(scope='module', params=TRAINED)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of 300 steps."""
    make(request.param).close()
    folder = tmp_path_factory.mktemp('trained') / str(request.param)
    assert train(tiny(folder))['step'] == 300
    return folder


def tiny(folder: Path, **options: object) -> TrainCommand:
    """Return a run of the id that the folder is named by."""
    every = {'evaluate_every': 150, 'evaluation_episodes': 1, 'sac': SMALL}
    return TrainCommand(folder.name, **{'steps': 300, 'out': folder, **every, **options})


def test_it_trains_exports_and_scores_by_the_plain_id(trained: Path, tmp_path: Path) -> None:
    model = tmp_path / 'model.onnx'
    exported = export(ExportCommand(trained, model, episodes=2))
    policy = load_policy(model)
    env = make(trained.name)
    assert policy.spec == env.contract
    env.close()
    scores = evaluate(EvaluateCommand(model, episodes=2))  # in the env that the contract names
    assert scores['task'] == trained.name
    assert scores['faults'] == 0
    assert scores['return_mean'] == exported['evaluation']['return_mean']


def test_a_run_that_was_stopped_ends_like_one_that_was_not(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / trained.name
    train(tiny(folder, steps=190))
    train(TrainCommand(folder.name, steps=300, out=folder, resume=True))
    assert differences(trained, folder) == []


def test_an_env_that_cannot_be_closed_costs_nobody_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    task = 'odd_envs:NeverCloses-v0'
    assert train(short_command(task, tmp_path / 'run'))['step'] > 0
    line = f"env '{task}' could not be closed: the env raised RuntimeError: display already gone"
    lines = [said for said in capsys.readouterr().err.splitlines() if said.startswith("env '")]
    assert len(lines) == 2  # the one that is played, the one that is evaluated in
    assert all(said.startswith(line) for said in lines)


@pytest.mark.ros
@pytest.mark.parametrize('trained', ['HopperBulletEnv-v0'], indirect=True)
def test_it_runs_on_topics_of_ros(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    from sim_training.run import RunCommand
    from sim_training.run import main as run

    model = tmp_path / 'model.onnx'
    export(ExportCommand(trained, model, episodes=1))
    result = run(RunCommand(model, episodes=2))
    assert [episode['length'] > 5 for episode in result['episodes']] == [True, True]
