"""Start the policy node on a robot.  It is left unconfigured unless `autostart` is set.

ros2 launch sac_ros robot.launch.py model:=/path/to/model.onnx
ros2 lifecycle set /policy_node configure
ros2 lifecycle set /policy_node activate
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from sac_ros.errors import UserError
from sac_ros.model_contract import read_contract
from sac_ros.model_file import model_path
from sac_ros.spec_rules import LONGEST_STOP

ARGUMENTS = {  # name -> (default, description)
    'model': (None, 'Path of the model file (.onnx); it carries everything else.'),
    'namespace': ('', 'Namespace of the node and of its topics.'),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'autostart': ('false', 'Configure at once, activate as soon as nothing speaks against it.'),
    'discovery_time': ('3.5', 'Time [s] that DDS may need to make other nodes known.'),
    'shadow': ('false', 'Send the commands to ~/shadow_command only, for people to look at.'),
    'ramp_time': ('1.0', 'Time [s] in which the policy gains its full say after a start.'),
    'speed_scale': ('1.0', 'Part of the speed that is carried out, 0 to 1.'),
    'expected_sha256': ('', 'When given, a model file with any other sha256 is refused.'),
    'max_action_change': ('0.5', 'How far a new model may differ, as a part of the action range.'),
    'exploration': ('0.0', 'Noise on the actions, as a part of half the action range, 0 to 1.'),
    'exploration_time': ('0.2', 'Time [s] in which that noise forgets what it was.'),
    'takeover_timeout': ('0.2', 'Time [s] for which an action on ~/takeover counts.'),
    'accept_candidates': ('false', 'Let models act that a learner offers, on trial.'),
    'learning_folder': ('', 'Folder of the accepted model and of decisions.log.'),
    'realtime_priority': ('0', 'Real-time priority (SCHED_FIFO) of the control thread; 0: none.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}
PARAMETERS = {
    'autostart': bool,
    'discovery_time': float,
    'shadow': bool,
    'ramp_time': float,
    'speed_scale': float,
    'expected_sha256': str,
    'max_action_change': float,
    'exploration': float,
    'exploration_time': float,
    'takeover_timeout': float,
    'accept_candidates': bool,
    'learning_folder': str,
    'realtime_priority': int,
}
UNCHANGED = 'Empty: as in the model.'
# Topics of the contract, by the words that it uses.
TOPICS = {
    'joint_states': 'Topic of the measured joints (sensor_msgs/JointState).',
    'tool_pose': 'Topic of the measured tool pose.',
    'odometry': 'Topic of the odometry (nav_msgs/Odometry).',
    'imu': 'Topic of the IMU (sensor_msgs/Imu).',
    'goal': 'Topic of the goal.',
    'goal_velocity': 'Topic of the wished velocity of a mobile base.',
    'vector': 'Topic of the whole observation, for policies of Gymnasium envs.',
    'command': 'Topic of the commands: what the controller of the robot listens to.',
}


def generate_launch_description() -> LaunchDescription:
    """Return the declared arguments and the node."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    topics = [
        DeclareLaunchArgument(name, default_value='', description=f'{description} {UNCHANGED}')
        for name, description in TOPICS.items()
    ]
    return LaunchDescription([*arguments, *topics, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LifecycleNode]:
    """Return the node, its topics remapped from the names that the contract gives them."""
    topics = {name: LaunchConfiguration(name).perform(context) for name in TOPICS}
    wanted = {name: topic for name, topic in topics.items() if topic}
    model = LaunchConfiguration('model')
    expected_sha256 = LaunchConfiguration('expected_sha256').perform(context)
    path = model.perform(context)
    contract = read_contract(model_path(path), expected_sha256).topics if wanted else {}
    if unused := wanted.keys() - contract.keys():
        raise UserError(
            f"the model has no topic '{', '.join(sorted(unused))}' that could be remapped; "
            f'it has: {", ".join(contract)}'
        )
    remappings = [(contract[name].name, topic) for name, topic in wanted.items()]
    use_sim_time = LaunchConfiguration('use_sim_time')
    node = LifecycleNode(
        package='sac_ros',
        executable='policy_node',
        name='policy_node',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            {
                'model': ParameterValue(model, value_type=str),
                'use_sim_time': ParameterValue(use_sim_time, value_type=bool),
                **{
                    name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                    for name, kind in PARAMETERS.items()
                },
            }
        ],
        remappings=remappings,
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
        # Ctrl-C: so long may the robot take to the stop command, before launch grows impatient.
        sigterm_timeout=str(LONGEST_STOP + 5.0),
    )
    return [node]
