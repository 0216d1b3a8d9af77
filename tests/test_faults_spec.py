"""Faults of a contract's YAML file: each is refused before anything starts, in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from contract_files import GOOD, edited, said_of

from sac_ros.errors import UserError
from sac_ros.spec import load_spec

ROOT = Path(__file__).parents[1]
# More than this no file of a contract may take, wherever it comes from.
CPU_LIMIT, MEMORY_LIMIT = 60, 200_000_000  # [s], [bytes] on top of what the imports take

HOSTILE = """
import json, resource, sys
from pathlib import Path
from sac_ros.errors import UserError
from sac_ros.spec import load_spec
from sac_ros.strict_yaml import MAX_BYTES

bomb = 'k0: &k0 lol\\n' + ''.join(
    f'k{i}: &k{i} [{", ".join([f"*k{i - 1}"] * 9)}]\\n' for i in range(1, 9)
)
files = {
    'bomb': bomb,
    'brackets': 'a: ' + '[' * 10_000,
    'braces': '{a: ' * 10_000,
    'dashes': '- ' * 10_000,
    'indents': ''.join(' ' * i + 'a:\\n' for i in range(440)),
    'commas': 'a: [' + '1,' * (MAX_BYTES // 2 - 10) + ']',
    'digits': 'schema: ' + '9' * (MAX_BYTES - 10),
}
path, size = Path(sys.argv[1]), int(Path('/proc/self/statm').read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[3]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
said = {}
for name, text in [*files.items(), ('huge', None)]:
    with path.open('w') as file:
        file.truncate(10**12) if text is None else file.write(text)
    try:
        load_spec(path)
    except UserError as error:
        said[name] = str(error).removeprefix(str(path))
print(json.dumps(said))
"""


def test_the_contract_that_the_faults_are_put_into_is_good(tmp_path: Path):
    (tmp_path / 'task.yaml').write_bytes(b'\xef\xbb\xbf' + GOOD.replace('\n', '\r\n').encode())
    assert load_spec(tmp_path / 'task.yaml').joints == ('shoulder', 'elbow')


@pytest.mark.fault('C01', 'refused', 'UserError')
def test_what_is_no_yaml_is_refused_with_its_place(tmp_path: Path):
    for content, text in (
        (edited('  lower: -1.0', '\tlower: -1.0'), ':10:1: while scanning for the next token'),
        (edited('elbow]', 'elbow'), ":5:12: while parsing a flow sequence, expected ',' or ']'"),
        (GOOD.encode('utf-16'), ' is not UTF-8 text (byte 0)'),
        (GOOD.encode() + b'\x00', ' is not YAML: unacceptable character #x0000'),
        (GOOD.encode() + b'# caf\xe9', f' is not UTF-8 text (byte {len(GOOD) + 5})'),
        (b'\x7fELF\x02\x01\x01\x00', ' is not YAML: unacceptable character #x007f'),
    ):
        assert said_of(tmp_path, content, UserError).startswith(text)


@pytest.mark.fault('C02', 'refused', 'UserError')
@pytest.mark.parametrize('tag', ['!!python/object/apply:os.mkdir', '!!python/name:os.mkdir', '!x'])
def test_a_tag_is_refused_and_nothing_is_run(tmp_path: Path, tag: str):
    trap = tmp_path / 'it was run'
    content = edited('name: pointer', f'name: {tag} ["{trap}"]')
    assert said_of(tmp_path, content, UserError) == ':2:7: tags (!name) are not allowed'
    assert not trap.exists()


@pytest.mark.fault('C03', 'refused', 'UserError')
def test_files_made_to_exhaust_time_or_memory_are_refused_within_bounds(tmp_path: Path):
    limits = (str(CPU_LIMIT), str(MEMORY_LIMIT))
    done = subprocess.run(
        [sys.executable, '-c', HOSTILE, str(tmp_path / 'task.yaml'), *limits],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        'bomb': ':2:10: aliases (*name) are not allowed',
        'brackets': ' is nested too deeply',
        'braces': ' is nested too deeply',
        'dashes': ' is nested too deeply',
        'indents': ' is nested too deeply',
        'commas': ": key 'a' is unknown; known: schema, name, control_rate, joints, observation, "
        'action, topics, limits',
        'digits': ':1:9: Exceeds the limit (4300 digits) for integer string conversion: value has '
        '99990 digits; use sys.set_int_max_str_digits() to increase the limit',
        'huge': ' has more than 100000 bytes; a contract has a few thousand',
    }


@pytest.mark.fault('C04', 'refused', 'UserError')
def test_a_key_that_is_written_twice_is_refused(tmp_path: Path):
    content = edited('  upper: 1.0\n', '  upper: 1.0\n  "lower": -0.5\n')
    assert said_of(tmp_path, content, UserError) == ":12:3: the key 'lower' is written twice"
    content = edited('{term: goal}', '{term: goal, term: joint_velocity}')
    assert said_of(tmp_path, content, UserError) == ":7:18: the key 'term' is written twice"


@pytest.mark.fault('C05', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('stop: zero', 'stopp: zero', "action: key 'stopp' is unknown; did you mean 'stop'?; "),
        ('timeout: 0.1', 'timout: 0.1', "topics.joint_states: key 'timout' is unknown; did you "
         "mean 'timeout'?; "),
        ('control_rate', 'kontrol_rate', "key 'kontrol_rate' is unknown; did you mean "
         "'control_rate'?; "),
        ('{term: goal}', '{term: gaol}', "observation.1: term 'gaol' is unknown; did you mean "
         "'goal'?; "),
    ],
)  # fmt: skip
def test_a_typo_is_refused_with_the_nearest_name(tmp_path: Path, old: str, new: str, text: str):
    assert f'{text}known: ' in said_of(tmp_path, edited(old, new))


@pytest.mark.fault('C06', 'refused', 'UserError')
@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('[shoulder, elbow]', '[shoulder, no]', "4:20: 'no' would be taken for a truth value"),
        ('rate: 50.0', 'rate: 12:30', "3:15: '12:30' would be taken for a number in another"),
        ('rate: 50.0', 'rate: 0_50', "3:15: '0_50' would be taken for a number in another"),
        ('rate: 50.0', 'rate: 050', "3:15: '050' would be taken for a number in another"),
        ('name: pointer', 'name: 2026-11-22', "2:7: '2026-11-22' would be taken for a date"),
    ],
)
def test_a_trap_of_yaml_is_refused_by_what_was_written(
    tmp_path: Path, old: str, new: str, text: str
):
    assert said_of(tmp_path, edited(old, new), UserError).startswith(f':{text}')


@pytest.mark.fault('C06', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('rate: 50.0', 'rate: 0o62', "control_rate: is '0o62'; a number is needed"),
        ('rate: 50.0', 'rate: 1e3', "control_rate: is '1e3'; a number is needed"),
        ('name: pointer', 'name: true', 'name: found True; input should be a valid string'),
    ],
)
def test_what_yaml_takes_for_text_is_no_number(tmp_path: Path, old: str, new: str, text: str):
    assert said_of(tmp_path, edited(old, new)) == text


@pytest.mark.fault('C07', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('lower', 'text'),
    [
        ('1.5', 'action: lower 1.5 must be below upper 1.0 (shoulder)'),
        ('[-1.0, 1.0]', 'action: lower 1.0 must be below upper 1.0 (elbow)'),
        ('.nan', 'action.lower: is nan; a finite number is needed'),
        ('-.inf', 'action.lower: is -inf; a finite number is needed'),
        ('[-1.0, .nan]', 'action.lower: is nan; a finite number is needed'),
    ],
)
def test_bounds_that_are_no_range_are_refused(tmp_path: Path, lower: str, text: str):
    assert said_of(tmp_path, edited('lower: -1.0', f'lower: {lower}')) == text


@pytest.mark.fault('C08', 'refused', 'SpecError')
@pytest.mark.parametrize(
    ('stop', 'text'),
    [
        ('stop: [0.0, 1.5]', 'action.stop: elbow 1.5 is outside [-1.0, 1.0]'),
        ('stop: [0.0]', 'action.stop: 1 numbers found, one or 2 are needed'),
        ('stop: [0.0, .nan]', 'action.stop: is nan; a finite number is needed'),
        ('stop: hold', "action.stop: 'hold' would go on moving with interface 'velocity'"),
        ('', 'action.stop: is missing'),
    ],
)
def test_a_stop_command_that_would_not_stop_is_refused(tmp_path: Path, stop: str, text: str):
    assert said_of(tmp_path, edited('stop: zero', stop)) == text
