"""Faults of the folder of a run: full, read-only, in use by another, littered by a killed one."""

import contextlib
import dataclasses
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import pytest
from gymnasium.wrappers import TransformReward
from tiny_runs import (
    FORKS,
    PENDULUM,
    SMALL,
    differences,
    hold_folder,
    leftovers,
    make_command,
    resume,
    run,
)

from sac_ros.errors import UserError
from sim_training.checkpoint import CURRENT, NEXT, PREVIOUS, read_actor
from sim_training.run_folder import held


@pytest.mark.fault('D05', 'stopped', '')
def test_a_full_disk_ends_the_run_in_one_line_and_it_goes_on_when_there_is_room(tmp_path: Path):
    run(make_command(tmp_path / 'whole'))
    folder = tmp_path / 'run'

    def less_than_a_checkpoint() -> int:
        return (folder / CURRENT).stat().st_size - 1

    full = disk_full_at(250, less_than_a_checkpoint)
    with full as env, pytest.raises(UserError) as refusal:
        run(make_command(folder, checkpoint_every=90), env)
    assert str(refusal.value) == (
        f'{PENDULUM}, step 270: cannot write {folder / NEXT}: File too large; '
        f'the checkpoint of step 180 in {folder} stays'
    )
    assert leftovers(folder) == []
    steps = [read_actor(folder / name)[1].counters.step for name in (CURRENT, PREVIOUS)]
    assert steps == [180, 90]
    assert run(resume(folder))['step'] == 300
    assert differences(tmp_path / 'whole', folder) == []


@pytest.mark.fault('D05', 'stopped', '')
def test_a_disk_too_full_for_a_row_of_the_table_ends_the_run_in_one_line(tmp_path: Path):
    with disk_full_at(400, lambda: 64) as env, pytest.raises(UserError) as refusal:
        run(make_command(tmp_path, steps=510, evaluate_every=1_000), env)
    assert str(refusal.value) == (
        f'{PENDULUM}, step 500: cannot write: File too large; '
        f'the checkpoint of step 0 in {tmp_path} stays'
    )
    assert run(resume(tmp_path))['step'] == 510


@contextlib.contextmanager
def disk_full_at(step: int, room: Callable[[], int]) -> Iterator[gymnasium.Env]:
    """Lend an env in whose n-th step no file may grow beyond `room()` bytes any more."""
    count, limits = 0, resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(reward: float) -> float:
        nonlocal count
        count += 1
        if count == step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room(), limits[1]))
        return reward

    try:
        yield TransformReward(gymnasium.make(PENDULUM), fill_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.fault('D06', 'refused', '')
@pytest.mark.parametrize('folder', ['/proc/run', '/dev/null/run'])
def test_a_place_that_cannot_be_written_is_refused_before_any_step(folder: str):
    env = TransformReward(gymnasium.make(PENDULUM), lambda _: pytest.fail('a step was taken'))
    with pytest.raises(UserError, match=rf'^cannot write to folder {folder}: '):
        run(make_command(Path(folder)), env)


@pytest.mark.fault('D08', 'refused', '')
def test_a_second_training_in_the_folder_is_refused_until_the_first_one_ends(own_run: Path):
    before = (own_run / CURRENT).read_bytes()
    is_held = FORKS.Event()
    first = FORKS.Process(target=hold_folder, args=(own_run, is_held))
    first.start()
    try:
        assert is_held.wait(60.0)
        for command in (resume(own_run, steps=400), make_command(own_run)):
            with pytest.raises(UserError) as refusal:
                run(command)
            assert str(refusal.value) == (
                f'{own_run} is in use: process {first.pid} trains there; wait for its end, or '
                'name another folder with --out'
            )
        assert (own_run / CURRENT).read_bytes() == before
    finally:
        first.kill()
        first.join()
    assert run(resume(own_run, steps=400))['step'] == 400  # the kernel has let go of it
    assert leftovers(own_run) == []


def test_two_trainings_that_begin_at_once_do_not_both_get_the_folder(tmp_path: Path):
    with held(tmp_path), pytest.raises(UserError, match='is in use'), held(tmp_path):
        pytest.fail('both have it')
    with held(tmp_path):
        assert (tmp_path / '.lock').read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_refused_leaves_no_empty_folder(tmp_path: Path):
    sac = dataclasses.replace(SMALL, prior_fraction=0.5)
    command = make_command(tmp_path / 'run', prior=tmp_path / 'no_run', sac=sac)
    with pytest.raises(UserError, match='no_run'):
        run(command)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault('D07', 'resumed', '')
def test_what_a_killed_training_left_half_written_is_swept_and_nothing_else(own_run: Path):
    ours = (
        f'.{NEXT}.k3x_9.tmp',  # of write_atomic
        f'.{PREVIOUS}.tmp',
        '.best.safetensors.abc.tmp',
        '.run.json.abc.tmp',
        '.progress.csv.abc.tmp',
        '.learning_curve.png.abc.tmp',
        NEXT,
        '.lock',
    )
    others = ('.model.onnx.abc.tmp', 'notes.tmp', 'checkpoint.safetensors.mine')
    for name in ours + others:
        (own_run / name).write_bytes(b'half of it')
    assert run(resume(own_run, steps=310))['step'] == 310
    names = {path.name for path in own_run.iterdir()}
    assert not names & set(ours)
    assert names >= set(others)


def test_a_folder_of_another_kind_is_swept_of_its_own_files(tmp_path: Path):
    for name in ('.learner.safetensors.abc.tmp', '.run.json.abc.tmp'):
        (tmp_path / name).write_bytes(b'half of it')
    with held(tmp_path, ('learner.safetensors',), 'give another folder'):
        assert not (tmp_path / '.learner.safetensors.abc.tmp').exists()
        assert (tmp_path / '.run.json.abc.tmp').exists()
        text = r'end, or give another folder$'
        with pytest.raises(UserError, match=text), held(tmp_path, (), 'give another folder'):
            pytest.fail('both have it')


def test_files_are_swept_only_by_who_holds_the_folder(tmp_path: Path):
    with held(tmp_path):
        (tmp_path / NEXT).write_bytes(b'half of it')
        with pytest.raises(UserError, match='is in use'), held(tmp_path):
            pytest.fail('both have it')
        assert (tmp_path / NEXT).exists()
