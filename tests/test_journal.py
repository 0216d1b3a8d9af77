"""The journal: what was added is there again, whatever has cut or changed the file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from full_disks import full_disk

from sac_ros.errors import UserError
from sim_training.journal import Journal

OWNER = {'sac_ros.journal': 1, 'spec': 'abc'}


def row(number: int) -> np.ndarray:
    return np.array([number, 0.1 * number, np.nan])


def open_journal(path: Path) -> Journal:
    return Journal(path, OWNER)


def write(path: Path, count: int) -> None:
    journal = open_journal(path)
    for number in range(count):
        journal.add(number % 3, row(number))
    journal.close()


def stored(path: Path) -> list[int]:
    """Return the numbers of the rows that are in a journal."""
    journal = open_journal(path)
    journal.close()
    return [int(numbers[0]) for _, numbers in journal.rows()]


def test_what_was_added_is_there_again_and_it_goes_on_behind(tmp_path: Path):
    path = tmp_path / 'folder' / 'journal'
    write(path, 4)
    journal = open_journal(path)
    for number, (kind, numbers) in enumerate(journal.rows()):
        assert kind == number % 3
        np.testing.assert_array_equal(numbers, row(number))
    journal.add(7, row(4))
    journal.close()
    assert stored(path) == [0, 1, 2, 3, 4]


def test_rows_may_be_of_any_length(tmp_path: Path):
    journal = open_journal(tmp_path / 'journal')
    for size in (0, 1, 2, 50):
        journal.add(size, np.arange(size, dtype=np.float64))
    assert [(kind, len(numbers)) for kind, numbers in journal.rows()] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (50, 50),
    ]
    journal.close()


@pytest.mark.fault('E01', 'kept', '')
def test_a_cut_anywhere_loses_only_what_lies_behind_it(tmp_path: Path):
    path = tmp_path / 'journal'
    write(path, 3)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord('\n')][1:]  # of the rows
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert stored(path) == list(range(sum(end <= length for end in ends)))


def test_what_was_cut_is_written_over(tmp_path: Path):
    path = tmp_path / 'journal'
    write(path, 3)
    os.truncate(path, path.stat().st_size - 5)
    journal = open_journal(path)
    journal.add(0, row(9))
    journal.close()
    assert stored(path) == [0, 1, 9]


@pytest.mark.fault('E02', 'kept', '')
@pytest.mark.parametrize('flip', [1, 2, 64, 0x2A])  # 0x2a can make a newline, which parts a line
def test_a_row_that_the_disk_has_changed_is_passed_over(tmp_path: Path, flip: int):
    path = tmp_path / 'journal'
    write(path, 3)
    data = path.read_bytes()
    first, second = data.index(b'\n') + 1, data.index(b'\n', data.index(b'\n') + 1) + 1
    for place in range(first, second - 1):
        changed = bytearray(data)
        changed[place] ^= flip
        path.write_bytes(changed)
        journal = open_journal(path)
        rows = [(kind, numbers.tobytes()) for kind, numbers in journal.rows()]
        journal.close()
        intact = [(number, row(number).tobytes()) for number in range(3)]
        # The last characters of base64 hold bits that mean nothing.
        assert rows == intact[1:] or (rows == intact and place >= second - 4)
        assert (journal.damaged > 0) == (rows != intact)


@pytest.mark.fault('E06', 'refused', 'UserError')
def test_the_journal_of_another_contract_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / 'journal'
    write(path, 1)
    before = path.read_bytes()
    with pytest.raises(UserError, match='is no journal of this contract: it begins with'):
        Journal(path, {**OWNER, 'spec': 'other'})
    assert path.read_bytes() == before


def test_a_file_that_is_none_is_refused_with_its_first_words(tmp_path: Path):
    path = tmp_path / 'journal'
    path.write_text('step,return\n0,1\n')
    with pytest.raises(UserError, match=r"it begins with 'step,return'"):
        open_journal(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r'cannot open journal .*file/journal: File exists'):
        open_journal(tmp_path / 'file' / 'journal')


def test_a_full_disk_is_told_and_keeps_what_was_there(tmp_path: Path):
    path = tmp_path / 'journal'
    write(path, 2)
    journal = open_journal(path)
    with (
        full_disk(path.stat().st_size + 10),
        pytest.raises(UserError, match=r'cannot write .*journal: File too large'),
    ):
        journal.add(0, row(5))
    journal.close()
    assert stored(path) == [0, 1]


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_journal import open_journal, row
journal = open_journal(Path(sys.argv[1]))
for number in range(1_000_000):
    journal.add(0, row(number))
    print(number, flush=True)
"""


@pytest.mark.fault('F01', 'kept', '')
def test_a_kill_loses_one_row_at_most(tmp_path: Path):
    path = tmp_path / 'journal'
    words = [sys.executable, '-c', CHILD, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(50)]
        child.kill()
        told += child.stdout.read().split()
    last = int(told[-1])
    found = stored(path)
    assert found == list(range(len(found)))
    assert len(found) in (last + 1, last + 2)  # the last may be there and not told of yet
