"""Start the learner beside a policy node that runs on a robot.

ros2 launch sac_ros robot.launch.py model:=/path/to/model.onnx accept_candidates:=true ...
ros2 launch sac_ros finetune.launch.py model:=/path/to/model.onnx folder:=/path/to/folder

On another computer, or on this one: it gives way to the control loop.
"""

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

ARGUMENTS = {  # name -> (default, description)
    'model': (None, 'Path of the model (.onnx) that the policy node was given.'),
    'folder': (
        None,
        'Folder of what was seen and what was learned; it is gone on with.',
    ),
    'task': ('', 'Task that says reward and end; empty: the one that the contract names.'),
    'namespace': ('', 'Namespace of the learner: that of the policy node.'),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'policy_node': ('policy_node', 'Name of the policy node that is learned from.'),
    'episode_topic': ('', 'Topic on which a simulation says that an episode has ended.'),
    'reward_topic': ('', 'Topic of rewards, [sequence, reward]; empty: those of the task.'),
    'preset': ('robot', 'Kind of soft actor-critic: see `sac-ros train --help`.'),
    'prior_steps': ('20000', 'Simulated steps that are learned from as well; 0: none.'),
    'candidate_period': ('15.0', 'Time [s] of the robot from one candidate to the next.'),
    'save_period': ('60.0', 'Time [s] from one checkpoint to the next.'),
    'compile': ('true', 'Let torch compile the update, which takes a minute at the start.'),
    'threads': ('1', 'Processor threads.'),
    'seed': ('0', 'Seed of everything random.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}
PARAMETERS = {
    'model': str,
    'folder': str,
    'task': str,
    'policy_node': str,
    'episode_topic': str,
    'reward_topic': str,
    'preset': str,
    'prior_steps': int,
    'candidate_period': float,
    'save_period': float,
    'compile': bool,
    'threads': int,
    'seed': int,
    'use_sim_time': bool,
}


def generate_launch_description() -> LaunchDescription:
    """Return the declared arguments and the learner."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    learner = Node(
        package='sac_ros',
        executable='learner_node',
        name='learner_node',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            {
                name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                for name, kind in PARAMETERS.items()
            }
        ],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    return LaunchDescription([*arguments, learner])
