"""model_file.py: what is at a path is read once, never waited for, and known by its sha256."""

import hashlib
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from sac_ros.model_error import ModelError
from sac_ros.model_file import MAX_BYTES, model_path, read_model

DATA = bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / 'model.onnx').write_bytes(DATA)
    return tmp_path / 'model.onnx'


def test_a_file_is_read_as_it_is(model: Path) -> None:
    assert read_model(model) == DATA


def test_a_link_to_a_file_is_followed_for_colcon_makes_them(model: Path) -> None:
    link = model.with_name('link.onnx')
    link.symlink_to(model)

    assert read_model(link) == DATA


def _folder(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name('gone'))


def _circle(path: Path) -> None:
    path.symlink_to(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _to(target: str):
    return lambda path: path.symlink_to(target)


@pytest.mark.fault('B01', 'refused', 'E_MODEL_PATH')
def test_a_home_folder_that_nobody_has_is_a_refusal_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('HOME', '/home/somebody')
    assert model_path('~/arm.onnx') == Path('/home/somebody/arm.onnx')
    with pytest.raises(ModelError) as error:
        model_path('~nobody-of-this-name/arm.onnx')
    assert error.value.code == 'E_MODEL_PATH'
    assert str(error.value) == (
        "model '~nobody-of-this-name/arm.onnx': nobody knows the home folder of its ~"
    )


NEEDED = 'a model file (.onnx) is needed'


@pytest.mark.parametrize(
    ('make', 'error'),
    [
        (lambda path: None, f'model {{path}}: nothing found; {NEEDED}'),
        (_dangling, f'model {{path}}: nothing found; {NEEDED}'),
        (_folder, f'model {{path}}: a folder found; {NEEDED}'),
        (os.mkfifo, f'model {{path}}: a named pipe found; {NEEDED}'),
        (_to('/dev/zero'), f'model {{path}}: a device found; {NEEDED}'),
        (_to('/dev/null/x'), 'cannot read model {path}: Not a directory'),
        (_circle, 'cannot read model {path}: Too many levels of symbolic links'),
        (_socket, 'cannot read model {path}: No such device or address'),
    ],
    ids=['none', 'dangling', 'folder', 'pipe', 'device', 'below a file', 'circle', 'socket'],
)
@pytest.mark.fault('B01', 'refused', 'E_MODEL_PATH')
def test_what_is_no_file_is_named_and_never_waited_for(make, error: str, tmp_path: Path) -> None:
    path = tmp_path / 'x'
    make(path)

    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert caught.value.code == 'E_MODEL_PATH'
    assert str(caught.value) == error.format(path=path)


@pytest.mark.parametrize(
    ('name', 'error'),
    [
        ('m' * 300, f'cannot read model {"m" * 300}: File name too long'),
        ('a\0b', r'cannot read model a\x00b: embedded null byte'),
        ('line\nbreak', rf'model line\nbreak: nothing found; {NEEDED}'),
        ('', f'model .: a folder found; {NEEDED}'),
    ],
    ids=['long', 'NUL', 'two lines', 'empty'],
)
@pytest.mark.fault('B01', 'refused', 'E_MODEL_PATH')
def test_a_path_that_no_model_has_is_shown_in_one_line(name: str, error: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(Path(name))
    assert caught.value.code == 'E_MODEL_PATH'
    assert str(caught.value) == error


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
@pytest.mark.fault('B01', 'refused', 'E_MODEL_PATH')
def test_a_file_that_may_not_be_read_is_named(model: Path) -> None:
    model.chmod(0)

    with pytest.raises(ModelError) as caught:
        read_model(model)
    assert caught.value.code == 'E_MODEL_PATH'
    assert str(caught.value) == f'cannot read model {model}: Permission denied'


@pytest.mark.fault('B04', 'refused', 'E_MODEL_PATH')
def test_a_file_that_is_too_large_is_not_read(model: Path) -> None:
    os.truncate(model, 2**40)  # a terabyte of nothing, on a disk that has it not

    with pytest.raises(ModelError) as caught:
        read_model(model)
    assert caught.value.code == 'E_MODEL_PATH'
    assert str(caught.value) == (
        f'model {model} has 1099511627776 bytes; at most 16777216 are allowed'
    )


def test_a_file_of_the_largest_size_is_read(model: Path) -> None:
    os.truncate(model, MAX_BYTES)
    assert len(read_model(model)) == MAX_BYTES

    os.truncate(model, MAX_BYTES + 1)
    with pytest.raises(ModelError, match='has 16777217 bytes'):
        read_model(model)


@pytest.mark.fault('B04', 'refused', 'E_MODEL_PATH')
def test_a_file_that_says_it_is_empty_and_never_ends_is_cut_off() -> None:
    endless = Path('/proc/self/pagemap')  # a regular file of 0 bytes, with terabytes to read
    if not os.access(endless, os.R_OK):
        pytest.skip('needs /proc/self/pagemap')

    with pytest.raises(ModelError) as caught:
        read_model(endless)
    assert caught.value.code == 'E_MODEL_PATH'
    assert str(caught.value).endswith('has 16777217 bytes; at most 16777216 are allowed')


def test_the_file_whose_sha256_is_expected_is_read(model: Path) -> None:
    assert read_model(model, SHA256) == DATA
    assert read_model(model, SHA256.upper()) == DATA


@pytest.mark.fault('B19', 'refused', 'E_MODEL_UNTRUSTED')
def test_another_file_than_the_expected_one_is_refused(model: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(model, '0' * 64)
    assert caught.value.code == 'E_MODEL_UNTRUSTED'
    assert str(caught.value) == (
        f'model {model} has sha256 {SHA256[:12]}...; 000000000000... is expected'
    )


@pytest.mark.parametrize('expected', ['x', SHA256[:-1], SHA256 + '0', SHA256 + '\n', ' ' * 64])
@pytest.mark.fault('B19', 'refused', 'E_MODEL_UNTRUSTED')
def test_a_sha256_that_is_none_lets_no_file_pass(expected: str, model: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(model, expected)
    assert caught.value.code == 'E_MODEL_UNTRUSTED'
    assert str(caught.value).endswith('; 64 hexadecimal digits are needed')


@pytest.mark.parametrize('bits', range(1, 65))
@pytest.mark.fault('B03', 'refused', 'E_MODEL_UNTRUSTED')
def test_flipped_bits_are_another_sha256(bits: int, model: Path) -> None:
    damaged = bytearray(DATA)
    for bit in np.random.default_rng(bits).choice(len(DATA) * 8, bits, replace=False):
        damaged[bit // 8] ^= 1 << (bit % 8)
    model.write_bytes(damaged)

    with pytest.raises(ModelError) as caught:
        read_model(model, SHA256)
    assert caught.value.code == 'E_MODEL_UNTRUSTED'
