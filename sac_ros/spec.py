"""TaskSpec: the contract of a task.  Simulation, model file and robot all read this and only this.

Written once as YAML beside the task, checked here to the last number, and carried whole, as JSON
with exact floats, inside the model.  What only the simulation knows is not in it.
"""

import hashlib
import json
import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sac_ros.errors import UserError, nearest
from sac_ros.spec_fields import (
    Axis,
    Limit,
    Limits,
    Name,
    Number,
    Numbers,
    Stop,
    TopicName,
    Version,
    shown,
)
from sac_ros.spec_rules import COMMAND_TYPES, SOURCE_TYPES, check_rules
from sac_ros.state import SOURCES, field_size
from sac_ros.strict_yaml import read_yaml
from sac_ros.terms import TERMS


class SpecError(UserError):
    """A contract that cannot be used, and why, in one line."""


class _Part(BaseModel):
    """A part of the contract: frozen, and unknown keys are refused with the nearest known one."""

    model_config = ConfigDict(extra='forbid', frozen=True, use_attribute_docstrings=True)

    @model_validator(mode='before')
    @classmethod
    def _refuse_unknown_keys(cls, data: object) -> object:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, dict) else ():
            if key not in known:
                hint = nearest(str(key), known)
                raise ValueError(f"key '{key}' is unknown{hint}; known: {', '.join(known)}")
        return data


class ObservationTerm(_Part):
    """One named slice of the observation vector."""

    term: Annotated[Name, Field(json_schema_extra={'enum': [*TERMS]})]
    """A name in `sac_ros.terms.TERMS`."""
    size: Annotated[int, Field(strict=True, gt=0, le=10_000)] | None = None
    """Number of elements; needed only where the term does not know it."""

    @model_validator(mode='after')
    def _check(self) -> 'ObservationTerm':
        if self.term not in TERMS:
            hint = nearest(self.term, TERMS)
            raise ValueError(f"term '{self.term}' is unknown{hint}; known: {', '.join(TERMS)}")
        return self


class ActionSpec(_Part):
    """What the policy asks for and how far and fast it may go.  Units are the interface's."""

    interface: Literal['position', 'velocity', 'effort', 'twist', 'generic']
    """ros2_control's words; `generic` is a plain Gymnasium action."""
    joints: tuple[Name, ...] | None = None
    """The joints that are driven; all of the spec's when left out."""
    axes: tuple[Axis, ...] | None = None
    """For `twist`: the components that are driven, in order."""
    lower: Numbers
    upper: Numbers
    max_rate: Limits
    """Largest change per second, `.inf` for none; one limiter for simulation and robot."""
    stop: Stop
    """What makes the robot stand still."""


class Topic(_Part):
    """A relative ROS name, remapped at launch."""

    name: TopicName
    type: Name | None = None
    timeout: Limit | None = None
    """[s]: a measurement older than this is not used.  `.inf` for a goal that stays valid."""
    frame: Name | None = None
    """When given, messages in any other frame are refused."""
    frozen_timeout: Limit | None = None
    """[s]: a sensor that repeats itself to the last digit for longer is taken for broken."""


class Range(_Part):
    """What is plausible for a measured quantity: one number, or one for each element."""

    lower: Numbers
    upper: Numbers
    max_rate: Limits | None = None
    """Largest change per second; a faster one is taken for a jump of the sensor."""


class TaskSpec(_Part):
    """The whole contract.  Two specs are the same contract when they are equal (`==`)."""

    schema_version: Version = Field(alias='schema')
    name: Annotated[Name, Field(pattern=r'^[a-zA-Z][a-zA-Z0-9_.-]*$')]
    control_rate: Number
    """[Hz]: ticks per second of the policy."""
    joints: tuple[Name, ...] = ()
    """Names as in the URDF; the order of every joint vector."""
    observation: Annotated[tuple[ObservationTerm, ...], Field(min_length=1)]
    """This order is the vector's order; SI units, REP 103 frames."""
    action: ActionSpec
    topics: dict[str, Topic]
    limits: dict[str, Range] = {}
    """Plausible ranges of measured quantities (fields of RobotState), for the guard."""

    @model_validator(mode='after')
    def _check(self) -> 'TaskSpec':
        check_rules(self)
        return self

    @property
    def dt(self) -> float:
        """Return the control period [s]."""
        return 1.0 / self.control_rate

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """Return a name for each element of the action: joints, axes or `action[i]`."""
        if self.action.interface == 'twist':
            return self.action.axes or ()
        if self.action.interface == 'generic':
            lower = self.action.lower
            return tuple(f'action[{i}]' for i in range(len(lower) if type(lower) is tuple else 1))
        return self.joints if self.action.joints is None else self.action.joints

    @property
    def action_size(self) -> int:
        """Return the number of elements of the action."""
        return len(self.action_names)

    def term_size(self, term: ObservationTerm) -> int:
        """Return the number of elements of one observation term."""
        size = TERMS[term.term].size
        if size == 'joints':
            return len(self.joints)
        if size == 'actions':
            return self.action_size
        return (term.size or 0) if size == 'declared' else size

    @cached_property
    def term_sizes(self) -> dict[str, int]:
        """Return the terms of the observation, in order, and their numbers of elements."""
        return {term.term: self.term_size(term) for term in self.observation}

    @cached_property
    def observation_size(self) -> int:
        """Return the number of elements of the observation."""
        return sum(self.term_sizes.values())

    @cached_property
    def measured(self) -> dict[str, int]:
        """Return the fields of RobotState that are observed or limited, and their sizes."""
        names = {name for term in self.observation for name in TERMS[term.term].fields}
        return {name: self._field_size(name) for name in sorted(names | self.limits.keys())}

    def _field_size(self, name: str) -> int:
        if name == 'vector':
            return sum(term.size or 0 for term in self.observation if term.term == 'vector')
        return field_size(name, len(self.joints))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Return the topics that the observation needs, in the order of `SOURCES`."""
        needed = {source for term in self.observation for source in TERMS[term.term].sources}
        return tuple(source for source in SOURCES if source in needed)

    def per_action(self, value: float | tuple[float, ...]) -> np.ndarray:
        """Return a bound as one number for each action element: float64, read-only."""
        array = np.broadcast_to(np.asarray(value, dtype=np.float64), (self.action_size,)).copy()
        array.setflags(write=False)
        return array

    def source_type(self, source: str) -> str:
        """Return the message type of a source, e.g. `sensor_msgs/JointState`."""
        return self.topics[source].type or SOURCE_TYPES[source][0]

    @property
    def command_type(self) -> str:
        """Return the message type of the command."""
        return self.topics['command'].type or COMMAND_TYPES[self.action.interface][0]

    @cached_property
    def sha256(self) -> str:
        """Return the fingerprint of the contract: same contract, same digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the contract as canonical JSON: same contract, same text; floats are exact."""
        content = self.model_dump(by_alias=True, exclude_none=True)
        return json.dumps(
            _infinity_as_text(content), separators=(',', ':'), sort_keys=True, allow_nan=False
        )


def load_spec(path: Path) -> TaskSpec:
    """Read and check the contract in a YAML file.  Raises SpecError."""
    return _checked(read_yaml(path), str(path))


def spec_from_json(text: str, where: str) -> TaskSpec:
    """Read and check a contract written by `TaskSpec.to_json`.  `where` names it in errors."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f'{where}: not JSON ({error})') from error
    return _checked(content, where)


def spec_from_dict(content: dict[str, object], where: str = 'spec') -> TaskSpec:
    """Check a contract given as plain data.  `where` names it in errors."""
    return _checked(content, where)


def _checked(content: object, where: str) -> TaskSpec:
    try:
        return TaskSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError(f'{where}: {first_problem(error)}') from error


def first_problem(error: ValidationError) -> str:
    """Return the first problem as `place: what was found and what is allowed`."""
    first = error.errors()[0]
    place = '.'.join(str(part) for part in first['loc'])
    if first['type'] == 'missing':
        text = 'is missing'
    elif first['type'] == 'value_error':
        text = first['msg'].removeprefix('Value error, ')
    else:
        text = f'found {shown(first["input"])}; {first["msg"][0].lower()}{first["msg"][1:]}'
    more = len(error.errors()) - 1
    line = (f'{place}: {text}' if place else text) + (f' (and {more} more)' if more else '')
    return ' '.join(line.split())  # a key may hold a line break


def _infinity_as_text(value: object) -> object:
    if isinstance(value, dict):
        return {key: _infinity_as_text(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_infinity_as_text(part) for part in value]
    return '.inf' if value == math.inf else value


def differing_keys(ours: TaskSpec, theirs: TaskSpec) -> list[str]:
    """Return the top-level keys in which two contracts differ, as they stand in the YAML."""
    one, two = ours.model_dump(by_alias=True), theirs.model_dump(by_alias=True)
    return [key for key in one if one[key] != two[key]]


def json_schema() -> str:
    """Return the JSON schema of a contract, by which an editor completes and checks the YAML."""
    return json.dumps(TaskSpec.model_json_schema(by_alias=True), indent=2) + '\n'
