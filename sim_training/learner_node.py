"""The executable `learner_node`: learns from what a policy node does (see learner.py).

It gives way to everybody: it is niced, and the first core is left to the control loop.
"""

import os
import sys
from collections.abc import Callable

from sac_ros.run_node import ProcessNode, run_node

NICENESS = 10


def main() -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code."""
    return run_node('learner_node', _load)


def _load() -> Callable[[], ProcessNode]:
    _give_way()  # before torch starts its threads
    from sim_training.learner import LearnerNode

    return LearnerNode


def _give_way() -> None:
    """Be niced, and keep off one of the cores where there are several."""
    os.nice(NICENESS)
    if hasattr(os, 'sched_setaffinity'):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[1:] or cores)


if __name__ == '__main__':
    sys.exit(main())
