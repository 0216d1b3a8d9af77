"""The processes of a measurement: what they use, how they are watched, how they are ended."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sac_ros.errors import UserError
from sim_training.child_process import ChildProcess
from sim_training.ros_domain import local_environment
from sim_training.stop_signals import StopSignals

START_TIMEOUT = 60.0  # [s] for a process to start and be found, on a busy machine
POLL_PERIOD = 0.005  # [s]
TICKS = os.sysconf('SC_CLK_TCK')  # per second, of the times in /proc
PAGE = os.sysconf('SC_PAGE_SIZE')  # [bytes]
NAMESPACE = '/bench'
DISCOVERY = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY')

Environment: TypeAlias = Mapping[str, str]


class MeasuredProcess(ChildProcess):
    """A child that is looked at through /proc, and may be killed without a word."""

    def __enter__(self) -> 'MeasuredProcess':
        return self

    def cpu_time(self) -> float:
        """Return the time that all its threads have computed [s], in steps of a clock tick."""
        fields = self._read('stat').rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS  # utime, stime: see proc(5)

    def resident_size(self) -> int:
        """Return the memory that it holds [KiB]."""
        return int(self._read('statm').split()[1]) * PAGE // 1024

    def kill(self) -> float:
        """Send SIGKILL; return when [s], on the steady clock."""
        now = time.monotonic()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return now

    def _read(self, name: str) -> str:
        self.check()
        try:
            return Path(f'/proc/{self._process.pid}/{name}').read_text(encoding='utf-8')
        except OSError as error:
            raise UserError(f'{self.name} cannot be measured: {error}') from error


@dataclass(frozen=True)
class Watch:
    """Looks after processes while something is waited for."""

    signals: StopSignals
    processes: tuple[MeasuredProcess, ...]  # first the one that is waited for

    def check(self) -> None:
        """Raise after a signal, and UserError when a process has ended."""
        self.signals.raise_if_received()
        for process in self.processes:
            process.check()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds; raise UserError with `what` after START_TIMEOUT."""
        end = time.monotonic() + START_TIMEOUT
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise self.complaint(what)
            time.sleep(POLL_PERIOD)

    def complaint(self, what: str) -> UserError:
        """Return the error that says what was waited for in vain."""
        process = self.processes[0]
        return UserError(
            f'{process.name} {what} within {START_TIMEOUT:g} s; '
            f'it last said: {process.last_line()}'
        )


def own_environment() -> dict[str, str]:
    """Return the environment of the processes: a ROS domain that nobody else is in.

    Not that of ROS_DOMAIN_ID: a robot there and the measurement would disturb each other.
    """
    known = {key: value for key, value in os.environ.items() if key not in DISCOVERY}
    environment = local_environment(known)
    found = {key: environment[key] for key in DISCOVERY if key in environment}
    del found['ROS_DOMAIN_ID']  # the node in this process is told
    os.environ.update(found)
    return environment


def echo_process(environment: Environment) -> MeasuredProcess:
    """Start the bare echo node, in the namespace of the peer `echo`."""
    return MeasuredProcess('sim_training.echo_node', _in_namespace('echo'), environment)


def policy_process(model: Path, environment: Environment, **parameters: object) -> MeasuredProcess:
    """Start the policy node, in the namespace of the peer `policy`.

    It activates itself as soon as the state is there; its commands must be listened to by then.
    """
    given = {'model': model, 'autostart': 'true', 'discovery_time': 0.0, **parameters}
    words = [word for key, value in given.items() for word in ('-p', f'{key}:={value}')]
    return MeasuredProcess('sac_ros.policy_node', [*_in_namespace('policy'), *words], environment)


def robot_process(rate: float, environment: Environment) -> MeasuredProcess:
    """Start a robot that publishes its state at `rate` [Hz] to the policy node."""
    arguments = [str(rate), *_in_namespace('policy')]
    return MeasuredProcess('sim_training.bench_robot_node', arguments, environment)


def _in_namespace(peer: str) -> list[str]:
    return ['--ros-args', '-r', f'__ns:={NAMESPACE}/{peer}']
