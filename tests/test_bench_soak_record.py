"""The samples of a soak: in a file as they come, and in memory where no file can be written."""

import dataclasses
from pathlib import Path

import pytest

from sim_training.bench_soak_record import Sample, SampleLog

SAMPLE = Sample(**{field.name: 1 for field in dataclasses.fields(Sample)})


@pytest.mark.fault('D05', 'kept', '')
def test_a_disk_that_is_full_costs_the_file_and_not_the_samples(
    capsys: pytest.CaptureFixture[str],
):
    with SampleLog(Path('/dev/full')) as log:
        for _ in range(3):
            log.add(SAMPLE)
    assert log.samples == [SAMPLE] * 3
    told = [line for line in capsys.readouterr().err.splitlines() if 'cannot write' in line]
    assert told == ['bench: cannot write /dev/full: No space left on device']
