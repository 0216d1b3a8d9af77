"""`--preset` as it is typed: where the options of --sac begin, also when a run is resumed."""

import dataclasses
import io
from pathlib import Path

import pytest
from tiny_runs import PENDULUM, SMALL, make_command, run

from sac_ros.errors import UserError
from sim_training import cli
from sim_training.checkpoint import read_checkpoint
from sim_training.cli_options import help_text, read_options
from sim_training.presets import PRESETS, find_preset
from sim_training.sac_config import SACConfig
from sim_training.train_command import TrainCommand, merge_resumed


def typed(*words: str) -> TrainCommand:
    command = read_options(TrainCommand, 'sac-ros train', [PENDULUM, *words])
    assert isinstance(command, TrainCommand)
    return command


@pytest.mark.parametrize('name', [name for name in PRESETS if name != 'robot'])
def test_a_preset_is_typed_as_one_word_or_two(name: str):
    for words in (('--preset', name), (f'--preset={name}',)):
        command = typed(*words)
        assert command.preset == name
        assert command.sac == find_preset(name)
    assert TrainCommand(PENDULUM, preset=name).sac == find_preset(name)  # from Python, too


def test_without_a_preset_it_is_flash_for_an_id_of_gymnasium():
    assert typed() == TrainCommand(PENDULUM)
    assert (typed().preset, typed().sac) == ('flash', find_preset('flash'))
    assert typed('--out', 'balance', '--sac.n-step', '3').sac == dataclasses.replace(
        find_preset('flash'), n_step=3
    )


@pytest.mark.parametrize('task', ['balance', 'arms/my.yaml'])
def test_without_a_preset_it_is_our_own_for_a_task(task: str):
    command = read_options(TrainCommand, 'sac-ros train', ['--resume', task, '--sac.n-step', '3'])
    assert isinstance(command, TrainCommand)
    assert (command.preset, command.sac) == ('sac', SACConfig(n_step=3))


def test_options_change_what_the_preset_says_wherever_they_stand():
    tqc = dataclasses.replace(find_preset('tqc'), atoms=7, tau=0.02, head='scalar')
    options = ['--sac.atoms', '7', '--sac.tau', '0.02', '--sac.head', 'scalar']
    assert SACConfig().tau == 0.02  # a default that is not that of the preset
    assert typed('--preset', 'tqc', *options).sac == tqc
    assert typed(*options, '--preset', 'tqc').sac == tqc


def test_options_that_a_preset_has_switched_on_can_be_switched_off():
    command = typed(
        '--preset', 'flash', '--sac.no-unit-weights', '--sac.final-learning-rate', 'None'
    )
    assert command.sac == dataclasses.replace(
        find_preset('flash'), unit_weights=False, final_learning_rate=None
    )


def test_help_shows_the_values_of_the_preset():
    assert 'default: 0.005' in help_text(TrainCommand, 'sac-ros train', ['--preset', 'tqc'])
    assert 'default: 0.005' not in help_text(TrainCommand, 'sac-ros train')
    output = io.StringIO()
    assert cli.run(['train', PENDULUM, '--preset', 'tqc', '--help'], output) == 0
    assert 'default: 0.005' in output.getvalue()


def test_an_unknown_preset_is_refused_before_anything_else():
    with pytest.raises(UserError, match=r"^preset 'flush' is unknown; did you mean 'flash'\?; kn"):
        typed('--preset', 'flush')


def test_the_robot_preset_wants_prior_data_or_none():
    with pytest.raises(UserError, match=r'^sac.prior_fraction is 0.25 and there is no prior data'):
        typed('--preset', 'robot')
    assert typed('--preset', 'robot', '--prior', 'runs/x').prior == Path('runs/x')
    assert typed('--preset', 'robot', '--sac.prior-fraction', '0').sac.prior_fraction == 0.0


def test_a_run_keeps_its_preset_and_its_options_when_it_is_resumed(tmp_path: Path):
    little = {field: getattr(SMALL, field) for field in ('batch_size', 'learning_starts')}
    sac = dataclasses.replace(
        find_preset('flash'), hidden_sizes=(8, 8), atoms=11, utd_ratio=0.25, **little
    )
    run(make_command(tmp_path, steps=80, preset='flash', sac=sac))
    run(TrainCommand(PENDULUM, out=tmp_path, resume=True, steps=90))
    _, facts, _ = read_checkpoint(tmp_path)
    assert (facts.command.preset, facts.command.sac, facts.counters.step) == ('flash', sac, 90)


@pytest.mark.parametrize('words', [[], ['--preset', 'tqc'], ['--sac.atoms', '7']])
def test_a_resumed_run_may_be_told_again_what_it_was_started_with(words: list[str]):
    started = typed('--preset', 'tqc', '--sac.atoms', '7', '--sac.tau', '0.02')
    merged = merge_resumed(typed(*words, '--resume'), started)
    assert merged == dataclasses.replace(started, resume=True, out=started.folder)


def test_prior_data_that_a_resumed_run_is_given_are_found_again_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started = typed('--preset', 'robot', '--prior', 'runs/a')
    monkeypatch.chdir(tmp_path)
    words = ['--preset', 'robot', '--prior', 'runs/b', '--resume']
    assert merge_resumed(typed(*words), started).prior == tmp_path.resolve() / 'runs' / 'b'


def test_another_preset_or_option_than_the_runs_own_is_refused_when_it_is_resumed():
    started = typed('--preset', 'tqc', '--sac.atoms', '7')
    for words, text in (
        (['--preset', 'redq'], 'preset is redq; this run was started with tqc'),
        (
            ['--preset', 'tqc', '--sac.atoms', '8'],
            'sac.atoms is 8; this run was started with 7 and keeps it',
        ),
        (['--sac.critics', '3'], 'sac.critics is 3; this run was started with 5 and keeps it'),
    ):
        with pytest.raises(UserError) as refusal:
            merge_resumed(typed(*words, '--resume'), started)
        assert str(refusal.value) == text
