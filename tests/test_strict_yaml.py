"""strict_yaml.py: YAML that could be read in two ways is not read at all."""

from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sac_ros.strict_yaml import MAX_BYTES, read_yaml

REFUSED = {  # what is in the file -> what follows its path in the error
    b'': ' holds nothing; a mapping of keys to values is needed',
    b'# only a comment\n': ' holds nothing; a mapping of keys to values is needed',
    b'- 1\n- 2\n': ' holds list; a mapping of keys to values is needed',
    b'reach\n': ' holds str; a mapping of keys to values is needed',
    b'a: 1\nb: 2\na: 3\n': ":3:1: the key 'a' is written twice",
    b'a: {x: 1, x: 2}\n': ":1:11: the key 'x' is written twice",
    b'a: 1\n"a": 2\n': ":2:1: the key 'a' is written twice",
    b'"a\\nb": 1\n"a\\nb": 2\n': r":2:1: the key 'a\nb' is written twice",
    b'a: &one 1\nb: *one\n': ':2:4: aliases (*name) are not allowed',
    b'a: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]\n': ':2:8: aliases (*name) are not allowed',
    b'a: !!python/object/apply:os.getcwd []\n': ':1:4: tags (!name) are not allowed',
    b'a: !!python/name:os.system\n': ':1:4: tags (!name) are not allowed',
    b'a: !mine 5\n': ':1:4: tags (!name) are not allowed',
    b'a: !!str 5\n': ':1:4: tags (!name) are not allowed',
    b'? [1]\n: 2\n': ':1:3: a list or mapping cannot be a key',
    b'? {b: 1}\n: 2\n': ':1:3: a list or mapping cannot be a key',
    b'a: 2020-13-45\n': ':1:4: month must be in 1..12',
    b'a: [1, 2\n': ":2:1: while parsing a flow sequence, expected ',' or ']', "
    "but got '<stream end>'",
    b'a:\n\t- 1\n': r":2:1: while scanning for the next token, found character '\t' that "
    'cannot start any token',
    b'a: 1\n---\nb: 2\n': ':2:1: expected a single document in the stream, '
    'but found another document',
    b'a: caf\xe9\n': ' is not UTF-8 text (byte 6)',
    'a: 1\n'.encode('utf-16'): ' is not UTF-8 text (byte 0)',
    b'a: \x00\n': ' is not YAML: unacceptable character #x0000: special characters are not '
    'allowed',
    b'a: ' + b'[' * 50_000: ' is nested too deeply',
    b''.join(b' ' * i + b'a:\n' for i in range(1_000)): ' is nested too deeply',
    b'#' * (MAX_BYTES + 1): ' has more than 1000000 bytes; a contract has a few thousand',
}


@pytest.mark.parametrize('data', REFUSED, ids=lambda data: repr(data[:25]))
def test_doubtful_yaml_is_refused_with_its_place_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'task.yaml'
    path.write_bytes(data)

    with pytest.raises(UserError) as caught:
        read_yaml(path)

    assert str(caught.value) == f'{path}{REFUSED[data]}'
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('data', [b'a: ' + b'9' * 5_000, b'a: "\\UFFFFFFFF"\n'])
def test_numbers_and_characters_beyond_all_bounds_are_refused_in_one_line(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / 'task.yaml'
    path.write_bytes(data)

    with pytest.raises(UserError, match=rf'^{path}\S* .*$'):
        read_yaml(path)


def test_plain_yaml_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / 'task.yaml'
    path.write_text('schema: 1\nrate: 0.1\nends: .inf\nname: läuft\nlist: [a, {b: true}]\n')

    assert read_yaml(path) == {
        'schema': 1,
        'rate': 0.1,
        'ends': float('inf'),
        'name': 'läuft',
        'list': ['a', {'b': True}],
    }


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / 'task.yaml'
    path.write_bytes(b'\xef\xbb\xbfschema: 1\r\nname: reach\r\n')

    assert read_yaml(path) == {'schema': 1, 'name': 'reach'}


def test_a_number_with_an_exponent_but_no_point_stays_text_and_is_not_guessed(
    tmp_path: Path,
) -> None:
    path = tmp_path / 'task.yaml'
    path.write_text('rate: 1e3\n')

    assert read_yaml(path) == {'rate': '1e3'}


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / 'none.yaml')
    assert str(caught.value) == f'cannot read {tmp_path}/none.yaml: No such file or directory'

    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path)
    assert str(caught.value) == f'cannot read {tmp_path}: Is a directory'
