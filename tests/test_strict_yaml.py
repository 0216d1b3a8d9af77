"""strict_yaml.py: YAML that could be read in two ways is not read at all."""

import math
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
    b'a: [1, 2\n': ":2:1: while parsing a flow sequence, expected ',' or ']', "
    "but got '<stream end>'",
    b'a:\n\t- 1\n': r":2:1: while scanning for the next token, found character '\t' that "
    'cannot start any token',
    b'a: 1\nb:\n': ':2:3: a value is missing; write one, or leave the key out',
    b'a: [1, ~]\n': ':1:8: a value is missing; write one, or leave the key out',
    b'a: 1\n---\nb: 2\n': ':2:1: expected a single document in the stream, '
    'but found another document',
    b'a: caf\xe9\n': ' is not UTF-8 text (byte 6)',
    'a: 1\n'.encode('utf-16'): ' is not UTF-8 text (byte 0)',
    b'a: \x00\n': ' is not YAML: unacceptable character #x0000: special characters are not '
    'allowed',
    b'a: ' + b'[' * 50_000: ' is nested too deeply',
    b''.join(b' ' * i + b'a:\n' for i in range(440)): ' is nested too deeply',
    b'#' * (MAX_BYTES + 1): ' has more than 100000 bytes; a contract has a few thousand',
}
ODD_NUMBER, TRUTH = 'a number in another notation', 'a truth value'
TAKEN_FOR = {  # what YAML 1.1 takes a word for that looks like something else
    'no': TRUTH,
    'Off': TRUTH,
    'yes': TRUTH,
    '12:30': ODD_NUMBER,
    '1:30.5': ODD_NUMBER,
    '010': ODD_NUMBER,
    '-007.5': ODD_NUMBER,
    '0x1F': ODD_NUMBER,
    '0b11': ODD_NUMBER,
    '1_000': ODD_NUMBER,
    '1_0.5': ODD_NUMBER,
    '2020-01-01': 'a date',
    '2020-13-45': 'a date',
    '<<': 'a merge of two mappings',
}


@pytest.mark.fault('C01 C02 C04 C13', 'refused', 'UserError')
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


@pytest.mark.fault('C06', 'refused', 'UserError')
@pytest.mark.parametrize('word', TAKEN_FOR)
def test_a_word_that_yaml_takes_for_something_else_is_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / 'task.yaml'
    for text, place in ((f'a: {word}\n', ':1:4'), (f'a: [1, {word}]\n', ':1:8')):
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            read_yaml(path)
        assert str(caught.value) == (
            f'{path}{place}: {word!r} would be taken for {TAKEN_FOR[word]}; '
            'write true, false or a decimal number, or put a text in quotes'
        )

    path.write_text(f'a: "{word}"\n')
    assert read_yaml(path) == {'a': word}


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('0', 0),
        ('-0', 0),
        ('+50', 50),
        ('-0.5', -0.5),
        ('1.', 1.0),
        ('.5', 0.5),
        ('1.5e-3', 0.0015),
        ('-2.0E+3', -2000.0),
        ('-.inf', -math.inf),
        ('TRUE', True),
    ],
)
def test_a_plain_number_or_truth_value_is_read_as_such(
    tmp_path: Path, text: str, value: object
) -> None:
    path = tmp_path / 'task.yaml'
    path.write_text(f'a: {text}\n')
    found = read_yaml(path)['a']
    assert (found, type(found)) == (value, type(value))


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
