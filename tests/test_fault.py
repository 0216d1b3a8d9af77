"""fault.py: the codes, and what a fault says."""

import dataclasses
from pathlib import Path

import pytest

from sac_ros.fault import CODES, Fault

PACKAGE = Path(__file__).parents[1] / 'sac_ros'


def test_a_fault_reads_as_its_code_and_a_sentence() -> None:
    fault = Fault('E_OBS_STALE', 'goal is 0.310 s old (limit 0.1 s)')

    assert str(fault) == 'E_OBS_STALE: goal is 0.310 s old (limit 0.1 s)'


def test_a_code_that_the_table_does_not_explain_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^fault code 'E_OTHER' is not in CODES$"):
        Fault('E_OTHER', 'something')


def test_a_fault_cannot_be_changed_and_equals_another_with_the_same_words() -> None:
    fault = Fault('E_OBS_RANGE', 'elbow 4 is outside [-2, 2]')

    assert fault == Fault('E_OBS_RANGE', 'elbow 4 is outside [-2, 2]')
    with pytest.raises(dataclasses.FrozenInstanceError):
        fault.code = 'E_OBS_STALE'  # type: ignore[misc]


@pytest.mark.parametrize('code', CODES)
def test_every_code_of_the_table_is_raised_somewhere(code: str) -> None:
    sources = [path.read_text() for path in PACKAGE.glob('*.py') if path.name != 'fault.py']

    assert any(f"'{code}'" in source for source in sources)
    assert CODES[code]
