import json
from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training.checkpoint import read_checkpoint
from sim_training.export import ExportCommand, main
from sim_training.run_file import write_run_file
from sim_training.sac_config import SACConfig
from sim_training.tasks import FOLDER
from sim_training.train import main as train
from sim_training.train_command import TrainCommand


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Return the folder of a short real training run."""
    folder = tmp_path_factory.mktemp('runs') / 'balance'
    sac = SACConfig(hidden_sizes=(16,), batch_size=16, learning_starts=50)
    train(TrainCommand('balance', steps=120, out=folder, evaluate_every=100, sac=sac))
    return folder


def test_a_run_becomes_a_model_with_its_origin_and_scores(run, tmp_path):
    model = tmp_path / 'balance.onnx'
    result = main(ExportCommand(run=run, out=model, weights='final', episodes=2))
    policy = load_policy(model)
    assert policy.sha256 == result['sha256']
    assert policy.origin['env'] == 'balance'
    assert policy.origin['steps'] == 120
    assert policy.origin['evaluation']['episodes'] == 2
    assert policy.origin['evaluation']['return_mean'] == result['evaluation']['return_mean']
    assert set(policy.origin['versions']) >= {'python', 'torch', 'numpy'}
    assert result['parity'] <= 1e-5
    assert 'unfinished' not in policy.origin


@pytest.mark.parametrize('failure', [None, 'mine, step 41: reward is nan'])
def test_a_run_that_did_not_come_to_its_end_is_exported_and_says_so(
    run, tmp_path, capsys, failure: str | None
):
    command = read_checkpoint(run)[1].command
    for name in ('best.safetensors', 'checkpoint.safetensors'):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    write_run_file(tmp_path, command, failure=failure)
    main(ExportCommand(run=tmp_path, out=tmp_path / 'model.onnx', episodes=1))
    assert load_policy(tmp_path / 'model.onnx').origin['unfinished'] is True
    reason = failure or 'stopped, or still training'
    assert f'{tmp_path} has not come to its end: {reason}\n' in capsys.readouterr().err


def test_best_and_final_weights_say_which_they_are(run, tmp_path):
    for weights in ('best', 'final'):
        main(ExportCommand(run=run, out=tmp_path / f'{weights}.onnx', weights=weights, episodes=1))
        assert load_policy(tmp_path / f'{weights}.onnx').origin['weights'] == weights


def test_exporting_twice_gives_the_same_file(run, tmp_path):
    for name in ('first.onnx', 'again.onnx'):
        main(ExportCommand(run=run, out=tmp_path / name, episodes=1))
    assert (tmp_path / 'first.onnx').read_bytes() == (tmp_path / 'again.onnx').read_bytes()


@pytest.mark.fault('H02', 'refused', 'UserError')
def test_a_folder_without_a_run_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match=r'is no training run: run.json is missing'):
        main(ExportCommand(run=tmp_path / 'nothing', out=tmp_path / 'out' / 'model.onnx'))
    assert not list(tmp_path.rglob('*.onnx'))


@pytest.mark.fault('D09', 'refused', 'UserError')
def test_a_damaged_checkpoint_is_named(run, tmp_path):
    copy = tmp_path / 'run'
    copy.mkdir()
    (copy / 'run.json').write_bytes((run / 'run.json').read_bytes())
    (copy / 'best.safetensors').write_bytes((run / 'best.safetensors').read_bytes()[:200])
    with pytest.raises(UserError, match=r'best.safetensors is cut or damaged'):
        main(ExportCommand(run=copy, out=tmp_path / 'model.onnx'))
    assert not (tmp_path / 'model.onnx').exists()


@pytest.fixture
def own_task(tmp_path):
    """Return the YAML file of a task of one's own, with a short run of it in `run`."""
    contract = tmp_path / 'mine.yaml'
    for suffix in ('.yaml', '.py'):
        contract.with_suffix(suffix).write_bytes((FOLDER / f'balance{suffix}').read_bytes())
    sac = SACConfig(hidden_sizes=(16,), batch_size=16, learning_starts=50)
    train(TrainCommand(str(contract), steps=60, out=tmp_path / 'run', sac=sac))
    return contract


def edit(contract, old, new):
    text = contract.read_text()
    assert text.count(old) == 1
    contract.write_text(text.replace(old, new))


def test_a_contract_edited_after_training_is_refused_and_nothing_is_written(own_task, tmp_path):
    edit(own_task, 'control_rate: 50.0', 'control_rate: 40.0')
    edit(own_task, 'max_rate: 500.0', 'max_rate: 400.0')
    for weights, name in (('best', 'best'), ('final', 'checkpoint')):
        model = tmp_path / 'out' / 'model.onnx'
        with pytest.raises(UserError) as refusal:
            main(ExportCommand(run=tmp_path / 'run', out=model, weights=weights))
        assert str(refusal.value) == (
            f"{tmp_path / 'run' / name}.safetensors: the contract 'balance' that it was trained "
            f"with is not that of '{own_task}' now: they differ in control_rate, action; "
            'train again'
        )
        assert not model.parent.exists()


def test_limits_edited_after_training_are_exported(own_task, tmp_path):
    edit(own_task, 'lower: [-1.5, -1.6]', 'lower: [-1.4, -1.6]')
    main(ExportCommand(run=tmp_path / 'run', out=tmp_path / 'model.onnx', episodes=1))
    spec = load_policy(tmp_path / 'model.onnx').spec
    assert spec.limits['joint_position'].lower == (-1.4, -1.6)
    train(TrainCommand(str(own_task), steps=65, out=tmp_path / 'run', resume=True))


def test_a_task_that_has_moved_is_exported_and_resumed_from_where_it_is_now(own_task, tmp_path):
    moved = tmp_path / 'elsewhere' / 'mine.yaml'
    moved.parent.mkdir()
    for suffix in ('.yaml', '.py'):
        own_task.with_suffix(suffix).rename(moved.with_suffix(suffix))
    model = tmp_path / 'model.onnx'
    with pytest.raises(UserError, match=rf'^task {own_task}: .* is missing'):
        main(ExportCommand(run=tmp_path / 'run', out=model, episodes=1))
    main(ExportCommand(run=tmp_path / 'run', out=model, episodes=1, task=str(moved)))
    assert load_policy(model).origin['env'] == 'mine.yaml'
    train(TrainCommand(str(moved), steps=65, out=tmp_path / 'run', resume=True))
    main(ExportCommand(run=tmp_path / 'run', out=model, episodes=1))


def test_a_name_that_is_no_model_file_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r'model.pt must end in .onnx'):
        main(ExportCommand(run=run, out=tmp_path / 'model.pt'))


@pytest.mark.fault('H04', 'refused', 'UserError')
def test_an_output_folder_that_cannot_be_written_is_refused(run):
    with pytest.raises(UserError, match=r'cannot write to folder /proc/nowhere'):
        main(ExportCommand(run=run, out=Path('/proc/nowhere/model.onnx')))


def test_run_file_is_plain_json(run):
    facts = json.loads((run / 'run.json').read_text())
    assert facts['task'] == 'balance'
