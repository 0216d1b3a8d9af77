"""Words of a command line -> the frozen dataclass of a command, by tyro; errors in one line."""

import contextlib
import dataclasses
import inspect
import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, get_type_hints

from sac_ros.errors import UserError, nearest
from sim_training.named_numbers import named_words, numbers_by_name

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry


class UsageError(UserError):
    """A command line that cannot be understood."""


def read_options(options: type, prog: str, words: list[str]) -> object:
    """Return the `options` dataclass that `words` describe; UsageError in one line otherwise."""
    import tyro  # here: without it, an unknown command must still be told from a missing package

    see = f'; see {prog} --help'
    _check_flags(words, help_text(options, prog, words), see)
    command: object
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _wide_terminal(), _captured_stdout():
            command, surplus = tyro.cli(
                _shown(options, words),
                prog=prog,
                args=words,
                return_unknown_args=True,
                registry=_named_numbers(),
            )
    except SystemExit:
        raise UsageError(_condense(complaint.getvalue()) + see) from None
    if surplus:
        raise UsageError(f"'{surplus[0]}' is one argument too many{see}")
    return options(**{f.name: getattr(command, f.name) for f in dataclasses.fields(options)})


def help_text(options: type, prog: str, words: Sequence[str] = ()) -> str:
    """Return what --help prints: usage, the docstring, each field with its docstring."""
    import tyro

    with _captured_stdout() as captured, contextlib.suppress(SystemExit):
        tyro.cli(
            _shown(options, words),
            prog=prog,
            description=inspect.getdoc(options),
            args=['--help'],
            registry=_named_numbers(),
        )
    captured.seek(0)
    # An option that may be left out need not say so twice.
    return re.sub(r'{None}\|([A-Z]+)', lambda kind: kind[1].ljust(len(kind[0])), captured.read())


def _shown(options: type, words: Sequence[str]) -> type:
    """Return `options` as tyro should see it.

    Its first field, if it has no default, is a word without a flag: done here and not where the
    dataclasses are written, because sac_ros cannot import tyro.  Defaults may depend on the words,
    by a function `defaults` of the dataclass.
    """
    import tyro

    hints = get_type_hints(options, include_extras=True)
    fields: list[tuple[str, object, object]] = []
    first = dataclasses.fields(options)[0]
    if first.default is dataclasses.MISSING:
        metavar = first.name.upper().replace('_', '-')
        hint = hints[first.name]
        word: object = Annotated[hint, tyro.conf.Positional, tyro.conf.arg(metavar=metavar)]
        fields.append((first.name, word, dataclasses.field()))
    if hasattr(options, 'defaults'):
        for name, value in options.defaults(words).items():
            fields.append((name, hints[name], dataclasses.field(default=value)))
    if not fields:
        return options
    return dataclasses.make_dataclass(options.__name__, fields, bases=(options,), frozen=True)


def _named_numbers() -> 'ConstructorRegistry':
    """Let tyro read a dict of numbers as name=number, as ROS parameters write it too."""
    from tyro.constructors import (
        ConstructorRegistry,
        PrimitiveConstructorSpec,
        PrimitiveTypeInfo,
    )

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, float]] | None:
        if info.type != dict[str, float]:
            return None
        return PrimitiveConstructorSpec(
            nargs='*',
            metavar='NAME=NUMBER',
            instance_from_str=numbers_by_name,
            is_instance=lambda value: isinstance(value, dict),
            str_from_instance=named_words,
        )

    return registry


def _check_flags(words: list[str], help_text: str, see: str) -> None:
    """Refuse the first unknown flag, before tyro takes what follows it for something else."""
    known = sorted({*re.findall(r'--[a-z][\w.-]*', help_text), '--json', '-h'})
    for word in words:
        flag = word.partition('=')[0]
        if re.match('--?[a-zA-Z]', flag) and flag.replace('_', '-') not in known:
            hint = nearest(flag, known) or f'; known: {", ".join(known)}'
            raise UsageError(f"unknown flag '{flag}'{hint}{see}")


def _condense(box: str) -> str:
    """Turn the box that tyro draws around a problem into one line: its text up to the rule."""
    lines = [line.strip(' │|') for line in box.splitlines()[1:]]
    rules = (i for i, line in enumerate(lines) if line and not line.strip('─-╰╯+'))
    lines = lines[: next(rules, len(lines))]
    if lines and lines[0].startswith('Missing from'):
        # Then pairs of lines: the argument, its help.
        pairs = zip(lines[1::2], lines[2::2], strict=False)
        return 'missing ' + ', '.join(f'{word} ({text.split(" (req")[0]})' for word, text in pairs)
    text = ' '.join(lines)
    for tyro_says, we_say in _SHORTER.items():
        text = re.sub(tyro_says, we_say, text)
    return text


_SHORTER = {
    r'^Error parsing (--|[A-Z-]+:)': r'\1',  # an option; a group names itself
    r'^Error parsing [\w.]+: ': '',
    r'invalid literal for int\(\) with base 10:': 'a whole number is needed, found',
    r'could not convert string to float:': 'a number is needed, found',
    r"^invalid choice '(.*)' for argument '(.*)'. Expected one of \((.*?),?\).$": (
        r"\2: '\1' is unknown; known: \3"
    ),
    # An option that may be left out: only what is wrong with a value for it.
    r"no type matching {None}\|.* - <class '\w+'>: ": '',
    r"^Missing value for argument '(.*)'. Expected .*$": r'\1: a value is needed, found nothing',
}


@contextlib.contextmanager
def _captured_stdout() -> Iterator[io.TextIOWrapper]:
    """Capture what tyro prints; it draws in the encoding and the colours of standard output."""
    captured = io.TextIOWrapper(io.BytesIO(), 'utf-8')
    with contextlib.redirect_stdout(captured):
        yield captured


@contextlib.contextmanager
def _wide_terminal() -> Iterator[None]:
    """Keep tyro from breaking lines: _condense could not tell a break from a space."""
    columns = os.environ.get('COLUMNS')
    os.environ['COLUMNS'] = '10000'
    try:
        yield
    finally:
        del os.environ['COLUMNS']
        if columns is not None:
            os.environ['COLUMNS'] = columns
