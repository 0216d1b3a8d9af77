"""The bare rclpy echo node: no policy, no checks; what any node in Python costs at the least."""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.messages import COMMAND, STATE


def main() -> None:
    """Answer each state with a command of the same numbers, until a signal."""
    rclpy.init()
    node = Node('echo_node')
    publisher = node.create_publisher(Float64MultiArray, 'commands', COMMAND)
    node.create_subscription(
        JointState,
        'joint_states',
        lambda state: publisher.publish(Float64MultiArray(data=state.position)),
        STATE,
    )
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)  # by rclpy's own SingleThreadedExecutor


if __name__ == '__main__':
    main()
