"""Training does what it is there for: values become right and returns rise."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from sim_training.checkpoint import CURRENT, read_actor, read_checkpoint
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig
from sim_training.sac_state import restore_sac
from sim_training.train import train
from sim_training.train_command import TrainCommand


class OneRoom(gymnasium.Env[np.ndarray, np.ndarray]):
    """A door (0) and a room (1) behind it: every action leads into the room, for good.

    The door costs 1, each step in the room earns 1.  After three steps the episode is cut, or, if
    `ends` is set, over.
    """

    observation_space = Box(0.0, 1.0, (1,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, ends: bool) -> None:
        self.ends = ends

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[np.ndarray, dict[str, object]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        reward = -1.0 if self.steps == 0 else 1.0
        self.steps += 1
        is_last = self.steps == 3
        room = np.ones(1, np.float32)
        return room, reward, is_last and self.ends, is_last and not self.ends, {}


def learned_values(env: OneRoom, folder: Path, **changes: object) -> list[float]:
    """Train without any weight on entropy; return Q at the door and in the room, gamma = 0.8."""
    config = SACConfig(
        hidden_sizes=(16, 16), gamma=0.8, tau=0.05, learning_rate=3e-3, batch_size=32,
        learning_starts=32, target_entropy=-100.0, initial_alpha=1e-9,
        **changes,
    )  # fmt: skip
    train(env, OneRoom(env.ends), TrainCommand('room', steps=900, out=folder, sac=config))
    agent = SAC(config, 1, np.array([-1.0]), np.array([1.0]), seed=0)
    restore_sac(agent, read_checkpoint(folder)[0])
    places = torch.tensor([[0.0], [1.0]])
    with torch.no_grad():
        z = agent.critic(places, torch.zeros(2, 1))
        return list(agent.head.value(z).mean(dim=0).tolist())


@pytest.mark.fault('E10', 'learned', '')
@pytest.mark.parametrize(
    'changes',
    [
        pytest.param({}, id='sac'),
        pytest.param({'n_step': 3}, id='n_step'),
        pytest.param({'target': 'value'}, id='sac_v1'),
        pytest.param({'critics': 4, 'target_subset': 2, 'actor_value': 'mean'}, id='redq'),
        pytest.param({'head': 'quantile', 'atoms': 5, 'dropped_atoms': 1}, id='tqc'),
        pytest.param({'norm': 'layer', 'dropout': 0.01, 'actor_value': 'mean'}, id='droq'),
        pytest.param({'norm': 'batch_renorm', 'target': 'none'}, id='crossq'),
        pytest.param({'head': 'categorical', 'atoms': 51, 'value_bound': 10.0}, id='histogram'),
    ],
)
def test_a_time_limit_does_not_lower_the_value_of_what_it_cuts_off(
    tmp_path: Path, changes: dict[str, object]
):
    # In the room 1 / (1 - 0.8) = 5; at the door -1 + 0.8 * 5 = 3.  In the room it would be 1.67 if
    # truncation cut the bootstrap, and 2.14 if the value of the next episode's door were taken.
    values = learned_values(OneRoom(ends=False), tmp_path, **changes)
    np.testing.assert_allclose(values, [3.0, 5.0], atol=0.4)


@pytest.mark.fault('E10', 'learned', '')
def test_a_terminated_episode_is_worth_no_more_than_what_it_earned(tmp_path: Path):
    # Half of the steps in the room are the last: Q = 1 + 0.8 / 2 Q, so 1 / 0.6 = 1.67, and at the
    # door -1 + 0.8 * 1.67 = 0.33.
    values = learned_values(OneRoom(ends=True), tmp_path)
    np.testing.assert_allclose(values, [0.33, 1.67], atol=0.3)


def test_pendulum_swings_up(tmp_path: Path):
    config = SACConfig(
        hidden_sizes=(64, 64), learning_rate=1e-3, batch_size=128, learning_starts=500,
        normalise_observation=True,
    )  # fmt: skip
    command = TrainCommand(
        'Pendulum-v1', steps=4_000, out=tmp_path, evaluate_every=1_000, sac=config
    )
    begin = SAC(config, 3, np.array([-2.0]), np.array([2.0]), seed=0).actor.state_dict()
    result = train(gymnasium.make('Pendulum-v1'), gymnasium.make('Pendulum-v1'), command)
    # Random actions get about -1200, the best possible is about -140.
    assert isinstance(result['best_return'], float)
    assert result['best_return'] > -300.0
    learned, _ = read_actor(tmp_path / CURRENT)
    for name, weight in learned.named_parameters():
        assert torch.isfinite(weight).all(), name
        assert not torch.equal(weight, begin[name]), name
    rows = (tmp_path / 'progress.csv').read_text().splitlines()
    numbers = [float(text) for row in rows[1:] for text in row.split(',') if text]
    assert np.isfinite(numbers).all()
