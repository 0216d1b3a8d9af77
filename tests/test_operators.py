"""operators.py: what is said is heard also while the thread that hears it is held up."""

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from policy_nodes import settle
from rclpy.lifecycle import LifecycleNode
from ros import WAIT, Peer, wait_for
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from sac_ros.operators import Operators

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


class HeldUp:
    """A loop that lets an operator wait, and remembers how often it was stopped."""

    def __init__(self) -> None:
        self.is_waiting = threading.Event()
        self.may_go_on = threading.Event()
        self.stops: list[str] = []

    def permit(self, code: str) -> None:
        self.is_waiting.set()
        assert self.may_go_on.wait(WAIT)

    def emergency_stop(self, text: str) -> None:
        self.stops.append(text)


@pytest.fixture
def loop(peer: Peer) -> Iterator[HeldUp]:
    """Return the loop of the operators of a node `/board`."""
    loop = HeldUp()
    node = LifecycleNode('board', context=peer.context)
    peer.executor.add_node(node)
    operators = Operators(node, lambda: loop)
    yield loop
    operators.destroy()
    peer.do(peer.executor.remove_node, node)
    peer.do(node.destroy_node)


def test_a_stop_is_heard_whatever_was_said_behind_it_while_nobody_listened(
    peer: Peer, loop: HeldUp
):
    button = peer.node.create_publisher(Bool, '/board/estop', 100)
    enable = peer.node.create_client(SetBool, '/board/enable')
    assert enable.wait_for_service(WAIT)
    wait_for(lambda: button.get_subscription_count() >= 2, 'the two readers that match')
    answer = enable.call_async(SetBool.Request(data=True))
    assert loop.is_waiting.wait(WAIT)
    button.publish(Bool(data=True))
    for _ in range(50):
        button.publish(Bool(data=False))
    settle()  # all of it has arrived
    assert loop.stops == []
    loop.may_go_on.set()
    wait_for(lambda: loop.stops, 'the stop')
    wait_for(answer.done, 'the answer')
    assert set(loop.stops) == {'~/estop says true'}
    peer.do(peer.node.destroy_client, enable)
    peer.unpublish(button)
