"""Operators: ~/estop, ~/reset and ~/enable, served by a thread that does nothing else.

So an emergency stop is heard at once, also while the node loads a model or answers others.
It is kept until a reset: one that comes before there is anything to stop counts for the loop that
will be configured, and so does one that was heard by a loop that is gone.
"""

import threading
from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from sac_ros.control_loop import ControlLoop
from sac_ros.fault import Fault
from sac_ros.messages import ESTOP
from sac_ros.own_thread import OwnThread, Reader, subscribe
from sac_ros.serving_thread import ServingThread

NOT_CONFIGURED = 'not configured: no command is being sent'


class Operators:
    """What people may say to a running policy, from the birth of the node to its end."""

    def __init__(self, node: LifecycleNode, find_loop: Callable[[], ControlLoop | None]) -> None:
        """Listen for `node`; `find_loop` returns the loop that is concerned, if there is one."""
        self._find_loop = find_loop
        self._logger = node.get_logger()
        # Held for moments: no stop may fall between "there is no loop" and the loop that comes.
        self._lock = threading.Lock()
        self._asked = ''  # who asked for a stop that nobody has taken back
        self.was_stopped = False
        """Whether a stop was ever asked for: after one nothing starts by itself."""
        group = OwnThread()
        subscriptions = {subscribe(node, group, Bool, '~/estop', qos): 'estop' for qos in ESTOP}
        services = [
            node.create_service(kind, name, answer, callback_group=group)
            for kind, name, answer in (
                (Trigger, '~/estop', self._answer_estop),
                (Trigger, '~/reset', self._answer_reset),
                (SetBool, '~/enable', self._answer_enable),
            )
        ]
        reader = Reader(node, group, subscriptions, services)
        self._thread = ServingThread('operators', reader, self._take_estop)

    @property
    def crash(self) -> BaseException | None:
        """Return the error that has ended the thread: the process must end too."""
        return self._thread.crash

    def begin(self, loop: ControlLoop) -> None:
        """Stop `loop`, which can be found from now on, if a stop was asked for before it."""
        with self._lock:
            if self._asked:
                loop.emergency_stop(self._asked)

    def destroy(self) -> None:
        """End the thread and leave the topics."""
        self._thread.destroy()

    def _take_estop(self, message: object) -> None:
        # False changes nothing: only ~/reset takes an emergency stop back.
        if isinstance(message, Bool) and message.data:
            self._stop_now('~/estop says true')

    def _answer_estop(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success, answer.message = True, self._stop_now('the service ~/estop was called')
        return answer

    def _stop_now(self, text: str) -> str:
        """Stop the robot, or keep the stop for later; return how that is answered."""
        with self._lock:
            self.was_stopped = True
            loop = self._find_loop()
            if loop is None:
                answer = f'kept, {NOT_CONFIGURED}; ~/reset takes it back'
            else:
                loop.emergency_stop(text)
                answer = 'stopping; ~/reset takes it back'
            is_new = not self._asked
            self._asked = self._asked or text
        if is_new:  # a button may say so a hundred times a second
            self._logger.error(f'emergency stop: {text}: {answer}')
        return answer

    def _answer_reset(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        """Take back a latched fault, or say what still speaks against it."""
        with self._lock:
            loop = self._find_loop()
            if loop is None and not self._asked:
                answer.message = 'not configured: there is nothing to reset'
                return answer
            fault = None if loop is None else loop.reset()
            if fault is None:
                self._asked = ''
        answer.success = fault is None
        answer.message = 'reset' if fault is None else f'not reset: {fault}'
        self._logger.warning(answer.message)
        return answer

    def _answer_enable(
        self, request: SetBool.Request, answer: SetBool.Response
    ) -> SetBool.Response:
        """Let the policy act, or lead the robot to the stop command until it may again."""
        loop = self._find_loop()
        if loop is None:
            answer.message = NOT_CONFIGURED
            return answer
        if request.data:
            loop.permit('W_DISABLED')
        else:
            loop.forbid(Fault('W_DISABLED', 'an operator has called ~/enable with false'))
        answer.success = True
        answer.message = 'enabled' if request.data else 'disabled: the stop command is being sent'
        self._logger.warning(answer.message)
        return answer
