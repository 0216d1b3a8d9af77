"""The numbers of soft actor-critic, each checked.  No code that uses them."""

import math
from dataclasses import dataclass

from sac_ros.errors import UserError


@dataclass(frozen=True)
class SACConfig:
    """Every choice that the algorithm leaves open; the paper's value unless a reason is given."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of each hidden layer, in the actor and in every critic."""

    critics: int = 2
    """How many Q-functions are learned; the smallest value counts (clipped double Q)."""

    gamma: float = 0.98
    """Discount of the reward one step later.  At 50 Hz 0.98 looks one second ahead."""

    tau: float = 0.02
    """Share of the new weights that the target critics take over in each update.  A value of
    r / (1 - gamma) is learned in some 1 / (tau (1 - gamma)) updates: 2,500 here, and 20,000 with
    the paper's 0.99 and 0.005, which suit a million steps of MuJoCo."""

    learning_rate: float = 7e-4
    """Adam's step size, for actor, critics and temperature; the paper's is 3e-4."""

    batch_size: int = 256
    """Transitions in one update."""

    learning_starts: int = 1_000
    """Environment steps with uniformly random actions before the first update."""

    replay_capacity: int = 1_000_000
    """Transitions that are remembered; memory is used only as they come in."""

    utd_ratio: float = 1.0
    """Updates for each environment step (update-to-data); 0.5 is one update every second step."""

    target_entropy: float | None = None
    """Entropy [nat] that the temperature holds the policy at; by default minus the action size."""

    initial_alpha: float = 0.1
    """Temperature at the start; it is learned from there.  With 1.0 the first thousands of steps
    go by in noise where rewards are of the order of 1 per step."""

    normalise_observation: bool = False
    """Scale observations by the mean and standard deviation of the random steps, then frozen.
    For units of very different size; where random steps see little of the space, as in
    `balance`, what comes later is magnified and learning gets worse."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work, by name."""
        starts, entropy = self.learning_starts, self.target_entropy
        checks = (
            ('hidden_sizes', min(self.hidden_sizes, default=0) >= 1, 'widths of 1 or more'),
            ('critics', self.critics >= 1, '1 or more'),
            ('gamma', 0.0 <= self.gamma < 1.0, 'from 0 to below 1'),
            ('tau', 0.0 < self.tau <= 1.0, 'above 0, up to 1'),
            ('learning_rate', 0.0 < self.learning_rate < math.inf, 'finite and above 0'),
            ('batch_size', self.batch_size >= 1, '1 or more'),
            (
                'learning_starts',
                starts >= self.batch_size,
                f'batch_size {self.batch_size} or more',
            ),
            (
                'replay_capacity',
                self.replay_capacity >= starts,
                f'learning_starts {starts} or more',
            ),
            ('utd_ratio', 0.0 < self.utd_ratio < math.inf, 'finite and above 0'),
            ('target_entropy', entropy is None or math.isfinite(entropy), 'finite, or None'),
            ('initial_alpha', 0.0 < self.initial_alpha < math.inf, 'finite and above 0'),
        )
        for name, is_allowed, allowed in checks:
            if not is_allowed:
                raise UserError(f'sac.{name} is {getattr(self, name)}; allowed: {allowed}')

    def updates_before(self, step: int) -> int:
        """Return how many updates belong to the first `step` environment steps."""
        return math.floor(max(0, step - self.learning_starts) * self.utd_ratio)
