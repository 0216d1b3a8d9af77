"""tasks/task.schema.json: what an editor completes and marks is what the contract is."""

import json
import re
from pathlib import Path

import pytest
import yaml
from builders import spec_content

from sac_ros.spec import json_schema, load_spec
from sac_ros.terms import TERMS

TASKS = Path(__file__).parents[1] / 'sim_training' / 'tasks'


def test_the_schema_for_editors_is_up_to_date() -> None:
    assert (TASKS / 'task.schema.json').read_text() == json_schema(), (
        'write it again: python -c "from sac_ros.spec import json_schema; '
        "print(json_schema(), end='')\" > sim_training/tasks/task.schema.json"
    )


@pytest.mark.parametrize('path', sorted(TASKS.glob('*.yaml')), ids=lambda path: path.stem)
def test_the_contracts_that_ship_are_read_and_fit_the_schema(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    assert path.read_text().startswith('# yaml-language-server: $schema=task.schema.json\n')

    schema = json.loads(json_schema())
    assert _misfits(yaml.safe_load(path.read_text()), schema, schema) == []


def test_an_editor_can_complete_the_names_of_the_terms_and_explain_the_keys() -> None:
    parts = json.loads(json_schema())['$defs']

    assert parts['ObservationTerm']['properties']['term']['enum'] == list(TERMS)
    assert parts['ActionSpec']['properties']['stop']['description'] == (
        'What makes the robot stand still.'
    )


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        (('loewr',), 1),
        (('action', 'loewr'), 1),
        (('action', 'lower'), '1e3'),
        (('action', 'interface'), 'speed'),
        (('schema',), 2),
        (('joints',), 'shoulder'),
        (('observation', 0, 'term'), 'joint_pos'),
        (('topics', 'goal', 'name'), '/goal'),
        (('topics', 'goal'), {}),
    ],
)
def test_an_editor_with_the_schema_marks_what_the_contract_would_refuse(
    path: tuple[str | int, ...], value: object
) -> None:
    content = spec_content()
    schema = json.loads(json_schema())
    assert _misfits(content, schema, schema) == []

    part: object = content
    for key in path[:-1]:
        part = part[key]  # type: ignore[index]
    part[path[-1]] = value  # type: ignore[index]
    assert _misfits(content, schema, schema) != []


def _misfits(value: object, schema: dict, root: dict) -> list[str]:
    """Return where `value` breaks a JSON schema: the part of the standard that ours uses."""
    if '$ref' in schema:
        return _misfits(value, root['$defs'][schema['$ref'].removeprefix('#/$defs/')], root)
    if 'anyOf' in schema:
        tried = [_misfits(value, option, root) for option in schema['anyOf']]
        return min(tried, key=len)
    python_types = {
        'object': dict,
        'array': list,
        'string': str,
        'number': int | float,
        'integer': int,
        'null': type(None),
    }
    kind = schema['type']
    if not isinstance(value, python_types[kind]) or isinstance(value, bool):
        return [f'{value!r} is no {kind}']
    if value not in schema.get('enum', [value]) or value != schema.get('const', value):
        return [f'{value!r} is not allowed']
    if isinstance(value, str):
        return [] if re.search(schema.get('pattern', ''), value) else [f'{value!r} looks wrong']
    if isinstance(value, list):
        return [misfit for part in value for misfit in _misfits(part, schema['items'], root)]
    if not isinstance(value, dict):
        return []
    known, others = schema.get('properties', {}), schema.get('additionalProperties', True)
    found = [f'{key} is missing' for key in schema.get('required', []) if key not in value]
    for key, part in value.items():
        if key in known:
            found += _misfits(part, known[key], root)
        elif isinstance(others, dict):
            found += _misfits(part, others, root)
        elif not others:
            found.append(f'{key} is unknown')
    return found
