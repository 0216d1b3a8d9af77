import json

import pytest

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training.demo import DemoCommand, describe, main

pytest.importorskip('rclpy')


@pytest.mark.ros
def test_demo_goes_from_nothing_to_a_robot_that_moves_over_ros(tmp_path):
    """The whole loop, with a training too short to balance."""
    folder = tmp_path / 'demo'
    result = main(DemoCommand(out=folder, episodes=2, steps=1200))
    assert load_policy(folder / 'balance.onnx').origin['env'] == 'balance'
    assert result['parity'] <= 1e-5
    assert [episode['length'] > 10 for episode in result['ros']['episodes']] == [True, True]
    assert result['ros']['latency_ms']['p50'] > 0.0
    for key in ('model', 'learning_curve', 'video'):
        assert (tmp_path / result[key]).stat().st_size > 1000
    text = describe(result)
    assert 'over ROS 2' in text
    assert str(folder / 'balance.mp4') in text
    json.dumps(result)


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'episodes': 0}, '--episodes is 0; 1 or more is needed'),
        ({'steps': 5}, 'steps is 5; more than sac.learning_starts 1000 are needed'),
        ({'seed': -1}, 'seed is -1; allowed: 0 to 4294967295'),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_anything_starts(options, text):
    with pytest.raises(UserError, match=text):
        DemoCommand(**options)


def test_demo_does_not_write_into_a_folder_with_something_in_it(tmp_path):
    (tmp_path / 'mine.txt').write_text('precious')
    with pytest.raises(UserError, match=r'is not an empty folder; name a new one'):
        main(DemoCommand(out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
