"""The record of a fine-tuning: rows that go on where they ended, and a picture of them."""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sac_ros.errors import UserError
from sim_training.finetune_report import (
    DECISIONS,
    EPISODES,
    Decision,
    Episode,
    FinetuneReport,
    draw_returns,
)

BASE, TUNED = 'a' * 64, 'b' * 64
EPISODE = Episode(0.1, 34.5, 300, False, 'base', BASE, 2, 1.5, 3.5, 299, 1)
DECISION = Decision(0.2, 'accepted', TUNED, 'return 480 of 3 episodes, "fine"')


def test_rows_are_there_again_when_the_fine_tuning_goes_on(tmp_path: Path):
    with FinetuneReport(tmp_path) as report:
        assert report.minutes == 0.0
        report.add_episode(EPISODE)
        report.add_decision(DECISION)
    later = Episode(0.3, 490.0, 500, True, 'accepted', TUNED, 0, 1.25, 4.0)
    with FinetuneReport(tmp_path) as report:
        assert report.minutes == 0.1
        report.add_episode(later)
        assert (report.episodes, report.decisions) == ([EPISODE, later], [DECISION])
    assert (tmp_path / EPISODES).read_text().splitlines() == [
        'minutes,reward_sum,length,success,acting,model,missed,latency_p50,latency_p99,commands,'
        'violations',
        f'0.1,34.5,300,False,base,{BASE},2,1.5,3.5,299,1',
        f'0.3,490.0,500,True,accepted,{TUNED},0,1.25,4.0,0,0',
    ]


def test_returns_are_shown_over_the_time_of_the_robot(tmp_path: Path):
    with FinetuneReport(tmp_path) as report:
        report.add_episode(EPISODE)  # after 6 s
    shown = EventAccumulator(str(tmp_path / 'tensorboard'))
    shown.Reload()
    (point,) = shown.Scalars('return/base')
    assert (point.step, point.value) == (6, 34.5)


@pytest.mark.fault('F08', 'kept', '')
def test_where_tensorboard_cannot_be_written_the_record_goes_on(tmp_path: Path):
    (tmp_path / 'tensorboard').write_text('in the way')
    with FinetuneReport(tmp_path) as report:
        report.add_episode(EPISODE)
        report.add_decision(DECISION)
    with FinetuneReport(tmp_path) as again:
        assert (again.episodes, again.decisions) == ([EPISODE], [DECISION])


@pytest.mark.parametrize('text', ['minutes,decision\n0.1,accepted\n', 'nothing\nof ours\n'])
def test_rows_that_are_not_ours_are_refused(text: str, tmp_path: Path):
    (tmp_path / DECISIONS).write_text(text)
    with pytest.raises(UserError, match=r'decisions.csv was not written by sac-ros finetune: 0\.'):
        FinetuneReport(tmp_path)


def write_rows(folder: Path) -> bytes:
    with FinetuneReport(folder) as report:
        report.add_episode(EPISODE)
        report.add_episode(EPISODE)
    return (folder / EPISODES).read_bytes()


@pytest.mark.fault('F08', 'kept', '')
def test_a_row_that_was_cut_is_cut_off_and_the_record_goes_on(tmp_path: Path):
    path = tmp_path / EPISODES
    whole = write_rows(tmp_path)
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord('\n')]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with FinetuneReport(tmp_path) as report:
            known = sum(end <= length for end in ends[1:])
            assert report.episodes == [EPISODE] * known
            for _ in range(known, 2):
                report.add_episode(EPISODE)
        assert path.read_bytes() == whole


def test_a_row_in_the_middle_that_was_cut_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / EPISODES
    whole = write_rows(tmp_path)
    path.write_bytes(damaged := whole[:-20] + whole[whole.index(b'\n') + 1 :] + b'0.1,3')
    with pytest.raises(UserError, match=r'returns.csv was not written by sac-ros finetune: 1\.'):
        FinetuneReport(tmp_path)
    assert path.read_bytes() == damaged


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path):
    with FinetuneReport(tmp_path) as report:
        (tmp_path / EPISODES).mkdir()
        with pytest.raises(UserError, match=r'cannot write .*returns.csv: Is a directory'):
            report.add_episode(EPISODE)


def test_the_picture_shows_episodes_by_who_acted_and_marks_decisions(tmp_path: Path):
    def colours(png: bytes) -> set[int]:
        pixels = imageio.imread(png)[..., :3].astype(int)
        return set(np.unique(pixels @ [0x10000, 0x100, 1]).tolist())

    orange, green = 0xFF7F0E, 0x2CA02C  # tab:orange, tab:green
    episodes = [EPISODE, Episode(0.2, 50.0, 300, False, 'on trial', TUNED, 0, 1.0, 2.0)]
    without = colours(draw_returns(episodes, [], 'balance'))
    assert orange in without
    assert green not in without
    assert green in colours(draw_returns(episodes, [DECISION], 'balance'))
    assert draw_returns([], [], 'nothing yet').startswith(b'\x89PNG')
