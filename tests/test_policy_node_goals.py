"""Goals: heard whether they were latched before or sent once later, and only in their frame."""

from pathlib import Path

import pytest
from builders import make_spec, make_state, topic

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from geometry_msgs.msg import PointStamped
from node_process import running
from policy_nodes import ACTION, LONE_NODE, TIMEOUT, start
from ros import Peer, wait_for, write_constant_model
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import Mode
from sac_ros.messages import LATCHED
from sac_ros.state_messages import state_message
from sac_ros.step_message import step_from_message

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

REACH = make_spec(
    topics={
        'joint_states': topic('joint_states', timeout=TIMEOUT),
        'tool_pose': topic('tool_pose', timeout=TIMEOUT),
        'goal': topic('goal', frame='base'),
        'command': topic('command'),
    }
)


def test_goals_are_heard_whether_latched_before_or_sent_once_later(tmp_path: Path, peer: Peer):
    model = write_constant_model(tmp_path / 'reach.onnx', REACH, ACTION)
    state = make_state()

    def goal(x: float) -> PointStamped:
        message = state_message(REACH, 'goal', make_state(goal=(x, 0.0, 0.0)), 0.0)
        assert message.header.frame_id == 'base'
        return message

    def moving(source: str) -> object:
        return state_message(REACH, source, state, 0.0)  # no stamp: dated by its arrival

    peer.listen_to_commands(REACH, '/lone/arm/commands')
    steps = peer.listen(Float64MultiArray, f'{LONE_NODE}/control_step')
    latched = peer.node.create_publisher(PointStamped, '/lone/goal', LATCHED)
    latched.publish(goal(1.0))
    streams = [
        peer.stream(f'/lone/{source}', lambda source=source: moving(source), 50.0)
        for source in ('tool_pose', 'joint_states')
    ]

    def distance() -> float:
        """Return x of goal_from_tool as the policy observes it; the tool is at 0.3 m."""
        step = step_from_message(REACH, steps[-1])
        return float('nan') if step.observation is None else float(step.observation[4])

    with running(*start(model=model, autostart=True)):
        wait_for(lambda: steps and distance() == pytest.approx(0.7), 'the latched goal')
        once = peer.node.create_publisher(PointStamped, '/lone/goal', 1)
        wait_for(lambda: once.get_subscription_count() >= 1, 'the reader of goals')
        once.publish(goal(0.8))
        wait_for(lambda: distance() == pytest.approx(0.5), 'the goal that was sent once')
        wrong = goal(0.1)
        wrong.header.frame_id = 'camera'
        once.publish(wrong)

        def is_refused() -> bool:
            step = step_from_message(REACH, steps[-1])
            return (
                step.mode is Mode.SAFE
                and step.fault is not None
                and (step.fault.code == 'E_OBS_FRAME')
            )

        wait_for(is_refused, 'SAFE: frame camera')
        once.publish(goal(0.7))
        wait_for(lambda: distance() == pytest.approx(0.4), 'the goal in the right frame')
    for stream in streams:
        stream.stop()
