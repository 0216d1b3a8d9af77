"""What is saved comes back whole, and what cannot be used is refused in one line."""

import dataclasses
import hashlib
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_checkpoints import CONFIG, make_contract, make_facts

from sac_ros.errors import UserError
from sac_ros.spec import differing_keys
from sim_training.array_file import FACTS_KEY, SHA256_KEY, read_arrays, write_arrays
from sim_training.checkpoint import (
    BEST,
    CURRENT,
    DAMAGED,
    PREVIOUS,
    check_contract,
    go_back,
    has_checkpoint,
    read_actor,
    read_checkpoint,
    write_best,
    write_checkpoint,
)
from sim_training.replay_buffer import Batch
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig
from sim_training.sac_state import restore_sac, sac_arrays

torch.set_num_threads(1)


def make_agent(seed: int = 0, config: SACConfig = CONFIG) -> SAC:
    """Return an agent that has learned a little."""
    agent = SAC(config, 3, np.array([-2.0]), np.array([4.0]), seed)
    agent.fit_normalisation(np.random.default_rng(seed).normal(size=(10, 3)).astype(np.float32))
    for _ in range(3):
        agent.update(make_batch())
    return agent


def make_batch() -> Batch:
    generator = torch.Generator().manual_seed(5)
    return Batch(
        observation=torch.randn(4, 3, generator=generator),
        unit_action=torch.rand(4, 1, generator=generator),
        reward=torch.randn(4, generator=generator),
        next_observation=torch.randn(4, 3, generator=generator),
        discount=torch.full((4,), 0.98),
    )


def test_arrays_and_facts_come_back_as_they_were(tmp_path: Path):
    arrays = {'a': np.arange(6.0).reshape(2, 3), 'scalar': np.float32(3.0).reshape(())}
    write_checkpoint(tmp_path, arrays, make_facts())
    found, facts, problem = read_checkpoint(tmp_path)
    assert facts == make_facts()
    assert problem is None
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_a_restored_agent_learns_on_bit_for_bit(tmp_path: Path):
    agent = make_agent()
    write_checkpoint(tmp_path, sac_arrays(agent), make_facts())
    arrays, _, _ = read_checkpoint(tmp_path)
    twin = SAC(CONFIG, 3, np.array([-2.0]), np.array([4.0]), seed=99)
    restore_sac(twin, arrays)
    for _ in range(5):
        agent.update(make_batch())
        twin.update(make_batch())
    originals, copies = sac_arrays(agent), sac_arrays(twin)
    assert originals.keys() == copies.keys()
    assert {'critic_adam.0.second', 'updates', 'losses'} <= originals.keys()
    assert originals['updates'] == 8
    for name, original in originals.items():
        assert original.tobytes() == copies[name].tobytes(), name


def test_a_restored_agent_tells_the_losses_of_the_actors_last_update_again():
    config = dataclasses.replace(CONFIG, policy_delay=3)
    agent = make_agent(config=config)  # the third update has just moved the actor
    twin = SAC(config, 3, np.array([-2.0]), np.array([4.0]), seed=99)
    restore_sac(twin, sac_arrays(agent))
    losses, copies = agent.update(make_batch()), twin.update(make_batch())
    assert copies.actor == losses.actor != 0.0
    assert copies == losses


def test_an_agent_that_has_not_learned_yet_comes_back_too(tmp_path: Path):
    agent = SAC(CONFIG, 3, np.array([-2.0]), np.array([4.0]), seed=1)
    write_checkpoint(tmp_path, sac_arrays(agent), make_facts())
    twin = SAC(CONFIG, 3, np.array([-2.0]), np.array([4.0]), seed=2)
    restore_sac(twin, read_checkpoint(tmp_path)[0])
    agent.update(make_batch())
    twin.update(make_batch())
    np.testing.assert_array_equal(sac_arrays(agent)['log_alpha'], sac_arrays(twin)['log_alpha'])
    observations = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(agent.explore(observations), twin.explore(observations))


def test_the_generation_before_is_kept(tmp_path: Path):
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, {'a': np.full(3, step)}, make_facts(step))
    assert load_file(tmp_path / CURRENT)['a'][0] == 3
    assert load_file(tmp_path / PREVIOUS)['a'][0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CURRENT, PREVIOUS])


def test_a_cut_checkpoint_falls_back_one_generation_and_says_so(tmp_path: Path):
    for step in (1, 2):
        write_checkpoint(tmp_path, {'a': np.full(3, step)}, make_facts(step))
    data = (tmp_path / CURRENT).read_bytes()
    (tmp_path / CURRENT).write_bytes(data[:-5])
    arrays, facts, problem = read_checkpoint(tmp_path)
    assert (arrays['a'][0], facts.counters.step) == (1, 1)
    assert problem is not None
    assert problem.startswith(f'{tmp_path / CURRENT} is cut or damaged: ')
    assert problem.endswith(f'; going on from {PREVIOUS}')


def test_the_previous_generation_alone_is_a_checkpoint(tmp_path: Path):
    write_checkpoint(tmp_path, {'a': np.zeros(3)}, make_facts())
    os.replace(tmp_path / CURRENT, tmp_path / PREVIOUS)
    assert has_checkpoint(tmp_path)
    _, _, problem = read_checkpoint(tmp_path)
    assert problem == f'{tmp_path / CURRENT} is missing; going on from {PREVIOUS}'


def test_a_missing_checkpoint_is_named(tmp_path: Path):
    assert not has_checkpoint(tmp_path)
    with pytest.raises(UserError, match=f'^no checkpoint in {tmp_path}: {CURRENT} is missing$'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('length', [0, 4, 100, 1000])
def test_a_cut_checkpoint_is_refused_when_there_is_no_other(tmp_path: Path, length: int):
    write_checkpoint(tmp_path, {'a': np.zeros(3000)}, make_facts())
    data = (tmp_path / CURRENT).read_bytes()
    (tmp_path / CURRENT).write_bytes(data[:length])
    with pytest.raises(UserError, match=f'^{tmp_path / CURRENT} is cut or damaged: .*$'):
        read_checkpoint(tmp_path)


def test_a_file_of_somebody_else_is_refused(tmp_path: Path):
    save_file({'a': np.zeros(3)}, tmp_path / CURRENT)
    text = f"{CURRENT} is no checkpoint of ours: it has no 'sac_ros.checkpoint'"
    with pytest.raises(UserError, match=text):
        read_checkpoint(tmp_path)


def test_facts_that_are_not_understood_are_named(tmp_path: Path):
    facts = '{"command": {"task": 3}}'
    digests = {FACTS_KEY: hashlib.sha256(facts.encode()).hexdigest()}
    save_file({}, tmp_path / CURRENT, {FACTS_KEY: facts, SHA256_KEY: json.dumps(digests)})
    text = 'sac_ros.checkpoint is not understood: command.task: Input should be a valid string'
    with pytest.raises(UserError, match=text):
        read_checkpoint(tmp_path)


def test_a_checkpoint_of_an_older_version_says_what_to_do(tmp_path: Path):
    save_file({'a': np.zeros(3)}, tmp_path / CURRENT, {FACTS_KEY: '{"schema": 2}'})
    with pytest.raises(UserError) as refusal:
        read_checkpoint(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path / CURRENT} is of an older version, without 'sac_ros.sha256': train again"
    )


def test_after_a_fall_back_the_bad_file_is_never_the_previous_generation(tmp_path: Path):
    for step in (1, 2):
        write_checkpoint(tmp_path, {'a': np.full(3, step)}, make_facts(step))
    (tmp_path / CURRENT).write_bytes(b'damaged')
    assert go_back(tmp_path) == f'; what was there is kept as {DAMAGED}'
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CURRENT, DAMAGED])
    assert (tmp_path / DAMAGED).read_bytes() == b'damaged'
    write_checkpoint(tmp_path, {'a': np.full(3, 9)}, make_facts(9))
    assert load_file(tmp_path / CURRENT)['a'][0] == 9
    assert load_file(tmp_path / PREVIOUS)['a'][0] == 1
    (tmp_path / PREVIOUS).unlink()
    text = f'^cannot write {tmp_path / CURRENT}: No such file or directory$'
    with pytest.raises(UserError, match=text):
        go_back(tmp_path)


def test_a_newest_generation_that_is_gone_leaves_nothing_to_be_kept(tmp_path: Path):
    write_checkpoint(tmp_path, {'a': np.zeros(3)}, make_facts())
    os.replace(tmp_path / CURRENT, tmp_path / PREVIOUS)
    assert go_back(tmp_path) == ''
    assert [path.name for path in tmp_path.iterdir()] == [CURRENT]


def test_another_contract_is_refused_by_the_keys_that_differ():
    check_contract(make_facts(), make_contract(), 'file')
    edited = make_contract(control_rate=30.0, observation=[{'term': 'vector', 'size': 4}])
    with pytest.raises(UserError) as refusal:
        check_contract(make_facts(), edited, 'file')
    assert str(refusal.value) == (
        "file: the contract 'pole' that it was trained with is not that of 'Pendulum-v1' now: "
        'they differ in control_rate, observation; train again'
    )


def test_limits_may_be_edited_after_training():
    edited = make_contract(limits={'vector': {'lower': -9.0, 'upper': 9.0}})
    assert differing_keys(edited, make_contract()) == ['limits']
    check_contract(make_facts(), edited, 'file')


def test_weights_of_another_size_are_named_with_both_shapes():
    wide = SACConfig(hidden_sizes=(32, 8), batch_size=4, learning_starts=4)
    text = r'^actor.body.weights.0 needs shape \(1, 3, 32\), found \(1, 3, 16\)$'
    with pytest.raises(UserError, match=text):
        restore_sac(make_agent(config=wide), sac_arrays(make_agent()))
    arrays = {k: v for k, v in sac_arrays(make_agent()).items() if k != 'log_alpha'}
    with pytest.raises(UserError, match=r'^log_alpha needs shape \(\), found nothing$'):
        restore_sac(make_agent(), arrays)


@pytest.mark.parametrize('average', [0, 5])
def test_the_exported_actor_is_read_from_a_checkpoint_and_from_the_best_alike(
    tmp_path: Path, average: int
):
    config = dataclasses.replace(CONFIG, average_actor=average)
    agent, facts = make_agent(config=config), make_facts(config=config)
    write_checkpoint(tmp_path, sac_arrays(agent), facts)
    write_best(tmp_path, sac_arrays(agent), facts)
    assert (tmp_path / BEST).stat().st_size < (tmp_path / CURRENT).stat().st_size
    observation = np.array([0.1, -2.0, 3.0], np.float32)
    for name in (CURRENT, BEST):
        actor, found = read_actor(tmp_path / name)
        action = actor.mean_action(torch.from_numpy(observation[None]))[0]
        np.testing.assert_array_equal(action.numpy(), agent.exploit(observation))
        assert found.counters.step == 7


def test_an_actor_that_is_missing_or_of_another_shape_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=f'^{tmp_path / BEST} is missing$'):
        read_actor(tmp_path / BEST)
    wide = SACConfig(hidden_sizes=(32, 8), batch_size=4, learning_starts=4)
    write_best(tmp_path, sac_arrays(make_agent()), make_facts(config=wide))
    with pytest.raises(UserError, match=f'^{tmp_path / BEST} is no actor of ours: .*$') as refusal:
        read_actor(tmp_path / BEST)
    assert '\n' not in str(refusal.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=f'cannot write to folder {tmp_path / "file"}'):
        write_checkpoint(tmp_path / 'file', {'a': np.zeros(3)}, make_facts())


def test_a_file_is_written_without_a_copy_in_memory(tmp_path: Path):
    arrays = {'replay': np.arange(8_000_000, dtype=np.float32), 'no numbers': np.zeros((0, 3))}
    tracemalloc.start()
    try:
        write_arrays(tmp_path / 'file', arrays, '{}')
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < arrays['replay'].nbytes / 10
    read, facts = read_arrays(tmp_path / 'file')
    assert facts == '{}'
    assert {name: array.dtype for name, array in read.items()} == {
        'replay': np.float32, 'no numbers': np.float64
    }  # fmt: skip
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
