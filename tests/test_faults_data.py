"""Faults of what is learned from: another joint order, or too little of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sac_ros.errors import UserError
from sim_training.checkpoint import CURRENT
from sim_training.env import make_env
from sim_training.export import ExportCommand
from sim_training.export import main as export
from sim_training.replay_buffer import ReplayBuffer
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig
from sim_training.tasks import FOLDER
from sim_training.train import train
from sim_training.train_command import TrainCommand

torch.set_num_threads(1)


@pytest.mark.fault('E11', 'refused', 'UserError')
def test_a_run_with_another_joint_order_is_neither_resumed_nor_exported(tmp_path: Path):
    task, folder = tmp_path / 'mine.yaml', tmp_path / 'run'
    for suffix in ('.yaml', '.py'):
        task.with_suffix(suffix).write_bytes((FOLDER / f'balance{suffix}').read_bytes())
    sac = SACConfig(hidden_sizes=(8,), batch_size=8, learning_starts=8)
    command = TrainCommand(str(task), steps=20, out=folder, evaluation_episodes=1, sac=sac)
    train_task(command)
    text = task.read_text()
    order, reverse = '[slider_to_cart, cart_to_pole]', '[cart_to_pole, slider_to_cart]'
    assert text.count(order) == 1
    task.write_text(text.replace(order, reverse))
    resume = TrainCommand(str(task), steps=30, out=folder, resume=True)
    tries: list[Callable[[], object]] = [
        lambda: train_task(resume),
        lambda: export(ExportCommand(folder, tmp_path / 'model.onnx', weights='final')),
    ]
    for attempt in tries:
        with pytest.raises(UserError) as refusal:
            attempt()
        assert str(refusal.value) == (
            f"{folder / CURRENT}: the contract 'balance' that it was trained with is not that of "
            f"'{task}' now: they differ in joints; train again"
        )
    assert not (tmp_path / 'model.onnx').exists()


def train_task(command: TrainCommand) -> None:
    env = make_env(command.task)
    try:
        train(env, env, command)
    finally:
        env.close()


@pytest.mark.fault('E12', 'refused', 'UserError')
def test_nothing_is_drawn_from_an_empty_replay_buffer():
    with pytest.raises(UserError) as refusal:
        ReplayBuffer(8, 2, 1, gamma=0.5).sample(np.random.default_rng(0), 4)
    assert str(refusal.value) == (
        'the replay buffer is empty; a transition is needed to draw from it'
    )


def test_one_transition_is_enough_to_learn_from():
    replay = ReplayBuffer(8, 2, 1, gamma=0.5)
    replay.add(np.ones(2), np.zeros(1), 3.0, np.ones(2), True)
    batch = replay.sample(np.random.default_rng(0), 4)
    assert batch.reward.tolist() == [3.0] * 4
    config = SACConfig(hidden_sizes=(8,), batch_size=4, learning_starts=4)
    agent = SAC(config, 2, np.array([-1.0]), np.array([1.0]), seed=0)
    agent.fit_normalisation(replay.stored()['observation'])
    assert all(torch.isfinite(loss) for loss in agent.update(batch))
