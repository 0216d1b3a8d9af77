"""Words of a command line become the dataclass of a command, or one line of what is wrong."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from sac_ros.errors import UserError
from sim_training.cli_options import UsageError, help_text, read_options


@dataclass(frozen=True)
class Inner:
    """Inner options."""

    gamma: float = 0.99
    """Discount."""

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma < 1.0:
            raise UserError(f'gamma {self.gamma} is outside (0, 1)')


@dataclass(frozen=True)
class Options:
    """Do what the test asks for.

    More words about it.
    """

    task: str
    """What to do."""
    steps: int = 1000
    """Number of steps."""
    rate: float = 0.5
    """Rate [Hz]."""
    preset: Literal['sac', 'redq'] = 'sac'
    """Preset."""
    out: Path | None = None
    """Folder to write."""
    limit: int | None = None
    """Most steps."""
    resume: bool = False
    """Go on."""
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class FlagsOnly:
    """A command without a word that must be given."""

    steps: int = 1000
    """Number of steps."""


@dataclass(frozen=True)
class Shares:
    """A command with numbers by name."""

    steps: int = 1000
    """Number of steps."""
    motor: dict[str, float] = field(default_factory=dict)
    """Shares."""


NO_WORD = '--resume takes none: --no-resume is its opposite'


def read(words: str) -> object:
    return read_options(Options, 'sac-ros walk', words.split())


def test_the_first_field_is_a_word_and_the_others_are_flags():
    command = read('reach --steps=5 --rate -1 --out runs/x --resume --inner.gamma 0.5')
    assert command == read('--resume --inner.gamma 0.5 --out runs/x --rate -1 --steps 5 reach')
    assert isinstance(command, Options)
    assert (command.task, command.steps, command.rate) == ('reach', 5, -1.0)
    assert (command.out, command.resume, command.inner) == (Path('runs/x'), True, Inner(0.5))


def test_what_is_not_given_keeps_its_default():
    command = read('reach')
    assert isinstance(command, Options)
    assert (command.steps, command.preset, command.out) == (1000, 'sac', None)


def test_a_first_field_with_a_default_stays_a_flag():
    assert read_options(FlagsOnly, 'sac-ros rest', ['--steps', '3']) == FlagsOnly(3)
    with pytest.raises(UsageError, match="'3' is one argument too many"):
        read_options(FlagsOnly, 'sac-ros rest', ['3'])


def test_a_dict_of_numbers_is_written_by_name():
    assert read_options(Shares, 'sac-ros rest', ['--motor', 'a=0.5', 'b=1']) == Shares(
        motor={'a': 0.5, 'b': 1.0}
    )
    assert read_options(Shares, 'sac-ros rest', []) == Shares(motor={})
    assert re.search(r'--motor NAME=NUMBER +Shares\.', help_text(Shares, 'sac-ros rest'))
    with pytest.raises(UsageError, match=r"^--motor: 'a' is not name=number, such as .*; see "):
        read_options(Shares, 'sac-ros rest', ['--motor', 'a'])


def test_underscores_in_a_flag_are_understood():
    assert read('reach --no_resume') == read('reach')


def test_help_shows_the_docstring_and_each_option_with_its_own():
    text = help_text(Options, 'sac-ros walk')
    assert text.startswith('usage: sac-ros walk [-h] [OPTIONS] TASK')
    assert 'Do what the test asks for.\n\nMore words about it.' in text
    for words in (
        r'TASK +What to do\.',
        r'--steps INT +Number of steps\. \(default: 1000\)',
        r'--out PATH +Folder to write\.',
        r'--preset {sac,redq} +Preset\. \(default: sac\)',
        r'--inner\.gamma FLOAT +Discount\.',
    ):
        assert re.search(words, text), words


@pytest.mark.parametrize(
    ('words', 'problem'),
    [
        ('reach --stpes 3', "unknown flag '--stpes'; did you mean '--steps'?"),
        ('reach --stpes=3', "unknown flag '--stpes'; did you mean '--steps'?"),
        ('--stpes 3', "unknown flag '--stpes'; did you mean '--steps'?"),
        ('reach --gamma 1', "unknown flag '--gamma'; did you mean '--inner.gamma'?"),
        ('reach --jsn', "unknown flag '--jsn'; did you mean '--json'?"),
        (
            'reach -q',
            "unknown flag '-q'; known: --help, --inner.gamma, --json, --limit, --no-resume, "
            '--out, --preset, --rate, --resume, --steps, -h',
        ),
        ('', 'missing TASK (What to do)'),
        ('--steps 3', 'missing TASK (What to do)'),
        ('reach again', "'again' is one argument too many"),
        ('reach --resume yes', f"'yes' is one argument too many; {NO_WORD}"),
        ('reach --resume=False', f"'False' is one argument too many; {NO_WORD}"),
        ('--resume False reach', f"'False' is one argument too many; {NO_WORD}"),
        ('reach --steps many', "--steps: a whole number is needed, found 'many'"),
        ('reach --steps 1.5', "--steps: a whole number is needed, found '1.5'"),
        ('reach --rate fast', "--rate: a number is needed, found 'fast'"),
        ('reach --limit many', "--limit: a whole number is needed, found 'many'"),
        ('reach --steps', '--steps: a value is needed, found nothing'),
        ('reach --out', '--out: a value is needed, found nothing'),
        (
            'reach --preset sax',
            "--preset: 'sax' is unknown; did you mean 'sac'?; known: 'sac', 'redq'",
        ),
        ('reach --preset gsde', "--preset: 'gsde' is unknown; known: 'sac', 'redq'"),
        ('reach --inner.gamma 2', 'gamma 2.0 is outside (0, 1)'),
    ],
)
def test_wrong_usage_is_told_in_one_line(words, problem, capfd):
    with pytest.raises(UsageError) as caught:
        read(words)
    assert str(caught.value) == f'{problem}; see sac-ros walk --help'
    assert capfd.readouterr() == ('', '')


@dataclass(frozen=True)
class Switch:
    """One of two."""

    scale: bool = True
    """Whether to scale."""


@dataclass(frozen=True)
class Switches:
    """A command with a flag inside."""

    steps: int = 1000
    """Number of steps."""
    inner: Switch = field(default_factory=Switch)


def test_flags_are_known_where_the_terminal_is_narrower_than_they_are(monkeypatch):
    monkeypatch.setenv('COLUMNS', '14')
    with pytest.raises(UsageError) as caught:
        read_options(Switches, 'sac-ros rest', ['--inner.no_scale', 'true'])
    assert str(caught.value) == (
        "'true' is one argument too many; --inner.no-scale takes none: --inner.scale is its "
        'opposite; see sac-ros rest --help'
    )


def test_a_problem_longer_than_the_terminal_stays_one_line(monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    word = 'x' * 150
    with pytest.raises(UsageError, match=f"found '{word}'; see"):
        read(f'reach --steps {word}')
    assert os.environ['COLUMNS'] == '40'


@dataclass(frozen=True)
class Nothing:
    """Do it."""


def test_a_command_may_have_no_options():
    assert read_options(Nothing, 'probe', []) == Nothing()
    assert 'Do it.' in help_text(Nothing, 'probe')
    with pytest.raises(UsageError, match=r"^unknown flag '--foo'; known: "):
        read_options(Nothing, 'probe', ['--foo'])
