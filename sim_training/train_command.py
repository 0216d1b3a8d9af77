"""What `sac-ros train` is asked for, and what --resume keeps of it.  No training."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from sac_ros.errors import UserError
from sim_training.presets import find_preset
from sim_training.sac_config import SACConfig
from sim_training.tasks import is_file, is_task

COMPILED_FROM = 20_000  # updates of a run for which it pays to compile them
# What is 1 or more, and may be changed when a run goes on.
COUNTS = ('evaluate_every', 'evaluation_episodes', 'checkpoint_every', 'envs', 'threads')


NOT_GIVEN = SACConfig()  # this very object: all options are those of the preset


@dataclass(frozen=True)
class TrainCommand:
    """Train a policy in simulation with soft actor-critic; Ctrl-C saves, --resume goes on."""

    task: str
    """A task that ships (balance, reach), a task's YAML file, or a Gymnasium id."""

    steps: int | None = None
    """Environment steps in all; by default what the task says it needs."""

    seed: int = 0
    """Seed of everything random: weights, exploration, resets."""

    out: Path | None = None
    """Folder of the run; by default runs/<task>-<seed>."""

    resume: bool = False
    """Go on with the run in the folder, from its checkpoint and with its options: one that is
    given its default here stays as it was there."""

    evaluate_every: int = 2_000
    """Environment steps from one evaluation of the deterministic policy to the next."""

    evaluation_episodes: int = 10
    """Episodes in one evaluation."""

    checkpoint_every: int = 5_000
    """Environment steps from one checkpoint to the next."""

    envs: int = 1
    """Copies of the env that are played at once; two or more in processes of their own, which
    compute their next steps while the agent learns from the last ones."""

    ray: str | None = None
    """Play the envs on a Ray cluster, in `envs` collectors (1: in one for each processor but one):
    auto (the cluster of this machine, or a new one), local, or an address such as head:6379."""

    threads: int = 1
    """Processor threads; only with 1 does a seed give the same run twice, bit for bit."""

    device: Literal['cpu', 'cuda'] | None = None
    """What computes the updates: the processor, as by default, or a GPU of CUDA.  Actions are
    always computed on the processor: the way to a GPU takes longer than they do."""

    compile: bool | None = None
    """Compile the update with torch: about 1.3 to 1.5 times as fast after half a minute, or two
    for the larger presets, with a C++ compiler; by default where 20,000 updates or more are ahead
    and a compiler is there."""

    prior: Path | None = None
    """Folder of another run of the same env, whose replay is learned from as well; how much of
    each batch, sac.prior_fraction says."""

    preset: str | None = None
    """Kind of soft actor-critic, from which the options of --sac begin: sac, sac_v1, sac_v2, redq,
    tqc, droq, crossq, flash or robot; by default flash for a Gymnasium id, sac for other tasks."""

    sac: SACConfig = field(default_factory=lambda: NOT_GIVEN)
    """Options of the algorithm."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work, by name."""
        object.__setattr__(self, 'preset', self.preset or default_preset(self.task))
        preset = find_preset(str(self.preset))
        if self.sac is NOT_GIVEN:
            object.__setattr__(self, 'sac', preset)
        if not self.resume:
            self._check_prior()
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise UserError(f'{name} is {getattr(self, name)}; allowed: 1 or more')
        for name, text in (('task', self.task), ('out', str(self.folder))):
            if not text.isprintable():
                raise UserError(f'{name} is {text!r}; allowed: printable text in one line')
        if not 0 <= self.seed < 2**32:
            raise UserError(f'seed is {self.seed}; allowed: 0 to {2**32 - 1}')
        # A run that is resumed keeps its own learning_starts, which is not known here.
        if self.steps is not None and not self.resume:
            check_steps(self.steps, self.sac)

    def _check_prior(self) -> None:
        """Refuse prior data without a share of the batches, and a share without prior data."""
        share = self.sac.prior_fraction
        if self.prior is None and share > 0.0:
            raise UserError(
                f'sac.prior_fraction is {share} and there is no prior data: give --prior, or '
                '--sac.prior-fraction 0'
            )
        if self.prior is not None and share == 0.0:
            raise UserError(
                f'--prior {self.prior} would not be learned from, for sac.prior_fraction is 0: '
                'give --sac.prior-fraction 0.5, or --preset robot'
            )

    @staticmethod
    def defaults(words: Sequence[str]) -> dict[str, SACConfig]:
        """Return the defaults of a command line: those of its preset."""
        pairs = list(pairwise(['', *words]))
        names = [after for word, after in pairs if word == '--preset']
        names += [word.partition('=')[2] for word in words if word.startswith('--preset=')]
        if not names:  # then the task says, which is one of the words
            others = [after for word, after in pairs if word not in ('--out', '--prior')]
            names = [default_preset(next(filter(is_task, others), ''))]
        return {'sac': find_preset(names[-1])}

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        if self.out is not None:
            return self.out
        name = Path(self.task).stem if is_file(self.task) else self.task.replace('/', '-')
        return Path('runs') / f'{name}-{self.seed}'

    @property
    def stride(self) -> int:
        """Return how many rows of the replay lie from a step of an env to its next one."""
        return self.envs if self.ray is None else 1  # a collector sends its own steps in a row


def default_preset(task: str) -> str:
    """Return the preset of a task for which none is named; docs/presets.md says why."""
    return 'sac' if is_task(task) else 'flash'


def merge_resumed(given: TrainCommand, stored: TrainCommand) -> TrainCommand:
    """Return the stored command with the changes that were asked for; refuse impossible ones.

    An option at its default means "as the run was started".  The file of a task may have moved:
    whether it is still the same contract is for the checkpoint to say.
    """
    has_moved = is_file(given.task) and Path(given.task).name == Path(stored.task).name
    if given.task != stored.task and not has_moved:
        raise UserError(f"{given.folder} holds a run of '{stored.task}', not of '{given.task}'")
    if given.seed not in (stored.seed, 0):
        raise UserError(f'seed is {given.seed}; this run was started with {stored.seed}')
    usual = default_preset(given.task)
    if given.preset not in (stored.preset, usual):
        raise UserError(f'preset is {given.preset}; this run was started with {stored.preset}')
    begin = find_preset(given.preset or usual)
    for option in dataclasses.fields(SACConfig):
        value, old = getattr(given.sac, option.name), getattr(stored.sac, option.name)
        if value not in (old, getattr(begin, option.name)):
            raise UserError(
                f'sac.{option.name} is {value}; this run was started with {old} and keeps it'
            )
    changes: dict[str, object] = {'task': given.task, 'out': given.folder, 'resume': True}
    for name in ('steps', 'ray', 'device', 'compile', *COUNTS):
        default = TrainCommand.__dataclass_fields__[name].default
        if getattr(given, name) != default:
            changes[name] = getattr(given, name)
    if given.prior is not None:
        changes['prior'] = given.prior.resolve()  # wherever it is resumed the next time
    merged = dataclasses.replace(stored, **changes)  # type: ignore[arg-type]  # names are checked above
    merged._check_prior()
    return merged


def check_steps(steps: int, sac: SACConfig) -> None:
    """Refuse a run that would end before its first update."""
    if sac.updates_before(steps) < 1:
        by = f', by 1 / sac.utd_ratio {sac.utd_ratio:g} or more' if sac.utd_ratio < 1.0 else ''
        raise UserError(
            f'steps is {steps}; more than sac.learning_starts {sac.learning_starts} are '
            f'needed{by}, or nothing would be learned'
        )
