"""progress.csv, written and read back, whole and damaged."""

from pathlib import Path

import pytest
from tiny_runs import make_command, resume, run

from sac_ros.errors import UserError
from sim_training.progress_table import CSV, HEADER, read_rows, table_line


def test_rows_are_read_as_they_were_written_and_what_is_empty_is_not_in_them(tmp_path: Path):
    rows = [{'step': 500.0, 'alpha': 0.25}, {'step': 1e6, 'evaluation/return': -1.5e-3}]
    (tmp_path / CSV).write_text(HEADER + ''.join(map(table_line, rows)))
    assert read_rows(tmp_path / CSV) == rows


def test_no_table_has_no_rows_and_a_line_that_was_cut_is_left_out(tmp_path: Path):
    assert read_rows(tmp_path / CSV) == []
    (tmp_path / CSV).write_text(HEADER[:-5])
    assert read_rows(tmp_path / CSV) == []
    (tmp_path / CSV).write_text(HEADER + table_line({'step': 500.0}) + '1000,,,,,,,,,4')
    assert read_rows(tmp_path / CSV) == [{'step': 500.0}]


@pytest.mark.parametrize(
    'line', ['500,x,,,,,,,,', '500,1', ',1,,,,,,,,', '500,,,,,,,,,,7', '\ufffd\x00']
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str):
    (tmp_path / CSV).write_text(HEADER + table_line({'step': 500.0}) + line + '\n')
    with pytest.raises(UserError, match=rf'^{tmp_path / CSV}, line 3: not a row of numbers'):
        read_rows(tmp_path / CSV)


def test_a_run_whose_table_is_damaged_goes_on_when_the_table_is_moved_away(tmp_path: Path):
    run(make_command(tmp_path))
    (tmp_path / CSV).write_text('all,else\nthan,rows\n')
    with pytest.raises(UserError, match='with the file moved away the run goes on'):
        run(resume(tmp_path, steps=450))
    (tmp_path / CSV).unlink()
    assert run(resume(tmp_path, steps=450))['step'] == 450
    assert [row['step'] for row in read_rows(tmp_path / CSV)] == [450.0]
