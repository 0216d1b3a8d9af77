"""Which options of soft actor-critic a sweep searches, and where.  No search.

A value is what Optuna keeps and a table shows: a number, a flag, or widths as the text '256 256'.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from optuna.distributions import CategoricalDistribution, FloatDistribution

from sac_ros.errors import UserError, nearest
from sim_training.sac_config import SACConfig

Distribution: TypeAlias = FloatDistribution | CategoricalDistribution
Space: TypeAlias = Mapping[str, Distribution]
Value: TypeAlias = str | float | bool | None
Values: TypeAlias = Mapping[str, Value]

# Around what has been seen to work on tasks like ours and on MuJoCo, not all that is possible.
SPACE: Space = {
    'learning_rate': FloatDistribution(1e-4, 2e-3, log=True),
    'gamma': CategoricalDistribution((0.95, 0.97, 0.98, 0.99, 0.995)),  # 20 to 200 steps ahead
    'tau': FloatDistribution(2e-3, 0.1, log=True),
    'batch_size': CategoricalDistribution((64, 128, 256, 512)),
    'utd_ratio': CategoricalDistribution((0.5, 1.0, 2.0)),  # costs half, once, twice the time
    'hidden_sizes': CategoricalDistribution(('64 64', '128 128', '256 256', '400 300')),
    'initial_alpha': FloatDistribution(0.01, 1.0, log=True),
    'target_entropy': FloatDistribution(-2.0, -0.25),  # [nat], of each action
    'normalise_observation': CategoricalDistribution((False, True)),
    'critics': CategoricalDistribution((2, 5, 10)),
    'norm': CategoricalDistribution(('none', 'layer', 'batch')),
    'dropout': FloatDistribution(0.0, 0.05),
    'policy_delay': CategoricalDistribution((1, 2, 3)),
    'n_step': CategoricalDistribution((1, 3, 5)),
    'exploration': CategoricalDistribution(('white', 'pink', 'state', 'repeated')),
    'average_actor': CategoricalDistribution((0, 500, 2_000)),
}
# Searched unless others are named: twenty trials say little about more of them.
USUAL = (
    'learning_rate', 'gamma', 'tau', 'batch_size', 'utd_ratio', 'hidden_sizes', 'initial_alpha',
    'target_entropy', 'normalise_observation',
)  # fmt: skip


def search_space(names: Iterable[str], start: SACConfig) -> dict[str, Distribution]:
    """Return where the named options are searched; the values of `start` are always inside.

    Raises UserError for a name that is unknown, or a value that cannot go with `start`.
    """
    check_names(names)
    space = {name: _with(SPACE[name], value) for name, value in start_values(names, start).items()}
    for name, distribution in space.items():
        for value in _ends(distribution):
            try:
                with_values(start, {name: value})
            except UserError as error:
                raise UserError(f"option '{name}' cannot be {value}: {error}") from error
    return space


def check_names(names: Iterable[str]) -> None:
    """Raise UserError unless there are names and each is an option that can be searched."""
    known = ', '.join(SPACE)
    if not list(names):
        raise UserError(f'options is empty; allowed: one or more of {known}')
    for name in names:
        if name not in SPACE:
            hint = nearest(name, SPACE)
            raise UserError(f"option '{name}' cannot be searched{hint}; known: {known}")


def start_values(names: Iterable[str], start: SACConfig) -> dict[str, Value]:
    """Return the values of `start` for the named options, in the order of SPACE."""
    return {name: as_value(getattr(start, name)) for name in SPACE if name in set(names)}


def with_values(start: SACConfig, values: Values) -> SACConfig:
    """Return `start` with some options changed.  Raises UserError if they do not go together."""
    options = {name: _as_option(value) for name, value in values.items()}
    return dataclasses.replace(start, **options)  # type: ignore[arg-type]  # names of SPACE


def as_value(option: object) -> Value:
    """Return an option as Optuna keeps it in JSON: it knows no tuples."""
    if isinstance(option, tuple):
        return ' '.join(map(str, option))
    assert isinstance(option, str | float | int | None)
    return option


def _as_option(value: Value) -> object:
    is_widths = isinstance(value, str) and value[0].isdigit()
    return tuple(map(int, str(value).split())) if is_widths else value


def _with(distribution: Distribution, value: Value) -> Distribution:
    """Return a distribution that is wide enough to hold a value too."""
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        return CategoricalDistribution(choices if value in choices else (*choices, value))
    number = float(value or 0.0)
    low, high = min(distribution.low, number), max(distribution.high, number)
    return FloatDistribution(low, high, log=distribution.log)


def _ends(distribution: Distribution) -> tuple[Value, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return tuple(distribution.choices)
    return distribution.low, distribution.high
