"""Joining a Ray cluster, or starting one on this machine.  Nothing that runs on it.

Ray runs whatever it is sent by whoever reaches its ports: see docs/cluster.md.
"""

import logging
import os
import signal
import socket

import ray
from ray.exceptions import RayError

from sac_ros.errors import UserError

OBJECT_STORE = 256 * 2**20  # [bytes] of a cluster that is started here; some weights are in it
KNOCK_TIMEOUT = 10.0  # [s]
REFUSALS = (OSError, RuntimeError, ValueError, RayError)  # what ray.init raises


def join_cluster(address: str, collectors: int | None) -> str:
    """Join the cluster at an address, or start one; return which it is, in words.

    'auto': the one that RAY_ADDRESS names, or that runs on this machine, or else a new one;
    'local': a new one, for so many collectors; 'host:port' or 'ray://host:port': that one.
    Raises UserError.
    """
    named = os.environ.get('RAY_ADDRESS', 'auto') if address == 'auto' else address
    if named == 'local':
        return _start(collectors)
    if named != 'auto':
        _join(named)
        return f'collecting on the Ray cluster at {named}: {_size()}'
    try:
        _join('auto')
    except ConnectionError:
        return f'no Ray cluster is named or found: {_start(collectors)}'
    return f'collecting on the Ray cluster of this machine: {_size()}'


def leave_cluster() -> None:
    """Leave the cluster, which ends what runs on it for us; one that was started here ends."""
    ray.shutdown()


def processors() -> int:
    """Return how many processors the cluster has, in use or not."""
    return int(ray.cluster_resources().get('CPU', 0.0))


def _start(collectors: int | None) -> str:
    try:
        _connect('local', num_cpus=collectors, object_store_memory=OBJECT_STORE)
    except REFUSALS as error:
        raise UserError(f'Ray cannot start on this machine: {_one_line(error)}') from error
    return f'collecting on a Ray cluster of this run: {_size()}'


def _join(address: str) -> None:
    """Join a cluster.  Raises UserError, and ConnectionError when there is none for 'auto'."""
    try:
        if address != 'auto':
            _knock(address)
        _connect(address)
    except REFUSALS as error:
        if address == 'auto' and isinstance(error, ConnectionError):
            raise
        raise UserError(
            f'the Ray cluster at {address} cannot be joined ({_one_line(error)}); '
            'start one with: ray start --head'
        ) from error


def _connect(
    address: str, num_cpus: int | None = None, object_store_memory: int | None = None
) -> None:
    """Call ray.init without its greetings, and keep our handlers of signals, which it replaces."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            address,
            num_cpus=num_cpus,
            object_store_memory=object_store_memory,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _knock(address: str) -> None:
    """Raise OSError or ValueError unless somebody answers there: Ray itself tries for long."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError('allowed: auto, local, host:port, ray://host:port')
    socket.create_connection((host.strip('[]'), int(port)), KNOCK_TIMEOUT).close()


def _size() -> str:
    machines = sum(bool(node['Alive']) for node in ray.nodes())
    return f'machines {machines}, processors {processors()}'


def _one_line(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
