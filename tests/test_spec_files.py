"""spec.py: contracts that are not even a mapping, and files that are named in their errors."""

import copy
import math
from pathlib import Path

import pytest
from builders import spec_content

from sac_ros.errors import UserError
from sac_ros.spec import SpecError, load_spec, spec_from_dict, spec_from_json


@pytest.mark.parametrize('content', [None, [], 5, 'reach', math.nan])
def test_a_contract_that_is_no_mapping_is_refused(content: object) -> None:
    with pytest.raises(SpecError, match=r'^spec: found .*; input should be a valid dictionary'):
        spec_from_dict(content)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        ('', 'Expecting value: line 1 column 1'),
        ('{', 'Expecting property name'),
        ('[' * 100_000, 'maximum recursion depth exceeded'),
        ('{"schema": ' + '9' * 5_000 + '}', 'Exceeds the limit'),
    ],
    ids=['empty', 'cut', 'deep', 'number'],
)
def test_what_is_no_json_is_refused_in_one_line(text: str, error: str) -> None:
    with pytest.raises(SpecError, match=rf'^model, sac_ros\.spec: not JSON \({error}.*\)$'):
        spec_from_json(text, 'model, sac_ros.spec')


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text('schema: 3\n')
    with pytest.raises(
        SpecError, match=rf'^{path}: schema: is 3; this sac_ros reads 1 \(and 5 more'
    ):
        load_spec(path)

    path.write_text('schema: 1\nschema: 1\n')
    with pytest.raises(UserError, match=rf"^{path}:2:1: the key 'schema' is written twice$"):
        load_spec(path)


def test_checking_a_contract_leaves_what_was_given_alone() -> None:
    content = spec_content(lower=[-1, -1])
    before = copy.deepcopy(content)

    spec_from_dict(content)

    assert content == before
