"""files.py: a file is written whole or not at all, whatever happens meanwhile."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from full_disks import full_disk

from sac_ros.errors import UserError
from sac_ros.files import check_writable, expand_home, write_atomic

ROOT = Path(__file__).parents[1]

WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from sac_ros.files import write_atomic
for i in itertools.count(1):
    write_atomic(Path(sys.argv[1]), bytes([i % 256]) * 300_000)
"""


def test_a_home_folder_is_found_and_one_of_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('HOME', '/home/somebody')
    assert expand_home('~/models/arm.onnx') == Path('/home/somebody/models/arm.onnx')
    assert expand_home('models/~arm.onnx') == Path('models/~arm.onnx')
    for text in ('~nobody-of-this-name/arm.onnx', '~\0/arm.onnx', '~\ud800/arm.onnx'):
        with pytest.raises(UserError) as error:
            expand_home(text)
        assert str(error.value) == f'{text!r}: nobody knows the home folder of its ~'


@pytest.mark.parametrize('data', [b'', b'\x00\xff\r\n', b'model' * 100_000])
def test_what_was_written_is_read_back(tmp_path: Path, data: bytes) -> None:
    write_atomic(tmp_path / 'model.onnx', data)

    assert (tmp_path / 'model.onnx').read_bytes() == data
    assert os.listdir(tmp_path) == ['model.onnx']


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / 'model.onnx').write_bytes(b'an older and longer model')

    write_atomic(tmp_path / 'model.onnx', b'new')

    assert (tmp_path / 'model.onnx').read_bytes() == b'new'


def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    write_atomic(tmp_path / 'runs' / 'today' / 'model.onnx', b'new')

    assert (tmp_path / 'runs' / 'today' / 'model.onnx').read_bytes() == b'new'


@pytest.mark.parametrize(('mask', 'mode'), [(0o022, 0o644), (0o077, 0o600)])
def test_the_file_may_be_read_by_whom_the_umask_allows(
    tmp_path: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / 'model.onnx', b'new')
        assert os.umask(mask) == mask  # and the mask is as it was
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / 'model.onnx').stat().st_mode) == mode


def test_a_reader_that_has_the_old_file_open_goes_on_reading_the_old_one(tmp_path: Path) -> None:
    write_atomic(tmp_path / 'model.onnx', b'old')
    with open(tmp_path / 'model.onnx', 'rb') as reader:
        write_atomic(tmp_path / 'model.onnx', b'new')

        assert reader.read() == b'old'


@pytest.mark.fault('D02 D16', 'kept', '')
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    write_atomic(path, b'\x00' * 300_000)
    seen = set()
    for attempt in range(6):
        child = subprocess.Popen([sys.executable, '-c', WRITE_FOR_EVER, str(path)], cwd=ROOT)
        changed = path.stat().st_mtime_ns
        while path.stat().st_mtime_ns == changed:  # until it writes
            assert child.poll() is None
            time.sleep(0.001)
        time.sleep(0.0007 * attempt)  # at another place of its loop each time
        child.send_signal(signal.SIGKILL)
        child.wait()

        data = path.read_bytes()
        assert len(data) == 300_000
        assert len(set(data)) == 1
        seen.add(data[0])
    assert seen != {0}


@pytest.mark.fault('D05', 'kept', 'UserError')
def test_a_full_disk_leaves_the_old_file_and_says_so_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    write_atomic(path, b'old')
    with full_disk(1000), pytest.raises(UserError) as caught:
        write_atomic(path, b'new' * 10_000)

    assert str(caught.value) == f'cannot write {path}: File too large'
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['model.onnx']


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').write_bytes(b'')

    for check in (check_writable, lambda path: write_atomic(path, b'new')):
        with pytest.raises(UserError, match=r'^cannot write to folder .*/file/runs: Not a direc'):
            check(tmp_path / 'file' / 'runs' / 'model.onnx')


@pytest.mark.fault('D06 H04', 'refused', 'UserError')
@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(UserError, match=r'^cannot write to folder .*: Permission denied$'):
        check_writable(tmp_path / 'model.onnx')


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / 'model.onnx').mkdir()

    for check in (check_writable, lambda path: write_atomic(path, b'new')):
        with pytest.raises(UserError) as caught:
            check(tmp_path / 'model.onnx')
        assert str(caught.value) == (
            f'cannot write {tmp_path}/model.onnx: it is a folder, a file is needed'
        )
    assert os.listdir(tmp_path) == ['model.onnx']


def test_a_name_that_is_too_long_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for check in (check_writable, lambda path: write_atomic(path, b'new')):
        with pytest.raises(UserError, match=r'^cannot write .*/mmm+: File name too long$'):
            check(tmp_path / ('m' * 300))
    assert os.listdir(tmp_path) == []


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    write_atomic(tmp_path / ('m' * 255), b'new')

    assert (tmp_path / ('m' * 255)).read_bytes() == b'new'


def test_checking_a_place_leaves_no_file_behind_and_an_old_one_alone(tmp_path: Path) -> None:
    (tmp_path / 'model.onnx').write_bytes(b'old')

    check_writable(tmp_path / 'model.onnx')
    check_writable(tmp_path / 'other.onnx')

    assert os.listdir(tmp_path) == ['model.onnx']
    assert (tmp_path / 'model.onnx').read_bytes() == b'old'
