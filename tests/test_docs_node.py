"""What is written about the node is what a running one has: parameters, topics, services."""

import re
import xml.etree.ElementTree as ElementTree
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from node_process import running
from policy_nodes import LONE_NODE, NODE, Arm, start
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros import Peer, policy_status, values_of, wait_for

from sac_ros import control_loop, lookout, parameters
from sac_ros.control_step import Mode

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[1]
OPERATING = (ROOT / 'docs' / 'operating.md').read_text(encoding='utf-8')
POLICY = ROOT / 'docs' / 'sros2_policy.xml'

Graph = dict[str, set[str]]  # 'publish', 'subscribe', 'reply' -> full names


@pytest.mark.parametrize('name', parameters.PARAMETERS)
def test_every_parameter_is_in_the_table_with_its_default(name: str) -> None:
    default = parameters.PARAMETERS[name].default
    written = str(default).lower() if isinstance(default, bool) else repr(default)
    assert f'| `{name}` | `{written}` |' in OPERATING


def test_the_table_of_parameters_has_no_other() -> None:
    section = OPERATING.partition('## Parameters')[2].partition('## ')[0]
    assert set(re.findall(r'^\| `(\w+)`', section, re.MULTILINE)) == set(parameters.PARAMETERS)


def test_the_numbers_of_the_node_are_those_in_its_code() -> None:
    words = ' '.join(OPERATING.split())
    assert f'looked for every {lookout.LOOK_PERIOD:g} s' in words
    assert f'on the newest {control_loop.RECENT_OBSERVATIONS} observations' in words


def graph_of(peer: Peer, namespace: str) -> Graph:
    """Return what a policy node has, as the names of SROS2 call it."""
    node = peer.node
    ways = {
        'publish': node.get_publisher_names_and_types_by_node,
        'subscribe': node.get_subscriber_names_and_types_by_node,
        'reply': node.get_service_names_and_types_by_node,
    }
    return {
        what: {name for name, _ in find('policy_node', namespace)} for what, find in ways.items()
    }


def allowed_by_policy(namespace: str) -> Graph:
    """Return what the policy allows the node, moved to a namespace."""
    enclaves = ElementTree.parse(POLICY).iter('enclave')
    (profile,) = next(one for one in enclaves if one.get('path') == '/policy_node').iter('profile')
    assert (profile.get('ns'), profile.get('node')) == ('/', 'policy_node')
    allowed: Graph = {'publish': set(), 'subscribe': set(), 'reply': set()}
    for rules in profile:
        ((what, answer),) = rules.attrib.items()
        assert answer == 'ALLOW'
        allowed[what] |= {_full_name(str(one.text), namespace) for one in rules}
    return allowed


def _full_name(name: str, namespace: str) -> str:
    name = name.replace('~', 'policy_node')
    return name if name.startswith('/') else f'{namespace}/{name}'


def set_shadow(peer: Peer, value: bool) -> None:
    parameter = Parameter('shadow', value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[parameter])
    answer = peer.call(SetParameters, f'{LONE_NODE}/set_parameters', request)
    assert isinstance(answer, SetParameters.Response)
    assert answer.results[0].successful


def test_the_sros2_policy_allows_what_a_running_node_has_and_nothing_else(peer: Peer) -> None:
    found: Graph = {'publish': set(), 'subscribe': set(), 'reply': set()}

    def has_joined(command: str) -> bool:
        graph = graph_of(peer, '/lone')
        for what, names in graph.items():
            found[what] |= names
        # The state that makes the tick is subscribed to last.
        return command in graph['publish'] and '/lone/joint_states' in graph['subscribe']

    model = ROOT / 'models' / 'reach.onnx'
    with running(*start(model=model, use_sim_time=True)):
        for is_shadow, command in (
            (False, '/lone/forward_velocity_controller/commands'),
            (True, f'{LONE_NODE}/shadow_command'),
        ):
            set_shadow(peer, is_shadow)
            assert peer.change(LONE_NODE, 'configure')
            wait_for(partial(has_joined, command), f'{command} and joint_states')
            assert peer.change(LONE_NODE, 'cleanup')
    found['reply'] |= {f'{LONE_NODE}/get_type_description'}  # Humble has none
    assert found == allowed_by_policy('/lone')


def test_every_name_in_the_sros2_policy_is_on_the_page_about_operating() -> None:
    names = {name for names in allowed_by_policy('').values() for name in names}
    private = {
        f'~{name.removeprefix("/policy_node")}' for name in names if '/policy_node/' in name
    }
    public = {'/diagnostics', '/rosout', '/parameter_events', '/clock'}
    assert public < names
    assert len(private) > 15
    assert [name for name in private | public if f'`{name}`' not in OPERATING] == []


def test_every_value_in_the_diagnostics_is_explained_and_no_other(
    configured: None, peer: Peer, arm: Arm
) -> None:
    diagnostics: list = peer.listen(DiagnosticArray, '/diagnostics')
    statistics: list = peer.listen(DiagnosticArray, f'{NODE}/statistics')
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    assert arm.enable(False).success
    arm.wait_for_mode(Mode.SAFE, 'W_DISABLED')

    def keys() -> set[str]:
        status = policy_status(diagnostics, NODE)
        return set() if status is None else {_general(key) for key in values_of(status)}

    section = OPERATING.partition('## Diagnostics')[2].partition('\n## ')[0]
    table, _, stages = section.partition('`~/statistics` has')
    first_cells = re.findall(r'^\| (`.*?) \|', table, re.MULTILINE)
    explained = {key for cell in first_cells for key in re.findall(r'`([^`]+)`', cell)}
    wait_for(lambda: keys() == explained, lambda: f'{sorted(keys() ^ explained)} to be told alike')
    named = set(re.findall(r'`(\w+_ms\.\*)`', stages))

    def told() -> set[str]:
        newest = statistics[-1].status[0] if statistics else None
        return set() if newest is None else {_general(key) for key in values_of(newest)}

    wait_for(lambda: told() == named, lambda: f'{sorted(told() ^ named)} to be told alike')


def _general(key: str) -> str:
    """Return how the page writes a key: percentiles, sources and codes are left out."""
    for part, general in ((r'p50|p99|max', '*'), (r'[EW]_\w+', '<code>'), (r'\w+', '<source>')):
        if re.fullmatch(rf'\w+\.(?:{part})', key):
            return f'{key.partition(".")[0]}.{general}'
    return key
