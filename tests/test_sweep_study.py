"""The study: the same seed proposes the same, also when it was stopped, killed or cut."""

import math
from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sim_training.sac_config import SACConfig
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_space import search_space, start_values
from sim_training.sweep_study import JOURNAL, next_trial, open_study, reported_steps

OPTIONS = ('learning_rate', 'gamma', 'hidden_sizes', 'normalise_observation')
SPACE = search_space(OPTIONS, SACConfig())
START = start_values(OPTIONS, SACConfig())
TRIALS = 14  # the first ten are drawn without looking at the scores


def settings(**overrides: object) -> dict[str, object]:
    return SweepCommand('balance', steps=4_000, options=OPTIONS, **overrides).settings()


def run_trials(folder: Path, trials: int, seed: int = 0) -> list[dict[str, object]]:
    """Open the study and run it up to a number of trials; return the values of all."""
    study = open_study(folder, settings(seed=seed), START)
    while (trial := next_trial(study, SPACE, seed, trials, running=())) is not None:
        study.tell(trial, -abs(math.log(trial.params['learning_rate'] / 3e-4)))
    return [trial.params for trial in study.get_trials()]


@pytest.fixture(scope='module')
def proposals(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The values of a study that was never stopped."""
    return run_trials(tmp_path_factory.mktemp('whole'), TRIALS)


def test_the_first_trial_is_the_setting_to_beat_and_the_others_differ(proposals):
    assert proposals[0] == {
        'learning_rate': 7e-4,
        'gamma': 0.98,
        'hidden_sizes': '256 256',
        'normalise_observation': False,
    }
    assert len({values['learning_rate'] for values in proposals}) == TRIALS


def test_the_same_seed_proposes_the_same_and_another_seed_something_else(
    proposals, tmp_path: Path
):
    (tmp_path / 'same').mkdir()
    (tmp_path / 'other').mkdir()
    assert run_trials(tmp_path / 'same', TRIALS) == proposals
    other = run_trials(tmp_path / 'other', 3, seed=1)
    assert other[0] == proposals[0]
    assert other[1] != proposals[1]


@pytest.mark.fault('D10', 'resumed', '')
def test_a_study_that_is_opened_again_proposes_what_it_would_have_proposed(
    proposals, tmp_path: Path
):
    for trials in range(1, TRIALS + 1):
        assert run_trials(tmp_path, trials) == proposals[:trials]


@pytest.mark.fault('D01', 'resumed', '')
def test_a_trial_that_nobody_runs_any_more_is_taken_up_with_its_values(proposals, tmp_path: Path):
    study = open_study(tmp_path, settings(), START)
    for number in range(2):
        trial = next_trial(study, SPACE, 0, 3, running=range(number))
        trial.report(-5.0, 200)
    again = open_study(tmp_path, settings(), START)
    taken = [next_trial(again, SPACE, 0, 3, running=range(number)) for number in range(4)]
    assert [trial and trial.number for trial in taken] == [0, 1, 2, None]
    assert [trial.params for trial in taken[:2]] == proposals[:2]
    assert [reported_steps(again, trial) for trial in taken[:3]] == [{200}, {200}, set()]


@pytest.mark.fault('D01', 'resumed', '')
def test_a_trial_of_which_only_some_values_were_drawn_keeps_those(proposals, tmp_path: Path):
    run_trials(tmp_path, 1)
    next_trial(open_study(tmp_path, settings(), START), SPACE, 0, 2, running=())
    lines = (tmp_path / JOURNAL).read_text().splitlines(keepends=True)
    # Its last lines are the values, one each; the kill came behind the first of them.
    (tmp_path / JOURNAL).write_text(''.join(lines[: 1 - len(SPACE)]))
    trial = next_trial(open_study(tmp_path, settings(), START), SPACE, 0, 2, running=())
    assert trial.number == 1
    assert trial.params['learning_rate'] == proposals[1]['learning_rate']
    assert list(trial.params) == list(SPACE)


@pytest.mark.fault('D03', 'resumed', '')
def test_a_line_of_the_journal_that_was_cut_is_left_out(proposals, tmp_path: Path):
    run_trials(tmp_path, 2)
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole + b'{"op_code":5,"worker_')
    assert run_trials(tmp_path, 3) == proposals[:3]
    assert (tmp_path / JOURNAL).read_bytes().startswith(whole)
    assert run_trials(tmp_path, 4) == proposals[:4]


@pytest.mark.fault('D09', 'refused', 'UserError')
@pytest.mark.parametrize('line', ['not JSON', '{"op_code":4}', '[]'])
def test_a_damaged_journal_is_refused_by_name(tmp_path: Path, line: str):
    run_trials(tmp_path, 2)
    path = tmp_path / JOURNAL
    whole = path.read_text()
    path.write_text(f'{line}\n{whole}')
    with pytest.raises(UserError, match=f'^{path} is damaged, or no study: '):
        open_study(tmp_path, settings(), START)


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'seed': 3}, 'seed is 3; the sweep in {} was started with 0 and keeps it'),
        ({'sac': SACConfig(critics=4)}, 'sac.critics is 4; the sweep in {} was started with 2'),
        ({'evaluations': 5}, 'evaluations is 5; the sweep in {} was started with 20 and keeps it'),
    ],
)
def test_settings_without_which_scores_cannot_be_compared_are_kept(
    tmp_path: Path, change: dict[str, object], text: str
):
    open_study(tmp_path, settings(), START)
    open_study(tmp_path, settings(trials=50, parallel=3, out=tmp_path), START)
    with pytest.raises(UserError) as refusal:
        open_study(tmp_path, settings(**change), START)
    assert str(refusal.value).startswith(text.format(tmp_path))
    assert str(refusal.value).endswith('for another, name another folder with --out')
