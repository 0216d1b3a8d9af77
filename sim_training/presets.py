"""Presets: the published kinds of soft actor-critic as values of SACConfig.  No other code.

Each is what its paper says, for MuJoCo; where a paper leaves a number open, its authors' code has
it.  docs/presets.md has what is different all the same.  `sac` is our default.
"""

import math
from types import MappingProxyType

from sac_ros.errors import UserError, nearest
from sim_training.sac_config import SACConfig

# Ours: Haarnoja et al. 2018b with nearer values that come faster and less noise: see SACConfig.
SAC = SACConfig()

# Haarnoja et al. 2018a (arXiv:1801.01290, tables 1 and 2): a state value with its own target, and
# a fixed temperature: the reward scale 5 of the paper is the temperature 1 / 5.
SAC_V1 = SACConfig(
    target='value', learn_alpha=False, initial_alpha=0.2,
    gamma=0.99, tau=0.005, learning_rate=3e-4,
)  # fmt: skip

# Haarnoja et al. 2018b (arXiv:1812.05905, table 1): two critics, a temperature that is learned.
# The random steps are those of its authors' code: ten episodes of 1,000 steps.
SAC_V2 = SACConfig(
    gamma=0.99, tau=0.005, learning_rate=3e-4, initial_alpha=1.0, learning_starts=10_000
)

# Chen et al. 2021 (arXiv:2101.05982, table 3): ten critics, two of them drawn for each target, the
# actor climbs their mean, twenty updates for each step of the env.
REDQ = SACConfig(
    critics=10, target_subset=2, actor_value='mean', utd_ratio=20.0, policy_delay=20,
    gamma=0.99, tau=0.005, learning_rate=3e-4, initial_alpha=1.0, learning_starts=5_000,
)  # fmt: skip

# Kuznetsov et al. 2020 (arXiv:2005.04269, table 4): five critics of 25 quantiles, 2 dropped.
TQC = SACConfig(
    critics=5, critic_sizes=(512, 512, 512), head='quantile', atoms=25, dropped_atoms=2,
    actor_value='mean', gamma=0.99, tau=0.005, learning_rate=3e-4, initial_alpha=1.0,
)  # fmt: skip

# Hiraoka et al. 2022 (arXiv:2110.02034, table 4): two critics with dropout and layer norms.
DROQ = SACConfig(
    norm='layer', dropout=0.01, actor_value='mean', utd_ratio=20.0, policy_delay=20,
    gamma=0.99, tau=0.005, learning_rate=3e-4, initial_alpha=1.0, learning_starts=5_000,
)  # fmt: skip

# Bhatt et al. 2024 (arXiv:1902.05605, table 2): no target network, batch renormalisation, wide
# critics.
CROSSQ = SACConfig(
    critic_sizes=(2048, 2048), norm='batch_renorm', target='none', policy_delay=3,
    gamma=0.99, learning_rate=1e-3, adam_beta1=0.5, initial_alpha=1.0, learning_starts=5_000,
)  # fmt: skip

# FlashSAC (arXiv:2604.04539) and XQC (Palenicek et al. 2026), without residual blocks and at a
# width that two processor cores can carry: batch norms and unit weights, a histogram of returns
# that are scaled to fit, little noise that is held for some steps, few updates of the actor.
FLASH = SACConfig(
    head='categorical', atoms=101,
    norm='batch', unit_weights=True, normalise_reward=True, policy_delay=2,
    gamma=0.99, tau=0.01, learning_rate=3e-4, final_learning_rate=1.5e-4, initial_alpha=0.01,
    # The entropy of a Gaussian of sigma 0.15, as a share of the range of an action.
    target_entropy=0.5 * math.log(2.0 * math.pi * math.e * 0.15**2),
    exploration='repeated', learning_starts=5_000,
)  # fmt: skip

# Luo et al. 2024 (HIL-SERL, arXiv:2410.21845) after Ball et al. 2023 (RLPD, arXiv:2302.02948):
# prior data in each batch, layer norms, little noise from the start.  All else is that of `sac`,
# better for what this is for, a policy that goes on learning at 50 Hz: discount, tau, step size;
# one update a step instead of two, which one core can do beside the control; the smallest of the
# critics instead of their mean; entropy -1 instead of -0.5, and counted in the value; a quarter of
# the batch instead of a half, for a robot that differs from the one of the prior data.  What is
# offered is an average: a robot would see each policy that is worse than the one before.
ROBOT = SACConfig(
    norm='layer', initial_alpha=0.005, prior_fraction=0.25,
    learning_starts=256, replay_capacity=200_000,
    average_actor=2_000,
)  # fmt: skip

PRESETS = MappingProxyType(
    {
        'sac': SAC,
        'sac_v1': SAC_V1,
        'sac_v2': SAC_V2,
        'redq': REDQ,
        'tqc': TQC,
        'droq': DROQ,
        'crossq': CROSSQ,
        'flash': FLASH,
        'robot': ROBOT,
    }
)


def find_preset(name: str) -> SACConfig:
    """Return a preset by its name.  Raises UserError."""
    if name not in PRESETS:
        raise UserError(
            f"preset '{name}' is unknown{nearest(name, PRESETS)}; known: {', '.join(PRESETS)}"
        )
    return PRESETS[name]
