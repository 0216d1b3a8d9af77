"""A learning curve as a small CSV, what ran as JSON beside it, and the figures of a curve."""

import csv
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from learning_goals import OURS, SIDES
from pydantic import TypeAdapter, ValidationError

from sac_ros.errors import UserError
from sac_ros.files import write_atomic
from sim_training.rollout import final_score

HEADER = ['step', 'return', 'seconds']
KIND = r'\w+(?:\+\w+=-?[\w.]+)*'  # a preset and its options that are different: flash+utd_ratio=2


class Evaluation(NamedTuple):
    """The score of the deterministic policy at one step of a training."""

    step: int  # environment steps so far
    score: float  # mean return of the episodes of this evaluation
    seconds: float  # [s] that training and evaluations took so far


Curve = Sequence[Evaluation]


@dataclass(frozen=True)
class Job:
    """One training: a side on an env from a seed."""

    env: str
    side: str
    preset: str | None  # of ours, as KIND has it
    seed: int
    steps: int = 0  # environment steps
    evaluate_every: int = 5_000  # environment steps
    episodes: int = 10  # of one evaluation
    threads: int = 1
    runs: Path = Path()
    results: Path = Path()

    @property
    def name(self) -> str:
        """What the files of this training are called."""
        return '-'.join(filter(None, (self.side, self.preset, str(self.seed))))

    @property
    def group(self) -> tuple[str, str | None]:
        """What trainings that differ only in their seed have in common."""
        return self.side, self.preset

    @property
    def run(self) -> Path:
        """The folder of the run, which nobody commits."""
        return self.runs / self.env.replace('/', '-') / self.name

    @property
    def curve(self) -> Path:
        """The CSV of the learning curve."""
        return self.results / self.env.replace('/', '-') / f'{self.name}.csv'

    @property
    def facts(self) -> Path:
        """The JSON that is written when the training is over."""
        return self.curve.with_suffix('.json')


@dataclass(frozen=True)
class Facts:
    """What ran, and how the exported file scored."""

    steps: int
    evaluate_every: int
    episodes: int
    first_seed: int  # the resets of every evaluation count up from here
    threads: int
    machine: str
    versions: dict[str, str | None]
    settings: str  # the preset of ours, or the options of the peer
    commit: str | None = None  # of ours
    exported: float | None = None  # mean return of the ONNX file of the last actor
    sha256: str | None = None  # of that file


def write_curve(path: Path, curve: Curve) -> None:
    """Write a learning curve.  Raises UserError."""
    lines = [f'{step},{score:.10g},{seconds:.1f}' for step, score, seconds in curve]
    write_atomic(path, '\n'.join([','.join(HEADER), *lines, '']).encode())


def read_curve(path: Path) -> list[Evaluation]:
    """Return what `write_curve` wrote.  Raises UserError."""
    try:
        with path.open(encoding='utf-8', newline='') as file:
            header, *rows = [*csv.reader(file)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    if header != HEADER:
        raise UserError(f'{path} begins with {",".join(header)!r}; needed: {",".join(HEADER)!r}')
    curve: list[Evaluation] = []
    for number, row in enumerate(rows, start=2):
        evaluation = _evaluation(row)
        if evaluation is None or (curve and evaluation.step <= curve[-1].step):
            raise UserError(
                f'{path}, line {number} is {",".join(row)!r}; needed: three finite numbers, and '
                'a step behind the one before'
            )
        curve.append(evaluation)
    return curve


def read_all(results: Path) -> dict[Job, list[Evaluation]]:
    """Return every learning curve in a folder, those of ours first.  Raises UserError."""
    jobs = [_job(results, path) for path in results.glob('*/*.csv')]
    jobs.sort(key=lambda job: (job.env, [*SIDES].index(job.side), job.preset or '', job.seed))
    curves = {job: read_curve(job.curve) for job in jobs}
    return {job: curve for job, curve in curves.items() if curve}


def write_facts(job: Job, facts: Facts) -> None:
    """Write what ran: from then on the training counts as finished.  Raises UserError."""
    write_atomic(
        job.facts, TypeAdapter(Facts).dump_json(facts, indent=2, exclude_none=True) + b'\n'
    )


def read_facts(job: Job) -> Facts | None:
    """Return what `write_facts` wrote; None if the training is not over.  Raises UserError."""
    try:
        return TypeAdapter(Facts).validate_json(job.facts.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f'{job.facts} cannot be read: {error.strerror}') from error
    except ValidationError as error:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc']))
        raise UserError(f'{job.facts}: {where or "the file"}: {first["msg"]}') from error


def score_of(curve: Curve) -> float:
    """Return the mean of the final tenth of the evaluations."""
    return final_score([score for _, score, _ in curve])


def lowest_from(curve: Curve, step: int) -> float:
    """Return the lowest score from a step on; NaN if there is none."""
    return min((e.score for e in curve if e.step >= step), default=math.nan)


def first_above(curve: Curve, level: float) -> Evaluation | None:
    """Return the first evaluation that reaches a score; None if there is none."""
    return next((each for each in curve if each.score >= level), None)


def over_seeds(curves: Sequence[Curve]) -> np.ndarray:
    """Return step, mean, lowest and highest score, shape (4, steps that all curves have)."""
    scores = [{step: score for step, score, _ in curve} for curve in curves]
    steps = sorted(set(scores[0]).intersection(*scores[1:]))
    table = np.array([[each[step] for step in steps] for each in scores], dtype=np.float64)
    return np.stack([np.array(steps, float), table.mean(0), table.min(0), table.max(0)])


def machine() -> str:
    """Return the processor of this machine."""
    cpus = Path('/proc/cpuinfo')
    lines = cpus.read_text(encoding='utf-8').splitlines() if cpus.exists() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{models[0] if models else "unknown processor"}, {os.cpu_count()} cores'


def _evaluation(row: Sequence[str]) -> Evaluation | None:
    try:
        step, score, seconds = row
        evaluation = Evaluation(int(step), float(score), float(seconds))
    except ValueError:
        return None
    return evaluation if all(map(math.isfinite, evaluation)) else None


def _job(results: Path, path: Path) -> Job:
    words = re.fullmatch(rf'(\w+?)(?:-({KIND}))?-(\d+)', path.stem)
    if words is None or words[1] not in SIDES or (words[2] is not None) != (words[1] == OURS):
        peers = ', '.join(side for side in SIDES if side != OURS)
        raise UserError(
            f'{path}: needed is the name {OURS}-<preset>-<seed>.csv, or <side>-<seed>.csv with a '
            f'side of {peers}'
        )
    return Job(path.parent.name, words[1], words[2], int(words[3]), results=results)
