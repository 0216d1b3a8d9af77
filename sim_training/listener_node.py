"""EpisodeListener: waits for the results that sim_node publishes, in a ROS context of its own."""

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from sac_ros.messages import RESULTS
from sim_training.episode_record import EpisodeResult, result_from_json


class EpisodeListener:
    """Listens while the `with` block runs."""

    def __init__(self, topic: str, domain_id: int) -> None:
        """Listen to `topic` in a ROS domain."""
        self._context = Context()
        rclpy.init(
            args=[],
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node(
            'episode_listener', context=self._context, enable_rosout=False,
            start_parameter_services=False,
        )  # fmt: skip
        self._node.create_subscription(String, topic, self._take, RESULTS)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._results: list[EpisodeResult] = []

    def __enter__(self) -> 'EpisodeListener':
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait(self, seconds: float) -> list[EpisodeResult]:
        """Return the results that have come, at the latest after `seconds`; each of them once."""
        self._executor.spin_once(timeout_sec=seconds)
        results, self._results = self._results, []
        return results

    def _take(self, message: String) -> None:
        self._results.append(result_from_json(message.data))
