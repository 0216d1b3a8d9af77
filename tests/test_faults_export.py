"""Faults of an export: whatever ends it, the model that was there before stays as it was."""

import itertools
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from tiny_checkpoints import export_and_die
from tiny_runs import FORKS, PENDULUM

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training.checkpoint import BEST, read_actor, write_best
from sim_training.export import ExportCommand, main
from sim_training.sac_state import ACTOR

OLD = b'the model that a robot runs'


@pytest.mark.fault('D16', 'kept', '')
def test_a_kill_at_any_change_of_the_folder_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, finished_run: Path
):
    model = tmp_path / 'model.onnx'
    for number in itertools.count(1):
        model.write_bytes(OLD)
        child = FORKS.Process(target=export_and_die, args=(finished_run, model, number))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        assert model.read_bytes() == OLD
    assert number > 2
    assert load_policy(model).origin['env'] == PENDULUM


@pytest.mark.fault('D16', 'kept', 'UserError')
def test_an_export_that_is_refused_leaves_the_old_model(tmp_path: Path, finished_run: Path):
    model, broken = tmp_path / 'model.onnx', tmp_path / 'run'
    model.write_bytes(OLD)
    broken.mkdir()
    (broken / 'run.json').write_bytes((finished_run / 'run.json').read_bytes())
    with safe_open(finished_run / BEST, framework='numpy') as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays[f'{ACTOR}.body.biases.2'][..., 0] = np.nan  # of the mean
    write_best(broken, arrays, read_actor(finished_run / BEST)[1])
    with pytest.raises(UserError, match='answers with NaN or infinity'):
        main(ExportCommand(broken, model, episodes=1))
    assert model.read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ['model.onnx', 'run']
