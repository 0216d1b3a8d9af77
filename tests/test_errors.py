"""errors.py: the error a user reads, and the hint in it."""

import pytest

from sac_ros.errors import UserError, nearest


def test_the_nearest_known_name_is_offered() -> None:
    assert nearest('joint_pos', ['goal', 'joint_position', 'vector']) == (
        "; did you mean 'joint_position'?"
    )


@pytest.mark.parametrize('known', [[], ['goal', 'vector'], {'goal': 1}])
def test_nothing_is_offered_when_nothing_is_near(known: list[str]) -> None:
    assert nearest('joint_position', known) == ''


def test_only_one_name_is_offered_and_the_same_each_time() -> None:
    assert nearest('ab', ['abc', 'abd', 'abe']) == nearest('ab', ['abc', 'abd', 'abe'])
    assert nearest('ab', ['abc', 'abd']).count('?') == 1


def test_a_user_error_is_a_value_error_whose_text_is_what_was_said() -> None:
    error = UserError('the thing: found 2, 1 is allowed')

    assert isinstance(error, ValueError)
    assert str(error) == 'the thing: found 2, 1 is allowed'
