"""`sac-ros run`: a model and a simulated robot as two ROS 2 processes, no ros2 command needed."""

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sac_ros.run_node import missing_ros
from sim_training.child_process import ChildProcess
from sim_training.env import SimEnv
from sim_training.episode_record import EpisodeResult, success_in_words, successes
from sim_training.evaluate import make_matching_env, task_of
from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.gymnasium_ids import LONGEST_EPISODE
from sim_training.named_numbers import named_words
from sim_training.physics import NOMINAL, Physics
from sim_training.ros_domain import check_domain_id, enter_local_domain
from sim_training.stop_signals import StopSignals

START_TIMEOUT = 60.0  # [s] for two processes to start and find each other, on a busy machine
POLL_PERIOD = 0.1  # [s]
NAMESPACE = '/simulation'  # keeps the commands away from any robot that is in the same domain


@dataclass(frozen=True)
class RunCommand:
    """Run a model over real ROS 2 topics: policy_node and the simulated robot, two processes.

    ROS_DOMAIN_ID is used when it is set; else a free one is taken.  Nothing leaves this machine.
    """

    model: Path
    """The model file (.onnx)."""

    task: str | None = None
    """Task or Gymnasium id to simulate; by default the one that the model's contract names."""

    episodes: int = 5
    """Episodes until the end."""

    seed: int = 0
    """Seed of the first episode; the next ones count up."""

    real_time_factor: float = 1.0
    """Simulated seconds in one second."""

    physics: Physics = NOMINAL

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, by name."""
        if self.episodes < 1:
            raise UserError(f'--episodes is {self.episodes}; 1 or more is needed')
        if not 0 <= self.seed < 2**31:
            raise UserError(f'--seed is {self.seed}; 0 to {2**31 - 1} is needed')
        if not 0.01 <= self.real_time_factor <= 100.0:
            factor = self.real_time_factor
            raise UserError(f'--real-time-factor is {factor}; 0.01 to 100 is needed')


def main(command: RunCommand) -> dict[str, object]:
    """Run the episodes; returns their results, and how quickly commands followed states."""
    check_ros()
    policy = load_policy(command.model)
    name = task_of(policy, command.task)
    env = make_matching_env(policy, name, command.physics)
    periods = longest_episode(env)
    env.close()
    timeout = START_TIMEOUT + periods * policy.spec.dt / command.real_time_factor
    episodes = _run_nodes(command, name, timeout)
    return {'physics': command.physics.differences(), **summary(episodes)}


def summary(episodes: list[EpisodeResult]) -> dict[str, object]:
    """Return the results of some episodes and what they come to together."""
    latencies = [episode.latency_ms for episode in episodes if episode.latency_ms]
    return {
        'episodes': [episode.as_data() for episode in episodes],
        'return_mean': statistics.fmean(episode.reward_sum for episode in episodes),
        'success': successes(episode.success for episode in episodes),
        'latency_ms': {
            key: combine(latency[key] for latency in latencies)
            for key, combine in (('p50', statistics.median), ('p99', max), ('max', max))
            if latencies
        },
        'missed': sum(episode.missed for episode in episodes),
    }


def describe(result: dict[str, object]) -> str:
    """Return the results for a terminal."""
    episodes, latency, physics = (result[key] for key in ('episodes', 'latency_ms', 'physics'))
    assert isinstance(episodes, list)
    assert isinstance(latency, dict)
    assert isinstance(physics, dict)
    times = ', '.join(f'{key} {value:.2f} ms' for key, value in latency.items())
    success = result['success']
    return (
        (f'physics: {Physics(**physics)}\n' if physics else '')
        + f'return {result["return_mean"]:.1f} on average'
        + ('' if success is None else f', {success} of {len(episodes)} episodes with success')
        + f'\nfrom state to command {times}; {result["missed"]} periods without a new command'
    )


def _run_nodes(command: RunCommand, task: str, timeout: float) -> list[EpisodeResult]:
    """Run both nodes until all episodes have ended; each may take `timeout` [s]."""
    from sim_training.listener_node import EpisodeListener

    environment = enter_local_domain()  # the listener is in this process
    domain_id = environment['ROS_DOMAIN_ID']
    print(f'run: ROS domain {domain_id}, namespace {NAMESPACE}', file=sys.stderr)
    sim_arguments, policy_arguments = node_arguments(command, task)
    episodes: list[EpisodeResult] = []
    with (
        StopSignals() as signals,
        ChildProcess('sim_training.sim_node', sim_arguments, environment) as sim,
        ChildProcess('sac_ros.policy_node', policy_arguments, environment) as policy,
        EpisodeListener(f'{NAMESPACE}/sim_node/episode', int(domain_id)) as listener,
    ):
        last = time.monotonic()
        while len(episodes) < command.episodes:
            signals.raise_if_received()
            for episode in listener.wait(POLL_PERIOD):
                episodes.append(episode)
                last = time.monotonic()
                print(_line(episode, command.episodes), file=sys.stderr)
            if len(episodes) < command.episodes:
                policy.check()
                sim.check()
            if time.monotonic() - last > timeout:
                raise UserError(
                    f'no episode has ended within {timeout:.0f} s; policy_node last said: '
                    f'{policy.last_line()}; sim_node last said: {sim.last_line()}'
                )
    return episodes


def node_arguments(command: RunCommand, task: str) -> tuple[list[str], list[str]]:
    """Return the arguments of sim_node and of policy_node."""
    return node_words(sim_parameters(command, task)), node_words(policy_parameters(command))


def sim_parameters(command: RunCommand, task: str) -> dict[str, object]:
    """Return the parameters of sim_node."""
    return {
        'task': task,
        'seed': command.seed,
        'episodes': 0,  # it must not end before the last result has been heard
        'real_time_factor': command.real_time_factor,
        'publish_clock': 'true',  # a machine that is busy slows the robot down too
        **_physics_parameters(command.physics),
    }


def policy_parameters(command: RunCommand) -> dict[str, object]:
    """Return the parameters of policy_node."""
    return {
        'model': command.model.absolute(),
        'autostart': 'true',
        'discovery_time': 0.0,  # nobody else knows this robot
        'use_sim_time': 'true',
        'ramp_time': 0.0,  # it acts as it was trained, from the first period on
    }


def node_words(parameters: Mapping[str, object]) -> list[str]:
    """Return the arguments of a node of ours, with these parameters."""
    words = [word for key, value in parameters.items() for word in ('-p', f'{key}:={value}')]
    # /clock is a global name: kept in the namespace, it rules over these nodes only.
    return ['--ros-args', '-r', f'__ns:={NAMESPACE}', '-r', '/clock:=clock', *words]


def _physics_parameters(physics: Physics) -> dict[str, str]:
    """Return the parameters of sim_node in which a robot differs: JSON, which is YAML too."""
    values = physics.differences()
    if physics.motor:
        values['motor'] = named_words(physics.motor)
    return {f'physics.{name}': json.dumps(value) for name, value in values.items()}


def check_ros() -> None:
    """Raise UserError where ROS is missing, or its domain is none: ask before anything starts."""
    check_domain_id(os.environ)
    try:
        import sim_training.listener_node  # noqa: F401
    except ModuleNotFoundError as error:
        hint = missing_ros(error)
        if hint is None:
            raise
        raise UserError(hint) from error


def longest_episode(env: SimEnv | GymnasiumEnv) -> int:
    """Return the longest that an episode can be [control periods]."""
    if isinstance(env, SimEnv):
        return env.task.time_limit
    return (env.spec.max_episode_steps if env.spec else None) or LONGEST_EPISODE


def _line(episode: EpisodeResult, count: int) -> str:
    latency = episode.latency_ms.get('p99', float('nan'))
    return (
        f'run: episode {episode.episode} of {count}: return {episode.reward_sum:.1f} in '
        f'{episode.length} periods{success_in_words(episode.success)}; state to '
        f'command p99 {latency:.2f} ms, {episode.missed} periods without a new command'
    )
