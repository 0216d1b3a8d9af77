"""A contract's YAML file with one thing wrong in it, and what is said of it."""

from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sac_ros.spec import SpecError, load_spec

GOOD = """\
schema: 1
name: pointer
control_rate: 50.0
joints: [shoulder, elbow]
observation:
  - {term: joint_position}
  - {term: goal}
action:
  interface: velocity
  lower: -1.0
  upper: 1.0
  max_rate: 5.0
  stop: zero
topics:
  joint_states: {name: joint_states, timeout: 0.1}
  goal: {name: goal, timeout: .inf}
  command: {name: arm/commands}
limits:
  joint_position: {lower: [-3.0, -2.0], upper: [3.0, 2.0]}
"""


def edited(old: str, new: str) -> str:
    """Return the good contract with one thing changed."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def said_of(folder: Path, content: str | bytes, kind: type[UserError] = SpecError) -> str:
    """Return what is said of a contract that is refused, without the path of its file."""
    path = folder / 'task.yaml'
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        load_spec(path)
    assert type(caught.value) is kind
    line = str(caught.value)
    assert line.startswith((f'{path}:', f'{path} '))
    assert '\n' not in line
    return line.removeprefix(str(path)).removeprefix(': ')
