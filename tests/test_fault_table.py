"""docs/faults.md is what the markers say, and the markers say what the tests do."""

import ast
import builtins
import re
from pathlib import Path

import pytest
from fault_classes import CLASSES, GROUPS
from fault_table import ROOT, TABLE, Injection, injections, table

from sac_ros.fault import CODES

STATES = {'UNCONFIGURED', 'INACTIVE', 'ACTIVE', 'HOLD', 'SAFE', 'FAULT', 'FINALIZED'}
SMALLEST_COUNT = 120  # classes with a test


@pytest.fixture(scope='module')
def found() -> list[Injection]:
    return injections()


def test_the_list_has_154_classes_in_nine_groups():
    sizes = {group: sum(name.startswith(group) for name in CLASSES) for group in GROUPS}
    assert [*sizes.values()] == [28, 22, 18, 16, 14, 14, 20, 12, 10]
    assert sum(sizes.values()) == len(CLASSES) == 154
    for group, size in sizes.items():
        assert [name for name in CLASSES if name.startswith(group)] == [
            f'{group}{number:02d}' for number in range(1, size + 1)
        ]


def test_the_table_in_the_docs_is_up_to_date(found: list[Injection]):
    assert TABLE.read_text(encoding='utf-8') == table(found), 'type: make faults'


def test_most_classes_have_a_test(found: list[Injection]):
    assert len({name for injection in found for name in injection.ids}) >= SMALLEST_COUNT


def test_every_marker_names_known_classes_a_state_and_a_code(found: list[Injection]):
    errors = _errors()
    for injection in found:
        where = f'{injection.file.name}::{injection.test}'
        assert injection.test.startswith('test_'), where
        assert injection.ids, where
        assert set(injection.ids) <= set(CLASSES), where
        # A mode of the node is written as it is published; any other word begins small.
        assert set(re.findall(r'\b[A-Z]\w*', injection.state)) <= STATES, where
        assert injection.state, where
        assert injection.code in ('', *CODES, *errors), where


def test_a_test_that_is_marked_with_a_code_really_names_it(found: list[Injection]):
    silent = [
        f'{injection.file.name}::{injection.test} ({injection.code})'
        for injection in found
        if injection.code[:2] in ('E_', 'W_') and injection.code not in injection.source
    ]
    assert silent == []


def test_the_table_names_what_is_tested_and_what_is_not(tmp_path: Path):
    (tmp_path / 'test_robot.py').write_text(
        'import pytest\n'
        "CODE = 'E_OBS_STALE'\n"
        'def check(code): assert code == CODE\n'
        "@pytest.mark.fault('A11 A12', 'SAFE', 'E_OBS_STALE')\n"
        "@pytest.mark.fault('G06', 'HOLD', 'E_OBS_NONFINITE')\n"
        'def test_it_stops(): check(step())\n'
    )
    both = injections(tmp_path)
    assert [(i.ids, i.state, i.code, i.test) for i in both] == [
        (('A11', 'A12'), 'SAFE', 'E_OBS_STALE', 'test_it_stops'),
        (('G06',), 'HOLD', 'E_OBS_NONFINITE', 'test_it_stops'),
    ]
    assert 'E_OBS_STALE' in both[0].source  # by way of check and CODE
    assert 'E_OBS_NONFINITE' not in both[1].source  # a marker does not prove itself
    text = table(both)
    assert '**3 of 154 classes have a test.**' in text
    assert (
        '| A12 | one of several topics stops | SAFE | `E_OBS_STALE` | '
        '[test_it_stops](../tests/test_robot.py) |\n'
    ) in text
    assert '- A13: a topic is slower than the control rate\n' in text
    assert '- A12' not in text


@pytest.mark.parametrize('marker', ["'A01'", "'A01', 'SAFE'", "'A01', STATE, ''", "ids='A01'"])
def test_a_marker_that_is_not_whole_is_refused_with_its_place(tmp_path: Path, marker: str):
    path = tmp_path / 'test_robot.py'
    path.write_text(f'import pytest\n@pytest.mark.fault({marker})\ndef test_it(): pass\n')
    text = rf'^{path}:2: a fault is marked by \(ids, state, code\)$'
    with pytest.raises(ValueError, match=text):
        injections(tmp_path)


def _errors() -> set[str]:
    """Return the names of Python's errors and of ours."""
    ours = {
        node.name
        for folder in ('sac_ros', 'sim_training')
        for path in (ROOT / folder).rglob('*.py')
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.ClassDef) and node.name.endswith('Error')
    }
    return ours | {name for name in vars(builtins) if name.endswith('Error')}
