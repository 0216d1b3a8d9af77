"""A ROS domain of our own on this machine, so that nothing meets a robot or another run."""

import os
import socket
from collections.abc import Mapping

from sac_ros.errors import UserError

LARGEST_ID = 232  # of DDS
DOMAIN_IDS = 101  # from 1 on: above, the ports would meet those that Linux gives away
# Where other machines are looked for.
LEADS_OUT = ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS')
PARTICIPANTS = 8  # processes in a domain that are looked for


def free_domain_id() -> int:
    """Return a ROS domain that nobody on this machine is in."""
    for offset in range(DOMAIN_IDS):
        domain_id = 1 + (os.getpid() + offset) % DOMAIN_IDS
        if all(map(_is_free, _ports(domain_id))):
            return domain_id
    raise UserError(f'the ROS domains 1 to {DOMAIN_IDS} are all in use; set ROS_DOMAIN_ID')


def local_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with a domain, and with discovery kept to this machine.

    The domain is the user's, if there is one; what would lead out of the machine is not, for a
    simulated robot must not meet a real one.  Raises UserError.
    """
    # Humble knows only the first of the two; the later distributions warn about it.
    key = 'ROS_LOCALHOST_ONLY' if environment.get('ROS_DISTRO') == 'humble' else (
        'ROS_AUTOMATIC_DISCOVERY_RANGE'
    )  # fmt: skip
    value = '1' if key == 'ROS_LOCALHOST_ONLY' else 'LOCALHOST'
    check_domain_id(environment)
    domain_id = environment.get('ROS_DOMAIN_ID') or str(free_domain_id())
    known = {name: text for name, text in environment.items() if name not in LEADS_OUT}
    return {**known, key: value, 'ROS_DOMAIN_ID': domain_id}


def enter_local_domain() -> dict[str, str]:
    """Let this process and its children live in a local environment; return it."""
    environment = local_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    return environment


def check_domain_id(environment: Mapping[str, str]) -> None:
    """Raise UserError for a ROS_DOMAIN_ID that is none; it may be missing."""
    text = environment.get('ROS_DOMAIN_ID', '')
    if text and not (text.isascii() and text.isdigit() and int(text) <= LARGEST_ID):
        raise UserError(f"ROS_DOMAIN_ID is '{text}'; allowed: 0 to {LARGEST_ID}")


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
