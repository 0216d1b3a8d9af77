"""A thread that is to run before all others, where the system lets it."""

import os

from sac_ros.fault import Fault


def ask_for_priority(priority: int) -> Fault | None:
    """Give the calling thread a real-time priority (SCHED_FIFO, 1 to 99), or say why not.

    0 asks for nothing.  A refusal is no reason to stop: control goes on at everybody's priority.
    """
    if priority == 0:
        return None
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return Fault(
            'W_RT_DENIED',
            f'real-time priority {priority}: {error.strerror}; control goes on without it',
        )
    return None
