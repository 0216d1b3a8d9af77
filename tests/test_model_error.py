"""model_error.py: a refusal is one line that is safe to print, with a code."""

import pytest

from sac_ros.errors import UserError
from sac_ros.model_error import MAX_TEXT, ModelError, about


def test_a_refusal_has_a_code_and_is_an_error_for_users() -> None:
    error = ModelError('model x.onnx is empty', 'E_MODEL_PARSE')

    assert isinstance(error, UserError)
    assert (str(error), error.code) == ('model x.onnx is empty', 'E_MODEL_PARSE')


def test_a_code_that_nobody_explains_is_a_mistake_in_the_program() -> None:
    with pytest.raises(ValueError, match=r"^fault code 'E_MODEL_BAD' is not in CODES$"):
        ModelError('x', 'E_MODEL_BAD')


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('two\nlines', r'two\nlines'),
        ('\x1b[2Jgone', r'\x1b[2Jgone'),
        ('right\u202eleft', r'right\u202eleft'),
        ('lone \udc80', r'lone \udc80'),
        ('für Ärme', 'für Ärme'),
    ],
)
def test_what_would_end_a_line_or_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert str(ModelError(text, 'E_MODEL_META')) == shown


def test_a_long_refusal_is_cut() -> None:
    assert str(ModelError('x' * 5000, 'E_MODEL_META')) == 'x' * (MAX_TEXT - 3) + '...'


def test_what_is_said_inside_is_said_about_the_model() -> None:
    with pytest.raises(ModelError) as caught, about('model x.onnx'):
        raise ModelError('is empty', 'E_MODEL_PARSE')
    assert (str(caught.value), caught.value.code) == ('model x.onnx is empty', 'E_MODEL_PARSE')
