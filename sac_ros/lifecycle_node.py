"""PolicyNode: the lifecycle node around a ControlLoop.  It never moves a robot unless told to."""

import functools
import gc
import time
from collections.abc import Callable
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from sac_ros.control_loop import ControlLoop
from sac_ros.diagnostic_message import diagnostic_array, policy_status, unconfigured_status
from sac_ros.errors import UserError
from sac_ros.fault_log import FaultLog
from sac_ros.messages import DIAGNOSTICS, ESTOP
from sac_ros.policy import load_policy
from sac_ros.run_node import steady_clock

DIAGNOSTIC_PERIOD = 1.0  # [s], as REP 107 asks for
AUTOSTART_PERIOD = 0.1  # [s] between two looks at whether the robot is there

# name -> (default, description, read-only)
PARAMETERS: dict[str, tuple[str | bool, str, bool]] = {
    'model': ('', 'Path of the model file (.onnx); read when the node is configured.', False),
    'autostart': (
        False,
        'Configure at once, and activate as soon as the state of the robot has come.',
        True,
    ),
}

Transition = Callable[['PolicyNode', LifecycleState], TransitionCallbackReturn]


def _keep_error(transition: Transition) -> Transition:
    """Keep an exception for the process: rclpy turns it into ERROR and says nothing."""

    @functools.wraps(transition)
    def guarded(self: 'PolicyNode', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except BaseException as error:
            self.crash = error
            raise

    return guarded


class PolicyNode(LifecycleNode):
    """unconfigured -> (load the model, subscribe) -> inactive -> (state is fit) -> active."""

    def __init__(
        self, *, context: Context | None = None, arguments: list[str] | None = None
    ) -> None:
        """Declare the parameters.  `arguments` are ROS arguments for this node alone."""
        super().__init__('policy_node', context=context, cli_args=arguments)
        for name, (default, description, read_only) in PARAMETERS.items():
            descriptor = ParameterDescriptor(description=description, read_only=read_only)
            self.declare_parameter(name, default, descriptor)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.crash: BaseException | None = None
        self.is_finished = False
        self._loop: ControlLoop | None = None
        self._refusal = ''  # why the last attempt to configure failed
        self.create_service(Trigger, '~/estop', self._answer_estop)
        for qos in ESTOP:
            self.create_subscription(Bool, '~/estop', self._hear_estop, qos)
        self.create_service(Trigger, '~/reset', self._answer_reset)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', DIAGNOSTICS)
        steady = steady_clock()
        self.create_timer(DIAGNOSTIC_PERIOD, self._publish_diagnostics, clock=steady)
        self._waiting = FaultLog()
        self._autostart = (
            self.create_timer(AUTOSTART_PERIOD, self._try_to_start, clock=steady)
            if self.get_parameter('autostart').value
            else None
        )
        if self._autostart is None:
            self.get_logger().info(
                'unconfigured: nothing moves until this node is told to configure and to activate'
            )

    @_keep_error
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and join its topics: inactive; or say why not: unconfigured."""
        model = str(self.get_parameter('model').value)
        try:
            if not model:
                raise UserError("parameter 'model' is empty; the path of a model file is needed")
            policy = load_policy(Path(model).expanduser())
        except UserError as error:
            self._refusal = str(error)
            self.get_logger().error(f'not configured: {error}')
            return TransitionCallbackReturn.FAILURE
        self._refusal = ''
        self._loop = ControlLoop(self, policy)
        for line in self._contract_lines(self._loop):
            self.get_logger().info(line)
        gc.collect()  # takes a tenth of a second, which nobody misses here
        return super().on_configure(state)

    @_keep_error
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to control: active; or say what is wrong with the robot's state: inactive."""
        fault = self._running_loop().activate()
        if fault is not None:
            self.get_logger().error(f'not activated: {fault}')
            return TransitionCallbackReturn.FAILURE
        result = super().on_activate(state)
        self._running_loop().start()
        gc.freeze()  # what lives now lives long: nothing to look for between two ticks
        self._end_autostart()
        self.get_logger().info('active: the policy controls the robot')
        return result

    @_keep_error
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, then go silent: inactive."""
        self._running_loop().stop()  # before super(): a lifecycle publisher is mute afterwards
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
        """Stop the robot when it runs, and wait until the stop command has arrived."""
        if self._loop is not None:
            self._loop.stop()
            self._loop.flush()
        gc.unfreeze()  # what stays frozen is never freed: others would see us for 20 s more

    def _leave(self) -> None:
        self._end_autostart()
        self.close()
        if self._loop is not None:
            self._loop.destroy()
            self._loop = None

    def _running_loop(self) -> ControlLoop:
        if self._loop is None:
            raise RuntimeError('the node is not configured')
        return self._loop

    def _try_to_start(self) -> None:
        """Configure once, then activate as soon as nothing speaks against it."""
        if self._loop is None:
            if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
                self._end_autostart()
            return
        fault = self._loop.find_fault()
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

    def _answer_estop(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success = self._loop is not None
        answer.message = self._stop_now('the service ~/estop was called')
        return answer

    def _hear_estop(self, message: Bool) -> None:
        """Stop on true.  False changes nothing: only ~/reset takes an emergency stop back."""
        if message.data:
            self._stop_now('~/estop says true')

    def _stop_now(self, text: str) -> str:
        if self._loop is None:
            return 'not configured: no command is being sent'
        self._loop.emergency_stop(text)
        self.get_logger().error(f'emergency stop: {text}; ~/reset takes it back')
        return 'stopping; ~/reset takes it back'

    def _answer_reset(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        """Take back a latched fault, and say what still speaks against moving."""
        if self._loop is None:
            answer.message = 'not configured: there is nothing to reset'
            return answer
        self._loop.reset()
        fault = self._loop.find_fault()
        answer.success = fault is None
        answer.message = 'reset' if fault is None else f'reset, but still {fault}'
        self.get_logger().info(answer.message)
        return answer

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        if self._loop is not None and any(parameter.name == 'model' for parameter in parameters):
            return SetParametersResult(
                successful=False, reason="'model' is read by configure: deactivate, clean up first"
            )
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        name = self.get_fully_qualified_name()
        if self._loop is None:
            status = unconfigured_status(name, self._refusal)
        else:
            status = policy_status(name, self._loop)
        now = self.get_clock().now().nanoseconds * 1e-9
        self._diagnostics.publish(diagnostic_array(status, now))

    def _contract_lines(self, loop: ControlLoop) -> list[str]:
        """Return the contract in the few lines that tell an operator what will happen."""
        spec = loop.spec
        topics = {key: self.resolve_topic_name(topic.name) for key, topic in spec.topics.items()}
        sources = [f'{topics[source]} [{spec.source_type(source)}]' for source in spec.sources]
        lower, upper = (
            ', '.join(f'{value:g}' for value in sorted(set(spec.per_action(bound).tolist())))
            for bound in (spec.action.lower, spec.action.upper)
        )
        return [
            f"task '{spec.name}' at {spec.control_rate:g} Hz, model {loop.policy.sha256[:12]}",
            f'observes {", ".join(term.term for term in spec.observation)} '
            f'from {", ".join(sources) or "nothing"}',
            f'commands {spec.action.interface} of {", ".join(spec.action_names)} '
            f'in [{lower}, {upper}] on {topics["command"]} [{spec.command_type}]',
        ]
