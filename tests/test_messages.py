"""messages.py: stamps there and back, and names from outside in one short line."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header

from sac_ros.messages import listed, stamp_of, time_message

pytestmark = pytest.mark.ros


@pytest.mark.parametrize('stamp', [0.0, 0.02, 1.999999999, 1.9999999999, 1795377249.5])
def test_times_survive_the_way_through_a_message(stamp):
    message = time_message(stamp)
    assert 0 <= message.nanosec < 1_000_000_000
    assert message.sec + message.nanosec * 1e-9 == pytest.approx(stamp, abs=1e-9)


def test_the_stamp_is_the_headers_and_0_where_there_is_none():
    message = JointState(header=Header(stamp=Time(sec=3, nanosec=250_000_000)))
    assert stamp_of(message) == 3.25
    assert stamp_of(JointState()) == 0.0
    assert stamp_of(Float64MultiArray()) == 0.0


@pytest.mark.parametrize(
    ('names', 'text'),
    [
        ([], 'no names'),
        (['a', 'b'], "'a', 'b'"),
        (['größe'], "'größe'"),
        (['a', 'b', 'c', 'd', 'e'], "'a', 'b', 'c', 'd', 'e'"),
        (['a', 'b', 'c', 'd', 'e', 'f', 'g'], "'a', 'b', 'c', 'd', 'e' and 2 more"),
        (['a\nb', '\x1b[31m', '\ud800'], r"'a\nb', '\x1b[31m', '\ud800'"),
        (['x' * 10_000_000], "'" + 'x' * 76 + '...'),
    ],
)
def test_names_from_a_message_are_told_in_one_short_line(names, text):
    assert listed(names) == text
    assert listed(names).encode('utf-8')
