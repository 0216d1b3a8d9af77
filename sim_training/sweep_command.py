"""What `sac-ros sweep` is asked for, and the training that each of its trials is.  No search."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from sac_ros.errors import UserError
from sim_training.presets import find_preset
from sim_training.sac_config import SACConfig
from sim_training.sweep_space import SPACE, USUAL, Value, as_value, check_names
from sim_training.tasks import is_file
from sim_training.train_command import NOT_GIVEN, TrainCommand, default_preset


@dataclass(frozen=True)
class SweepCommand:
    """Search the options of soft actor-critic: many trainings, the poor ones stopped early.

    The same command line goes on with a sweep that was stopped, whatever stopped it.
    """

    task: str
    """A task that ships (balance, reach), a task's YAML file, or a Gymnasium id."""

    trials: int = 20
    """Trainings in all, those of an earlier part of the sweep included."""

    out: Path | None = None
    """Folder of the sweep; by default runs/sweep-<task>."""

    steps: int | None = None
    """Environment steps of each trial; by default what the task says it needs."""

    seed: int = 0
    """Seed of the search; trial 7 is trained with this seed + 7."""

    options: tuple[str, ...] = USUAL
    """Options of --sac that are searched, of those in docs/sweep.md; the others stay."""

    parallel: int | None = None
    """Trainings at the same time; by default 1, and with --ray as many as it has processors."""

    ray: str | None = None
    """Ray cluster to train on: auto, or its address; needs the extra 'cluster'."""

    evaluations: int = 20
    """Evaluations of each trial; the mean of their final tenth is its score."""

    evaluation_episodes: int = 10
    """Episodes in one evaluation."""

    preset: str | None = None
    """Kind of soft actor-critic, from which the options of --sac begin, as in `sac-ros train`."""

    sac: SACConfig = field(default_factory=lambda: NOT_GIVEN)
    """Options of the first trial, which the others are to beat."""

    defaults = staticmethod(TrainCommand.defaults)

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        object.__setattr__(self, 'preset', self.preset or default_preset(self.task))
        preset = find_preset(str(self.preset))
        if self.sac is NOT_GIVEN:
            object.__setattr__(self, 'sac', preset)
        if self.sac.prior_fraction > 0.0:
            raise UserError(
                f'sac.prior_fraction is {self.sac.prior_fraction}; allowed in a sweep: 0, for its '
                'trials have no prior data'
            )
        for name in ('trials', 'evaluations', 'evaluation_episodes', 'parallel', 'steps'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f'{name} is {value}; allowed: 1 or more')
        check_names(self.options)
        last = 2**32 - 1 - self.trials
        if not 0 <= self.seed <= last:
            raise UserError(f'seed is {self.seed}; allowed: 0 to {last} for {self.trials} trials')
        if self.steps is not None:
            self.training(0, self.sac)  # what a training refuses

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        if self.out is not None:
            return self.out
        path = Path(self.task)
        name = path.stem if is_file(self.task) else self.task.replace('/', '-')
        return Path('runs') / f'sweep-{name}'

    def training(self, number: int, sac: SACConfig) -> TrainCommand:
        """Return the training of a trial, whose folder and seed come from its number."""
        if self.steps is None:
            raise ValueError('a sweep needs a number of steps')
        return TrainCommand(
            # A worker on another machine, or in another folder, must find it too.
            str(Path(self.task).absolute()) if is_file(self.task) else self.task,
            self.steps,
            self.seed + number,
            self.folder / f'trial-{number:04d}',
            evaluate_every=max(1, self.steps // self.evaluations),
            evaluation_episodes=self.evaluation_episodes,
            preset=self.preset,
            sac=sac,
        )

    def settings(self) -> dict[str, Value]:
        """Return what must stay as it is, or the scores of the trials could not be compared."""
        names = ('task', 'steps', 'seed', 'evaluations', 'evaluation_episodes')
        given = {name: getattr(self, name) for name in names}
        given['options'] = as_value(tuple(name for name in SPACE if name in self.options))
        for option in dataclasses.fields(SACConfig):
            given[f'sac.{option.name}'] = as_value(getattr(self.sac, option.name))
        return given
