"""Score an exported file: the model that will drive the robot, through its controller."""

import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sac_ros.controller import PolicyController
from sac_ros.errors import UserError
from sac_ros.files import check_writable
from sac_ros.policy import OnnxPolicy, load_policy
from sac_ros.spec import differing_keys
from sim_training.env import SimEnv, make_env
from sim_training.episode_record import success_of, successes
from sim_training.film import Film
from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.physics import NOMINAL, Physics
from sim_training.tasks import other_task

EVALUATION_SEED = 1_000_000  # episodes are reset from here on; no training seed comes near
FRAME_RATE = 25.0  # [Hz] of films, or what is nearest to it

Env = SimEnv | GymnasiumEnv


@dataclass(frozen=True)
class EvaluateCommand:
    """Score a model in the env that it was trained in, through the controller of the robot."""

    model: Path
    """The model file (.onnx)."""

    task: str | None = None
    """Task or Gymnasium id that it is scored in; by default the one that its contract names."""

    episodes: int = 20
    """Episodes, each from its own reset."""

    seed: int = EVALUATION_SEED
    """Seed of the first episode; the next ones count up."""

    video: Path | None = None
    """Film the first episodes into this MP4 file."""

    video_episodes: int = 3
    """How many of the episodes are filmed, if there are as many."""

    physics: Physics = NOMINAL

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, by name."""
        for name, least in (('episodes', 1), ('seed', 0), ('video_episodes', 1)):
            value = getattr(self, name)
            if value < least:
                option = name.replace('_', '-')
                raise UserError(f'--{option} is {value}; {least} or more is needed')
        if self.video is not None and self.video.suffix != '.mp4':
            raise UserError(f'--video {self.video} must end in .mp4')


@dataclass(frozen=True)
class Episode:
    """What one episode came to."""

    seed: int
    reward_sum: float  # undiscounted return
    length: int  # [control periods]
    success: bool | None  # None where the env does not say
    terminated: bool
    faults: int  # ticks in which the controller did not trust the state


def main(command: EvaluateCommand) -> dict[str, object]:
    """Evaluate and film as `command` says; returns the scores."""
    policy = load_policy(command.model)
    if command.video is not None:
        check_writable(command.video)
    name = task_of(policy, command.task)
    render_mode = None if command.video is None else 'rgb_array'
    env = make_matching_env(policy, name, command.physics, render_mode)
    try:
        episodes = evaluate_policy(policy, env, command.episodes, command.seed)
        result = {
            'model': str(command.model),
            'task': env.contract.name,
            'physics': command.physics.differences(),
            **summary(episodes),
        }
        if command.video is not None:
            count = min(command.video_episodes, command.episodes)
            film(policy, env, command.video, count, command.seed)
            result['video'] = str(command.video)
    finally:
        env.close()
    return result


def task_of(policy: OnnxPolicy, asked: str | None) -> str:
    """Return the task or id to play: what was asked for, else the one that the contract names."""
    name = asked or policy.spec.name
    note = None if asked else other_task(name, policy.origin.get('env'))
    if note is not None:
        print(f'{note}: --task says another', file=sys.stderr)
    return name


def make_matching_env(
    policy: OnnxPolicy, name: str, physics: Physics = NOMINAL, render_mode: str | None = None
) -> Env:
    """Return the env of a task or Gymnasium id, refusing one whose contract is not the model's."""
    env = make_env(name, render_mode, physics)
    if keys := differing_keys(env.contract, policy.spec):
        env.close()
        raise UserError(
            f"the model's contract '{policy.spec.name}' is not that of '{name}': they differ in "
            f'{", ".join(keys)}'
        )
    return env


def evaluate_policy(
    policy: OnnxPolicy, env: Env, episodes: int, seed: int = EVALUATION_SEED
) -> list[Episode]:
    """Run episodes reset from `seed`, `seed + 1`, ...; the policy acts only through commands."""
    return [_run_episode(policy, env, seed + i) for i in range(episodes)]


def summary(episodes: list[Episode]) -> dict[str, object]:
    """Return the scores of some episodes as plain data."""
    returns = [episode.reward_sum for episode in episodes]
    return {
        'episodes': len(episodes),
        'return_mean': float(np.mean(returns)),
        'return_std': float(np.std(returns)),
        'return_min': float(np.min(returns)),
        'success': successes(episode.success for episode in episodes),
        'length_mean': float(np.mean([episode.length for episode in episodes])),
        'faults': sum(episode.faults for episode in episodes),
        'each': [asdict(episode) for episode in episodes],
    }


def periods_per_frame(control_rate: float) -> int:
    """Return every how many control periods a film has a frame."""
    return max(1, round(control_rate / FRAME_RATE))


def film(policy: OnnxPolicy, env: Env, path: Path, episodes: int, seed: int) -> None:
    """Write an MP4 of some episodes in real time.  Raises WriteError when it would be cut off."""
    every = periods_per_frame(env.contract.control_rate)
    with Film(path, env.contract.control_rate / every) as shown:

        def show(period: int) -> None:
            if period % every == 0:
                shown.add(np.asarray(env.render()))

        for i in range(episodes):
            _run_episode(policy, env, seed + i, show)


def describe(result: dict[str, object]) -> str:
    """Return the scores for a terminal."""
    physics, success = result['physics'], result['success']
    assert isinstance(physics, dict)
    lines = [
        f'{result["model"]} on {result["task"]}, {result["episodes"]} episodes',
        *([f'  physics  {Physics(**physics)}'] if physics else []),
        f'  return   {result["return_mean"]:.1f} +- {result["return_std"]:.1f} '
        f'(worst {result["return_min"]:.1f})',
        *([f'  success  {success} of {result["episodes"]}'] if success is not None else []),
        f'  length   {result["length_mean"]:.0f} periods, {result["faults"]} with a fault',
    ]
    return '\n'.join(lines + ([f'  film     {result["video"]}'] if 'video' in result else []))


def _run_episode(
    policy: OnnxPolicy, env: Env, seed: int, watch: Callable[[int], None] = lambda period: None
) -> Episode:
    controller = PolicyController(policy.spec, policy)
    env.reset(seed=seed)
    fault = controller.activate(env.state, env.time)
    if fault is not None:
        raise UserError(f'episode with seed {seed} cannot begin: {fault}')
    reward_sum, length, faults = 0.0, 0, 0
    terminated = truncated = False
    info: dict[str, object] = {}
    while not (terminated or truncated):
        step = controller.step(env.state, env.time)
        _, reward, terminated, truncated, info = env.send(step.command)
        if not math.isfinite(reward):
            raise UserError(f'episode with seed {seed}: reward is {reward} in step {length + 1}')
        reward_sum += reward
        watch(length)
        length += 1
        faults += step.fault is not None
    return Episode(seed, reward_sum, length, success_of(info), terminated, faults)
