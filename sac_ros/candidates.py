"""Candidates: models that a learner offers while the robot runs, up to their trial.

offered -> waits for its turn -> gate -> on trial, where succession.py takes over
The control loop is only told to swap, between two ticks; it never waits for anything here.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import Trigger

from sac_ros.accepted_model import forget_accepted, has_accepted
from sac_ros.candidate_gate import CandidateGate, Checked, Offer, Terms
from sac_ros.condemned import Condemned
from sac_ros.control_loop import ControlLoop
from sac_ros.control_step import Mode
from sac_ros.decisions import Decisions
from sac_ros.errors import UserError
from sac_ros.fault import Fault
from sac_ros.files import expand_home
from sac_ros.ladder import Ladder
from sac_ros.messages import LATCHED, RECORD
from sac_ros.model_swap import recent_observations
from sac_ros.own_thread import OwnThread, Reader
from sac_ros.policy import OnnxPolicy
from sac_ros.run_node import steady_clock
from sac_ros.serving_thread import ServingThread
from sac_ros.succession import Succession
from sac_ros.trial import LEAST_RETURNS

LOOK_PERIOD = 0.1  # [s] between two looks at what waits or has been checked


class Candidates:
    """~/candidate, ~/episode_return and ~/base_model of a node.

    The base model is asked for past the executor, which may be busy for seconds, and not by the
    thread of ~/estop, which never waits for a disk: `_lock` lets one thread in at a time.
    """

    def __init__(
        self,
        node: LifecycleNode,
        find_loop: Callable[[], ControlLoop | None],
        tell_policy: Callable[[OnnxPolicy], None],
    ) -> None:
        """Listen for `node`; `tell_policy` announces the model that acts from now on."""
        self.succession: Succession | None = None  # of a configured node
        folder = str(node.get_parameter('learning_folder').value)
        self._folder = expand_home(folder) if folder else None
        self._node = node
        self._find_loop = find_loop
        self._tell_policy = tell_policy
        self._decisions = Decisions(node, self._folder, self._warn)
        self._gate = CandidateGate()
        self._offer: Offer | None = None  # the newest, while it waits
        self._waits_for: set[str] = set()  # what has been told of it
        self._condemned = Condemned(self._folder)
        self._lock = threading.RLock()
        self._is_closed = False  # by ~/base_model; `accept_candidates` will say so in a moment
        node.add_on_set_parameters_callback(self._hear_parameters)
        node.create_subscription(UInt8MultiArray, '~/candidate', self._take_offer, LATCHED)
        node.create_subscription(String, '~/episode_return', self._take_return, RECORD)
        group = OwnThread()
        service = node.create_service(
            Trigger, '~/base_model', self._answer_base_model, callback_group=group
        )
        self._thread = ServingThread('base model', Reader(node, group, {}, [service]))
        node.create_timer(LOOK_PERIOD, self._look_in_turn, clock=steady_clock())

    @property
    def crash(self) -> BaseException | None:
        """Return the error that has ended the thread: the process must end too."""
        return self._thread.crash

    def begin(self, loop: ControlLoop) -> None:
        """Begin with the model of `loop`, or with what was accepted in its place earlier."""
        with self._lock:
            self._begin(loop)

    def _begin(self, loop: ControlLoop) -> None:
        self.succession = Succession(
            loop, self._folder, self._decisions, self._condemned, self._tell_policy
        )
        if self._condemned.problem:
            loop.warn(Fault('W_DISK', self._condemned.problem))
        unwanted = self._find_unwanted()
        if unwanted is None:
            self.succession.restore(str(self._node.get_parameter('expected_sha256').value))
        elif self._folder is not None and has_accepted(self._folder):
            text = f'the base model acts, not the one in {self._folder}: {unwanted.text}'
            loop.warn(Fault('W_ACCEPTED_IGNORED', text))

    def change_base(self, policy: OnnxPolicy) -> None:
        """Let another base model act."""
        with self._lock:
            if self.succession is not None:
                self.succession.change_base(policy)

    def end_trial(self) -> None:
        """Let no model that was on trial act again: the node is deactivated."""
        with self._lock:
            if self.succession is not None:
                self.succession.end_trial('the node was deactivated')

    def end(self) -> None:
        """Forget the models: the node is cleaned up."""
        with self._lock:
            self.succession = None

    def close(self) -> None:
        """End what is being checked, and leave the service."""
        self._gate.close()
        self._thread.destroy()

    def values(self) -> dict[str, object]:
        """Return what the diagnostics say."""
        counts = self._decisions.counts
        ladder = None if self.succession is None else self.succession.ladder
        return {
            'acting': '' if ladder is None else ladder.acting_name,
            'acting_return': '' if ladder is None else _mean(ladder.acting.returns),
            'base_return': '' if ladder is None else _mean(ladder.base.returns),
            'candidates_accepted': counts['accepted'],
            'candidates_refused': counts['refused'],
            'candidates_rolled_back': counts['rolled back'],
            'last_decision': self._decisions.last or '',
        }

    def _take_offer(self, message: UInt8MultiArray) -> None:
        """Store a candidate; one that still waited is out of date."""
        data = bytes(message.data)
        self._offer = Offer(data, hashlib.sha256(data).hexdigest())
        self._look_in_turn()

    def _take_return(self, message: String) -> None:
        """Judge the model that has acted in an episode."""
        with self._lock:
            if self.succession is None:
                return
            try:
                self.succession.take_return(message.data)
            except UserError as error:
                self._warn(Fault('W_EPISODE_RETURN', str(error)))

    def _look_in_turn(self) -> None:
        if self._is_closed:
            self._node.set_parameters([Parameter('accept_candidates', value=False)])
        with self._lock:
            self._look()

    def _look(self) -> None:
        """Do what can be done now."""
        loop, succession = self._find_loop(), self.succession
        if loop is None or succession is None:
            return
        succession.watch(self._find_unwanted())
        checked = self._gate.take()
        if checked is not None:
            self._take_checked(loop, succession, checked)
        if self._offer is not None and not self._gate.is_busy:
            self._consider(loop, succession.ladder, self._offer)

    def _consider(self, loop: ControlLoop, ladder: Ladder, offer: Offer) -> None:
        """Refuse an offer, let it wait, or begin to check it."""
        refusal = self._find_refusal(loop, ladder, offer)
        reason = _find_reason_to_wait(loop, ladder)
        if refusal is None and reason:
            if reason not in self._waits_for:
                self._waits_for.add(reason)
                self._decisions.tell('waits', offer.sha256, text=reason)
            return
        self._offer, self._waits_for = None, set()
        if refusal is not None:
            self._refuse(offer, refusal)
            return
        terms = Terms(
            running=loop.policy,
            recent_observations=recent_observations(loop),
            max_action_change=float(self._node.get_parameter('max_action_change').value),
            expected_sha256=str(self._node.get_parameter('expected_sha256').value),
        )
        self._gate.begin(offer, terms)

    def _take_checked(self, loop: ControlLoop, succession: Succession, checked: Checked) -> None:
        """Begin the trial of a candidate that has passed, unless things have changed meanwhile."""
        offer, result = checked.offer, checked.result
        if isinstance(result, Fault):
            if result.code != 'E_INTERNAL':  # no model was to blame
                self._condemn(offer)
            self._refuse(offer, result)
        elif refusal := self._find_refusal(loop, succession.ladder, offer):
            self._refuse(offer, refusal)
        elif loop.policy is not checked.terms.running or _find_reason_to_wait(
            loop, succession.ladder
        ):
            self._offer = self._offer or offer  # to be checked again, if there is no newer one
        else:
            succession.begin_trial(result, offer.data)

    def _find_refusal(self, loop: ControlLoop, ladder: Ladder, offer: Offer) -> Fault | None:
        """Return why a candidate is not even looked at."""
        unwanted = self._find_unwanted()
        if unwanted is not None:
            return unwanted
        if loop.options.is_shadow:
            return Fault('E_CAND_UNWANTED', 'in shadow mode no model can be judged')
        if ladder.holds(offer.sha256) or offer.sha256 in self._condemned:
            return Fault('E_CAND_KNOWN', f'{offer.name} has been decided on before')
        return None

    def _find_unwanted(self) -> Fault | None:
        if self._is_closed or not self._node.get_parameter('accept_candidates').value:
            return Fault('E_CAND_UNWANTED', 'accept_candidates is false')
        if self._folder is None:
            text = 'learning_folder is empty: an accepted model could not be kept'
            return Fault('E_CAND_UNWANTED', text)
        return None

    def _condemn(self, offer: Offer) -> None:
        try:
            self._condemned.add(offer.sha256)
        except UserError as error:
            self._warn(Fault('W_DISK', str(error)))

    def _refuse(self, offer: Offer, fault: Fault) -> None:
        self._decisions.tell('refused', offer.sha256, fault.code, fault.text)

    def _hear_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Notice that somebody has said anew whether candidates are accepted."""
        if any(parameter.name == 'accept_candidates' for parameter in parameters):
            self._is_closed = False
        return SetParametersResult(successful=True)

    def _answer_base_model(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        """Let the base model act at once, forget what was learnt, and accept no more."""
        succession = self.succession
        if succession is not None:
            succession.demand_base()  # before the lock: whoever holds it may wait for a disk
        with self._lock:
            return self._back_to_base(answer)

    def _back_to_base(self, answer: Trigger.Response) -> Trigger.Response:
        self._is_closed = True
        sha256, acts = '', 'not configured'
        if self.succession is not None:
            self.succession.back_to_base()
            sha256 = self.succession.ladder.base.policy.sha256
            acts = 'the base model acts'
        answer.success = True
        answer.message = f'{acts}; no candidate is accepted any more'
        try:
            if self._folder is not None:
                forget_accepted(self._folder)
        except UserError as error:
            answer.success = False
            answer.message += f'; but after a restart: {error}'
        self._decisions.tell('base model', sha256, text=answer.message)
        return answer

    def _warn(self, fault: Fault) -> None:
        loop = self._find_loop()
        if loop is None:
            self._node.get_logger().warning(str(fault))
        else:
            loop.warn(fault)


def _find_reason_to_wait(loop: ControlLoop, ladder: Ladder) -> str:
    if ladder.on_trial is not None:
        return 'another candidate is on trial'
    if loop.controller.mode is not Mode.ACTIVE or loop.controller.takeover.action is not None:
        return 'the policy does not act'
    if len(ladder.acting.returns) < LEAST_RETURNS:
        return f'fewer than {LEAST_RETURNS} returns of the model that acts are known'
    return ''


def _mean(returns: Sequence[float]) -> str:
    return f'{np.mean(returns):.6g}' if returns else ''
