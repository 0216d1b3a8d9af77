"""The parameters of policy_node: what the operator decides and no contract can know."""

from collections.abc import Mapping
from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node


@dataclass(frozen=True)
class Declared:
    """A parameter, in which range, and whether it may change while the node lives."""

    default: str | bool | int | float
    description: str
    largest: float | None = None  # numbers go from 0 to here
    read_only: bool = False


@dataclass(frozen=True)
class LoopOptions:
    """What the operator of this robot decides, and the contract leaves open."""

    ramp_time: float = 0.0  # [s] in which the policy gains its full say after a start
    speed_scale: float = 1.0  # 0 to 1
    is_shadow: bool = False  # commands go to ~/shadow_command, for people to look at
    realtime_priority: int = 0  # of the control thread (SCHED_FIFO); 0: as all others
    exploration: float = 0.0  # 0 to 1: deviation of the noise, as a part of half the action range
    exploration_time: float = 0.2  # [s] in which the noise forgets what it was
    takeover_timeout: float = 0.2  # [s] for which a person's action counts


PARAMETERS: dict[str, Declared] = {
    'model': Declared(
        '',
        'Path of the model file (.onnx), read when the node is configured.  Changed later, the '
        'new model is checked and takes over between two ticks, or is refused with the reason.',
    ),
    'autostart': Declared(
        False,
        'Configure at once, and activate as soon as nothing speaks against it.',
        read_only=True,
    ),
    'discovery_time': Declared(
        3.5,
        'Time [s] that DDS may need to make other nodes known.  Before it is over nothing '
        'is activated: somebody may command the robot already.',
        largest=60.0,
        read_only=True,
    ),
    'shadow': Declared(
        False,
        'Send the commands to ~/shadow_command only, for people to look at.  Read by configure.',
    ),
    'ramp_time': Declared(
        1.0,
        'Time [s] in which the policy gains its full say after each start.  0 for a robot that '
        'falls over meanwhile.',
        largest=60.0,
    ),
    'speed_scale': Declared(
        1.0, 'Part of the speed that the policy asks for which is carried out.', largest=1.0
    ),
    'expected_sha256': Declared(
        '',
        'When given, a model file with any other sha256 is refused (64 hexadecimal digits).',
        read_only=True,
    ),
    'max_action_change': Declared(
        0.5,
        'How far a new model may differ from the running one on the newest observations, as a '
        'part of the action range.',
        largest=1.0,
    ),
    'accept_candidates': Declared(
        False,
        'Let models act that are offered on ~/candidate, when they pass the gate, for as long as '
        'their returns are not worse than before.  False ends a trial.',
    ),
    'learning_folder': Declared(
        '',
        'Folder of the accepted model, which acts again after the next start, and of '
        'decisions.log.  Without it no candidate is accepted.',
        read_only=True,
    ),
    'realtime_priority': Declared(
        0,
        'Real-time priority (SCHED_FIFO) of the control thread; 0: like everybody else.',
        largest=98,
        read_only=True,
    ),
    'exploration': Declared(
        0.0,
        'Smooth noise on the actions of the policy: its standard deviation, as a part of half the '
        'action range.  An emergency stop and shadow mode set it to 0.',
        largest=1.0,
    ),
    'exploration_time': Declared(
        0.2,
        'Time [s] in which that noise forgets what it was.  Read when exploration is set.',
        largest=60.0,
    ),
    'takeover_timeout': Declared(
        0.2,
        'Time [s] for which an action on ~/takeover counts.  The robot is stopped when no other '
        'comes meanwhile, until another comes or the person lets go.',
        largest=10.0,
        read_only=True,
    ),
}


def declare_parameters(node: Node, parameters: Mapping[str, Declared] = PARAMETERS) -> None:
    """Declare all of them, each with its description and its range."""
    for name, declared in parameters.items():
        node.declare_parameter(name, declared.default, _descriptor(declared))


def loop_options(node: Node) -> LoopOptions:
    """Return what the parameters say of the control loop that is about to begin."""
    return LoopOptions(
        ramp_time=node.get_parameter('ramp_time').value,
        speed_scale=node.get_parameter('speed_scale').value,
        is_shadow=node.get_parameter('shadow').value,
        realtime_priority=node.get_parameter('realtime_priority').value,
        exploration=node.get_parameter('exploration').value,
        exploration_time=node.get_parameter('exploration_time').value,
        takeover_timeout=node.get_parameter('takeover_timeout').value,
    )


def _descriptor(declared: Declared) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=declared.description, read_only=declared.read_only
    )
    if declared.largest is not None:
        if isinstance(declared.default, int):
            descriptor.integer_range = [IntegerRange(from_value=0, to_value=int(declared.largest))]
        else:
            largest = FloatingPointRange(from_value=0.0, to_value=declared.largest)
            descriptor.floating_point_range = [largest]
    return descriptor
