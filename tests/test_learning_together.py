"""learner_node and policy_node around a simulated robot: what the one offers the other judges.

Whether it becomes better takes minutes: benchmarks/finetuning.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import ROOT, parameters, running
from ros import Peer, wait_for
from std_msgs.msg import String

from sac_ros.messages import RESULTS
from sac_ros.policy import load_policy

pytestmark = pytest.mark.ros

SPACE = ['-r', '__ns:=/school']
MODEL = ROOT / 'models' / 'balance.onnx'
# It offers what it has after two seconds of the robot instead of forty.
EAGER = """
import sys
from sim_training import fine_tuner
fine_tuner.WARM_UP = 50
fine_tuner.PATIENCE = 100
from sim_training.learner_node import main
sys.exit(main())
"""


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.mark.fault('F05', 'ACTIVE', '')
def test_what_a_learner_offers_is_tried_and_judged_by_the_returns_that_it_tells(
    peer: Peer, tmp_path: Path
):
    heard = peer.listen(String, '/school/policy_node/decisions', RESULTS)
    spec = load_policy(MODEL).spec
    commands = peer.listen_to_commands(spec, f'/school/{spec.topics["command"].name}')

    def decisions(*words: str) -> list[dict]:
        told = [json.loads(message.data) for message in heard]
        return [decision for decision in told if decision['decision'] in words]

    learner = parameters(
        model=MODEL, folder=tmp_path / 'learner', episode_topic='sim_node/episode',
        prior_steps=300, candidate_period=1.0, compile=False,
    )  # fmt: skip
    policy = parameters(
        model=MODEL, autostart=True, discovery_time=0.0, ramp_time=0.0, exploration=0.1,
        accept_candidates=True, learning_folder=tmp_path / 'policy', max_action_change=1.0,
    )  # fmt: skip
    robot = parameters(task='balance', **{'physics.urdf': 'cartpole_long.urdf'})
    with (
        running('-c', EAGER, *learner, *SPACE) as school,
        running('-m', 'sim_training.sim_node', *robot, *SPACE),
        running('-m', 'sac_ros.policy_node', *policy, *SPACE) as node,
    ):
        wait_for(
            lambda: decisions('accepted', 'rolled back'),
            lambda: f'a judgement; {school.log()[-1000:]} {node.log()[-1000:]}',
            timeout=120.0,
        )
    (tried, *_), (judged, *_) = decisions('on trial'), decisions('accepted', 'rolled back')
    assert tried['sha256'] == judged['sha256']
    assert len(tried['before']) >= 3  # returns of the base, told by the learner
    assert judged['decision'] == 'accepted' or judged['code'] == 'E_CAND_WORSE'
    assert len(judged['returns']) >= 1
    assert len(commands) > 100  # each of them within its bounds, or closing the peer fails
