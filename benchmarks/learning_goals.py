"""What is to be reached and what others have published, env by env.  Figures and sources only."""

from dataclasses import dataclass

SIDES = {
    'sac_ros': 'sac_ros',
    'sb3_sac': 'SB3 SAC',
    'sb3_td3': 'SB3 TD3',
    'sb3_ddpg': 'SB3 DDPG',
    'sb3_ppo': 'SB3 PPO',
}
OURS = 'sac_ros'


@dataclass(frozen=True)
class Published:
    """A figure that others have published."""

    who: str
    figure: float  # mean return over seeds
    steps: int  # environment steps that it took
    source: str


@dataclass(frozen=True)
class Goal:
    """What ours is to reach on an env."""

    steps: int  # environment steps that there are
    reach: float  # mean over seeds, of the mean of the final tenth of the evaluations
    published: tuple[Published, ...]
    holds_from: int | None = None  # if set: no evaluation from this step on may be below `reach`


ZOO = 'rl-baselines3-zoo@22e3ff2 benchmark.md, 1 run'
SIMBA = 'v4, SimbaV2@86899c2 results/baseline'
SB3_DOCS = 'SB3@e05d2dbe docs/modules/sac.md, 3 seeds'
SEED = 'v4, chris-hoffmann/post2_soft_actor_critic, 3 seeds'

GOALS = {
    'InvertedPendulum-v5': Goal(
        50_000, 1000.0, (Published('SAC', 1000.0, 16_000, f'{SEED}, 779 at 29,000'),), 10_000
    ),
    'Pendulum-v1': Goal(10_000, -155.0, (Published('SAC', -157.0, 20_000, ZOO),)),
    'Hopper-v5': Goal(
        200_000,
        3000.0,
        (
            Published('SAC', 1730.0, 200_000, SEED),
            Published('SAC', 2342.0, 200_000, f'{SIMBA}/sac.csv'),
            Published('REDQ', 3543.0, 200_000, f'{SIMBA}/redq_utd20.csv'),
        ),
    ),
    'HalfCheetah-v5': Goal(
        200_000,
        9300.0,
        (
            Published('SAC', 7679.0, 200_000, f'{SIMBA}/sac.csv'),
            Published('FlashSAC', 10835.0, 200_000, 'v4, FlashSAC@87edc90 results, 5 seeds'),
        ),
    ),
    'HopperBulletEnv-v0': Goal(300_000, 2400.0, (Published('SAC', 2422.0, 1_000_000, SB3_DOCS),)),
    'HalfCheetahBulletEnv-v0': Goal(
        300_000, 2800.0, (Published('SAC with gSDE', 2984.0, 1_000_000, SB3_DOCS),)
    ),
}


def evaluation_episodes(env: str) -> int:
    """Return how many episodes one evaluation has: more where starts make more of a difference."""
    if env.startswith('Pendulum-'):
        return 100
    return 20 if 'BulletEnv' in env else 10
