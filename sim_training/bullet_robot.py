"""BulletRobot: a URDF in PyBullet, driven like a robot.  The only file that imports pybullet."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sac_ros.errors import UserError, nearest
from sac_ros.spec import TaskSpec
from sim_training.named_numbers import named_words
from sim_training.physics import NOMINAL, Physics
from sim_training.silence import silence
from sim_training.tasks import FOLDER
from sim_training.tasks.task import Camera

with silence():  # it greets when it is imported
    import pybullet
    import pybullet_data
    from pybullet_utils.bullet_client import BulletClient

GRAVITY = 9.81  # [m/s^2]
GOAL_RADIUS, GOAL_COLOUR = 0.02, (0.1, 0.8, 0.2, 0.8)  # [m]; drawn in videos only

_CONTROL_MODES = {
    'position': pybullet.POSITION_CONTROL,
    'velocity': pybullet.VELOCITY_CONTROL,
    'effort': pybullet.TORQUE_CONTROL,
}
_TARGETS = {'position': 'targetPositions', 'velocity': 'targetVelocities', 'effort': 'forces'}


class BulletRobot:
    """One robot on a fixed base in a world of its own.

    Every period costs three calls into PyBullet (motors, step, joint states) and one more for the
    tool, however many joints there are: each call is a round trip to the physics server.
    """

    def __init__(
        self,
        urdf: str,
        spec: TaskSpec,
        substeps: int,
        tool_link: str | None,
        physics: Physics = NOMINAL,
    ) -> None:
        """Load `urdf` and prepare the joints of `spec`; `substeps` physics steps in a period.

        `physics` makes it another robot than the task describes.
        """
        urdf = physics.urdf or urdf
        self._interface = spec.action.interface
        if self._interface not in _CONTROL_MODES:
            allowed = ', '.join(_CONTROL_MODES)
            raise UserError(
                f"interface '{self._interface}' has no motors in PyBullet; {allowed} have"
            )
        driven = spec.joints if spec.action.joints is None else spec.action.joints
        self._shares = _motor_shares(physics, self._interface, driven)
        with silence():  # and when it connects
            self._client = BulletClient(pybullet.DIRECT)
        self._body = self._load(urdf)
        self._client.setGravity(0.0, 0.0, -GRAVITY)
        self._client.setPhysicsEngineParameter(
            fixedTimeStep=spec.dt, numSubSteps=substeps, deterministicOverlappingPairs=1
        )
        info = [
            self._client.getJointInfo(self._body, i)
            for i in range(self._client.getNumJoints(self._body))
        ]
        numbers = {row[1].decode(): row[0] for row in info if row[2] != pybullet.JOINT_FIXED}
        self._joints = [_find(name, numbers, urdf) for name in spec.joints]
        self._driven = [_find(name, numbers, urdf) for name in driven]
        links = {row[12].decode(): row[0] for row in info}
        self._tool = None if tool_link is None else _find(tool_link, links, urdf)
        self.joint_lower = np.array([info[i][8] for i in self._joints])  # URDF [rad] or [m]
        self.joint_upper = np.array([info[i][9] for i in self._joints])
        # The URDF's effort limits bound the motors; for effort the command itself is the force.
        # PyBullet grants a motor its force for a whole period in each substep: hence the share.
        max_effort = [info[i][10] for i in self._driven]
        if self._interface == 'effort':
            motor = {}
        else:
            left = _left_by_friction(physics.friction, dict(zip(driven, max_effort, strict=True)))
            motor = {'forces': [effort / substeps for effort in left]}
        self._others = [number for number in numbers.values() if number not in self._joints]
        self._release_motors(physics.friction / substeps)
        if physics.payload > 0.0:
            self._add_mass(info[-1][0] if self._tool is None else self._tool, physics.payload)
        self._goal_marker: int | None = None
        # What every period calls, looked up once: the client looks a name up at each use.
        self._set_motors = partial(
            self._client.setJointMotorControlArray,
            self._body,
            self._driven,
            _CONTROL_MODES[self._interface],
            **motor,
        )
        self._target = _TARGETS[self._interface]
        self._step = self._client.stepSimulation
        self._get_joints = partial(self._client.getJointStates, self._body, self._joints)
        self._get_tool = partial(
            self._client.getLinkState, self._body, self._tool, computeForwardKinematics=1
        )

    def reset(self, joint_position: np.ndarray, joint_velocity: np.ndarray) -> None:
        """Put the joints at positions [rad] or [m] and velocities, shape (joints,).

        Joints that the contract does not name go to 0, so that no episode remembers the last.
        """
        zeros = [[0.0]] * len(self._others)
        self._client.resetJointStatesMultiDof(
            self._body,
            self._joints + self._others,
            [[float(value)] for value in joint_position] + zeros,
            [[float(value)] for value in joint_velocity] + zeros,
        )

    def apply(self, command: np.ndarray) -> None:
        """Drive the motors by `command` [the interface's unit], shape (action_size,)."""
        self._set_motors(**{self._target: (self._shares * command).tolist()})

    def advance(self) -> None:
        """Let one control period pass."""
        self._step()

    def read(self) -> np.ndarray:
        """Return what is measured, in one float64 vector: shape (2 * joints,), or + 3 with a tool.

        It holds the joints' positions, their velocities, and the tool link's position in the base
        frame [m].
        """
        joints = self._get_joints()
        values = [row[0] for row in joints] + [row[1] for row in joints]
        if self._tool is not None:
            values += self._get_tool()[4]  # of the link's frame; [0] would be its centre of mass
        return np.array(values)

    def read_joints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return joint positions and velocities, each float64 of shape (joints,)."""
        joints = len(self._joints)
        values = self.read()
        return values[:joints], values[joints : 2 * joints]

    def read_tool_position(self) -> np.ndarray | None:
        """Return the tool link's position in the base frame [m], shape (3,)."""
        return None if self._tool is None else self.read()[-3:]

    def render(
        self, camera: Camera, goal: np.ndarray | None, width: int = 320, height: int = 240
    ) -> np.ndarray:
        """Return a picture by the software renderer: uint8, shape (height, width, 3)."""
        if goal is not None:
            self._show_goal(goal)
        view = self._client.computeViewMatrixFromYawPitchRoll(
            camera.target, camera.distance, camera.yaw, camera.pitch, 0.0, upAxisIndex=2
        )
        projection = self._client.computeProjectionMatrixFOV(50.0, width / height, 0.05, 20.0)
        image = self._client.getCameraImage(
            width, height, view, projection, renderer=pybullet.ER_TINY_RENDERER
        )
        return np.asarray(image[2], dtype=np.uint8).reshape(height, width, 4)[:, :, :3]

    def close(self) -> None:
        """Leave the physics server; the robot is gone.  Once is enough, twice is no error."""
        if self._client.isConnected():
            self._client.disconnect()

    def _load(self, urdf: str) -> int:
        self._client.setAdditionalSearchPath(pybullet_data.getDataPath())
        folders = (Path(), FOLDER, Path(pybullet_data.getDataPath()))
        path = next((folder / urdf for folder in folders if (folder / urdf).is_file()), None)
        if path is None:
            raise UserError(
                f'URDF {urdf} is neither a file nor part of sim_training/tasks or pybullet_data'
            )
        try:
            body: int = self._client.loadURDF(str(path), useFixedBase=True)
        except pybullet.error as error:
            raise UserError(f'URDF {urdf} cannot be loaded ({error})') from error
        return body

    def _release_motors(self, friction: float) -> None:
        """Let the contract's joints swing, freely or against `friction` [N m] or [N].

        A motor that wants to stand still and is no stronger than that is dry friction.  The other
        joints keep PyBullet's braking motors.
        """
        forces = [friction] * len(self._joints)
        self._client.setJointMotorControlArray(
            self._body, self._joints, pybullet.VELOCITY_CONTROL, forces=forces
        )

    def _add_mass(self, link: int, mass: float) -> None:
        """Add a point of `mass` [kg] at a link's centre of mass, where it changes no inertia."""
        before = self._client.getDynamicsInfo(self._body, link)
        self._client.changeDynamics(
            self._body, link, mass=before[0] + mass, localInertiaDiagonal=before[2]
        )

    def _show_goal(self, goal: np.ndarray) -> None:
        """Put the goal's marker in place: seen by the camera, invisible to the physics."""
        if self._goal_marker is None:
            shape = self._client.createVisualShape(
                pybullet.GEOM_SPHERE, radius=GOAL_RADIUS, rgbaColor=GOAL_COLOUR
            )
            self._goal_marker = self._client.createMultiBody(0.0, -1, shape, goal.tolist())
        self._client.resetBasePositionAndOrientation(
            self._goal_marker, goal.tolist(), (0.0, 0.0, 0.0, 1.0)
        )


def _motor_shares(physics: Physics, interface: str, driven: Sequence[str]) -> np.ndarray:
    """Return the share of each command that its motor answers, shape (action_size,)."""
    if physics.motor and interface == 'position':
        shares = ', '.join(named_words(physics.motor))
        raise UserError(
            f'physics.motor is {shares}, but a share of a position would be another place; the '
            'interfaces velocity and effort can have one'
        )
    return physics.motor_shares(driven)


def _left_by_friction(friction: float, max_effort: Mapping[str, float]) -> list[float]:
    """Return what friction leaves of the motors' efforts [N m] or [N]: it is felt at the limit."""
    for joint, effort in max_effort.items():
        if friction > 0.0 and friction >= effort:
            raise UserError(
                f'physics.friction is {friction:g}, which the motor of {joint} cannot overcome; '
                f'less than its {effort:g} [N m or N] is needed'
            )
    return [effort - friction for effort in max_effort.values()]


def _find(name: str, numbers: dict[str, int], urdf: str) -> int:
    """Return PyBullet's number of a joint or link by its name in the URDF."""
    if name not in numbers:
        hint = nearest(name, numbers)
        raise UserError(f"'{name}' is not in {urdf}{hint}; it has: {', '.join(numbers)}")
    return numbers[name]
