"""A process that is one ROS node: signals, spinning and a clean end, also after a bug.

rclpy's own signal handlers end the context at once, after which no stop command can be sent;
so they stay out, and a signal only asks the loop to end.  rclpy is imported when it is needed,
so that a machine without ROS is told what to install.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from sac_ros.end_signals import heard
from sac_ros.errors import UserError
from sac_ros.output import unblocked_stderr
from sac_ros.transport import datagrams_only

if TYPE_CHECKING:
    from rclpy.clock import Clock

# Ctrl-C, `kill`, a terminal that is closed (or a lost ssh connection), Ctrl-\
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
POLL_PERIOD = 0.1  # [s]: the longest time from a signal to the end of an idle node


class ProcessNode(Protocol):
    """What a ROS node must have to be run here."""

    is_finished: bool
    """Whether nothing is left to do."""

    @property
    def crash(self) -> BaseException | None:
        """Return an error after which the process must end, and of which nobody else tells."""

    def prepare_end(self) -> None:
        """Hear, in the middle of whatever is going on, that the process was told to end."""

    def close(self) -> None:
        """Leave the robot safe; called once, before the node is destroyed."""

    def destroy_node(self) -> None:
        """Leave ROS, as every node can."""


def run_node(name: str, load: Callable[[], Callable[[], ProcessNode]]) -> int:
    """Run the node that `load` imports until a signal; return the exit code.

    After each of SIGNALS the code is 0, which `ros2 launch` calls a clean end.  An error in a
    callback passes through here, after the node has been closed.
    """
    signals: list[int] = []
    _on_signals(signals.append)
    try:
        create = load()
    except ModuleNotFoundError as error:
        hint = missing_ros(error)
        if hint is None:
            raise
        print(f'{name}: {hint}', file=sys.stderr)
        return 1
    from rclpy.utilities import get_rmw_implementation_identifier

    middleware = get_rmw_implementation_identifier()
    with unblocked_stderr(), datagrams_only(os.environ, middleware):
        return _spin(name, create, signals)


def _on_signals(act: Callable[[int], None]) -> None:
    """Let SIGNALS do something else than end the process; SIGHUP under `nohup` does nothing."""
    for number in heard(SIGNALS):
        signal.signal(number, lambda received, frame: act(received))


def missing_ros(error: ModuleNotFoundError) -> str | None:
    """Return what to install when an import failed for want of ROS, else None."""
    package = (error.name or '').partition('.')[0]
    if package != 'rclpy' and not package.endswith(('_msgs', '_srvs', '_interfaces')):
        return None
    return (
        f"ROS 2 is needed and '{package}' is missing: source your ROS distribution "
        "(source /opt/ros/<name>/setup.bash), or in sac_ros's folder type: pip install '.[ros]'"
    )


def steady_clock() -> 'Clock':
    """Return the clock that runs on when somebody sets the computer's time, or simulates it."""
    from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble: only here

    return Clock(clock_type=ClockType.STEADY_TIME)


def _spin(name: str, create: Callable[[], ProcessNode], signals: list[int]) -> int:
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    try:
        node = create()

        def end(number: int) -> None:
            signals.append(number)
            node.prepare_end()

        _on_signals(end)
        try:
            executor.add_node(cast(Node, node))
            while not signals and not node.is_finished:
                executor.spin_once(timeout_sec=POLL_PERIOD)
                if node.crash is not None:
                    raise node.crash
        finally:
            node.close()
            node.destroy_node()
    except (UserError, ParameterException) as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 1
    finally:
        executor.shutdown()
        rclpy.try_shutdown()
        # Ctrl-C in a terminal comes twice, from there and from `ros2 launch`; Python would die of
        # the second one while it tidies up.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return 0
