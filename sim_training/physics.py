"""Physics: how a simulated robot differs from the one that its task describes.  No physics engine.

With it a policy meets a robot that it was not trained on before the real one is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from sac_ros.errors import UserError, nearest
from sim_training.named_numbers import named_words

# The largest of each number, and its unit; the smallest is 0.
LARGEST = {'payload': (100.0, 'kg'), 'friction': (1000.0, 'N m or N'), 'delay': (1.0, 's')}
ROUNDING = 1e-6  # [periods] by which a delay may miss a whole number of them


@dataclass(frozen=True)
class Physics:
    """What differs from the robot of the task."""

    payload: float = 0.0
    """Mass [kg] at the tool link, or at the last link where the task names no tool."""

    friction: float = 0.0
    """Dry friction in each joint of the contract [N m] or [N]."""

    motor: dict[str, float] = field(default_factory=dict)
    """Share of its command that a joint's motor answers: panda_joint4=0.6 for 60 %."""

    delay: float = 0.0
    """Time [s] from command to motor that comes on top of the task's: whole control periods."""

    urdf: str = ''
    """URDF in place of the task's: a path, or the name of a file of ours or of pybullet_data."""

    def __post_init__(self) -> None:
        """Raise UserError for a number that is not finite or out of range."""
        for name, (largest, unit) in LARGEST.items():
            value = getattr(self, name)
            if not 0.0 <= value <= largest:
                raise UserError(f'physics.{name} is {value}; 0 to {largest:g} [{unit}] is needed')
        for joint, share in self.motor.items():
            if not 0.0 <= share <= 1.0:
                raise UserError(f"physics.motor of '{joint}' is {share}; 0 to 1 is needed")

    def __str__(self) -> str:
        """Return the differences for people to read."""
        shares = ', '.join(named_words(self.motor))
        texts = (
            f'payload {self.payload:g} kg' if self.payload else '',
            f'friction {self.friction:g} N m or N' if self.friction else '',
            f'motor {shares}' if self.motor else '',
            f'delay {self.delay:g} s' if self.delay else '',
            f'URDF {self.urdf}' if self.urdf else '',
        )
        return ', '.join(filter(None, texts)) or 'as the task describes it'

    def differences(self) -> dict[str, object]:
        """Return the values that are not those of the task's own robot, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(NOMINAL, name)}

    def motor_shares(self, joints: Sequence[str]) -> np.ndarray:
        """Return the share of each of `joints`, those that are driven, shape (joints,).

        Raises UserError for the share of a joint that is not among them.
        """
        for joint in self.motor:
            if joint not in joints:
                raise UserError(
                    f"physics.motor: '{joint}' is not driven{nearest(joint, joints)}; "
                    f'driven: {", ".join(joints)}'
                )
        return np.array([self.motor.get(joint, 1.0) for joint in joints])

    def delay_in_periods(self, dt: float) -> int:
        """Return the delay as a number of control periods of `dt` [s].  Raises UserError."""
        periods = self.delay / dt
        if abs(periods - round(periods)) > ROUNDING:
            raise UserError(
                f'physics.delay is {self.delay:g} s, which is {periods:g} control periods; whole '
                f'periods are needed, such as {round(periods) * dt:g} s'
            )
        return round(periods)


NOMINAL = Physics()  # nothing differs
