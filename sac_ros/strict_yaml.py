"""YAML in which nothing is guessed: no duplicate keys, aliases, tags or words that YAML 1.1 takes
for something else than they look like.  Errors say line:column.
"""

import re
from pathlib import Path

import yaml

from sac_ros.errors import UserError
from sac_ros.spec_fields import shown

MAX_BYTES = 100_000  # a contract has a few thousand; PyYAML takes some 2 s for as many commas

# What YAML 1.1 takes a scalar without quotes for, and how it must be written to be meant so.
# Without this `no` is false, 12:30 is 750, 010 is 8, 1_0 is 10, and a day of the calendar a date.
_DECIMAL = r'[-+]?(0|[1-9][0-9]*)'
_PLAIN = {
    'tag:yaml.org,2002:bool': ('a truth value', '(?i:true|false)'),
    'tag:yaml.org,2002:int': ('a number in another notation', _DECIMAL),
    'tag:yaml.org,2002:float': (
        'a number in another notation',
        rf'({_DECIMAL}\.|[-+]?\.[0-9])[0-9]*([eE][-+][0-9]+)?|(?i:[-+]?\.inf|\.nan)',
    ),
    'tag:yaml.org,2002:timestamp': ('a date', '(?!)'),
    'tag:yaml.org,2002:merge': ('a merge of two mappings', '(?!)'),
}


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses aliases (they can grow without bound), tags, duplicate keys, and
    scalars that are something else than they look like.
    """

    def compose_scalar_node(self, anchor: dict[str, yaml.Node]) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        kind, pattern = _PLAIN.get(node.tag, ('', ''))
        if kind and not re.fullmatch(pattern, node.value):
            raise _problem(
                f'{shown(node.value)} would be taken for {kind}; write true, false or a decimal '
                'number, or put a text in quotes',
                node,
            )
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _problem('aliases (*name) are not allowed', event)
        if getattr(event, 'tag', None) is not None:
            raise _problem('tags (!name) are not allowed', event)
        node = super().compose_node(parent, index)
        if parent is not None and node is not None and node.tag == 'tag:yaml.org,2002:null':
            raise _problem('a value is missing; write one, or leave the key out', node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem('a list or mapping cannot be a key', key_node)
            if key_node.value in seen:
                raise _problem(f'the key {shown(key_node.value)} is written twice', key_node)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date that does not exist, an integer of 5,000 digits
            raise _problem(str(error), node) from error


def _problem(text: str, at: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    mark = at.start_mark
    return yaml.MarkedYAMLError(
        problem=text, problem_mark=mark if isinstance(mark, yaml.Mark) else None
    )


def read_yaml(path: Path) -> dict[str, object]:
    """Return the mapping in the YAML file `path`.  Raises UserError with the place of an error."""
    try:
        with open(path, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror}') from error
    if len(data) > MAX_BYTES:
        raise UserError(f'{path} has more than {MAX_BYTES} bytes; a contract has a few thousand')
    try:
        content = _StrictLoader(data.decode('utf-8')).get_single_data()
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text (byte {error.start})') from error
    except RecursionError as error:
        raise UserError(f'{path} is nested too deeply') from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f':{mark.line + 1}:{mark.column + 1}' if mark else ''
        reason = ', '.join(filter(None, (error.context, error.problem)))
        raise UserError(f'{path}{place}: {reason}') from error
    except (yaml.YAMLError, OverflowError) as error:
        raise UserError(f'{path} is not YAML: {str(error).splitlines()[0]}') from error
    if not isinstance(content, dict):
        found = 'nothing' if content is None else type(content).__name__
        raise UserError(f'{path} holds {found}; a mapping of keys to values is needed')
    return content
