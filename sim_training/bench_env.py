"""Env speed: a step of the env beside a bare `stepSimulation` of the same robot.

The two take turns, an episode each, in this process: what the machine does meanwhile happens to
both, and a ratio says what the env adds to its physics.  Only the steps are timed, by the time
that this thread computes.  The envs of pybullet_envs_gymnasium, if they are installed, are
measured in the same way.
"""

import contextlib
import importlib
import importlib.metadata
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from sac_ros.action import ActionMap
from sac_ros.state import RobotState
from sim_training.bullet_robot import BulletRobot
from sim_training.env import SimEnv
from sim_training.silence import silence
from sim_training.tasks import load_task, task_names

PEER = 'pybullet_envs_gymnasium'
PEER_ENVS = ('HopperBulletEnv-v0', 'HalfCheetahBulletEnv-v0', 'AntBulletEnv-v0')
LONGEST_EPISODE = 50  # [control periods], before the other one takes its turn


@dataclass(frozen=True)
class Subject:
    """An env, and its robot without the env."""

    name: str
    actions: Box
    begin: Callable[[], object]
    step: Callable[[np.ndarray], tuple[object, SupportsFloat, bool, bool, object]]
    begin_bare: Callable[[], object]
    push: Callable[[np.ndarray], object]  # drives the bare robot as `step` does; not timed
    step_bare: Callable[[], object]
    close: Callable[[], object]


def measure_env(rounds: int, seconds: float) -> dict[str, object]:
    """Measure each env in so many rounds of so many seconds; they take turns."""
    with contextlib.ExitStack() as stack:
        peers = _peer_envs()
        subjects = [_our_env(name) for name in task_names()] + peers
        for subject in subjects:
            stack.callback(subject.close)
        random = np.random.default_rng(0)
        times: dict[str, list[tuple[float, float]]] = {subject.name: [] for subject in subjects}
        for number in range(1, rounds + 1):
            for subject in subjects:
                step, bare = _measure_round(subject, seconds, random)
                times[subject.name].append((step, bare))
                print(
                    f'bench: {subject.name}, round {number} of {rounds}: '
                    f'step {1e6 * step:.1f} us, bare {1e6 * bare:.1f} us',
                    file=sys.stderr,
                )
    envs = [{'env': name, **summarise(pairs)} for name, pairs in times.items()]
    peer = _peer_version() if peers else None
    return {'rounds': rounds, 'seconds': seconds, 'peer': peer, 'envs': envs}


def summarise(times: Sequence[tuple[float, float]]) -> dict[str, object]:
    """Return the figures of an env from its rounds: times of a step and of a bare one [s]."""
    steps, bares = np.array(times).T
    ratios = steps / bares
    return {
        'step_us': float(1e6 * np.median(steps)),
        'bare_us': float(1e6 * np.median(bares)),
        'steps_per_second': float(1.0 / np.median(steps)),
        'ratio': {
            'median': float(np.median(ratios)),
            'min': float(np.min(ratios)),
            'max': float(np.max(ratios)),
        },
    }


def describe_env(result: dict[str, object]) -> str:
    """Return the figures as a table."""
    envs = result['envs']
    assert isinstance(envs, list)
    rows = [('env', 'step', 'bare', 'ratio', 'steps/s'), *map(_row, envs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if result['peer'] is None:
        lines.append(f'without a peer: {PEER} is not installed (pip install {PEER})')
    return '\n'.join(
        (
            'a step of the env beside a bare stepSimulation of the same robot; medians of '
            f'{result["rounds"]} rounds of {result["seconds"]:g} s each, ratios with the smallest '
            'and largest of a round',
            *lines,
        )
    )


def _row(figures: dict[str, object]) -> tuple[str, ...]:
    ratio = figures['ratio']
    assert isinstance(ratio, dict)
    return (
        str(figures['env']),
        f'{figures["step_us"]:.1f} us',
        f'{figures["bare_us"]:.1f} us',
        '{median:.2f} ({min:.2f} to {max:.2f})'.format(**ratio),
        f'{figures["steps_per_second"]:.0f}',
    )


def _measure_round(
    subject: Subject, seconds: float, random: np.random.Generator
) -> tuple[float, float]:
    """Let env and bare robot take turns; return the mean time of a step of each [s]."""
    low, high = subject.actions.low, subject.actions.high
    spent, spent_bare, count = 0.0, 0.0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or count == 0:
        actions = random.uniform(low, high, (LONGEST_EPISODE, *low.shape)).astype(np.float32)
        length, is_over = 0, False
        subject.begin()
        while not is_over and length < LONGEST_EPISODE:
            begun = time.thread_time()
            _, _, terminated, truncated, _ = subject.step(actions[length])
            spent += time.thread_time() - begun
            is_over = terminated or truncated
            length += 1
        subject.begin_bare()
        for action in actions[:length]:
            subject.push(action)
            begun = time.thread_time()
            subject.step_bare()
            spent_bare += time.thread_time() - begun
        count += length
    return spent / count, spent_bare / count


def _our_env(name: str) -> Subject:
    task = load_task(name)
    env = SimEnv(task)
    robot = BulletRobot(task.urdf, task.spec, task.substeps, task.tool_link)
    action_map = ActionMap(task.spec)  # the motors are to do as much work as in the env
    random = np.random.default_rng(0)

    def begin_bare() -> None:
        start = task.start(random)
        robot.reset(start.joint_position, start.joint_velocity)
        action_map.reset(RobotState(joint_position=start.joint_position))

    def push(action: np.ndarray) -> None:
        robot.apply(action_map.to_command(action.astype(np.float64)))

    def close() -> None:
        env.close()
        robot.close()

    actions = env.action_space
    assert isinstance(actions, Box)
    return Subject(name, actions, env.reset, env.step, begin_bare, push, robot.advance, close)


def _peer_envs() -> list[Subject]:
    try:
        importlib.import_module(PEER)  # which makes its ids known to Gymnasium
    except ModuleNotFoundError as error:
        if error.name != PEER:
            raise
        return []
    return [_peer_env(name) for name in PEER_ENVS]


def _peer_env(name: str) -> Subject:
    env = gymnasium.make(name, disable_env_checker=True).unwrapped
    with silence():  # PyBullet greets when the first reset connects
        env.reset()
    actions = env.action_space
    assert isinstance(actions, Box)
    push, client = env.get_wrapper_attr('robot').apply_action, env.get_wrapper_attr('_p')
    return Subject(
        name, actions, env.reset, env.step, env.reset, push, client.stepSimulation, env.close
    )


def _peer_version() -> str | None:
    try:
        return f'{PEER} {importlib.metadata.version(PEER)}'
    except importlib.metadata.PackageNotFoundError:
        return None
