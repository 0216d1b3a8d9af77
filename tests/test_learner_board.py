"""TensorBoard of a learner: what it shows, and what it does where nothing can be written."""

import time
from pathlib import Path

import pytest
from full_disks import full_disk, tensorboard_dies_loudly
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sim_training import learner_board
from sim_training.event_writer import FOLDER, RETRY
from sim_training.learner_board import LearnerBoard


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / FOLDER)).Reload()
    return {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in events.Tags()['scalars']
    }


def test_returns_and_numbers_are_shown_over_the_time_of_the_robot(tmp_path: Path):
    board = LearnerBoard(tmp_path, dt=0.02)
    board.transitions = 100  # 2 s
    board.add_row({'loss/critic': 0.5})
    board.add_row({'loss/critic': 0.25})  # too soon
    board.transitions = 250
    board.add_episode(34.5, 150)
    board.add_decision('0123456789ab accepted: better')
    board.close()
    assert shown(tmp_path) == {
        'loss/critic': [(2, 0.5)],
        'episode/return': [(5, 34.5)],
        'episode/length': [(5, 150.0)],
    }
    text = next((tmp_path / FOLDER).iterdir()).read_bytes()
    assert b'0123456789ab accepted: better' in text


@pytest.mark.fault('F08', 'kept', 'W_DISK')
def test_where_nothing_can_be_written_it_says_so_and_begins_again_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(learner_board, 'PERIOD', 0.0)
    (tmp_path / FOLDER).write_text('in the way')
    board = LearnerBoard(tmp_path, dt=0.02)
    board.add_row({'loss/critic': 0.5})
    board.add_episode(1.0, 50)
    board.add_decision('nobody sees this')
    assert str(board.problem).startswith(f'W_DISK: cannot write {tmp_path / FOLDER}: ')
    (tmp_path / FOLDER).unlink()
    later = time.monotonic() + RETRY
    monkeypatch.setattr('sim_training.event_writer.time.monotonic', lambda: later)
    board.transitions = 100
    board.add_row({'loss/critic': 0.25})
    assert board.problem is None
    board.close()
    assert shown(tmp_path) == {'loss/critic': [(2, 0.25)]}


@tensorboard_dies_loudly
@pytest.mark.fault('F08', 'kept', 'W_DISK')
def test_on_a_full_disk_the_board_never_ends_the_learner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(learner_board, 'PERIOD', 0.0)
    with full_disk(10):
        board = LearnerBoard(tmp_path, dt=0.02)
        board.add_row({'loss/critic': 0.5})
        board.add_episode(1.0, 50)
        board.close()
    assert str(board.problem).startswith('W_DISK: cannot write ')
