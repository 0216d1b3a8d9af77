"""The contract inside a model as a table that a person can read."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sac_ros.errors import UserError
from sac_ros.policy import OnnxPolicy, load_policy
from sac_ros.spec import TaskSpec
from sac_ros.terms import TERMS

Row = tuple[object, ...]

UNITS = {  # of the action, by its interface
    'position': 'rad or m',
    'velocity': 'rad/s or m/s',
    'effort': 'N m or N',
    'twist': 'm/s and rad/s',
    'generic': "the env's units",
}


@dataclass(frozen=True)
class ShowCommand:
    """Print what a model observes, what it commands, its limits, its topics and its origin."""

    model: Path
    """The model file (.onnx)."""


def main(command: ShowCommand) -> dict[str, object]:
    """Return the contract and the origin of a model as plain data."""
    policy = load_policy(command.model)
    return {
        'model': str(command.model),
        'sha256': policy.sha256,
        'spec': json.loads(policy.spec.to_json()),
        'origin': policy.origin,
        'table': contract_table(policy),
    }


def describe(result: dict[str, object]) -> str:
    """Return the table of `main` for a terminal."""
    return str(result['table'])


def contract_table(policy: OnnxPolicy) -> str:
    """Return the contract of a model, its joints, units, limits, topics and origin, as text."""
    spec = policy.spec
    rate = f'{spec.control_rate:g} Hz, one command every {spec.dt * 1000:g} ms'
    about = (
        ('task', spec.name),
        ('control rate', rate),
        ('joints', ', '.join(spec.joints) or '(none)'),
        ('sha256', policy.sha256),
    )
    interface = spec.action.interface
    topic_head = ('use', 'name', 'type', 'timeout', 'frozen after', 'frame')
    action_head = ('index', 'name', 'lower', 'upper', 'max rate [1/s]', 'stop')
    limit_head = ('quantity', 'of', 'lower', 'upper', 'max rate [1/s]', 'unit')
    return '\n\n'.join(
        (
            _table(about),
            'OBSERVATION\n' + _table(_observation_rows(spec), ('index', 'term', 'unit', 'from')),
            f'ACTION ({interface}, in {UNITS[interface]})\n'
            + _table(_action_rows(spec), action_head),
            'TOPICS\n' + _table(_topic_rows(spec), topic_head),
            'LIMITS of what is measured\n' + _table(_limit_rows(spec), limit_head),
            'ORIGIN\n' + _table(_origin_rows(policy.origin)),
        )
    )


def _observation_rows(spec: TaskSpec) -> Iterable[Row]:
    start = 0
    for term in spec.observation:
        size = spec.term_size(term)
        row = TERMS[term.term]
        index = f'{start}' if size == 1 else f'{start}..{start + size - 1}'
        yield index, term.term, row.unit, ', '.join(row.sources) or 'the controller'
        start += size


def _action_rows(spec: TaskSpec) -> Iterable[Row]:
    action = spec.action
    bounds = [spec.per_action(value) for value in (action.lower, action.upper, action.max_rate)]
    for i, name in enumerate(spec.action_names):
        stop = action.stop[i] if isinstance(action.stop, tuple) else action.stop
        yield i, name, *(f'{bound[i]:g}' for bound in bounds), stop


def _topic_rows(spec: TaskSpec) -> Iterable[Row]:
    for source in spec.sources:
        topic = spec.topics[source]
        timeout = 'never stale' if topic.timeout == math.inf else f'{topic.timeout:g} s'
        frozen = 'never' if topic.frozen_timeout is None else f'{topic.frozen_timeout:g} s'
        kind, frame = spec.source_type(source), topic.frame or 'any'
        yield source, topic.name, kind, timeout, frozen, frame
    command = spec.topics['command']
    yield 'command', command.name, spec.command_type, '', '', command.frame or ''


def _limit_rows(spec: TaskSpec) -> Iterable[Row]:
    for name, limits in spec.limits.items():
        max_rate = math.inf if limits.max_rate is None else limits.max_rate
        bounds = np.broadcast_arrays(limits.lower, limits.upper, max_rate)
        if bounds[0].ndim == 0:
            yield name, 'each', *(f'{bound:g}' for bound in bounds), TERMS[name].unit
            continue
        elements = spec.joints if name.startswith('joint_') else range(len(bounds[0]))
        for element, *row in zip(elements, *bounds, strict=True):
            yield name, element, *(f'{bound:g}' for bound in row), TERMS[name].unit


def _origin_rows(origin: dict[str, object]) -> Iterable[Row]:
    for key, value in origin.items():
        if isinstance(value, dict):
            yield from ((f'{key}.{name}', part) for name, part in value.items()
                        if not isinstance(part, dict | list))  # fmt: skip
        elif not isinstance(value, list):
            yield key, value


def _table(rows: Iterable[Row], head: Sequence[str] = ()) -> str:
    """Return rows as aligned columns."""
    lines = [tuple(map(str, row)) for row in ([head] if head else []) + list(rows)]
    if not lines:
        return '  (none)'
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return '\n'.join('  ' + '  '.join(map(str.ljust, line, widths)).rstrip() for line in lines)


def run() -> int:
    """Print the table of the model named on the command line; needs no training package."""
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        print('usage: show MODEL.onnx', file=sys.stderr)
        return 0 if sys.argv[1:] in (['-h'], ['--help']) else 2
    try:
        print(contract_table(load_policy(Path(sys.argv[1]))))
    except UserError as error:
        print(f'show: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(run())
