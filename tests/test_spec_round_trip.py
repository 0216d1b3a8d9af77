"""spec.py: a contract survives JSON and YAML exactly, and equal contracts are equal text."""

import json
import math
import re

import numpy as np
import pytest
import yaml
from builders import make_spec, slowest_rate, spec_content
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_ros.spec import SpecError, load_spec, spec_from_dict, spec_from_json
from sac_ros.spec_rules import FRAMED_TYPES, SOURCE_TYPES
from sac_ros.state import SOURCES
from sac_ros.terms import TERMS


def test_json_keeps_every_float_and_infinity_exactly() -> None:
    spec = make_spec(
        lower=[-0.1, -1 / 3], upper=[0.1, 1e-300], max_rate=[math.inf, 0.30000000000000004]
    )

    again = spec_from_json(spec.to_json(), 'model')

    assert again == spec
    assert again.action.lower == (-0.1, -1 / 3)
    assert again.action.upper == (0.1, 1e-300)
    assert again.action.max_rate == (math.inf, 0.30000000000000004)
    assert again.topics['goal'].timeout == math.inf


def test_json_of_a_contract_is_json_that_any_reader_takes() -> None:
    text = make_spec(max_rate=math.inf).to_json()

    json.loads(text, parse_constant=pytest.fail)  # neither NaN nor Infinity, which JSON has not


def test_the_order_of_keys_changes_neither_the_contract_nor_its_json() -> None:
    content = spec_content()
    other = {key: content[key] for key in reversed(content)}
    topics = content['topics']
    assert isinstance(topics, dict)
    other['topics'] = {key: topics[key] for key in reversed(topics)}

    assert spec_from_dict(other) == spec_from_dict(content)
    assert spec_from_dict(other).to_json() == spec_from_dict(content).to_json()


@pytest.mark.parametrize(
    'changed',
    [
        {'name': 'other'},
        {'control_rate': 49.0},
        {'joints': ['elbow', 'shoulder']},
        {'upper': math.nextafter(1.0, 2.0)},
        {'max_rate': math.inf},
        {'stop': [0.0, 0.0]},
        {'limits': {}},
    ],
)
def test_contracts_that_differ_in_anything_are_not_equal(changed: dict[str, object]) -> None:
    assert make_spec(**changed) != make_spec()
    assert make_spec(**changed).to_json() != make_spec().to_json()


_names = st.text(  # whatever a URDF may hold, without control characters
    st.characters(exclude_categories=('Cs', 'Cc', 'Cf', 'Zl', 'Zp')), min_size=1, max_size=12
)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_limit = st.one_of(st.just(math.inf), st.floats(min_value=0.0, exclude_min=True))
_topic_name = st.from_regex(
    r'(~/)?[A-Za-z][A-Za-z0-9_]{0,8}(/[A-Za-z][A-Za-z0-9_]{0,8})?', fullmatch=True
)


@st.composite
def _bounds(draw: st.DrawFn, size: int) -> dict[str, object]:
    """Draw lower < upper, each one number or one for each element."""
    if draw(st.booleans()):
        low, high = sorted(draw(st.lists(_floats, min_size=2, max_size=2, unique=True)))
        return {'lower': low, 'upper': high}
    pairs = [
        sorted(draw(st.lists(_floats, min_size=2, max_size=2, unique=True))) for _ in range(size)
    ]
    return {'lower': [low for low, _ in pairs], 'upper': [high for _, high in pairs]}


def _slowest_rate(bounds: dict[str, object]) -> float:
    pairs = np.column_stack((bounds['lower'], bounds['upper']))
    return max(slowest_rate(low, high) for low, high in pairs.tolist())


@st.composite
def _contracts(draw: st.DrawFn) -> dict[str, object]:
    """Draw any valid contract that drives joints."""
    joints = draw(st.lists(_names, min_size=1, max_size=5, unique=True))
    terms = draw(st.lists(st.sampled_from([*TERMS]), min_size=1, unique=True))
    interface = draw(st.sampled_from(['position', 'velocity', 'effort']))
    if interface == 'position' and 'joint_position' not in terms:
        terms.append('joint_position')
    rate = draw(st.floats(min_value=0.1, max_value=1000.0))
    sources = sorted({source for term in terms for source in TERMS[term].sources})
    frame = draw(_names)
    bounds = draw(_bounds(len(joints)))
    lower = bounds['lower']
    rates = st.one_of(st.just(math.inf), st.floats(min_value=_slowest_rate(bounds)))
    topics = {source: draw(_topics(source, 1.0 / rate, frame)) for source in sources}
    return {
        'schema': 1,
        'name': draw(st.from_regex(r'[a-zA-Z][a-zA-Z0-9_.-]{0,9}', fullmatch=True)),
        'control_rate': rate,
        'joints': joints,
        'observation': [
            {'term': term, **({'size': draw(st.integers(1, 99))} if term == 'vector' else {})}
            for term in terms
        ],
        'action': {
            'interface': interface,
            **bounds,
            'max_rate': draw(
                st.one_of(rates, st.lists(rates, min_size=len(joints), max_size=len(joints)))
            ),
            'stop': [*lower] if isinstance(lower, list) else [lower] * len(joints),
        },
        'topics': {
            'command': {'name': draw(_topic_name)},
            **topics,
        },
        'limits': {
            name: {**draw(_bounds(len(joints))), 'max_rate': draw(st.one_of(st.none(), _limit))}
            for name in (SOURCES['joint_states'] if 'joint_states' in sources else ())
        },
    }


@st.composite
def _topics(draw: st.DrawFn, source: str, dt: float, frame: str) -> dict[str, object]:
    """Draw how a source comes, in `frame` or in any; always of a type that has orientations."""
    kind = SOURCE_TYPES[source][0] if source == 'tool_pose' else None
    kind = kind or draw(st.sampled_from(SOURCE_TYPES[source]))
    finite = st.floats(dt, 60.0)
    timeout = draw(st.one_of(st.just(math.inf), finite) if source == 'goal' else finite)
    return {
        'name': draw(_topic_name),
        'type': kind,
        'timeout': timeout,
        'frame': draw(st.sampled_from([None, frame])) if kind in FRAMED_TYPES else None,
        'frozen_timeout': draw(st.sampled_from([None, timeout, math.inf])),
    }


def _given(part: object) -> object:
    """Return a contract without the keys that have no value, which YAML must not have."""
    if isinstance(part, dict):
        return {key: _given(value) for key, value in part.items() if value is not None}
    return part


@given(content=_contracts())
@settings(max_examples=100)
def test_any_valid_contract_survives_json_and_yaml(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    spec = spec_from_dict(content)
    assert spec_from_json(spec.to_json(), 'model') == spec
    assert spec_from_json(spec.to_json(), 'model').to_json() == spec.to_json()

    path = tmp_path_factory.getbasetemp() / 'any.yaml'
    path.write_text(yaml.safe_dump(_given(content)), encoding='utf-8')
    assert load_spec(path) == spec


@given(data=st.data())
@settings(max_examples=50)
def test_a_contract_cut_or_changed_anywhere_is_taken_or_refused_in_one_line(
    data: st.DataObject,
) -> None:
    text = make_spec().to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = (
        text[:at]
        + data.draw(st.sampled_from(['', ',', '"', '1e999', 'null', '\n']))
        + text[at + 1 :]
    )

    for changed in (text[:at], wrong):
        refusal = _refusal(changed)
        assert refusal is None or re.fullmatch('model: .+', refusal)


def _refusal(text: str) -> str | None:
    try:
        spec_from_json(text, 'model')
    except SpecError as error:
        return str(error)
    return None
