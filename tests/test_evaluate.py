import math
from dataclasses import replace
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from builders import export_model
from full_disks import full_disk

from sac_ros.errors import UserError
from sim_training.env import make_env
from sim_training.evaluate import (
    EvaluateCommand,
    describe,
    evaluate_policy,
    main,
    make_matching_env,
    periods_per_frame,
    summary,
)
from sim_training.physics import Physics
from sim_training.tasks import load_task


@pytest.fixture(scope='module')
def balance_model(tmp_path_factory):
    path = tmp_path_factory.mktemp('models') / 'balance.onnx'
    export_model(path, load_task('balance').spec)
    return path


def test_the_controller_and_the_env_agree_on_every_command(balance_model):
    """env.step(policy(observation)) and the controller's commands give the same episode."""
    from sac_ros.policy import load_policy

    policy, env = load_policy(balance_model), make_env('balance')
    episode = evaluate_policy(policy, env, 1, seed=7)[0]
    observation, _ = env.reset(seed=7)
    reward_sum, length, is_over = 0.0, 0, False
    while not is_over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        reward_sum, length, is_over = reward_sum + reward, length + 1, terminated or truncated
    assert (episode.reward_sum, episode.length) == (reward_sum, length)
    assert episode.faults == 0
    env.close()


def test_scores_are_those_of_the_episodes(balance_model):
    result = main(EvaluateCommand(model=balance_model, episodes=3, seed=11))
    each = result['each']
    assert [episode['seed'] for episode in each] == [11, 12, 13]
    assert result['return_mean'] == pytest.approx(np.mean([e['reward_sum'] for e in each]))
    assert result['success'] == 0  # an untrained policy drops the pole
    assert result['length_mean'] < 100


def test_the_same_seed_gives_the_same_scores(balance_model):
    command = EvaluateCommand(model=balance_model, episodes=2, seed=5)
    assert main(command) == main(command)


def test_a_robot_that_differs_is_scored_and_named(balance_model):
    shipped = Path(__file__).parents[1] / 'models' / 'balance.onnx'
    command = EvaluateCommand(model=shipped, episodes=3)
    result = main(command)
    assert (result['success'], result['physics']) == (3, {})
    assert 'physics' not in describe(result)
    other = main(replace(command, physics=Physics(urdf='cartpole_long.urdf')))
    assert (other['success'], other['physics']) == (0, {'urdf': 'cartpole_long.urdf'})
    assert other['return_mean'] < 0.2 * result['return_mean']  # it pushes as for a short pole
    assert describe(other).splitlines()[1] == '  physics  URDF cartpole_long.urdf'


def test_film_shows_a_robot_that_moves(balance_model, tmp_path):
    video = tmp_path / 'film.mp4'
    result = main(EvaluateCommand(model=balance_model, episodes=1, video=video, video_episodes=1))
    frames = np.stack(imageio.mimread(video, memtest=False))
    assert len(frames) == math.ceil(result['length_mean'] / 2)
    assert imageio.get_reader(video).get_meta_data()['fps'] == 25.0  # of 50 Hz: in real time
    assert frames.shape[1:] == (240, 320, 3)
    assert frames.std() > 5.0  # not one colour
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50  # not a still


def test_a_film_that_would_be_cut_off_is_refused_and_the_old_one_stays(balance_model, tmp_path):
    video = tmp_path / 'film.mp4'
    video.write_bytes(b'the film of yesterday')
    command = EvaluateCommand(model=balance_model, episodes=1, video=video, video_episodes=1)
    line = rf'^cannot write {video}: what ffmpeg wrote cannot be read; is \S+ full\?$'
    with full_disk(2_000), pytest.raises(UserError, match=line):
        main(command)
    assert video.read_bytes() == b'the film of yesterday'
    assert [path.name for path in tmp_path.iterdir()] == ['film.mp4']


@pytest.mark.parametrize(
    ('control_rate', 'periods'), [(12.5, 1), (20.0, 1), (50.0, 2), (60.6, 2), (125.0, 5)]
)
def test_a_film_has_about_25_frames_a_second(control_rate: float, periods: int):
    assert periods_per_frame(control_rate) == periods


def test_any_gymnasium_id_is_scored_through_its_own_contract(tmp_path):
    env = make_env('Pendulum-v1')
    policy = export_model(tmp_path / 'pendulum.onnx', env.contract)
    scores = summary(evaluate_policy(policy, env, 2))
    assert scores['length_mean'] == 200  # Pendulum-v1 never terminates
    assert -2000.0 < scores['return_mean'] < 0.0
    assert scores['success'] is None  # nobody says what that would be
    result = {'model': 'pendulum.onnx', 'task': 'Pendulum-v1', 'physics': {}, **scores}
    assert 'success' not in describe(result)
    env.close()


def test_a_reward_that_is_not_a_number_ends_the_evaluation_in_one_line(tmp_path):
    env = make_env('odd_envs:RewardNan-v0')
    policy = export_model(tmp_path / 'pendulum.onnx', env.contract)
    with pytest.raises(UserError, match=r'^episode with seed \d+: reward is nan in step 30$'):
        evaluate_policy(policy, env, 1)
    env.close()


@pytest.mark.fault('H11', 'refused', 'UserError')
def test_a_model_of_another_contract_is_refused_by_what_differs(balance_model):
    from sac_ros.policy import load_policy

    policy = load_policy(balance_model)
    with pytest.raises(UserError, match=r"'balance' is not that of 'reach': they differ in name"):
        make_matching_env(policy, 'reach')


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'episodes': 0}, r'--episodes is 0; 1 or more is needed'),
        ({'video': 'film.avi'}, r'film.avi must end in .mp4'),
    ],
)
def test_bad_options_are_refused_before_any_work(balance_model, tmp_path, options, text):
    if 'video' in options:
        options = {'video': tmp_path / options['video']}
    with pytest.raises(UserError, match=text):
        main(EvaluateCommand(model=balance_model, **options))
