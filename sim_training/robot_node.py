"""SimNode: the simulated robot on the topics of its contract, as a real robot would be there."""

import time
from collections import deque

import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from std_srvs.srv import Trigger

from sac_ros.command_messages import CommandMessage, command_from_message, command_type
from sac_ros.measurements import Measurements
from sac_ros.messages import (
    COMMAND,
    LATCHED,
    RESULTS,
    STATE,
    MessageError,
    time_message,
)
from sac_ros.run_node import steady_clock
from sac_ros.state import RobotState
from sac_ros.state_messages import MESSAGE_TYPES, StateMessage, state_message
from sim_training.env import Step, make_env
from sim_training.episode_record import EpisodeRecord, result_to_json, success_in_words, success_of
from sim_training.named_numbers import numbers_by_name
from sim_training.physics import Physics

SILENCE = 0.5  # [s] of simulated time without a new command, after which it is worth a warning
ACKNOWLEDGE_TIMEOUT = 1_000_000_000  # [ns]

Value = str | int | float | bool | list[str]

# name -> (default, description)
PARAMETERS: dict[str, tuple[Value, str]] = {
    'task': ('balance', 'Name of a task, path of its YAML file, or a Gymnasium id.'),
    'seed': (0, 'Seed of the first episode; the next ones count up.'),
    'publish_clock': (False, 'Publish simulated time on /clock, for nodes with use_sim_time.'),
    'real_time_factor': (1.0, 'Simulated seconds in one second.'),
    'episodes': (0, 'End after so many episodes; 0 for never.'),
    # How the robot differs from that of the task: see physics.py, which checks the numbers.
    'physics.payload': (0.0, 'Mass [kg] at the tool link.'),
    'physics.friction': (0.0, 'Dry friction in each joint [N m] or [N].'),
    # ROS cannot tell what an empty list is a list of.
    'physics.motor': ([''], 'Shares of their commands that motors answer: panda_joint4=0.6.'),
    'physics.delay': (0.0, 'More time [s] from command to motor, in whole control periods.'),
    'physics.urdf': ('', 'URDF in place of that of the task.'),
}
REAL_TIME_FACTORS = FloatingPointRange(from_value=0.01, to_value=100.0)
WHOLE_NUMBERS = IntegerRange(from_value=0, to_value=2**31 - 1, step=1)


class SimNode(Node):
    """One control period after the other: command in, physics, state out.

    The physics waits for the first command of an episode, so that a robot that cannot stand by
    itself does not fall before its policy is there.  The last command keeps acting when no new
    one comes, as it does in a forward controller.  The state that ends an episode is shown for one
    period, in which commands move nothing; then comes the first state of the next one.
    """

    def __init__(
        self, *, context: Context | None = None, arguments: list[str] | None = None
    ) -> None:
        """Build the robot and begin the first episode.  Raises UserError for a bad task."""
        super().__init__('sim_node', context=context, cli_args=arguments)
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, _descriptor(name, default, description))
        self.crash: BaseException | None = None
        self.is_finished = False
        self._env = make_env(str(self.get_parameter('task').value), physics=self._physics())
        self._spec = spec = self._env.contract
        self._seed = int(self.get_parameter('seed').value)
        self._episodes = int(self.get_parameter('episodes').value)
        self._has_clock = bool(self.get_parameter('publish_clock').value)
        self._periods = 1  # simulated time goes on over episodes; ROS takes 0 for no time
        self._begun = 0  # episodes
        self._sent_at = 0.0  # [s], steady clock: when the newest state left
        self._shown_at = 0.0  # [s]: its stamp
        self._own_goals: deque[object] = deque(maxlen=8)  # messages that will come back
        self._goals = Measurements(spec)
        self._publish_clock = self.create_publisher(Clock, '/clock', COMMAND).publish
        self._results = self.create_publisher(String, '~/episode', RESULTS)
        self._publishers_of: dict[str, Publisher[StateMessage]] = {
            source: self.create_publisher(
                MESSAGE_TYPES[spec.source_type(source)],
                spec.topics[source].name,
                LATCHED if source == 'goal' else COMMAND,
            )
            for source in spec.sources
        }
        if 'goal' in spec.sources:
            kind = MESSAGE_TYPES[spec.source_type('goal')]
            self.create_subscription(kind, spec.topics['goal'].name, self._take_goal, STATE)
        self.create_subscription(
            command_type(spec), spec.topics['command'].name, self._take_command, COMMAND
        )
        self.create_service(Trigger, '~/reset', self._reset)
        self._begin()
        factor = float(self.get_parameter('real_time_factor').value)
        self._timer = self.create_timer(spec.dt / factor, self._on_time, clock=steady_clock())
        self.get_logger().info(f"simulated robot of '{spec.name}' at {spec.control_rate:g} Hz")

    def close(self) -> None:
        """Wait until the results have arrived, as far as anybody listens; leave the physics."""
        self._results.wait_for_all_acked(Duration(nanoseconds=ACKNOWLEDGE_TIMEOUT))
        self._env.close()

    def prepare_end(self) -> None:
        """Do nothing: this robot hurts nobody."""

    def _begin(self) -> None:
        """Begin the next episode, frozen until a command comes."""
        self._env.reset(seed=self._seed + self._begun)
        self._begun += 1
        self._record = EpisodeRecord(self._begun)
        self._is_over = False
        self._command: np.ndarray | None = None  # the last one of this episode
        self._has_new_command = False
        self._silent_periods = 0
        if self._env.goal is not None:
            self._publish('goal', self._stamp())

    def _on_time(self) -> None:
        """Begin a period.  Where time is ours, one that began late is not made up for."""
        if self._has_clock:
            self._timer.reset()
        self._advance()

    def _advance(self) -> None:
        """Let one control period pass."""
        self._periods += 1
        if self._is_over and not self.is_finished:
            self._begin()
        step = None if self._command is None else self._env.send(self._command)
        self._shown_at = stamp = self._stamp()
        if step is not None:
            self._note(step)
        if self._has_clock:
            self._publish_clock(Clock(clock=time_message(stamp)))
        # The state that makes the policy tick goes last, when all else is there.
        for source in reversed(self._spec.sources):
            if source != 'goal' or self._spec.topics['goal'].timeout != float('inf'):
                self._publish(source, stamp)
        self._has_new_command = False
        self._sent_at = time.monotonic()

    def _note(self, step: Step) -> None:
        """Note a period, which may have led to the end of the episode."""
        _, reward, terminated, truncated, info = step
        self._record.add_period(reward, has_new_command=self._has_new_command)
        self._warn_of_silence()
        if terminated or truncated:
            self._is_over, self._command = True, None  # nothing moves until the next episode
            self.is_finished = 0 < self._episodes <= self._begun
            self._tell(success=success_of(info), terminated=terminated)

    def _tell(self, *, success: bool | None, terminated: bool) -> None:
        """Publish what the episode has come to: it ends in the newest state."""
        result = self._record.result(
            success=success, terminated=terminated, ended_at=self._shown_at
        )
        self._results.publish(String(data=result_to_json(result)))
        self.get_logger().info(
            f'episode {result.episode}: return {result.reward_sum:.1f} in '
            f'{result.length} periods{success_in_words(result.success)}'
        )

    def _warn_of_silence(self) -> None:
        """Say once that commands have stopped, and once that they are back."""
        limit = round(SILENCE * self._spec.control_rate)
        if not self._has_new_command:
            self._silent_periods += 1
            if self._silent_periods == limit:
                self.get_logger().warning(f'no new command for {SILENCE} s; the last one acts on')
        else:
            if self._silent_periods >= limit:
                self.get_logger().info('commands are back')
            self._silent_periods = 0

    def _take_command(self, message: CommandMessage) -> None:
        if self._is_over:
            return
        try:
            command = command_from_message(self._spec, message)
        except MessageError as error:
            self.get_logger().warning(f'command refused: {error}', throttle_duration_sec=1.0)
            return
        if self._command is not None and not self._has_new_command:
            self._record.latency.add(time.monotonic() - self._sent_at)
        self._command = command
        self._has_new_command = True

    def _take_goal(self, message: StateMessage) -> None:
        """Take a goal that somebody else has published; what is sent comes back to the sender."""
        if message in self._own_goals:
            return
        is_new = self._goals.update('goal', message, self._stamp(), time.monotonic())
        state = self._goals.state()
        if 'goal' in state.refused:
            fault = state.refused['goal']
            self.get_logger().warning(f'goal refused: {fault.text}', throttle_duration_sec=1.0)
        elif is_new and state.goal is not None:
            if self._env.goal is not None and np.array_equal(state.goal, self._env.goal):
                return
            self._env.goal = state.goal
            self._publish('goal', self._stamp())  # latched, for a policy that comes later

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Give up the episode, whose result is told if it has moved, and begin another."""
        if self._record.length > 0 and not self._is_over:
            self._tell(success=False, terminated=False)
        self._begin()
        response.success, response.message = True, f'episode {self._begun} begins'
        return response

    def _publish(self, source: str, stamp: float) -> None:
        state = RobotState(goal=self._env.goal) if source == 'goal' else self._env.state
        message = state_message(self._spec, source, state, stamp)
        if source == 'goal':
            self._own_goals.append(message)
        self._publishers_of[source].publish(message)

    def _stamp(self) -> float:
        """Return the time for stamps [s]: simulated when this node publishes the clock."""
        if self._has_clock:
            return self._periods * self._spec.dt
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def _physics(self) -> Physics:
        """Return how the robot differs, as the parameters say.  Raises UserError."""
        prefix = 'physics.'
        names = [name.removeprefix(prefix) for name in PARAMETERS if name.startswith(prefix)]
        values = {name: self.get_parameter(prefix + name).value for name in names}
        values['motor'] = numbers_by_name(word for word in values['motor'] if word)
        return Physics(**values)


def _descriptor(name: str, default: Value, description: str) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=description, read_only=True)
    if type(default) is int:
        descriptor.integer_range = [WHOLE_NUMBERS]
    if name == 'real_time_factor':
        descriptor.floating_point_range = [REAL_TIME_FACTORS]
    return descriptor
