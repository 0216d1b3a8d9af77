"""Writes docs/faults.md: every class of fault, where it ends, and the test that injects it.

It is read from the markers of the tests, `@pytest.mark.fault('A01 A02', 'SAFE', 'E_OBS_...')`,
without importing any.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_classes import CLASSES, GROUPS

from sac_ros.files import write_atomic

ROOT = Path(__file__).parents[1]
TABLE = ROOT / 'docs' / 'faults.md'

INTRODUCTION = """\
# What can go wrong, and the test that makes it go wrong

Every row is a test that injects a fault and asserts where it ends: in a mode of the node (HOLD,
SAFE, FAULT, ...), in a refusal, in an exit status; and which code says so. `SAFE` and `FAULT`
publish the stop command in every period. The codes are explained in `sac_ros/fault.py`. Listed
too, and without a test, are the faults of two parts that do not exist yet: the model as C code
(group I) and recorded bags (E03, E04, E13, E14).

Written from the tests by `make faults`; a test of its own says when it is out of date.
"""


@dataclass(frozen=True)
class Injection:
    """One marker of one test."""

    ids: tuple[str, ...]
    state: str  # what the fault ends in
    code: str  # of sac_ros.fault, or the name of an exception, or nothing
    file: Path
    test: str
    source: str  # of the test without the marker, and of what it uses in its own file


def injections(folder: Path = ROOT / 'tests') -> list[Injection]:
    """Return all markers of all tests, in the order of files and lines."""
    return [found for path in sorted(folder.glob('test_*.py')) for found in _in_file(path)]


def table(found: list[Injection]) -> str:
    """Return docs/faults.md."""
    tested = {name for injection in found for name in injection.ids}
    lines = [INTRODUCTION, f'**{len(tested)} of {len(CLASSES)} classes have a test.**', '']
    for group, title in GROUPS.items():
        names = [name for name in CLASSES if name.startswith(group)]
        count = len(tested.intersection(names))
        lines += [f'## {group}. {title} ({count} of {len(names)})', '']
        if count:
            lines += ['| id | fault | ends in | code | test |', '|---|---|---|---|---|']
            lines += [row for name in names for row in _rows(name, found)]
            lines.append('')
    lines += ['## Without a test yet', '']
    lines += [f'- {name}: {title}' for name, title in CLASSES.items() if name not in tested]
    return '\n'.join(lines) + '\n'


def _rows(name: str, found: list[Injection]) -> Iterator[str]:
    """Yield a row for each test of a class; the class is named in the first one."""
    first, title = name, CLASSES[name]
    for injection in found:
        if name in injection.ids:
            code = f'`{injection.code}`' if injection.code else ''
            test = f'[{injection.test}](../tests/{injection.file.name})'
            yield f'| {first} | {title} | {injection.state} | {code} | {test} |'
            first, title = '', ''


def _in_file(path: Path) -> Iterator[Injection]:
    text = path.read_text(encoding='utf-8')
    tree = ast.parse(text, str(path))
    parts = {name: node for node in tree.body for name in _names(node)}
    for test in tree.body:
        if not isinstance(test, ast.FunctionDef):
            continue
        for marker in filter(_is_marker, test.decorator_list):
            ids, state, code = _words(marker, path)
            source = _source(test, parts, text.splitlines())
            yield Injection(tuple(ids.split()), state, code, path, test.name, source)


def _is_marker(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == 'pytest.mark.fault'


def _words(marker: ast.expr, path: Path) -> list[str]:
    assert isinstance(marker, ast.Call)
    constants = [word.value for word in marker.args if isinstance(word, ast.Constant)]
    words = [word for word in constants if isinstance(word, str)]
    if len(words) != 3 or len(marker.args) != 3 or marker.keywords:
        raise ValueError(f'{path}:{marker.lineno}: a fault is marked by (ids, state, code)')
    return words


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, 'target', None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _source(test: ast.FunctionDef, parts: dict[str, ast.stmt], lines: list[str]) -> str:
    """Return what a test says, without its markers of faults, and what it uses of its file."""
    nodes: list[ast.stmt | ast.expr] = [
        *(node for node in test.decorator_list if not _is_marker(node)),
        *test.body,
    ]
    seen = {test.name}
    for node in nodes:  # which grows meanwhile
        for name in _used(node):
            if name in parts and name not in seen:
                seen.add(name)
                nodes.append(parts[name])
    return '\n'.join('\n'.join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes)


def _used(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id


def main() -> None:
    """Write docs/faults.md anew."""
    write_atomic(TABLE, table(injections()).encode())


if __name__ == '__main__':
    main()
