"""Takeover: a person's action in place of the policy's, while the person is there.  No ROS."""

from collections.abc import Sequence

import numpy as np

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec


class Takeover:
    """What the person has said last.  The caller brings the time.

    A person who lets go hands back a robot that is well: the policy acts from the next tick on,
    and `ActionMap` leads from the person's last command to its first.  A person who falls silent
    has not let go, and nobody knows why: the robot is stopped until somebody says something, the
    person or an operator by ~/reset.  Then it recovers as from any other fault.
    """

    def __init__(self, spec: TaskSpec) -> None:
        """Nobody has taken over a robot of `spec`."""
        self.timeout = 0.2  # [s] for which an action counts after its arrival
        self._names = spec.action_names
        self._lower, self._upper = (
            spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper)
        )
        # Replaced as a whole, so that a thread may read while another writes.
        self._newest: tuple[np.ndarray, float] | None = None  # action, arrival [s]

    @property
    def action(self) -> np.ndarray | None:
        """Return what the person wants, float32, (action_size,); None while the policy may act."""
        newest = self._newest
        return None if newest is None else newest[0]

    def find_fault(self, now: float) -> Fault | None:
        """Return why the action must not be carried out at `now` [s], or None."""
        newest = self._newest
        if newest is None:
            return None
        age = now - newest[1]
        if 0.0 <= age <= self.timeout:  # a clock that has gone back would keep it young
            return None
        return Fault(
            'E_TAKEOVER_LOST',
            f'the newest action on ~/takeover is {age:.3f} s old (limit {self.timeout:g} s)',
        )

    def take(self, values: Sequence[float], now: float) -> Fault | None:
        """Take a person's action that has arrived at `now` [s], or return why it is refused.

        No values: the person lets go.  What is out of bounds is brought to them.  What is refused
        changes nothing, so a source that talks nonsense is lost as one that is silent.
        """
        size = len(self._names)
        if len(values) == 0:
            self.release()
            return None
        if len(values) != size:
            text = f'~/takeover has {len(values)} numbers; {size} are needed, or none to let go'
            return Fault('W_TAKEOVER_REFUSED', text)
        action = np.array(values, dtype=np.float64)
        finite = np.isfinite(action)
        if not finite.all():
            i = int(np.argmin(finite))
            text = f'{self._names[i]} on ~/takeover is {action[i]}; a finite number is needed'
            return Fault('W_TAKEOVER_REFUSED', text)
        self._newest = np.clip(action, self._lower, self._upper).astype(np.float32), now
        return None

    def release(self) -> None:
        """Let go: the policy may act."""
        self._newest = None

    def forget_lost(self, now: float) -> None:
        """Let go for a person who is lost; who is there stays in charge."""
        if self.find_fault(now) is not None:
            self.release()
