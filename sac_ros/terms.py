"""The observation terms: name -> size, fields, unit and the function that reads a RobotState.

A new term is one row here and one test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sac_ros.state import SOURCES, RobotState

Value = Callable[[RobotState, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Term:
    """One named slice of the observation."""

    size: int | Literal['joints', 'actions', 'declared']  # elements, or where the number is found
    fields: tuple[str, ...]  # of RobotState, that it reads: they are guarded before it is asked
    unit: str
    value: Value  # (state, previous command) -> array, or None when it was not measured

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the topics of the contract that must be fresh for it."""
        return tuple(source for source, names in SOURCES.items() if set(names) & set(self.fields))


def _goal_from_tool(state: RobotState, previous: np.ndarray) -> np.ndarray | None:
    if state.goal is None or state.tool_position is None:
        return None
    return state.goal - state.tool_position


TERMS: dict[str, Term] = {
    'joint_position': Term(
        'joints', ('joint_position',), 'rad or m', lambda s, _: s.joint_position
    ),
    'joint_velocity': Term(
        'joints', ('joint_velocity',), 'rad/s or m/s', lambda s, _: s.joint_velocity
    ),
    'joint_effort': Term('joints', ('joint_effort',), 'N m or N', lambda s, _: s.joint_effort),
    'tool_position': Term(3, ('tool_position',), 'm', lambda s, _: s.tool_position),
    'goal': Term(3, ('goal',), 'm', lambda s, _: s.goal),
    'goal_from_tool': Term(3, ('goal', 'tool_position'), 'm', _goal_from_tool),
    # The action as it was carried out: the command of the last period, after limits.  It is the
    # memory of the rate limiter, without which the task would not be Markov.
    'previous_action': Term('actions', (), "the action's", lambda _, previous: previous),
    'vector': Term('declared', ('vector',), "the env's", lambda s, _: s.vector),
}
