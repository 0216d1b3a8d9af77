"""The numbers of soft actor-critic, each checked.  No code that uses them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from sac_ros.errors import UserError, nearest

Norm = Literal['none', 'layer', 'batch', 'batch_renorm']


@dataclass(frozen=True)
class SACConfig:
    """Every choice that the algorithm leaves open; the paper's value unless a reason is given."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of each hidden layer of the actor."""

    critic_sizes: tuple[int, ...] | None = None
    """Units of each hidden layer of every critic; by default those of the actor."""

    critics: int = 2
    """How many Q-functions are learned."""

    target_subset: int | None = None
    """How many of the critics, drawn anew for each update, say what the next step is worth; by
    default all of them.  The smallest value counts (clipped double Q)."""

    actor_value: Literal['min', 'mean'] = 'min'
    """Which value the actor climbs: the smallest of the critics, or their mean."""

    head: Literal['scalar', 'quantile', 'categorical'] = 'scalar'
    """What a critic says of the value: a number, quantiles, or a histogram."""

    atoms: int = 25
    """Quantiles, or bins of the histogram, for each critic."""

    dropped_atoms: int = 2
    """Largest quantiles, for each critic, that are left out of the target."""

    value_bound: float = 5.0
    """The histogram reaches from minus this to this."""

    norm: Norm = 'none'
    """Normalisation of the features: layer (critics only), batch, or batch_renorm."""

    unit_weights: bool = False
    """Weight normalisation: after each update the weights of every unit get the length 1."""

    dropout: float = 0.0
    """Share of the critics' features that is left out, drawn anew for each batch."""

    target: Literal['critics', 'value', 'none'] = 'critics'
    """What is followed slowly: target critics; a state value with its own target (Haarnoja et al.
    2018a); or nothing: the critics are asked themselves, in one batch with the present step."""

    gamma: float = 0.98
    """Discount of the reward one step later.  At 50 Hz 0.98 looks one second ahead; robots that
    run or hop seem to need 0.99."""

    tau: float = 0.02
    """Share of the new weights that the target takes over in each update.  A value of
    r / (1 - gamma) is learned in some 1 / (tau (1 - gamma)) updates: 2,500 here, and 20,000 with
    the paper's 0.99 and 0.005, which suit a million steps of MuJoCo."""

    learning_rate: float = 7e-4
    """Adam's step size, for actor, critics and temperature; the paper's is 3e-4."""

    final_learning_rate: float | None = None
    """Adam's step size at the last step of the run, approached in a straight line; by default it
    stays as it is."""

    adam_beta1: float = 0.9
    """Share of the old gradients in Adam's mean."""

    batch_size: int = 256
    """Transitions in one update."""

    learning_starts: int = 1_000
    """Environment steps with uniformly random actions before the first update."""

    replay_capacity: int = 1_000_000
    """Transitions that are remembered; memory is used only as they come in."""

    utd_ratio: float = 1.0
    """Updates for each environment step (update-to-data); 0.5 is one update every second step."""

    policy_delay: int = 1
    """Updates of the critics for each one of actor and temperature."""

    n_step: int = 1
    """Rewards that are added up before the value of what follows is asked for."""

    reset_every: int = 0
    """Updates after which all weights are drawn anew, and only the replay is kept; 0: never
    (Nikishin et al. 2022, arXiv:2205.07802)."""

    learn_alpha: bool = True
    """Learn the temperature, so that the entropy is held at its target; or keep initial_alpha."""

    initial_alpha: float = 0.1
    """Temperature at the start.  With 1.0 the first thousands of steps go by in noise where
    rewards are of the order of 1 per step."""

    target_entropy: float = -1.0
    """Entropy [nat] for each element of the action that the temperature holds the policy at."""

    final_target_entropy: float | None = None
    """Target entropy at the last step of the run, approached in a straight line; by default it
    stays as it is.  Where noise costs much, as where each fall does, a policy that explores
    much stays careful until its noise goes."""

    backup_entropy: bool = True
    """Count the entropy of the next step in its value."""

    exploration: Literal['white', 'pink', 'state', 'repeated'] = 'white'
    """Noise of the actions that are explored: independent from step to step; pink over an episode;
    a function of the state that is drawn anew now and then (gSDE); or held for some steps."""

    normalise_observation: bool = False
    """Scale observations by the mean and standard deviation of the random steps, then frozen.
    For units of very different size; where random steps see little of the space, as in
    `balance`, what comes later is magnified and learning gets worse."""

    normalise_reward: bool = False
    """Scale rewards so that discounted returns have a standard deviation of 1 at most and stay
    within value_bound."""

    average_actor: int = 0
    """Updates in the moving average of the actor's weights that is evaluated and exported; 0: the
    newest actor is.  From one update to the next a policy is better and worse by much, and its
    average is not (Nikishin et al. 2018, "Improving stability in deep reinforcement learning with
    weight averaging")."""

    precision: Literal['float32', 'bfloat16'] = 'float32'
    """Numbers in the matrix products of an update.  Weights, Adam, losses and probabilities are
    float32 in any case, which is what half precision breaks first (Bjorck et al. 2021,
    arXiv:2102.13565).  bfloat16 is for processors that have it (AMX, avx512_bf16); on others it is
    many times slower."""

    prior_fraction: float = 0.0
    """Share of each batch that comes from the replay of another run (--prior)."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work, by name."""
        for name, is_allowed, allowed in self._checks():
            if not is_allowed:
                raise UserError(f'sac.{name} is {getattr(self, name)}; allowed: {allowed}')

    def _checks(self) -> Iterator[tuple[str, bool, str]]:
        for name, hint in get_type_hints(SACConfig).items():
            if get_origin(hint) is Literal:
                word, known = getattr(self, name), get_args(hint)
                yield name, word in known, f'{", ".join(known)}{nearest(str(word), known)}'
        for name in ('hidden_sizes', 'critic_sizes'):
            sizes = getattr(self, name)
            yield name, sizes is None or min(sizes, default=0) >= 1, 'widths of 1 or more'
        counts = ('critics', 'atoms', 'batch_size', 'policy_delay', 'n_step')
        for name in counts:
            yield name, getattr(self, name) >= 1, '1 or more'
        for name in ('learning_rate', 'utd_ratio', 'initial_alpha'):
            yield name, 0.0 < getattr(self, name) < math.inf, 'finite and above 0'
        yield 'value_bound', 0.0 < self.value_bound <= 1e9, 'above 0, up to 1e9'
        for name in ('gamma', 'dropout', 'adam_beta1'):
            yield name, 0.0 <= getattr(self, name) < 1.0, 'from 0 to below 1'
        subset, starts, rate = self.target_subset, self.learning_starts, self.final_learning_rate
        yield (
            'target_subset',
            subset is None or 1 <= subset <= self.critics,
            f'1 to critics {self.critics}',
        )
        yield 'final_learning_rate', rate is None or 0.0 <= rate < math.inf, '0 or more'
        yield 'tau', 0.0 < self.tau <= 1.0, 'above 0, up to 1'
        yield 'learning_starts', starts >= self.batch_size, f'batch_size {self.batch_size} or more'
        yield (
            'replay_capacity',
            self.replay_capacity >= starts,
            f'learning_starts {starts} or more',
        )
        for name in ('reset_every', 'average_actor'):
            yield name, getattr(self, name) >= 0, '0 or more'
        # No policy has more than uniformly random actions: the temperature would only grow.
        for name in ('target_entropy', 'final_target_entropy'):
            entropy = getattr(self, name)
            is_reachable = entropy is None or -math.inf < entropy < math.log(2.0)
            yield name, is_reachable, 'finite and below log 2 = 0.69'
        is_moved = self.final_target_entropy is not None
        yield (
            'final_target_entropy',
            self.learn_alpha or not is_moved,
            'None where learn_alpha is False, for nothing holds the entropy there',
        )
        share, size = self.prior_fraction, self.batch_size
        is_share = share in (0.0, 1.0) or (0.0 < share < 1.0 and 0 < self.prior_rows < size)
        yield 'prior_fraction', is_share, '0 to 1, and a row of each batch or more on either side'
        is_scalar = self.head == 'scalar'
        yield 'head', is_scalar or self.atoms >= 2, 'scalar, or 2 atoms or more'
        if self.target == 'value':  # a state value has the entropy and all critics in it
            yield 'head', is_scalar, 'scalar where target is value'
            yield 'backup_entropy', self.backup_entropy, 'True where target is value'
            yield 'target_subset', subset is None, 'None where target is value'
        is_left = self.head != 'quantile' or 0 <= self.dropped_atoms < self.atoms
        yield 'dropped_atoms', is_left, f'0 to below atoms {self.atoms}'

    @property
    def critic_widths(self) -> tuple[int, ...]:
        """Return the units of each hidden layer of every critic."""
        return self.critic_sizes or self.hidden_sizes

    @property
    def prior_rows(self) -> int:
        """Return how many transitions of each batch are prior data."""
        return round(self.prior_fraction * self.batch_size)

    def learning_rate_at(self, progress: float) -> float:
        """Return Adam's step size when `progress` of the run is over, 0 to 1."""
        return _on_the_way(self.learning_rate, self.final_learning_rate, progress)

    def target_entropy_at(self, progress: float) -> float:
        """Return the target entropy [nat] when `progress` of the run is over, 0 to 1."""
        return _on_the_way(self.target_entropy, self.final_target_entropy, progress)

    def updates_before(self, step: int) -> int:
        """Return how many updates belong to the first `step` environment steps."""
        return math.floor(max(0, step - self.learning_starts) * self.utd_ratio)


def _on_the_way(first: float, last: float | None, progress: float) -> float:
    """Return what is between two numbers, in a straight line; the first one without a last."""
    return first if last is None else first + progress * (last - first)
