"""What a robot can do at all: a planner that knows the arm, for `reach`.  A measure, no policy."""

import numpy as np
from scipy.optimize import LinearConstraint, NonlinearConstraint, minimize

from sim_training.env import SimEnv
from sim_training.physics import Physics
from sim_training.silence import silence

with silence():  # it greets when it is imported
    import pybullet
    import pybullet_data
    from pybullet_utils.bullet_client import BulletClient

SLOWS_DOWN = 0.12  # [s] before the goal; of 0.08 to 0.2 the best for the robot of training
STARTS = (0.0, 0.1, 0.2)  # [rad]: how far from where the arm is the search begins
PRECISION = 1e-3  # [m]


def planned_returns(env: SimEnv, physics: Physics, seeds: range) -> list[float]:
    """Return what an arm comes to whose joints all arrive at once, as soon as they can.

    It knows the share of its command that each motor answers, and nothing of delay and payload.
    """
    arm = _Arm(env)
    shares = physics.motor_shares(env.contract.action_names)
    fastest = env.contract.per_action(env.contract.action.upper) * shares  # [rad/s]
    return [_play(env, arm, shares, fastest, seed) for seed in seeds]


def _play(env: SimEnv, arm: '_Arm', shares: np.ndarray, fastest: np.ndarray, seed: int) -> float:
    env.reset(seed=seed)
    assert env.goal is not None
    goal_position = arm.plan(env.state.joint_position, env.goal, fastest)
    reward_sum, is_over = 0.0, False
    while not is_over:
        left = goal_position - env.state.joint_position
        # v = (q* - q) / T, where T is when the slowest joint can be there
        velocity = left / max(float(np.max(np.abs(left) / fastest)), SLOWS_DOWN)
        _, reward, terminated, truncated, _ = env.step(velocity / shares)
        reward_sum += reward
        is_over = terminated or truncated
    return reward_sum


class _Arm:
    """The kinematics of the arm of an env."""

    def __init__(self, env: SimEnv) -> None:
        with silence():  # and when it connects
            self._client = BulletClient(pybullet.DIRECT)
        self._client.setAdditionalSearchPath(pybullet_data.getDataPath())
        self._body = self._client.loadURDF(env.task.urdf, useFixedBase=True)
        rows = [
            self._client.getJointInfo(self._body, i)
            for i in range(self._client.getNumJoints(self._body))
        ]
        by_name = {row[1].decode(): row for row in rows}
        self._joints = [by_name[name][0] for name in env.contract.joints]
        self._lower, self._upper = (
            np.array([by_name[name][side] for name in env.contract.joints]) for side in (8, 9)
        )
        tool = env.task.tool_link
        self._tool = next(row[0] for row in rows if row[12].decode() == tool)
        self._moving = sum(row[2] != pybullet.JOINT_FIXED for row in rows)

    def plan(self, position: np.ndarray, goal: np.ndarray, fastest: np.ndarray) -> np.ndarray:
        """Return the joint position [rad] at `goal` [m] that is reached soonest.

        Soonest: min T  so that  tool(q) = goal  and  |q_j - position_j| <= fastest_j T.
        """
        joints = len(position)
        last = np.eye(joints + 1)[-1]  # x = q, T
        within = np.block(
            [[np.eye(joints), fastest[:, None]], [-np.eye(joints), fastest[:, None]]]
        )
        constraints = [
            LinearConstraint(within, np.concatenate([position, -position])),
            NonlinearConstraint(
                lambda x: self._forward(x[:joints])[0], goal, goal,
                jac=lambda x: np.column_stack([self._forward(x[:joints])[1], np.zeros(3)]),
            ),
        ]  # fmt: skip
        bounds = [*zip(self._lower, self._upper, strict=True), (0.0, None)]
        generator, plans = np.random.default_rng(0), []
        for spread in STARTS:
            start = np.append(position + generator.normal(0.0, spread, joints), 1.0)
            x = minimize(
                lambda x: x[-1], start, jac=lambda x: last, method='SLSQP',
                bounds=bounds, constraints=constraints,
            ).x  # fmt: skip
            if np.abs(self._forward(x[:joints])[0] - goal).max() < PRECISION:
                plans.append(x)
        return min(plans, key=lambda x: x[-1])[:joints]

    def _forward(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the tool is [m], and how each joint moves it, (3, joints)."""
        for joint, angle in zip(self._joints, position, strict=True):
            self._client.resetJointState(self._body, joint, angle)
        state = self._client.getLinkState(self._body, self._tool, computeForwardKinematics=True)
        rest = [0.0] * self._moving
        angles = [*position, *rest[len(position) :]]
        linear, _ = self._client.calculateJacobian(
            self._body, self._tool, state[2], angles, rest, rest
        )
        return np.array(state[4]), np.array(linear)[:, : len(position)]
