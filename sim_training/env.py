"""SimEnv: a task as a Gymnasium env, built from its contract by the code of the robot."""

import math
from collections import deque

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from sac_ros.action import ActionMap
from sac_ros.errors import UserError
from sac_ros.observation import observe, split_observation
from sac_ros.state import RobotState
from sim_training.bullet_robot import BulletRobot
from sim_training.env_error import reward_number, told_errors
from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.physics import NOMINAL, Physics
from sim_training.tasks import is_task, load_task, task_names
from sim_training.tasks.task import Task

Step = tuple[np.ndarray, float, bool, bool, dict[str, object]]


class SimEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """action -> ActionMap -> delay -> physics -> noise -> observe -> observation.

    `step(action)` is for a learner.  `send(command)` and `state` are the same env with the
    contract's middle left out, for whoever brings a controller of their own: evaluation, ROS.
    """

    def __init__(
        self, task: Task, render_mode: str | None = None, physics: Physics = NOMINAL
    ) -> None:
        """Build spaces from the contract and the robot from the task, changed by `physics`."""
        self.task = task
        self.contract = task.spec
        self.render_mode = render_mode
        spec = self.contract
        self.metadata = {'render_modes': ['rgb_array'], 'render_fps': round(spec.control_rate)}
        lower, upper = (spec.per_action(value) for value in (spec.action.lower, spec.action.upper))
        self.action_space = Box(lower.astype(np.float32), upper.astype(np.float32))
        self.observation_space = Box(-np.inf, np.inf, (spec.observation_size,), np.float32)
        _check_measured(task)
        self._more_delay = physics.delay_in_periods(spec.dt)
        self._robot = BulletRobot(task.urdf, spec, task.substeps, task.tool_link, physics)
        self._deviation = _deviation(task)
        self._action_map = ActionMap(spec)
        self._in_transit: deque[np.ndarray] = deque()  # commands that have not reached the motors
        self.goal: np.ndarray | None = None  # [m] in the base frame, shape (3,)
        self.state = RobotState()  # as measured: with noise
        self._steps = 0

    @property
    def time(self) -> float:
        """Return the simulated time since the episode began [s]."""
        return self._steps * self.contract.dt

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[np.ndarray, dict[str, object]]:
        """Begin an episode as the task says.  Raises EnvError."""
        super().reset(seed=seed)
        with told_errors():
            start = self.task.start(self.np_random)
        self._robot.reset(start.joint_position, start.joint_velocity)
        self.goal = start.goal
        self._steps = 0
        self.state = self._measure()
        self._action_map.reset(self.state)
        low, high = self.task.delay
        delay = int(self.np_random.integers(low, high + 1)) + self._more_delay
        self._in_transit = deque([self._action_map.previous] * delay)
        return self._observe(self.state), {}

    def step(self, action: np.ndarray) -> Step:
        """Advance one control period under `action`, (action_size,), limited as on the robot."""
        self._action_map.to_command(np.asarray(action, dtype=np.float64))
        return self._advance()

    def send(self, command: np.ndarray) -> Step:
        """Advance one control period under `command`, taken as it is, shape (action_size,)."""
        self._action_map.remember(command)
        return self._advance()

    def render(self) -> np.ndarray:
        """Return a picture of the robot and the goal: uint8, shape (height, width, 3)."""
        return self._robot.render(self.task.camera, self.goal)

    def close(self) -> None:
        """Free the physics server."""
        self._robot.close()

    def _advance(self) -> Step:
        """Let one control period pass under the command that the action map remembers."""
        command = self._action_map.previous
        self._in_transit.append(command)
        self._robot.apply(self._in_transit.popleft())
        self._robot.advance()
        self._steps += 1
        self.state = self._measure()
        observation = self._observe(self.state)
        terms = split_observation(self.contract, observation)
        info: dict[str, object] = {}
        with told_errors():
            # What a task returns may be numpy's, which JSON and others do not take for a number.
            reward = reward_number(self.task.reward(terms, command))
            terminated = bool(self.task.terminated(terms))
            truncated = not terminated and self._steps >= self.task.time_limit
            if terminated or truncated:
                info['is_success'] = not terminated and self._is_success()
        return observation, reward, terminated, truncated, info

    def _observe(self, state: RobotState) -> np.ndarray:
        return observe(self.contract, state, self._action_map.previous)

    def _measure(self) -> RobotState:
        """Read the robot through its imperfect sensors."""
        measured = self._robot.read()
        noise = self._deviation * self.np_random.standard_normal(len(measured))
        return self._as_state(measured + noise)

    def _is_success(self) -> bool:
        """Ask the task about the robot as it is, without noise."""
        observation = self._observe(self._as_state(self._robot.read()))
        return bool(self.task.success(split_observation(self.contract, observation)))

    def _as_state(self, measured: np.ndarray) -> RobotState:
        joints = len(self.contract.joints)
        return RobotState(
            measured[:joints],
            measured[joints : 2 * joints],
            tool_position=None if self.task.tool_link is None else measured[-3:],
            goal=self.goal,
            stamps=dict.fromkeys(self.contract.sources, self.time),
        )


def _sizes(task: Task) -> dict[str, int]:
    """Return what BulletRobot.read measures, in its order, and how many numbers each has."""
    joints = len(task.spec.joints)
    tool = {} if task.tool_link is None else {'tool_position': 3}
    return {'joint_position': joints, 'joint_velocity': joints, **tool}


def _deviation(task: Task) -> np.ndarray:
    """Return the standard deviation of the noise on each element of BulletRobot.read.

    Raises UserError for noise on what the robot does not measure, or that is no deviation.
    """
    sizes = _sizes(task)
    for name, deviation in task.noise.items():
        if name not in sizes:
            raise UserError(
                f"task '{task.spec.name}' has noise on '{name}', which its simulation does not "
                f'measure; measured: {", ".join(sizes)}'
            )
        if not 0.0 <= deviation < math.inf:
            raise UserError(
                f"task '{task.spec.name}': noise on {name} is {deviation}; needed is a standard "
                'deviation, finite and not negative'
            )
    return np.repeat([task.noise.get(name, 0.0) for name in sizes], [*sizes.values()])


def _check_measured(task: Task) -> None:
    """Refuse a contract that asks for what its simulation does not measure."""
    measured = {*_sizes(task)}
    with told_errors(f"task '{task.spec.name}' cannot begin an episode: "):
        has_goal = task.start(np.random.default_rng(0)).goal is not None
    measured |= {'goal'} if has_goal else set()
    for name in task.spec.measured:
        if name not in measured:
            raise UserError(
                f"task '{task.spec.name}' needs {name}, which its simulation does not measure; "
                f'measured: {", ".join(sorted(measured))} (tool_position by tool_link, goal by '
                'start)'
            )


def make_env(
    name: str, render_mode: str | None = None, physics: Physics = NOMINAL
) -> SimEnv | GymnasiumEnv:
    """Return the env of a task (shipped name or path of its YAML file) or of a Gymnasium id.

    Only the robot of a task can be another one than was trained with.  Raises UserError.
    """
    if is_task(name):
        return SimEnv(load_task(name), render_mode, physics)
    if physics != NOMINAL:
        raise UserError(
            f"the physics of '{name}' cannot be changed ({physics}): it is no task; tasks: "
            f'{", ".join(task_names())}, or the path of a YAML file'
        )
    return GymnasiumEnv(name, render_mode)
