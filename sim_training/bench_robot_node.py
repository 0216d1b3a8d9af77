"""The process of the robot that the node is measured with: publishes its states until it ends.

The first argument is the rate [Hz]; ROS arguments follow.
"""

import contextlib
import sys

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sac_ros.messages import STATE
from sim_training.bench_robot import JOINTS, paced, swing


def main() -> None:
    """Publish until a signal."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node('bench_robot', enable_rosout=False, start_parameter_services=False)
    publisher = node.create_publisher(JointState, 'joint_states', STATE)
    clock = node.get_clock()
    with contextlib.suppress(KeyboardInterrupt):
        for _ in paced(float(sys.argv[1])):
            publisher.publish(robot_state(clock.now().nanoseconds))
    node.destroy_node()
    rclpy.shutdown()


def robot_state(now: int) -> JointState:
    """Return the state at `now` [ns], stamped so."""
    seconds, nanoseconds = divmod(now, 1_000_000_000)
    position, velocity = swing(now * 1e-9)
    return JointState(
        header=Header(stamp=Time(sec=seconds, nanosec=nanoseconds)),
        name=list(JOINTS),
        position=position,
        velocity=velocity,
    )


if __name__ == '__main__':
    main()
