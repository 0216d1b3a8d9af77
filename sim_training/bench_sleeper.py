"""Wakes once a period and does nothing: what this machine makes of the simplest program.

Prints how often it woke more than half a period late, each time that it did.
"""

import sys
import time


def main(period: float) -> None:
    """Sleep from period [s] to period until the process is ended."""
    late = 0
    print(late, flush=True)
    deadline = time.monotonic()
    while True:
        deadline += period
        time.sleep(max(0.0, deadline - time.monotonic()))
        now = time.monotonic()
        if now > deadline + 0.5 * period:
            late += 1
            deadline = now
            print(late, flush=True)


if __name__ == '__main__':
    main(float(sys.argv[1]))
