"""ControlStep <-> the message on `~/control_step`: what a tick saw, asked for and sent.

A Float64MultiArray whose dimensions are labelled, because ROS has no such message and a Python
package cannot bring one.
"""

from array import array

from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from sac_ros.control_step import ControlStep
from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec
from sac_ros.step_numbers import step_from_numbers, step_numbers, step_parts


def step_layout(spec: TaskSpec) -> MultiArrayLayout:
    """Return the labels and sizes of the parts of the message, in order."""
    dimensions = [
        MultiArrayDimension(label=label, size=size, stride=size)
        for label, size in step_parts(spec).items()
    ]
    return MultiArrayLayout(dim=dimensions, data_offset=0)


def step_message(step: ControlStep, layout: MultiArrayLayout) -> Float64MultiArray:
    """Return a tick as a message; `layout` comes from `step_layout`, made once."""
    sizes = {dimension.label: dimension.size for dimension in layout.dim}
    numbers = step_numbers(step, sizes['observation'])
    return Float64MultiArray(layout=layout, data=array('d', numbers.tobytes()))


def step_from_message(spec: TaskSpec, message: Float64MultiArray) -> ControlStep:
    """Return the tick in a message of a policy node that runs `spec`.  Raises UserError."""
    found = {dimension.label: dimension.size for dimension in message.layout.dim}
    parts = step_parts(spec)
    if found != parts or len(message.data) != sum(parts.values()):
        raise UserError(
            f'control_step has the parts {found} and {len(message.data)} numbers; '
            f"'{spec.name}' needs {parts}"
        )
    return step_from_numbers(spec, message.data)
