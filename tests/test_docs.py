"""The documentation: links, paths, commands, fault codes, numbers and rights in it are true."""

import ast
import re
import resource
import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from sac_ros import changes, controller, guard, model_check, model_content, timing
from sac_ros.fault import CODES
from sac_ros.model_file import MAX_BYTES
from sac_ros.model_trial import CPU_SECONDS, LIMITS
from sac_ros.policy import PARITY, load_policy
from sac_ros.preflight import SLOWEST
from sac_ros.spec import ActionSpec, Range, Topic
from sac_ros.spec_rules import COMMAND_TYPES
from sim_training.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in ('.', 'docs', 'models', 'benchmarks')
    for page in (ROOT / folder).glob('*.md')
)
OPERATING = ROOT / 'docs' / 'operating.md'
SECURITY = ROOT / 'docs' / 'security.md'
POLICY = ROOT / 'docs' / 'sros2_policy.xml'
FOLDERS = 'sac_ros|sim_training|tests|docs|models|launch|benchmarks'

each_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    """Return a page with its line breaks taken for spaces."""
    return ' '.join(page.read_text(encoding='utf-8').split())


def code_of(page: Path) -> list[str]:
    """Return what stands in a page as code: spans and indented lines."""
    text = page.read_text(encoding='utf-8')
    lines = re.findall(r'^ {4}(.*)$', text, re.MULTILINE)
    return [*re.findall(r'`([^`\n]+)`', text), *lines]


def headings(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    titles = re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


def test_the_pages_that_are_looked_at_are_those_that_there_are() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {'README.md', 'CONTRIBUTING.md', 'docs/operating.md', 'docs/security.md'} <= names


@each_page
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    text = page.read_text(encoding='utf-8')
    links = [link for link in re.findall(r'\]\(([^)\s]+)\)', text) if '://' not in link]
    for link in links:
        name, _, heading = link.partition('#')
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not heading or heading in headings(target), link


@each_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    for code in code_of(page):
        for path in re.findall(rf'(?<![\w/.])(?:{FOLDERS})/[\w./-]*\w', code.replace('$PWD/', '')):
            assert (ROOT / path).exists(), f'{path} in {code!r}'


def test_every_page_of_docs_and_benchmarks_can_be_found_from_the_readme() -> None:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    pages = [page for page in (*PAGES, POLICY) if page.parent.name in ('docs', 'benchmarks')]
    assert [page for page in pages if f'({page.relative_to(ROOT)}' not in readme] == []


@each_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    words = set(re.findall(r'^([a-z]+):.*##', makefile, re.MULTILINE))
    executables = set(re.findall(r"'(\w+) = ", (ROOT / 'setup.py').read_text(encoding='utf-8')))
    known = {
        r'(?<![\w-])make ([a-z]\w*)': words,
        r'sac-ros ([a-z][\w-]*)': set(COMMANDS),
        r'ros2 run sac_ros (\w+)': executables,
        r'ros2 launch sac_ros ([\w.]+)': {path.name for path in (ROOT / 'launch').iterdir()},
    }
    for pattern, names in known.items():
        named = {name for code in code_of(page) for name in re.findall(pattern, code)}
        assert named <= names, pattern


@each_page
def test_every_argument_of_a_launch_file_exists(page: Path) -> None:
    for code in code_of(page):
        launch = re.search(r'ros2 launch sac_ros ([\w.]+)(.*)', code)
        if launch is None:
            continue
        tree = ast.parse((ROOT / 'launch' / launch[1]).read_text(encoding='utf-8'))
        keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
        known = {key.value for key in keys if isinstance(key, ast.Constant)}
        assert set(re.findall(r'([\w.]+):=', launch[2])) <= known, code


@each_page
def test_every_fault_code_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r'\b[EW]_[A-Z][A-Z_]*[A-Z]\b', page.read_text(encoding='utf-8')))
    assert named <= CODES.keys()


@each_page
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: Path) -> None:
    for table in re.findall(r'(?:^\|.*\n)+', page.read_text(encoding='utf-8'), re.MULTILINE):
        rows = [re.sub(r'\\\||`[^`]*`', '', row).count('|') for row in table.splitlines()]
        assert len(set(rows)) == 1, table


@pytest.mark.parametrize(
    ('page', 'words'),
    [
        (OPERATING, f'{controller.RECOVER_PERIODS} ticks in a row were good'),
        (OPERATING, f'for more than {controller.LONGEST_PAUSE:g} periods'),
        (OPERATING, f'{timing.PATIENCE:g} periods after the last command'),
        (OPERATING, f'the newest {timing.WINDOW}'),
        (OPERATING, f'more than {guard.FUTURE_TOLERANCE:g} s ahead'),
        (OPERATING, f'{changes.FROZEN_WARNING:g} s of repeats are a warning'),
        (OPERATING, f'at least {SLOWEST:g} of the control rate'),
        (OPERATING, f'repeated within {PARITY:.0e}'.replace('e-0', 'e-')),
        (OPERATING, f'at most {MAX_BYTES // 2**20} MiB'),
        (SECURITY, f'at most {MAX_BYTES // 2**20} MiB'),
        (SECURITY, f'{LIMITS[resource.RLIMIT_AS] // 2**30} GiB of memory'),
        (SECURITY, f'{CPU_SECONDS} s of processor, {LIMITS[resource.RLIMIT_NOFILE]} files'),
        (SECURITY, f'{model_check.MODEL_TIMEOUT:g} s for the model'),
        (SECURITY, f'{model_content.MAX_NODES} nodes, {model_content.MAX_ENTRIES} entries'),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_number_is_the_one_in_the_code(page: Path, words: str) -> None:
    assert words in text_of(page)


def test_what_is_promised_of_the_models_that_ship_is_in_their_contracts() -> None:
    specs = {
        name: load_policy(ROOT / 'models' / f'{name}.onnx').spec for name in ('balance', 'reach')
    }
    timeouts = [
        topic.timeout * spec.control_rate
        for spec in specs.values()
        for topic in spec.topics.values()
        if topic.timeout not in (None, float('inf'))
    ]
    assert timeouts == pytest.approx([2.0] * len(timeouts))
    assert {spec.control_rate for spec in specs.values()} == {50.0}
    assert 'timeouts of 2 periods: 3.6 periods, 72 ms at 50 Hz' in text_of(OPERATING)
    braking = {  # [s] from full speed to the stop command, which is zero
        name: float((spec.per_action(spec.action.upper) / spec.action.max_rate).max())
        for name, spec in specs.items()
    }
    assert braking == pytest.approx({'reach': 0.2, 'balance': 0.02})
    assert '`reach` at full speed: 0.2 s, `balance`: 0.02 s' in text_of(OPERATING)


def test_the_keys_of_the_contract_that_are_explained_exist() -> None:
    keys = re.findall(r'`(topics\.\*|limits\.\*|action)\.(\w+)`', text_of(OPERATING))
    fields = {
        'topics.*': set(Topic.model_fields),
        'limits.*': set(Range.model_fields),
        'action': set(ActionSpec.model_fields),
    }
    assert len(keys) >= 10
    assert [key for key in keys if key[1] not in fields[key[0]]] == []


@pytest.mark.parametrize('interface', COMMAND_TYPES)
def test_for_every_command_it_is_said_which_robot_controller_takes_it(interface: str) -> None:
    section = OPERATING.read_text(encoding='utf-8').partition('## Robot controllers')[2]
    rows = [row.split('|') for row in section.splitlines() if row.startswith('| `')]
    told = {
        kind for row in rows if interface in row[2] for kind in re.findall(r'`([^`]+)`', row[1])
    }
    assert told == set(COMMAND_TYPES[interface])


def may(enclave: ElementTree.Element, what: str, topic: str) -> bool:
    """Tell whether an enclave may do something with a topic: what is denied comes first."""
    for answer in ('DENY', 'ALLOW'):
        rules = [rule for rule in enclave.iter('topics') if rule.get(what) == answer]
        names = [str(name.text) for rule in rules for name in rule.iter('topic')]
        if any(fnmatchcase(topic, name if name[0] == '/' else f'/{name}') for name in names):
            return answer == 'ALLOW'
    return False


def test_only_the_policy_node_may_command_the_robot_and_only_the_operator_may_send_goals() -> None:
    enclaves = {one.get('path'): one for one in ElementTree.parse(POLICY).iter('enclave')}
    assert enclaves.keys() == {'/policy_node', '/learner_node', '/robot', '/operator'}
    topics = load_policy(ROOT / 'models' / 'reach.onnx').spec.topics
    command, goal = (f'/{topics[key].name}' for key in ('command', 'goal'))

    def who_may(what: str, topic: str) -> set[str | None]:
        return {path for path, enclave in enclaves.items() if may(enclave, what, topic)}

    assert who_may('publish', command) == {'/policy_node'}
    assert who_may('publish', goal) == {'/operator'}
    assert who_may('publish', '/policy_node/estop') == {'/operator'}
    for topic in ('candidate', 'episode_return'):
        assert who_may('publish', f'/policy_node/{topic}') == {'/learner_node'}
    assert who_may('publish', '/joint_states') == {'/robot'}
    assert who_may('subscribe', command) == {'/robot', '/operator'}
    assert who_may('subscribe', '/joint_states') == set(enclaves) - {'/learner_node'}
