"""The settings of the peers: those of rl-baselines3-zoo@22e3ff2, hyperparams/<algorithm>.yml.

The zoo lists MuJoCo's envs as v4, and InvertedPendulum, for PPO only, as v2.  Where it has no row
for an env the defaults of Stable-Baselines3 count, with noise for TD3 and DDPG.  Its Bullet
settings for SAC are those of today: the agents that it has published had older ones and a time
feature.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import nn


@dataclass(frozen=True)
class Settings:
    """How a peer is made for an env."""

    options: Mapping[str, object]  # of its class
    noise: float | None = None  # standard deviation, in actions from -1 to 1
    envs: int = 1  # copies that are played in turn
    is_normalised: bool = False  # running mean and deviation of observations and returns


def find_settings(side: str, env: str) -> tuple[Settings, str]:
    """Return the settings of a peer for an env, and whose they are."""
    known, defaults = SETTINGS[side]
    if env in known:
        return known[env], 'rl-baselines3-zoo'
    return defaults, 'Stable-Baselines3'


def _linear(start: float) -> Callable[[float], float]:
    """Return a straight line from `start` to 0 at the end of the training."""
    return lambda remaining: remaining * start


SAC_BULLET = Settings(
    {
        'learning_rate': 7.3e-4,
        'buffer_size': 300_000,
        'gamma': 0.98,
        'tau': 0.02,
        'train_freq': 8,
        'gradient_steps': 8,
        'learning_starts': 10_000,
        'use_sde': True,
        'policy_kwargs': {'log_std_init': -3, 'net_arch': [400, 300]},
    }
)
SAC_MUJOCO = Settings({'learning_starts': 10_000})
SAC = {
    'Pendulum-v1': Settings({'learning_rate': 1e-3}),
    'Hopper-v5': SAC_MUJOCO,
    'HalfCheetah-v5': SAC_MUJOCO,
    'HopperBulletEnv-v0': replace(
        SAC_BULLET, options={**SAC_BULLET.options, 'learning_rate': _linear(7.3e-4)}
    ),
    'HalfCheetahBulletEnv-v0': SAC_BULLET,
}

WIDE = {'policy_kwargs': {'net_arch': [400, 300]}, 'learning_starts': 10_000}
SHORT = {**WIDE, 'gamma': 0.98, 'buffer_size': 200_000}
TD3_MUJOCO = Settings({**WIDE, 'learning_rate': 1e-3}, noise=0.1)
TD3_BULLET = Settings({**SHORT, 'learning_rate': 7e-4}, noise=0.1)
TD3 = {  # and DDPG, for which the zoo has the same
    'Pendulum-v1': Settings({**SHORT, 'learning_rate': 1e-3}, noise=0.1),
    'Hopper-v5': TD3_MUJOCO,
    'HalfCheetah-v5': TD3_MUJOCO,
    'HopperBulletEnv-v0': TD3_BULLET,
    'HalfCheetahBulletEnv-v0': TD3_BULLET,
}

PPO_NETWORKS = {
    'policy_kwargs': {
        'log_std_init': -2,
        'ortho_init': False,
        'activation_fn': nn.ReLU,
        'net_arch': {'pi': [256, 256], 'vf': [256, 256]},
    }
}
PPO_BULLET = Settings(
    {
        'batch_size': 128,
        'n_steps': 512,
        'gamma': 0.99,
        'gae_lambda': 0.9,
        'n_epochs': 20,
        'sde_sample_freq': 4,
        'learning_rate': 3e-5,
        'use_sde': True,
        'clip_range': 0.4,
        **PPO_NETWORKS,
    },
    envs=16,
    is_normalised=True,
)
PPO = {
    'Pendulum-v1': Settings(
        {
            'n_steps': 1024,
            'gamma': 0.9,
            'learning_rate': 1e-3,
            'use_sde': True,
            'sde_sample_freq': 4,
        },
        envs=4,
    ),
    'InvertedPendulum-v5': Settings(
        {
            'n_steps': 32,
            'gamma': 0.999,
            'learning_rate': 2.22425e-4,
            'ent_coef': 1.37976e-7,
            'clip_range': 0.4,
            'n_epochs': 5,
            'gae_lambda': 0.9,
            'max_grad_norm': 0.3,
            'vf_coef': 0.19816,
        },
        is_normalised=True,
    ),
    'Hopper-v5': Settings(
        {
            'batch_size': 32,
            'n_steps': 512,
            'gamma': 0.999,
            'learning_rate': 9.80828e-5,
            'ent_coef': 0.00229519,
            'n_epochs': 5,
            'gae_lambda': 0.99,
            'max_grad_norm': 0.7,
            'vf_coef': 0.835671,
            **PPO_NETWORKS,
        },
        is_normalised=True,
    ),
    'HalfCheetah-v5': Settings(
        {
            'n_steps': 512,
            'gamma': 0.98,
            'learning_rate': 2.0633e-5,
            'ent_coef': 0.000401762,
            'clip_range': 0.1,
            'n_epochs': 20,
            'gae_lambda': 0.92,
            'max_grad_norm': 0.8,
            'vf_coef': 0.58096,
            **PPO_NETWORKS,
        },
        is_normalised=True,
    ),
    'HopperBulletEnv-v0': replace(
        PPO_BULLET, options={**PPO_BULLET.options, 'clip_range': _linear(0.4)}
    ),
    'HalfCheetahBulletEnv-v0': PPO_BULLET,
}

# By env; and what counts for all others.
SETTINGS = {
    'sb3_sac': (SAC, Settings({})),
    'sb3_td3': (TD3, Settings({}, noise=0.1)),
    'sb3_ddpg': (TD3, Settings({}, noise=0.1)),
    'sb3_ppo': (PPO, Settings({})),
}
