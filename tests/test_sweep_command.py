"""`sac-ros sweep` as it is typed, and the trainings that it asks for."""

from pathlib import Path

import pytest
from command_lines import refused

from sac_ros.errors import UserError
from sim_training.cli_options import read_options
from sim_training.presets import find_preset
from sim_training.sac_config import SACConfig
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_words import command_words
from sim_training.train_command import TrainCommand

PENDULUM = 'Pendulum-v1'
UNUSUAL = SACConfig(
    hidden_sizes=(64, 32),
    learning_rate=1.2345678901234567e-05,
    target_entropy=-2.5e-07,
    normalise_observation=True,
)
# One of each kind of option: widths or None, a number or None, words, switches that are on before.
LATEST = SACConfig(
    critic_sizes=(512, 512, 512),
    target_subset=1,
    actor_value='mean',
    head='quantile',
    norm='batch_renorm',
    target='none',
    unit_weights=True,
    final_learning_rate=0.0,
    learn_alpha=False,
    backup_entropy=False,
    exploration='repeated',
    reset_every=7,
    average_actor=9,
)


@pytest.mark.parametrize(
    ('name', 'command'),
    [
        ('train', TrainCommand(PENDULUM)),
        ('train', TrainCommand('my robot.yaml', 5_000, 3, Path('a b'), resume=True, sac=UNUSUAL)),
        ('train', TrainCommand(PENDULUM, sac=LATEST)),
        ('train', TrainCommand(PENDULUM, preset='tqc', sac=find_preset('tqc'))),
        # Options of a preset that are back at the default of SACConfig
        ('train', TrainCommand(PENDULUM, preset='flash', sac=SACConfig(gamma=0.9))),
        ('train', TrainCommand(PENDULUM, sac=SACConfig(prior_fraction=0.5), prior=Path('a run'))),
        ('train', TrainCommand(PENDULUM, preset='tqc', sac=LATEST)),
        ('sweep', SweepCommand(PENDULUM, sac=LATEST)),
        ('sweep', SweepCommand(PENDULUM)),
        ('sweep', SweepCommand(PENDULUM, options=('critics', 'norm'), preset='flash')),
        (
            'sweep',
            SweepCommand(
                'reach', 7, Path('x'), 9_000, 2, ('tau', 'gamma'), 4, 'auto', sac=UNUSUAL
            ),
        ),
    ],
)
def test_the_words_of_a_command_are_read_as_that_command(
    name: str, command: TrainCommand | SweepCommand
):
    first, *words = command_words(name, command)
    assert first == name
    assert read_options(type(command), f'sac-ros {name}', words) == command


def test_only_what_is_not_at_its_default_is_typed():
    command = TrainCommand('reach', sac=SACConfig(gamma=0.99, target_entropy=-3.0))
    assert command_words('train', command) == [
        'train', 'reach', '--preset', 'sac', '--sac.gamma', '0.99', '--sac.target-entropy=-3.0',
    ]  # fmt: skip
    # A preset that nobody has named is named: another version may choose another one.
    assert command_words('train', TrainCommand(PENDULUM)) == [
        'train', PENDULUM, '--preset', 'flash',
    ]  # fmt: skip


def test_seed_folder_and_evaluations_of_a_trial_come_from_its_number():
    command = SweepCommand('reach', steps=8_000, seed=100, evaluations=16)
    assert command.training(7, UNUSUAL) == TrainCommand(
        'reach',
        8_000,
        seed=107,
        out=Path('runs/sweep-reach/trial-0007'),
        evaluate_every=500,
        sac=UNUSUAL,
    )


def test_the_folder_is_named_after_the_task():
    assert SweepCommand('ALE/Pong-v5').folder == Path('runs/sweep-ALE-Pong-v5')
    assert SweepCommand('robots/my.robot.yaml').folder == Path('runs/sweep-my.robot')
    assert SweepCommand('reach', out=Path('x')).folder == Path('x')


def test_a_task_in_a_file_is_found_from_everywhere():
    training = SweepCommand('robots/my.yaml', steps=5_000).training(0, SACConfig())
    assert training.task == str(Path.cwd() / 'robots' / 'my.yaml')


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'trials': 0}, 'trials is 0; allowed: 1 or more'),
        ({'parallel': 0}, 'parallel is 0; allowed: 1 or more'),
        ({'evaluations': -1}, 'evaluations is -1; allowed: 1 or more'),
        ({'seed': 2**32 - 20}, 'seed is 4294967276; allowed: 0 to 4294967275 for 20 trials'),
        ({'steps': 5_000}, 'steps is 5000; more than sac.learning_starts 5000 are needed'),
        ({'preset': 'robot'}, 'sac.prior_fraction is 0.25; allowed in a sweep: 0, for its trials'),
        ({'options': ()}, 'options is empty; allowed: one or more of learning_rate, '),
    ],
)
def test_an_impossible_number_is_refused_by_name(options: dict[str, object], text: str):
    with pytest.raises(UserError, match=f'^{text}'):
        SweepCommand(PENDULUM, **options)


@pytest.mark.fault('H01', 'exit 2 or 1', 'UserError')
def test_a_typo_in_an_option_or_a_task_is_answered_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / 'sweep'
    status, text = refused(capsys, 'sweep', PENDULUM, '--out', out, '--options', 'gama')
    assert status == 2
    assert text.startswith("option 'gama' cannot be searched; did you mean 'gamma'?; known: ")
    assert text.endswith('; see sac-ros sweep --help')
    status, text = refused(capsys, 'sweep', 'Pendulun-v1', '--out', out)
    assert status == 1
    assert "'Pendulun-v1' is no task that ships" in text
    assert not out.exists()


def test_the_trials_of_a_sweep_begin_from_its_preset():
    command = SweepCommand(PENDULUM, steps=20_000, preset='flash')
    assert command.sac == find_preset('flash')
    assert command.training(3, command.sac) == TrainCommand(
        PENDULUM,
        20_000,
        3,
        Path('runs/sweep-Pendulum-v1/trial-0003'),
        evaluate_every=1_000,
        preset='flash',
    )
