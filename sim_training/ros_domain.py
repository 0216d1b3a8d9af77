"""A ROS domain of our own on this machine, so that nothing meets a robot or another run."""

import os
import socket
from collections.abc import Mapping

from sac_ros.errors import UserError

DOMAIN_IDS = 101  # from 1 on: above, the ports would meet those that Linux gives away
PARTICIPANTS = 8  # processes in a domain that are looked for


def free_domain_id() -> int:
    """Return a ROS domain that nobody on this machine is in."""
    for offset in range(DOMAIN_IDS):
        domain_id = 1 + (os.getpid() + offset) % DOMAIN_IDS
        if all(map(_is_free, _ports(domain_id))):
            return domain_id
    raise UserError(f'the ROS domains 1 to {DOMAIN_IDS} are all in use; set ROS_DOMAIN_ID')


def local_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with a domain, and with discovery kept to this machine."""
    # Humble knows only the first of the two; the later distributions warn about it.
    key = 'ROS_LOCALHOST_ONLY' if environment.get('ROS_DISTRO') == 'humble' else (
        'ROS_AUTOMATIC_DISCOVERY_RANGE'
    )  # fmt: skip
    value = '1' if key == 'ROS_LOCALHOST_ONLY' else 'LOCALHOST'
    return {key: value, 'ROS_DOMAIN_ID': str(free_domain_id()), **environment}


def _ports(domain_id: int) -> range:
    """Return the ports at which the first participants of a domain listen (DDSI-RTPS 9.6.1.1)."""
    first = 7410 + 250 * domain_id
    return range(first, first + 2 * PARTICIPANTS, 2)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True
