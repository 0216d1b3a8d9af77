"""A learner as a policy node sees it: it offers candidates, and tells the returns of episodes.

A test module takes its fixtures by `pytest_plugins = ('policy_nodes', 'offers')`, and lets the
shared node learn by a fixture `process` of its own.
"""

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from policy_nodes import BUSY, NODE, Arm
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros import Peer, wait_for
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import Trigger

from sac_ros.control_step import ControlStep, Mode
from sac_ros.messages import LATCHED, RECORD, RESULTS

LENGTH = 1000  # [ticks] of an episode


class Learner:
    """Talks to one policy node."""

    def __init__(self, peer: Peer, node: str) -> None:
        self._peer = peer
        self._node = node
        self._candidates = peer.node.create_publisher(
            UInt8MultiArray, f'{node}/candidate', LATCHED
        )
        self._returns = peer.node.create_publisher(String, f'{node}/episode_return', RECORD)
        self._decisions = peer.listen(String, f'{node}/decisions', RESULTS)
        publishers = (self._candidates, self._returns)
        wait_for(lambda: all(one.get_subscription_count() for one in publishers), 'the node')

    def offer(self, data: bytes) -> str:
        """Offer a candidate and return its sha256."""
        self._candidates.publish(UInt8MultiArray(data=array('B', data)))
        return hashlib.sha256(data).hexdigest()

    def tell(self, model: int, *returns: float, length: int = LENGTH) -> None:
        for value in returns:
            episode = {'model': model, 'return': value, 'length': length}
            self.say(json.dumps(episode))

    def say(self, text: str) -> None:
        self._returns.publish(String(data=text))

    def decisions(self, sha256: str = '') -> list[dict]:
        told = [json.loads(message.data) for message in self._decisions]
        return [decision for decision in told if decision['sha256'] == sha256 or not sha256]

    def wait_for(self, decision: str, sha256: str, timeout: float = 30.0) -> dict:
        """Wait for a decision about a model and return it."""

        def found() -> list[dict]:
            return [one for one in self.decisions(sha256) if one['decision'] == decision]

        what = f'{decision} of {sha256[:12]} among'
        wait_for(found, lambda: f'{what} {self.decisions()}', timeout)
        return found()[-1]

    def wait_for_reason(self, reason: str, sha256: str) -> None:
        """Wait until an offer waits for this reason; a busy machine may bring another first."""

        def is_told() -> bool:
            return any(
                one['decision'] == 'waits' and one['text'].startswith(reason)
                for one in self.decisions(sha256)
            )

        wait_for(is_told, lambda: f'{reason!r} among {self.decisions()}')

    def call(self, service: str) -> Trigger.Response:
        return self._peer.call(Trigger, f'{self._node}/{service}', Trigger.Request())

    def set(self, name: str, value: object) -> bool:
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        answer = self._peer.call(SetParameters, f'{self._node}/set_parameters', request)
        return answer.results[0].successful

    def close(self) -> None:
        for publisher in (self._candidates, self._returns):
            self._peer.unpublish(publisher)
        self._peer.forget(self._decisions)


def check_control(steps: Sequence[ControlStep]) -> None:
    """Demand that a command has left in each period, limited, whatever else went on.

    A busy machine may be late with a tick or a state, which is told.
    """
    sequence = [step.sequence for step in steps]
    assert sequence == list(range(sequence[0], sequence[0] + len(steps)))
    assert {step.fault.code for step in steps if step.fault} <= BUSY
    # 5 rad/s^2 * 0.02 s
    assert np.abs(np.diff([step.command for step in steps], axis=0)).max() <= 0.1 + 1e-12


def learning_in(folder: Path) -> dict[str, object]:
    """Return the parameters of a node that accepts candidates."""
    return {'accept_candidates': True, 'learning_folder': folder}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the learning folder of the shared node."""
    return tmp_path_factory.mktemp('learning')


@pytest.fixture
def learner(configured: None, peer: Peer, arm: Arm) -> Iterator[Learner]:
    """Return a learner of the shared node, which is active, by its base model."""
    learner = Learner(peer, NODE)
    assert learner.set('accept_candidates', True)
    arm.send_states()
    arm.activate()
    arm.wait_for_mode(Mode.ACTIVE)
    yield learner
    assert learner.call('base_model').success
    learner.close()
