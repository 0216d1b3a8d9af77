"""What a run says of its speed while it goes, on the test's own clock."""

from pathlib import Path

import pytest

from sim_training.progress import ProgressLog


def test_the_time_left_counts_training_and_evaluation_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    clock = [0.0]
    monkeypatch.setattr('sim_training.progress.time.monotonic', lambda: clock[0])
    with ProgressLog(tmp_path, 'a run', first_step=0, last_step=4000) as log:
        clock[0] += 10.0
        log.add_row({'step': 500})
        clock[0] += 10.0 + 20.0  # 500 steps, then an evaluation
        log.add_row({'step': 1000, 'evaluation/return': 7.0})
    said = capsys.readouterr().err
    assert 'step 1000 of 4000: return 7.0, 25 steps/s, 0:02:00 left' in said  # 1000 in 40 s


def test_a_run_that_is_resumed_at_an_evaluation_says_nothing_of_its_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with ProgressLog(tmp_path, 'a run', first_step=1000, last_step=4000) as log:
        log.add_row({'step': 1000, 'evaluation/return': 7.0})
    assert 'step 1000 of 4000: return 7.0\n' in capsys.readouterr().err
