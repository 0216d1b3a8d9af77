"""The executable `sim_node`: a task's simulated robot on ROS topics (see robot_node.py)."""

import sys
from collections.abc import Callable

from sac_ros.run_node import ProcessNode, run_node


def main() -> int:
    """Run the node until SIGINT or SIGTERM, or its last episode; return the exit code."""
    return run_node('sim_node', _load)


def _load() -> Callable[[], ProcessNode]:
    from sim_training.robot_node import SimNode

    return SimNode


if __name__ == '__main__':
    sys.exit(main())
