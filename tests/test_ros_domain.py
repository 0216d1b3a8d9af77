"""A ROS domain of our own."""

import os
import socket
import subprocess
import sys

import pytest

from sac_ros.errors import UserError
from sim_training.ros_domain import DOMAIN_IDS, free_domain_id, local_environment


def test_a_domain_that_is_in_use_is_not_taken():
    first = free_domain_id()
    assert 1 <= first <= DOMAIN_IDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(('', 7410 + 250 * first))
        assert free_domain_id() not in (0, first)


OCCUPANT = """
import time, rclpy
rclpy.init()
node = rclpy.create_node('occupant')
print('here', flush=True)
time.sleep(60)
"""


def test_the_domain_of_a_real_node_is_in_use():
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    domain_id = free_domain_id()
    places = {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    with subprocess.Popen(
        [sys.executable, '-c', OCCUPANT], stdout=subprocess.PIPE, env={**os.environ, **places}
    ) as occupant:
        try:
            assert occupant.stdout is not None
            assert occupant.stdout.readline() == b'here\n'
            assert free_domain_id() != domain_id
        finally:
            occupant.kill()


def test_nothing_leaves_this_machine_whatever_the_user_has_set_for_a_robot():
    ours = local_environment({'HOME': '/root'})
    assert ours['HOME'] == '/root'
    assert ours['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 1 <= int(ours['ROS_DOMAIN_ID']) <= DOMAIN_IDS
    theirs = {
        'ROS_DOMAIN_ID': '42',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
        'ROS_STATIC_PEERS': '192.168.10.2',
    }
    assert local_environment(theirs) == {
        'ROS_DOMAIN_ID': '42',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }


@pytest.mark.parametrize('found', ['abc', '233', '-1', '1.5', '٣'])
def test_a_domain_that_is_none_is_refused(found: str):
    with pytest.raises(UserError) as refusal:
        local_environment({'ROS_DOMAIN_ID': found})
    assert str(refusal.value) == f"ROS_DOMAIN_ID is '{found}'; allowed: 0 to 232"


def test_humble_has_its_own_word_for_it():
    ours = local_environment({'ROS_DISTRO': 'humble'})
    assert ours['ROS_LOCALHOST_ONLY'] == '1'
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in ours
