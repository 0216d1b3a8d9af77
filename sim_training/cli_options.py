"""Words of a command line -> the frozen dataclass of a command, by tyro; errors in one line."""

import contextlib
import dataclasses
import inspect
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
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
    try:
        with _wide_terminal():
            text = help_text(options, prog, words)
    except UserError as error:  # such as an unknown preset, whose numbers would be the defaults
        raise UsageError(f'{error}{see}') from None
    _check_flags(words, text, see)
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
        raise UsageError(_surplus(surplus[0], words, text) + see)
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
    first = next(iter(dataclasses.fields(options)), None)
    if first is not None and first.default is dataclasses.MISSING:
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


def _surplus(word: str, words: list[str], help_text: str) -> str:
    """Return that a word is too much: `word`, or what a flag is set to that takes none."""
    pairs = re.findall(r'(--[\w.-]+), (--(?:[\w.-]+\.)?no-[\w-]+)', help_text)
    opposites = {**dict(pairs), **{no: yes for yes, no in pairs}}
    pieces = [piece for each in words for piece in each.split('=', 1)]
    for flag, value in pairwise(pieces):
        flag = flag.replace('_', '-')
        if flag in opposites and (value == word or value.lower() in ('true', 'false')):
            return (
                f"'{value}' is one argument too many; {flag} takes none: {opposites[flag]} is its "
                'opposite'
            )
    return f"'{word}' is one argument too many"


def _condense(box: str) -> str:
    """Turn the box that tyro draws around a problem into one line: its text up to the rule."""
    lines = [line.strip(' │|') for line in box.splitlines()[1:]]
    rules = (i for i, line in enumerate(lines) if line and not line.strip('─-╰╯+'))
    lines = lines[: next(rules, len(lines))]
    if lines and lines[0].startswith('Missing from'):
        return 'missing ' + ', '.join(_missing(lines[1:]))
    text = ' '.join(lines)
    for tyro_says, we_say in _SHORTER.items():
        text = re.sub(tyro_says, we_say, text)
    return text


def _missing(lines: list[str]) -> Iterator[str]:
    """Return each argument that is missing with the first sentence of its help, below it."""
    begins = [i for i, line in enumerate(lines) if re.fullmatch('--[a-z].*|[A-Z][A-Z-]*', line)]
    for begin, end in pairwise([*begins, len(lines)]):
        text = ' '.join(lines[begin + 1 : end]).partition(' (required')[0]
        yield f'{lines[begin]} ({text.partition(". ")[0].rstrip(".")})'


def _unknown(choice: re.Match[str]) -> str:
    """Return what is wrong with a word that must be one of some; None is to leave it out."""
    found, flag, known = choice.groups()
    allowed = [word for word in known.split(', ') if word != "'None'"]
    if "'None'" in known:  # else they are in the order of the hint
        allowed.sort()
    hint = nearest(found, [word.strip("'") for word in allowed])
    return f"{flag}: '{found}' is unknown{hint}; known: {', '.join(allowed)}"


_SHORTER: dict[str, str | Callable[[re.Match[str]], str]] = {
    r'^Error parsing (--|[A-Z-]+:)': r'\1',  # an option; a group names itself
    r'^Error parsing [\w.]+: ': '',
    r'invalid literal for int\(\) with base 10:': 'a whole number is needed, found',
    r'could not convert string to float:': 'a number is needed, found',
    r"^invalid choice '(.*)' for argument '(.*)'. Expected one of \((.*?),?\).$": _unknown,
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
    """Keep tyro from breaking lines: nobody could tell a break from a space, or find a flag."""
    columns = os.environ.get('COLUMNS')
    os.environ['COLUMNS'] = '10000'
    try:
        yield
    finally:
        del os.environ['COLUMNS']
        if columns is not None:
            os.environ['COLUMNS'] = columns
