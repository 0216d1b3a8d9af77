"""Prior data: what a model does in the unchanged simulation, as transitions."""

from collections.abc import Callable

import numpy as np

from sac_ros.action import ActionMap
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.policy import OnnxPolicy
from sim_training.env import SimEnv
from sim_training.gymnasium_env import GymnasiumEnv
from sim_training.transitions import Transition

EXPLORATIONS = (0.0, 0.3, 1.0)  # of the episodes in turn; see SmoothNoise
CORRELATION_TIME = 0.2  # [s]
FIRST_SEED = 3_000_000  # of the episodes; no training and no evaluation comes near


def simulate(
    policy: OnnxPolicy,
    env: SimEnv | GymnasiumEnv,
    steps: int,
    seed: int,
    should_stop: Callable[[], bool],
) -> list[Transition]:
    """Play episodes with more or less noise until there are `steps` transitions.

    `should_stop` is asked before each episode.
    """
    generator = np.random.default_rng(seed)
    transitions: list[Transition] = []
    episode = 0
    while len(transitions) < steps and not should_stop():
        exploration = EXPLORATIONS[episode % len(EXPLORATIONS)]
        noise = SmoothNoise(policy.spec, exploration, CORRELATION_TIME, generator)
        transitions += play(policy, env, FIRST_SEED + seed + episode, noise)
        episode += 1
    return transitions[:steps]


def play(
    policy: OnnxPolicy, env: SimEnv | GymnasiumEnv, seed: int, noise: SmoothNoise
) -> list[Transition]:
    """Play the episode that begins from `seed`, through the limits of the robot."""
    spec = policy.spec
    lower, upper = (spec.per_action(bound) for bound in (spec.action.lower, spec.action.upper))
    action_map = ActionMap(spec)
    observation, _ = env.reset(seed=seed)
    action_map.reset(env.state)
    transitions: list[Transition] = []
    is_over = False
    while not is_over:
        action = np.clip(noise.added_to(policy(observation)), lower, upper, dtype=np.float64)
        last = observation
        command = action_map.to_command(action)
        observation, reward, terminated, truncated, _ = env.send(command)
        is_over = terminated or truncated
        transitions.append(
            Transition(last, action, command, reward, observation, terminated, is_takeover=False)
        )
    return transitions
