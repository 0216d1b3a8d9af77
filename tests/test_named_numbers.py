"""Words name=number, there and back."""

import pytest

from sac_ros.errors import UserError
from sim_training.named_numbers import named_words, numbers_by_name


def test_words_become_numbers_by_name_and_words_again():
    numbers = numbers_by_name(['panda_joint4=0.6', 'wheel=-1e-3'])
    assert numbers == {'panda_joint4': 0.6, 'wheel': -0.001}
    assert named_words(numbers) == ['panda_joint4=0.6', 'wheel=-0.001']
    assert numbers_by_name(named_words(numbers)) == numbers
    assert numbers_by_name([]) == {}


@pytest.mark.parametrize('word', ['panda_joint4', 'panda_joint4=', 'panda_joint4=fast', ''])
def test_a_word_without_a_number_is_told_with_an_example(word):
    with pytest.raises(UserError) as caught:
        numbers_by_name([word])
    assert str(caught.value) == f"'{word}' is not name=number, such as panda_joint4=0.6"


def test_a_number_without_a_name_is_told():
    with pytest.raises(UserError, match=r"^'=0.6' is not name=number, such as panda_joint4=0.6$"):
        numbers_by_name(['=0.6'])


def test_a_name_that_is_given_twice_is_told():
    with pytest.raises(UserError, match=r"^'a' is given twice; once is allowed$"):
        numbers_by_name(['a=1', 'a=1'])
