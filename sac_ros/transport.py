"""Keeps the shared memory of Fast DDS out of our nodes.

A process that is killed while it writes to its shared-memory port leaves that port locked, and
everybody who publishes to it waits a second before they give it up: a killed `ros2 topic echo`
could keep the stop command from the robot.  Datagrams wait for nobody, and for messages of a few
hundred bytes they are as fast (benchmarks/control.md).
"""

import os
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from xml.sax.saxutils import escape

LOOPBACK = '127.0.0.1'
PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
OLD_PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'  # Humble; later it is warned about
TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
OLD_RANGE = 'ROS_LOCALHOST_ONLY'  # Humble; later it is obeyed before the other
PEERS = 'ROS_STATIC_PEERS'
MEMORY = '/dev/shm'  # a file there needs no disk, which may be read-only

# rmw_fastrtps adds shared memory by itself for LOCALHOST; without a range of its own it takes
# this profile as it is.  Here too nobody is found by multicast, and up to 32 processes are.
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<profiles xmlns="http://www.eprosima.com">
  <transport_descriptors>
    <transport_descriptor>
      <transport_id>datagrams</transport_id>
      <type>UDPv4</type>
      {interfaces}
      <maxInitialPeersRange>32</maxInitialPeersRange>
    </transport_descriptor>
  </transport_descriptors>
  <participant profile_name="localhost" is_default_profile="true">
    <rtps>
      <userTransports><transport_id>datagrams</transport_id></userTransports>
      <useBuiltinTransports>false</useBuiltinTransports>
      <builtin>
        <metatrafficUnicastLocatorList><locator/></metatrafficUnicastLocatorList>
        <initialPeersList>{peers}</initialPeersList>
      </builtin>
    </rtps>
  </participant>
</profiles>
"""
INTERFACES = f'<interfaceWhiteList><address>{LOOPBACK}</address></interfaceWhiteList>'
PEER = '<locator><udpv4><address>{}</address></udpv4></locator>'


@contextmanager
def datagrams_only(environment: MutableMapping[str, str], middleware: str) -> Iterator[None]:
    """Let a ROS context that begins in this block talk by UDP only; the environment comes back.

    Other middleware than Fast DDS is left alone, and so is whoever has chosen a transport.
    """
    chosen = any(environment.get(name) for name in (PROFILES, OLD_PROFILES, TRANSPORTS))
    if chosen or not middleware.startswith('rmw_fastrtps'):
        yield
        return
    before = dict(environment)
    try:
        if environment.get(OLD_RANGE) == '1' or environment.get(RANGE) == 'LOCALHOST':
            folder = MEMORY if os.access(MEMORY, os.W_OK) else None
            with tempfile.NamedTemporaryFile('w', suffix='.xml', dir=folder) as file:
                file.write(localhost_profile(environment.get(PEERS, '').split(';')))
                file.flush()
                is_humble = environment.get('ROS_DISTRO') == 'humble'
                environment.pop(OLD_RANGE, None)
                environment[RANGE] = 'SYSTEM_DEFAULT'
                environment[OLD_PROFILES if is_humble else PROFILES] = file.name
                yield
        else:
            environment[TRANSPORTS] = 'UDPv4'
            yield
    finally:
        for name in environment.keys() - before.keys():
            del environment[name]
        environment.update(before)


def localhost_profile(peers: list[str]) -> str:
    """Return a profile for this computer and `peers` (other computers), or this one alone."""
    others = [peer.strip() for peer in peers if peer.strip()]
    return PROFILE.format(
        interfaces='' if others else INTERFACES,
        peers=''.join(PEER.format(escape(peer)) for peer in [LOOPBACK, *others]),
    )
