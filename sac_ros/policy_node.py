"""The executable `policy_node`: runs a model file on a robot's topics (see lifecycle_node.py)."""

import sys
from collections.abc import Callable

from sac_ros.run_node import ProcessNode, run_node


def main() -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code."""
    return run_node('policy_node', _load)


def _load() -> Callable[[], ProcessNode]:
    from sac_ros.lifecycle_node import PolicyNode

    return PolicyNode


if __name__ == '__main__':
    sys.exit(main())
