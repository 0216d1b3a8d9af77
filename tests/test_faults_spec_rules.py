"""More faults of a contract's YAML file: rate, timeouts, joints, numbers, versions, paths."""

import re
from pathlib import Path

import pytest
from contract_files import edited, said_of

from sac_ros.errors import UserError


@pytest.mark.fault('C09', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('rate', 'text'),
    [
        ('0', 'control_rate is 0.0 Hz; 0.1 to 1000 are allowed'),
        ('-50.0', 'control_rate is -50.0 Hz; 0.1 to 1000 are allowed'),
        ('1000000', 'control_rate is 1000000.0 Hz; 0.1 to 1000 are allowed'),
        ('.nan', 'control_rate: is nan; a finite number is needed'),
    ],
)
def test_a_rate_that_cannot_be_kept_is_refused(tmp_path: Path, rate: str, text: str):
    assert said_of(tmp_path, edited('rate: 50.0', f'rate: {rate}')) == text
    assert said_of(tmp_path, edited('control_rate: 50.0\n', '')) == 'control_rate: is missing'


@pytest.mark.fault('C10', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('timeout', 'text'),
    [
        ('0', 'topics.joint_states.timeout: is 0; a number above 0 is needed (.inf for no limit)'),
        ('0.0', 'topics.joint_states.timeout: is 0.0; a number above 0 is needed'),
        ('-1', 'topics.joint_states.timeout: is -1; a number above 0 is needed'),
        ('false', 'topics.joint_states.timeout: is False; a number is needed'),
        ('none', "topics.joint_states.timeout: is 'none'; a number is needed"),
        ('.inf', 'topics.joint_states: timeout is .inf; a finite one is needed, only a goal may '
         'stay valid'),
    ],
)  # fmt: skip
def test_a_timeout_cannot_be_switched_off_by_a_zero_or_infinity(
    tmp_path: Path, timeout: str, text: str
):
    assert said_of(tmp_path, edited('timeout: 0.1', f'timeout: {timeout}')).startswith(text)


@pytest.mark.fault('C10', 'refused', 'UserError')
@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('rate: 50.0', 'rate: '),
        ('timeout: 0.1', 'timeout: '),
        ('timeout: 0.1', 'timeout: 0.1, frozen_timeout: ~'),
        ('timeout: 0.1', 'timeout: 0,1'),  # of other countries: a key 1 without a value
    ],
)
def test_a_check_cannot_be_switched_off_by_a_key_without_a_value(
    tmp_path: Path, old: str, new: str
):
    text = said_of(tmp_path, edited(old, new), UserError)
    assert re.fullmatch(r':\d+:\d+: a value is missing; write one, or leave the key out', text)


@pytest.mark.fault('C11', 'refused', 'SpecError')
def test_a_timeout_shorter_than_a_period_is_refused(tmp_path: Path):
    assert said_of(tmp_path, edited('timeout: 0.1', 'timeout: 0.0199')) == (
        'topics.joint_states: timeout 0.0199 s is shorter than the control period 0.02 s'
    )


@pytest.mark.fault('C12', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('[shoulder, elbow]', '[shoulder, shoulder]', "joints: 'shoulder' is named twice"),
        ('  stop: zero', '  stop: zero\n  joints: [elbow, elbow]', "action.joints: 'elbow' is "
         'named twice'),
        ('  stop: zero', '  stop: zero\n  joints: [elbov]', "action.joints: 'elbov' is not one "
         "of the joints; did you mean 'elbow'?"),
        ('[shoulder, elbow]', '[]', "observation: term 'joint_position' needs joints, and none "
         'are named'),
        ('{term: goal}', '{term: joint_position}', "observation: 'joint_position' is named twice"),
    ],
)  # fmt: skip
def test_a_joint_that_is_named_twice_or_not_at_all_is_refused(
    tmp_path: Path, old: str, new: str, text: str
):
    assert said_of(tmp_path, edited(old, new)) == text


@pytest.mark.fault('C13', 'refused', 'UserError')
@pytest.mark.parametrize('content', ['', '# only a comment\n', '---\n', '~\n', '\n' * 1_000])
def test_a_file_with_nothing_in_it_is_refused(tmp_path: Path, content: str):
    assert (
        said_of(tmp_path, content, UserError)
        == ' holds nothing; a mapping of keys to values is needed'
    )


@pytest.mark.fault('C14', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('rate: 50.0', 'rate: 50,0', "control_rate: is '50,0'; a number is needed"),
        ('lower: -1.0', 'lower: −1.0', "action.lower: is '−1.0'; a number is needed"),
        ('lower: -1.0', 'lower: [-1,0, -1,0]', 'action.lower: 4 numbers found, one or 2 are '
         'needed'),
        ('rate: 50.0', "rate: 1'000.0", "control_rate: is \"1'000.0\"; a number is needed"),
        ('rate: 50.0', 'rate: ５０', "control_rate: is '５０'; a number is needed"),
    ],
)  # fmt: skip
def test_numbers_of_other_countries_are_refused(tmp_path: Path, old: str, new: str, text: str):
    assert said_of(tmp_path, edited(old, new)).startswith(text)


@pytest.mark.fault('C15', 'refused', 'SpecError')
@pytest.mark.parametrize('version', ['2', '1.0', '"1"', 'true', '0'])
def test_a_contract_of_another_version_is_refused_with_the_one_that_is_read(
    tmp_path: Path, version: str
):
    text = said_of(tmp_path, edited('schema: 1', f'schema: {version}'))
    assert text == f'schema: is {version.title().replace(chr(34), chr(39))}; this sac_ros reads 1'


@pytest.mark.fault('C18', 'refused', 'SpecError')
@pytest.mark.parametrize('path', ['../../etc/passwd', '/etc/passwd', 'a/../b', '~root/x', 'a//b'])
def test_nothing_in_a_contract_can_name_a_file(tmp_path: Path, path: str):
    for old in ('name: pointer', 'name: joint_states, t', 'name: arm/commands'):
        _, _, value = old.partition(': ')
        content = edited(old, old.replace(value.partition(',')[0], path))
        assert f'{path!r}; ' in said_of(tmp_path, content)
    content = edited('name: arm/commands}', f'name: arm/commands, type: {path}}}')
    assert f"topics.command: type '{path}' is not one of " in said_of(tmp_path, content)
