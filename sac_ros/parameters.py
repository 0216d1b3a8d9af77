"""The parameters of policy_node: what the operator decides and no contract can know."""

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
    'realtime_priority': Declared(
        0,
        'Real-time priority (SCHED_FIFO) of the control thread; 0: like everybody else.',
        largest=98,
        read_only=True,
    ),
}


def declare_parameters(node: Node) -> None:
    """Declare all of them, each with its description and its range."""
    for name, declared in PARAMETERS.items():
        node.declare_parameter(name, declared.default, _descriptor(declared))


def loop_options(node: Node) -> LoopOptions:
    """Return what the parameters say of the control loop that is about to begin."""
    return LoopOptions(
        ramp_time=node.get_parameter('ramp_time').value,
        speed_scale=node.get_parameter('speed_scale').value,
        is_shadow=node.get_parameter('shadow').value,
        realtime_priority=node.get_parameter('realtime_priority').value,
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
