"""Models that have failed are remembered over restarts; only an acceptance crosses one out."""

from pathlib import Path

import pytest

from sac_ros.condemned import FILE, REMEMBERED, Condemned
from sac_ros.errors import UserError

A, B = 'a' * 64, 'b' * 64


@pytest.mark.fault('F14', 'refused', '')
def test_what_has_failed_is_known_after_a_restart(tmp_path: Path):
    condemned = Condemned(tmp_path / 'learning')
    assert A not in condemned
    condemned.add(A)
    condemned.add(B)
    condemned.remove(A)
    again = Condemned(tmp_path / 'learning')
    assert (A in again, B in again, again.problem) == (False, True, '')


def test_without_a_folder_it_is_known_until_the_end():
    condemned = Condemned(None)
    condemned.add(A)
    assert A in condemned
    assert A not in Condemned(None)


def test_the_newest_thousand_are_remembered(tmp_path: Path):
    names = [f'{number:064x}' for number in range(REMEMBERED + 1)]
    (tmp_path / FILE).write_text(str(names[:REMEMBERED]).replace("'", '"'))
    condemned = Condemned(tmp_path)
    condemned.add(names[-1])
    again = Condemned(tmp_path)
    assert [name in again for name in (names[0], names[1], names[-1])] == [False, True, True]


@pytest.mark.fault('F08', 'ACTIVE', '')
@pytest.mark.parametrize('content', ['[', '["x"]', '{}', ''])
def test_a_damaged_file_is_told_and_the_next_failure_replaces_it(tmp_path: Path, content: str):
    (tmp_path / FILE).write_text(content)
    condemned = Condemned(tmp_path)
    assert condemned.problem == (
        f'{tmp_path / FILE} cannot be read (it is damaged): what failed before may be tried'
    )
    condemned.add(A)
    assert A in Condemned(tmp_path)


@pytest.mark.fault('F08', 'ACTIVE', '')
def test_what_cannot_be_written_holds_until_the_end(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    condemned = Condemned(tmp_path / 'file')
    with pytest.raises(UserError, match='cannot write'):
        condemned.add(A)
    assert A in condemned
