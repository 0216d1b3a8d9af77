"""Start the simulated robot and the policy node on it: all that can be seen without a robot.

ros2 launch sac_ros sim.launch.py
ros2 launch sac_ros sim.launch.py task:=reach model:=/path/to/reach.onnx
"""

from pathlib import Path
from typing import List  # noqa: UP035 (launch does not know list[str])

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

MODEL = PathJoinSubstitution([FindPackageShare('sac_ros'), 'models', 'balance.onnx'])

ARGUMENTS = {  # name -> (default, description)
    'model': (MODEL, 'Path of the model file (.onnx).'),
    'task': ('balance', 'Task to simulate: the one that the model was trained for.'),
    'namespace': ('', 'Namespace of both nodes and of their topics.'),
    'use_sim_time': ('false', 'Let the simulation publish /clock, and live by it.'),
    'real_time_factor': ('1.0', 'Simulated seconds in one second; needs use_sim_time if not 1.'),
    'seed': ('0', 'Seed of the first episode.'),
    'physics.payload': ('0.0', 'Mass [kg] at the tool link.'),
    'physics.friction': ('0.0', 'Dry friction in each joint [N m] or [N].'),
    'physics.motor': (
        "['']",
        "Shares of their commands that motors answer, such as ['panda_joint4=0.6'].",
    ),
    'physics.delay': ('0.0', 'More time [s] from command to motor, in whole control periods.'),
    'physics.urdf': ('', 'URDF in place of that of the task.'),
    'autostart': ('true', 'Let the policy begin as soon as the simulated robot is there.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}
SIM_PARAMETERS = {
    'task': str,
    'seed': int,
    'real_time_factor': float,
    'physics.payload': float,
    'physics.friction': float,
    'physics.motor': List[str],  # noqa: UP006 (as above)
    'physics.delay': float,
    'physics.urdf': str,
}


def generate_launch_description() -> LaunchDescription:
    """Return the declared arguments, the simulated robot and the policy node."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    robot = Node(
        package='sac_ros',
        executable='sim_node',
        name='sim_node',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            {
                **{
                    name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                    for name, kind in SIM_PARAMETERS.items()
                },
                'publish_clock': ParameterValue(
                    LaunchConfiguration('use_sim_time'), value_type=bool
                ),
            }
        ],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    passed_on = ('model', 'namespace', 'use_sim_time', 'autostart', 'log_level')
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('robot.launch.py'))),
        launch_arguments=[
            *((name, LaunchConfiguration(name)) for name in passed_on),
            ('ramp_time', '0.0'),  # the policy acts as it was trained, from the first period on
        ],
    )
    return LaunchDescription([*arguments, robot, policy])
