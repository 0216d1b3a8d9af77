"""The nodes use no shared memory of Fast DDS, and talk to those that do."""

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sac_ros.transport import (
    OLD_PROFILES,
    OLD_RANGE,
    PEERS,
    PROFILES,
    RANGE,
    TRANSPORTS,
    datagrams_only,
    localhost_profile,
)

FAST_DDS = 'rmw_fastrtps_cpp'


@pytest.mark.parametrize('before', [{}, {RANGE: 'SUBNET'}, {OLD_RANGE: '0'}, {TRANSPORTS: ''}])
def test_in_a_network_the_builtin_transport_is_udp(before: dict[str, str]):
    environment = dict(before)
    with datagrams_only(environment, FAST_DDS):
        assert environment == {**before, TRANSPORTS: 'UDPv4'}
    assert environment == before


@pytest.mark.parametrize('before', [{RANGE: 'LOCALHOST'}, {OLD_RANGE: '1', RANGE: 'SUBNET'}])
def test_on_one_computer_a_profile_takes_the_place_of_the_range(before: dict[str, str]):
    environment = {**before, 'HOME': '/root'}
    with datagrams_only(environment, FAST_DDS):
        profile = Path(environment[PROFILES])
        assert profile.read_text() == localhost_profile([])
        assert environment == {
            'HOME': '/root', RANGE: 'SYSTEM_DEFAULT', PROFILES: str(profile)
        }  # fmt: skip
    assert environment == {**before, 'HOME': '/root'}
    assert not profile.exists()


def test_humble_is_told_by_the_name_that_it_knows():
    environment = {OLD_RANGE: '1', 'ROS_DISTRO': 'humble'}
    with datagrams_only(environment, FAST_DDS):
        assert Path(environment[OLD_PROFILES]).read_text() == localhost_profile([])
        assert PROFILES not in environment


def test_the_environment_comes_back_after_an_error():
    environment = {RANGE: 'LOCALHOST'}
    with pytest.raises(ZeroDivisionError), datagrams_only(environment, FAST_DDS):
        raise ZeroDivisionError
    assert environment == {RANGE: 'LOCALHOST'}


@pytest.mark.parametrize('name', [PROFILES, OLD_PROFILES, TRANSPORTS])
def test_whoever_has_chosen_a_transport_keeps_it(name: str):
    environment = {RANGE: 'LOCALHOST', name: 'mine'}
    with datagrams_only(environment, FAST_DDS):
        assert environment == {RANGE: 'LOCALHOST', name: 'mine'}


def test_other_middleware_is_left_alone():
    environment = {RANGE: 'LOCALHOST'}
    with datagrams_only(environment, 'rmw_cyclonedds_cpp'):
        assert environment == {RANGE: 'LOCALHOST'}


def test_other_computers_are_found_where_they_are_named():
    environment = {RANGE: 'LOCALHOST', PEERS: '192.168.10.2; arm<1>;'}
    with datagrams_only(environment, FAST_DDS):
        profile = Path(environment[PROFILES]).read_text()
    tree = ElementTree.fromstring(profile.partition('?>')[2])
    texts = [(element.tag.partition('}')[2], element.text) for element in tree.iter()]
    addresses = [text for tag, text in texts if tag == 'address']
    assert addresses == ['127.0.0.1', '192.168.10.2', 'arm<1>']
    assert 'interfaceWhiteList' not in profile  # else only this computer could be reached
    assert 'interfaceWhiteList' in localhost_profile([])


@pytest.mark.ros
def test_a_node_maps_no_shared_memory_and_hears_a_robot_that_does(tmp_path: Path):
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    from node_process import running
    from policy_nodes import ACTION, LONE_NODE, SPEC, Arm, start
    from ros import Peer, wait_for, write_constant_model

    assert os.environ[RANGE] == 'LOCALHOST'
    model = write_constant_model(tmp_path / 'arm.onnx', SPEC, ACTION)
    peer = Peer()
    arm = Arm(peer, '/lone')
    arm.send_states()
    with running(*start(model=model, autostart=True)) as node:
        wait_for(lambda: len(arm.commands) > 20, 'commands')
        assert peer.state(LONE_NODE) == 'active'
        assert 'fastdds_' in Path('/proc/self/maps').read_text()
        assert 'fastdds_' not in Path(f'/proc/{node.process.pid}/maps').read_text()
        assert not re.search('xmlparser|deprecated', node.log(), re.IGNORECASE)
    arm.close()
    peer.close()
