"""episode_return.py: what a learner tells of an episode, and what is no return."""

import json

import pytest

from sac_ros.episode_return import read_episode_return
from sac_ros.errors import UserError


def test_a_return_is_read():
    read = read_episode_return('{"model": 3, "return": -1.5, "length": 250}')
    assert (read.model, read.value, read.length) == (3, -1.5, 250)
    assert read_episode_return('{"model": 0, "return": 2, "length": 1}').value == 2.0


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        ('', 'episode_return: found .*; invalid JSON'),
        ('[' * 999, 'episode_return: .*'),
        ('{}', r'episode_return: model: is missing \(and 2 more\)'),
        ('[1, 2.0, 3]', 'episode_return: found .*'),
        (json.dumps({'model': 1.5, 'return': 2.0, 'length': 3}), 'model: found 1.5; .*integer'),
        (json.dumps({'model': True, 'return': 2.0, 'length': 3}), 'model: found True; .*integer'),
        (json.dumps({'model': -1, 'return': 2.0, 'length': 3}), 'model: found -1; .*'),
        ('{"model": 1, "return": NaN, "length": 3}', 'return: found nan; .*'),
        ('{"model": 1, "return": Infinity, "length": 3}', 'return: found inf; .*'),
        ('{"model": 1, "return": 1e400, "length": 3}', 'return: found inf; .*'),
        ('{"model": 1, "return": 1e13, "length": 3}', 'return: found 1e?.*; .*'),
        (json.dumps({'model': 1, 'return': '2', 'length': 3}), "return: found '2'; .*number"),
        (json.dumps({'model': 1, 'return': True, 'length': 3}), 'return: found True; .*number'),
        (json.dumps({'model': 1, 'return': 2.0, 'length': 0}), 'length: found 0; .*'),
        (json.dumps({'model': 1, 'return': 2.0, 'length': 3, 'x': 4}), 'x: found 4; extra .*'),
        ('\x1b[31m', 'episode_return: found .*'),
        (' ' * 1001, 'has 1001 characters; at most 1000 are allowed'),
    ],
)
def test_what_is_no_return_is_refused_in_one_line(text: str, error: str):
    with pytest.raises(UserError, match=error) as caught:
        read_episode_return(text)
    assert '\n' not in str(caught.value)
    assert '\x1b' not in str(caught.value)
