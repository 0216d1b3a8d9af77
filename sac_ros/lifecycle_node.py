"""PolicyNode: the lifecycle node around a ControlLoop.  It never moves a robot unless told to."""

import functools
import gc
import sys
import time
from collections.abc import Callable

from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from sac_ros.candidates import Candidates
from sac_ros.control_loop import ControlLoop
from sac_ros.errors import UserError
from sac_ros.fault import Fault
from sac_ros.fault_log import FaultLog
from sac_ros.lookout import LOOK_PERIOD, Lookout
from sac_ros.model_file import model_path
from sac_ros.model_gate import load_tried
from sac_ros.model_swap import ModelSwap
from sac_ros.operators import Operators
from sac_ros.parameters import declare_parameters, loop_options
from sac_ros.policy import ModelError
from sac_ros.preflight import Check, first_obstacle, preflight, report
from sac_ros.reports import REPORT_PERIOD, Reports, contract_lines
from sac_ros.ros_graph import collect_facts
from sac_ros.run_node import steady_clock

AUTOSTART_PERIOD = 0.1  # [s] between two looks at whether the robot is there
SWITCH_INTERVAL = 0.0005  # [s] for which one Python thread may keep the others waiting

Transition = Callable[['PolicyNode', LifecycleState], TransitionCallbackReturn]


def _keep_error(transition: Transition) -> Transition:
    """Keep an exception for the process: rclpy turns it into ERROR and says nothing."""

    @functools.wraps(transition)
    def guarded(self: 'PolicyNode', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except BaseException as error:
            self._transition_error = error
            raise

    return guarded


class PolicyNode(LifecycleNode):
    """unconfigured -> (load the model, subscribe) -> inactive -> (pre-flight) -> active."""

    def __init__(
        self, *, context: Context | None = None, arguments: list[str] | None = None
    ) -> None:
        """Declare the parameters.  `arguments` are ROS arguments for this node alone."""
        super().__init__('policy_node', context=context, cli_args=arguments)
        sys.setswitchinterval(SWITCH_INTERVAL)
        self.is_finished = False
        self.loop: ControlLoop | None = None
        self._transition_error: BaseException | None = None
        declare_parameters(self)
        self._discovered_at = time.monotonic() + self.get_parameter('discovery_time').value
        self._reports = Reports(self)
        self._candidates = Candidates(self, lambda: self.loop, self._reports.tell_policy)
        self._models = ModelSwap(self, lambda: self.loop, self._candidates.change_base)
        self._operators = Operators(self, lambda: self.loop)
        self._lookout = Lookout(self, lambda: self.loop)
        self.create_service(Trigger, '~/preflight', self._answer_preflight)
        steady = steady_clock()
        self.create_timer(REPORT_PERIOD, self._report, clock=steady)
        self.create_timer(LOOK_PERIOD, self._models.end_exploration, clock=steady)
        self._waiting = FaultLog()
        self._autostart = (
            self.create_timer(AUTOSTART_PERIOD, self._try_to_start, clock=steady)
            if self._value('autostart')
            else None
        )
        if self._autostart is None:
            self.get_logger().info(
                'unconfigured: nothing moves until this node is told to configure and to activate'
            )

    @property
    def crash(self) -> BaseException | None:
        """An error in a transition or in a thread, after which the process must end."""
        loop_crash = None if self.loop is None else self.loop.crash
        thread_crash = self._operators.crash or self._candidates.crash or self._lookout.crash
        return self._transition_error or thread_crash or loop_crash

    @_keep_error
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and join its topics: inactive; or say why not: unconfigured."""
        model = str(self._value('model'))
        try:
            if not model:
                raise UserError("parameter 'model' is empty; the path of a model file is needed")
            policy = load_tried(model_path(model), str(self._value('expected_sha256')))
        except UserError as error:
            code = error.code if isinstance(error, ModelError) else 'E_MODEL_PATH'
            self._models.refusal = Fault(code, str(error))
            self.get_logger().error(f'not configured: {self._models.refusal}')
            return TransitionCallbackReturn.FAILURE
        self._models.begin(model, policy)
        self.loop = ControlLoop(self, policy, loop_options(self))
        self._operators.begin(self.loop)
        self._reports.tell_policy(policy)
        self._candidates.begin(self.loop)
        for line in contract_lines(self, self.loop):
            self.get_logger().info(line)
        gc.collect()  # takes a tenth of a second, which nobody misses here
        return super().on_configure(state)

    @_keep_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to control: active; or say what the pre-flight report finds: inactive."""
        loop = self._running_loop()
        checks = self._preflight(loop)
        fault = first_obstacle(checks) or loop.activate()
        for line in report(checks).splitlines():
            self.get_logger().info(line)
        if fault is not None:
            self.get_logger().error(f'not activated: {fault}')
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        loop.start()
        gc.freeze()  # what lives now lives long: nothing to look for between two ticks
        self._end_autostart()
        self.get_logger().info(
            'active: the policy looks on, and its commands go to ~/shadow_command'
            if loop.options.is_shadow
            else 'active: the policy controls the robot'
        )
        return result

    @_keep_error
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, then go silent: inactive."""
        self._running_loop().stop()  # before super(): a lifecycle publisher is mute afterwards
        self._candidates.end_trial()
        gc.unfreeze()
        self.get_logger().info('inactive: the stop command was sent')
        return super().on_deactivate(state)

    @_keep_error
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the topics and forget the model: unconfigured."""
        self._leave()
        return super().on_cleanup(state)

    @_keep_error
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot when it runs, and leave: finalized."""
        self._leave()
        return super().on_shutdown(state)

    def close(self) -> None:
        """Stop the robot when it runs, wait until the stop command has arrived, and end."""
        try:
            self._leave()
        finally:
            self._candidates.close()
            self._operators.destroy()
            self._lookout.destroy()

    def prepare_end(self) -> None:
        """Lead the robot to the stop command at once, also while the executor is busy."""
        if self.loop is not None:
            self.loop.prepare_end()

    def _leave(self) -> None:
        self._end_autostart()
        if self.loop is not None:
            self.loop.stop()
            loop, self.loop = self.loop, None
            with self._lookout.paused():
                loop.destroy()
        self._candidates.end()
        gc.unfreeze()  # what stays frozen is never freed: others would see us for 20 s more

    def _running_loop(self) -> ControlLoop:
        if self.loop is None:
            raise RuntimeError('the node is not configured')
        return self.loop

    def _value(self, parameter: str) -> object:
        return self.get_parameter(parameter).value

    def _preflight(self, loop: ControlLoop) -> list[Check]:
        facts = collect_facts(
            self,
            loop.spec,
            arrived=loop.ages().keys(),
            intervals=loop.intervals(),
            state_fault=loop.find_fault(),
            discovery_rest=max(0.0, self._discovered_at - time.monotonic()),
        )
        return preflight(loop.spec, facts, is_shadow=loop.options.is_shadow)

    def _try_to_start(self) -> None:
        """Configure once, then activate as soon as nothing speaks against it.

        After an emergency stop that is left to the operator: a robot that has been reset must not
        begin to move later, when something else that was missing has come.
        """
        if self.loop is None:
            if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
                self._end_autostart()
            return
        if self._operators.was_stopped:
            self._end_autostart()
            self.get_logger().warning(
                'autostart has ended after an emergency stop: reset, then activate, by hand'
            )
            return
        fault = first_obstacle(self._preflight(self.loop))
        line = self._waiting.note('waiting', fault, time.monotonic())
        if line is not None:
            self.get_logger().info(line)
        if fault is None:
            self.trigger_activate()

    def _end_autostart(self) -> None:
        """Leave all further starts to the operator."""
        if self._autostart is not None:
            self.destroy_timer(self._autostart)
            self._autostart = None

    def _report(self) -> None:
        self._reports.publish(self.loop, self._models.refusal, self._candidates.values())

    def _answer_preflight(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        if self.loop is None:
            answer.message = 'not configured: the model says what must be checked'
            return answer
        checks = self._preflight(self.loop)
        answer.success, answer.message = first_obstacle(checks) is None, report(checks)
        for line in answer.message.splitlines():
            self.get_logger().info(line)
        return answer
