"""Faults of a checkpoint: killed while it is written, a power cut, rot, a file of another kind."""

import itertools
import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny_checkpoints import make_facts, write_and_die, write_and_report, write_generation
from tiny_runs import FORKS, differences, make_command, resume, run

from sac_ros.errors import UserError
from sim_training.array_file import FACTS_KEY, read_arrays, write_arrays
from sim_training.checkpoint import (
    CURRENT,
    DAMAGED,
    NEXT,
    PREVIOUS,
    read_actor,
    read_checkpoint,
    write_checkpoint,
)
from sim_training.run_folder import held

Change = tuple[str, str, str]  # what, name, second name


@pytest.mark.fault('D02', 'resumed', '')
def test_a_kill_at_any_change_of_the_folder_leaves_the_old_or_the_new_generation(tmp_path: Path):
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        for step in (1, 2):
            write_generation(folder, step)
        child = FORKS.Process(target=write_and_die, args=(folder, number, 3))
        child.start()
        child.join()
        arrays, facts, problem = read_checkpoint(folder)
        assert problem is None
        assert set(arrays['a']) == {facts.counters.step}
        if child.exitcode == 0:
            assert facts.counters.step == 3
            break
        # The last change, after which there is nothing to be killed in, is the one that counts.
        assert (child.exitcode, facts.counters.step) == (-signal.SIGKILL, 2)
        with held(folder):
            write_generation(folder, 4)
        assert read_checkpoint(folder)[1].counters.step == 4
        assert sorted(path.name for path in folder.iterdir()) == sorted([CURRENT, PREVIOUS])
        assert load_file(folder / PREVIOUS)['a'][0] == 2
    assert number > 5


@pytest.mark.fault('D03', 'resumed', '')
def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new_generation(tmp_path: Path):
    before, report, new = _record_a_save(tmp_path / 'recorded')
    found = [_step_of(tmp_path / 'cut', f) for f in _after_a_power_cut(report, before, new)]
    assert set(found) == {2, 3}
    assert len(found) > 20


def test_no_power_cut_takes_a_generation_back_that_was_said_to_be_saved(tmp_path: Path):
    _, report, _ = _record_a_save(tmp_path / 'recorded')
    assert report[-2:] == [('os.rename', NEXT, CURRENT), ('fsync', '', '')]


def test_the_search_for_bad_power_cuts_finds_a_save_that_does_not_sync(tmp_path: Path):
    before, report, new = _record_a_save(tmp_path / 'recorded')
    careless = [change for change in report if change[0] != 'fsync' or change[1] == '']
    assert len(careless) < len(report)
    found = [_step_of(tmp_path / 'cut', f) for f in _after_a_power_cut(careless, before, new)]
    assert 1 in found  # a generation was lost


def _record_a_save(folder: Path) -> tuple[dict[str, bytes], list[Change], bytes]:
    """Return the files of generations 2 and 1, what writing generation 3 did, and generation 3."""
    for step in (1, 2):
        write_generation(folder, step)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    here, there = multiprocessing.Pipe()
    child = FORKS.Process(target=write_and_report, args=(folder, 3, there))
    child.start()
    assert here.poll(60.0)
    report = here.recv()
    child.join()
    return before, report, (folder / CURRENT).read_bytes()


def _after_a_power_cut(
    changes: list[Change], before: dict[str, bytes], new: bytes
) -> Iterator[dict[str, bytes]]:
    """Yield every folder that a power cut may leave: names and what is in the files.

    What was done to the folder since its last fsync may have come to the disk or not, each change
    for itself.  A file that was created and not synced may hold nothing, a half or all of it.
    """
    for end in range(len(changes) + 1):
        past = changes[:end]
        synced = max((i for i, c in enumerate(past) if c[:2] == ('fsync', '')), default=0)
        is_safe = any(what == 'fsync' and name != '' for what, name, _ in past)
        pending = [change for change in past[synced:] if change[0] != 'fsync']
        for chosen in itertools.product((True, False), repeat=len(pending)):
            done = past[:synced] + list(itertools.compress(pending, chosen))
            for content in (new,) if is_safe else (new, new[: len(new) // 2], b''):
                yield _replay(done, before, content)


def _replay(changes: list[Change], before: dict[str, bytes], new: bytes) -> dict[str, bytes]:
    files = dict(before)
    for what, name, other in changes:
        if what == 'create':
            files[name] = new
        elif name in files and what == 'os.link':
            files[other] = files[name]
        elif name in files and what == 'os.rename':
            files[other] = files.pop(name)
        elif what == 'os.remove':
            files.pop(name, None)
    return files


def _step_of(folder: Path, files: dict[str, bytes]) -> int:
    """Return the step of the checkpoint that is read from these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    arrays, facts, _ = read_checkpoint(folder)
    assert set(arrays['a']) == {facts.counters.step}
    return facts.counters.step


@pytest.mark.fault('D09', 'resumed', '')
@pytest.mark.parametrize('change', ['weight', 'name', 'missing', 'more', 'type', 'shape', 'fact'])
def test_what_is_not_what_was_written_is_named(tmp_path: Path, change: str):
    for step in (1, 2):
        write_checkpoint(
            tmp_path, {'a': np.zeros(4, np.float32), 'b': np.ones(2)}, make_facts(step)
        )
    with safe_open(tmp_path / CURRENT, framework='numpy') as file:
        metadata = file.metadata()
    arrays = load_file(tmp_path / CURRENT)
    changes: dict[str, Callable[[], object]] = {
        'weight': lambda: arrays['a'].__setitem__(2, 1e-45),  # one bit of a float32
        'name': lambda: arrays.update(c=arrays.pop('a')),
        'missing': lambda: arrays.pop('a'),
        'more': lambda: arrays.update(c=np.zeros(1)),
        'type': lambda: arrays.update(a=arrays['a'].view(np.int32)),
        'shape': lambda: arrays.update(a=arrays['a'].reshape(2, 2)),
        'fact': lambda: metadata.update(
            {FACTS_KEY: metadata[FACTS_KEY].replace('"step":2', '"step":3')}
        ),
    }
    changes[change]()
    save_file(arrays, tmp_path / CURRENT, metadata)
    _, facts, problem = read_checkpoint(tmp_path)
    assert facts.counters.step == 1
    changed = {'fact': FACTS_KEY, 'more': 'c'}.get(change, 'a')
    assert problem == (
        f"{tmp_path / CURRENT} is damaged: '{changed}' is not what was written (sha256); "
        f'going on from {PREVIOUS}'
    )


@pytest.mark.fault('D09', 'resumed', '')
def test_no_flipped_bit_is_taken_for_what_was_written(tmp_path: Path):
    arrays = {'a': np.arange(40.0), 'b': np.ones(3, np.float32)}
    for step in (1, 2):
        write_checkpoint(tmp_path, arrays, make_facts(step))
    good = (tmp_path / CURRENT).read_bytes()
    generator = np.random.default_rng(0)
    fallen_back = 0
    for position in generator.integers(0, 8 * len(good), 300):
        data = bytearray(good)
        data[position // 8] ^= 1 << (position % 8)
        (tmp_path / CURRENT).write_bytes(data)
        found, facts, problem = read_checkpoint(tmp_path)
        if problem is None:  # the bit was in the padding of the header
            assert facts == make_facts(2)
        else:
            fallen_back += 1
            assert facts == make_facts(1)
            assert problem.startswith(str(tmp_path / CURRENT))
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].tobytes() == array.tobytes()
    assert fallen_back > 290


@pytest.mark.fault('D09', 'resumed', '')
def test_a_run_with_a_rotten_checkpoint_goes_on_from_the_one_before_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run(make_command(tmp_path / 'whole'))
    folder = tmp_path / 'run'
    run(make_command(folder, steps=250, checkpoint_every=90))
    data = bytearray((folder / CURRENT).read_bytes())
    data[-3] ^= 0x10
    (folder / CURRENT).write_bytes(data)
    assert run(resume(folder, steps=300))['step'] == 300
    errors = capsys.readouterr().err
    assert f'{folder / CURRENT} is damaged: ' in errors
    assert (
        f' is not what was written (sha256); going on from {PREVIOUS}; what was there is kept as '
        f'{DAMAGED}\n'
    ) in errors
    assert (folder / DAMAGED).read_bytes() == data
    assert differences(tmp_path / 'whole', folder) == []
    for name in (CURRENT, PREVIOUS):
        read_actor(folder / name)  # the rotten file has not become the previous generation


@pytest.mark.parametrize('why', ['unreadable', 'newer'])
def test_a_newest_generation_that_may_be_whole_is_never_given_up(own_run: Path, why: str):
    if why == 'unreadable':  # as on a disk or a network that comes back
        (own_run / CURRENT).rename(own_run / 'elsewhere')
        (own_run / CURRENT).symlink_to('/proc/self/mem')
        text = 'cannot be read: No such device'
    else:
        arrays, facts = read_arrays(own_run / CURRENT)
        write_arrays(own_run / CURRENT, arrays, facts.replace('"schema":5', '"schema":6'))
        text = 'sac_ros.checkpoint is not understood: schema: Input should be 5'
    files = {path.name: path.lstat().st_ino for path in own_run.iterdir()}
    with pytest.raises(UserError) as refusal:
        run(resume(own_run, steps=400))
    assert text in str(refusal.value)
    assert str(own_run / CURRENT) in str(refusal.value)
    assert '\n' not in str(refusal.value)
    assert {path.name: path.lstat().st_ino for path in own_run.iterdir()} == files


@pytest.mark.fault('E05', 'refused', 'UserError')
def test_a_pickle_in_the_place_of_a_checkpoint_is_refused_and_not_run(
    own_run: Path, tmp_path: Path
):
    (own_run / PREVIOUS).unlink()
    trap = tmp_path / 'it was run'
    for data in (
        f'cos\nmkdir\n(V{trap}\ntR.'.encode(),  # what unpickling would do: os.mkdir(trap)
        b'\x80\x04\x95' + f'cos\nmkdir\n(V{trap}\ntR.'.encode(),
        b'PK\x03\x04' + b'\x00' * 100,  # a zip, as torch.save writes it
    ):
        (own_run / CURRENT).write_bytes(data)
        with pytest.raises(UserError, match=f'^{own_run / CURRENT} is cut or damaged: '):
            run(resume(own_run, steps=400))
        with pytest.raises(UserError, match=f'^{own_run / CURRENT} is cut or damaged: '):
            read_actor(own_run / CURRENT)
    assert not trap.exists()
