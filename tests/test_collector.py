"""What collectors put into the replay, and runs of several envs: repeated, stopped, resumed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from tiny_runs import PENDULUM, SMALL, column, differences, make_command, resume, run

from sim_training.checkpoint import CURRENT, Playing, read_checkpoint
from sim_training.collector import Collector, make_collector
from sim_training.env_process import EnvHere
from sim_training.exploration import pink_noise
from sim_training.return_scale import FIRST
from sim_training.rollout import Rollout
from sim_training.run_state import Run, new_run
from sim_training.train import train
from sim_training.train_command import TrainCommand

TWO = {'steps': 450, 'evaluate_every': 1_000, 'envs': 2}
ROOMY = dataclasses.replace(SMALL, replay_capacity=1_000)


def make_run(folder: Path, **overrides: object) -> Run:
    options = {'envs': 2, 'sac': ROOMY, **overrides}
    return new_run(make_command(folder, **options), gymnasium.make(PENDULUM))


def two_envs_here() -> list[EnvHere]:
    return [EnvHere(gymnasium.make(PENDULUM), seed=0) for _ in range(2)]


def stop_after(rounds: int) -> Callable[[], bool]:
    """Return a question that the loop of a training asks before each round."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > rounds

    return should_stop


def test_each_env_plays_episodes_of_its_own_and_rounds_follow_each_other(tmp_path: Path):
    state = make_run(tmp_path)
    collector = Collector(state, two_envs_here())
    for _ in range(203):
        collector.collect(state)
    assert state.counters.step == 406
    everything = state.replay.newest(406)
    returns = []
    for number in range(2):
        rows = {name: field[number::2] for name, field in everything.items()}
        twin = Rollout(gymnasium.make(PENDULUM), seed=0)
        twin.begin(number)
        for k in range(203):
            np.testing.assert_array_equal(rows['observation'][k], twin.observation)
            action = state.agent.to_action(rows['unit_action'][k].numpy())
            reward, terminated, truncated = twin.step(action)
            np.testing.assert_array_equal(rows['next_observation'][k], twin.observation)
            assert rows['reward'][k] == np.float32(reward)
            assert rows['terminated'][k] == terminated
            assert truncated == (k == 199)
            if truncated:
                returns.append(twin.reward_sum)
                twin.begin(episode=number + 2)
    assert state.playing == (Playing(2, length=3), Playing(3, length=3))
    assert state.counters.episode_returns == returns
    # Discounted returns run along each env, and have begun anew with the episodes.
    assert state.returns.state[0] == 406
    rewards = everything['reward'].numpy().astype(np.float64)
    for number, value in enumerate(state.returns.state[FIRST:]):
        newest = rewards[number::2][-3:]
        assert value == pytest.approx(newest[2] + 0.98 * newest[1] + 0.98**2 * newest[0])


def test_actions_are_random_at_first_and_then_of_the_policy(tmp_path: Path):
    state = make_run(tmp_path)
    generator = np.random.default_rng(0)
    collector = Collector(state, two_envs_here())
    for _ in range(31):
        collector.collect(state)
    unit_action = state.replay.newest(62)['unit_action'].numpy()
    random = generator.uniform(-1.0, 1.0, (60, 1)).astype(np.float32)
    np.testing.assert_array_equal(unit_action[:60], random)
    assert state.generator.bit_generator.state == generator.bit_generator.state
    with torch.no_grad():
        noise = torch.Generator().manual_seed(0)
        sampled, _ = state.agent.actor.sample(state.replay.newest(2)['observation'], noise)
    np.testing.assert_array_equal(unit_action[60:], sampled.numpy())


def test_pink_noise_goes_on_along_the_episode_of_each_env(tmp_path: Path):
    state = make_run(tmp_path, sac=dataclasses.replace(ROOMY, exploration='pink'))
    collector = Collector(state, two_envs_here())
    before = state.agent.generator.get_state()
    for _ in range(33):
        collector.collect(state)
    assert torch.equal(state.agent.generator.get_state(), before)  # nothing else is drawn
    newest = state.replay.newest(6)  # the rounds 30, 31 and 32, after 60 random steps
    moments = [(env, step) for step in (30, 31, 32) for env in (0, 1)]
    noise = np.stack([pink_noise(0, episode, 0, 1)[step] for episode, step in moments])
    with torch.no_grad():
        expected, _ = state.agent.actor.draw(newest['observation'], torch.from_numpy(noise))
    np.testing.assert_allclose(newest['unit_action'], expected, atol=1e-6)


def test_processes_do_what_envs_in_this_process_do_to_the_last_bit(tmp_path: Path):
    here, there = make_run(tmp_path), make_run(tmp_path)
    collectors = (
        (here, Collector(here, two_envs_here())),
        (there, make_collector(there, gymnasium.make(PENDULUM))),
    )
    for state, collector in collectors:
        for _ in range(202):
            collector.collect(state)
    # They overlap with learning: the next round is computed before anybody asks for it.
    assert all(env._pipe.poll(60.0) for env in collectors[1][1]._envs)
    for _, collector in collectors:
        collector.close()
    assert here.playing == there.playing == (Playing(2, length=2), Playing(3, length=2))
    assert here.counters == there.counters
    np.testing.assert_array_equal(here.under_way, there.under_way)
    for name, array in here.replay.stored().items():
        assert array.tobytes() == there.replay.stored()[name].tobytes()


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 450 steps with two envs that was never stopped."""
    folder = tmp_path_factory.mktemp('whole')
    assert run(make_command(folder, **TWO))['step'] == 450
    return folder


@pytest.mark.fault('D10', 'resumed', '')
def test_two_envs_stopped_and_resumed_equal_two_that_never_were_bit_for_bit(
    tmp_path: Path, whole_run: Path
):
    # Before learning starts, and when; before the end of the first episodes; in the middle of the
    # next ones, when the ring of 400 transitions has come round.
    before = 0
    for stop in (30, 60, 398, 434):
        command = resume(tmp_path) if before else make_command(tmp_path, **TWO)
        assert run(command, should_stop=stop_after((stop - before) // 2))['step'] == stop
        before = stop
    _, facts, _ = read_checkpoint(tmp_path)
    assert facts.playing == (Playing(2, length=17), Playing(3, length=17))
    assert run(resume(tmp_path))['step'] == 450
    assert 'under_way' not in differences(whole_run, tmp_path)
    assert differences(whole_run, tmp_path) == []
    for metric in ('episode/return', 'evaluation/return', 'loss/critic'):
        assert column(whole_run, metric) == column(tmp_path, metric)


def test_a_run_ends_with_a_whole_round_and_goes_on_with_another_number_of_envs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    result = run(make_command(tmp_path, steps=301, evaluate_every=101, envs=2))
    assert result['step'] == 302
    # 101 and 202 are passed or reached, 303 is not; the end is always scored.
    assert column(tmp_path, 'step') == ['102', '202', '302']
    capsys.readouterr()
    assert run(resume(tmp_path, steps=307, envs=3))['step'] == 308
    note = 'saved with 2 envs, going on with 3: each begins a new episode\n'
    assert note in capsys.readouterr().err
    _, facts, _ = read_checkpoint(tmp_path)
    # Episodes 0 and 1 were under way; six steps more are two rounds.
    assert facts.playing == (Playing(2, length=2), Playing(3, length=2), Playing(4, length=2))


def test_an_env_process_that_does_not_repeat_itself_begins_another_episode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    env = gymnasium.make('odd_envs:Forgets-v0')
    new = TrainCommand(
        'odd_envs:Forgets-v0', steps=80, envs=2, out=tmp_path, evaluation_episodes=1, sac=SMALL
    )
    train(env, env, new, stop_after(rounds=10))
    capsys.readouterr()
    train(env, env, dataclasses.replace(new, resume=True))
    text = capsys.readouterr().err
    for episode in (0, 1):
        assert (
            f'episode {episode} cannot go on from its step 10 (the env did not repeat it): the '
            'next one begins\n'
        ) in text
    _, facts, _ = read_checkpoint(tmp_path)
    assert facts.counters.step == 80
    assert facts.playing == (Playing(2, length=30), Playing(3, length=30))
    assert (tmp_path / CURRENT).exists()
