"""Lookout: who else commands the robot, and does anybody listen?  Looked for by a thread.

Past the executor of the node, which checks a model, or waits for a disk, for seconds.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rclpy.lifecycle import LifecycleNode

from sac_ros.control_loop import ControlLoop
from sac_ros.control_step import Mode
from sac_ros.endless_thread import EndlessThread
from sac_ros.fault import Fault
from sac_ros.ros_graph import command_rivals, count_listeners

LOOK_PERIOD = 0.2  # [s] between two looks


class Lookout:
    """Stops the robot while somebody else commands it too; in shadow mode that is as it is."""

    def __init__(self, node: LifecycleNode, find_loop: Callable[[], ControlLoop | None]) -> None:
        """Look around for `node`; `find_loop` returns the loop that is concerned, if any."""
        self._node = node
        self._find_loop = find_loop
        self._lock = threading.Lock()
        self._thread = EndlessThread('lookout', self._serve)

    @property
    def crash(self) -> BaseException | None:
        """Return the error that has ended the thread: the process must end too."""
        return self._thread.crash

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the thread from looking: publishers, which it would look at, are destroyed."""
        with self._lock:
            yield

    def destroy(self) -> None:
        """End the thread."""
        self._thread.end()

    def _serve(self, is_ending: threading.Event) -> None:
        while not is_ending.wait(LOOK_PERIOD):
            with self._lock:
                loop = self._find_loop()
                if loop is not None and not loop.options.is_shadow:
                    self._look(loop)

    def _look(self, loop: ControlLoop) -> None:
        topic = loop.spec.topics['command'].name
        full_topic = self._node.resolve_topic_name(topic)
        is_running = loop.controller.mode is not Mode.INACTIVE
        if is_running and count_listeners(self._node, topic) == 0:
            loop.warn(Fault('W_NO_SINK', f'nobody listens to {full_topic} any more'))
        rivals = ', '.join(command_rivals(self._node, topic))
        if rivals:
            text = f'{full_topic} is also published by {rivals}'
            loop.forbid(Fault('E_CMD_CONFLICT', text))
        else:
            loop.permit('E_CMD_CONFLICT')
