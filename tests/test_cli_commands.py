"""The commands that there are: each is where the table says, and behaves as the others do."""

import ast
import dataclasses
import importlib
import inspect
import io
import itertools
import re
from pathlib import Path

import pytest

from sim_training.cli import COMMANDS, TRAIN_PACKAGES, run

ROOT = Path(__file__).parents[1]


def call(capsys, *words: str) -> tuple[int, str, str]:
    """Return exit status, result and standard error of a command line."""
    output = io.StringIO()
    status = run(words, output)
    return status, output.getvalue(), capsys.readouterr().err


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_of_the_table_is_written_as_the_table_says(name):
    entry = COMMANDS[name]
    module = importlib.import_module(entry.module)
    options = getattr(module, entry.options)
    assert dataclasses.is_dataclass(options)
    assert options.__dataclass_params__.frozen
    assert callable(module.main)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(name, capsys):
    status, output, error = call(capsys, name, '--help')
    assert status == 0
    assert error == ''
    entry = COMMANDS[name]
    options = getattr(importlib.import_module(entry.module), entry.options)
    assert options.__doc__.splitlines()[0] in output
    for field in dataclasses.fields(options):
        assert field.name.replace('_', '-') in output.lower()
        if not dataclasses.is_dataclass(field.type):  # a group explains itself in its class
            words = _docstring_below(options, field.name)
            assert words.split()[0] in output


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_answers_a_typo_in_one_line(name, capsys):
    status, output, error = call(capsys, name, '--hepl')
    assert (status, output) == (2, '')
    assert error == (
        f"sac-ros: unknown flag '--hepl'; did you mean '--help'?; see sac-ros {name} --help\n"
    )


def test_show_names_a_model_that_does_not_exist(capsys):
    status, output, error = call(capsys, 'show', 'no/such.onnx')
    assert (status, output) == (1, '')
    assert 'no/such.onnx' in error
    assert error.count('\n') == 1


def test_the_hint_to_install_knows_what_the_train_extra_brings():
    tree = ast.parse((ROOT / 'setup.py').read_text())
    assignments = (node for node in tree.body if isinstance(node, ast.Assign))
    extras = next(node.value for node in assignments if node.targets[0].id == 'EXTRAS')
    names = [re.match(r'[\w-]+', text)[0] for text in ast.literal_eval(extras)['train']]
    imports = {'protobuf': 'google'}
    assert {imports.get(name, name.replace('-', '_')) for name in names} <= set(TRAIN_PACKAGES)


def _docstring_below(options: type, name: str) -> str:
    """Return the docstring under the field `name`, which tyro shows as its help."""
    body = ast.parse(inspect.getsource(options)).body[0].body
    for statement, below in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and statement.target.id == name:
            assert isinstance(below, ast.Expr), f'{options.__name__}.{name} has no docstring'
            return below.value.value
    pytest.fail(f'{options.__name__}.{name} has no docstring')
