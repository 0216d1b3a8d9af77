"""The loop of a sweep, over trainings that are written down here: told, stopped, taken up."""

import resource
import signal
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from tiny_runs import PENDULUM, SMALL

from sac_ros.errors import UserError
from sim_training import sweep_loop
from sim_training.sweep_command import SweepCommand
from sim_training.sweep_loop import sweep
from sim_training.sweep_progress import SweepProgress
from sim_training.sweep_space import search_space, start_values
from sim_training.sweep_study import open_study
from sim_training.sweep_trial import Look

OPTIONS = ('learning_rate', 'gamma')
SPACE = search_space(OPTIONS, SMALL)
STOPPED = 128 + signal.SIGTERM


class Scripted:
    """A training that shows one more evaluation, every 100 steps, at each look; then it ends."""

    def __init__(self, returns: Sequence[float], status: int = 0, last_line: str = 'nothing'):
        self.returns, self.status, self.last_line = returns, status, last_line
        self.looks = 0
        self.is_stopped = self.is_closed = False

    def look(self) -> Look:
        assert not self.is_closed
        self.looks += not self.is_stopped
        shown = dict(zip(range(100, 1_100, 100), self.returns[: self.looks], strict=False))
        is_over = self.looks > len(self.returns)
        status = STOPPED if self.is_stopped else self.status if is_over else None
        return Look(shown, status, self.last_line)

    def stop(self) -> None:
        self.is_stopped = True

    def close(self) -> None:
        self.is_closed = True


class Sweep:
    """A sweep in a folder; trial k is trained as the k-th list of scripts says, one an attempt."""

    def __init__(self, folder: Path, *scripts: Scripted | list[Scripted], **overrides: object):
        self.scripts = [s if isinstance(s, list) else [s] for s in scripts]
        self.command = SweepCommand(
            PENDULUM, len(scripts), folder, 1_000, options=OPTIONS, sac=SMALL, **overrides
        )
        self.study: optuna.Study
        self.begun: list[int] = []
        self.most_at_once = 0

    def run(self, parallel: int = 1, looks: int = 10_000) -> list[TrialState]:
        """Sweep, until a stop after some rounds; return the states of the trials."""
        start = start_values(OPTIONS, SMALL)
        self.study = open_study(self.command.folder, self.command.settings(), start)
        rounds = iter(range(looks))
        sweep(
            self.study,
            SPACE,
            self.command,
            parallel,
            self._start,
            lambda: next(rounds, None) is None,
            SweepProgress(self.command.trials),
        )
        return [trial.state for trial in self.study.get_trials()]

    def _start(self, training) -> Scripted:
        number = int(training.folder.name.removeprefix('trial-'))
        self.begun.append(number)
        script = self.scripts[number].pop(0)
        self.current = [*getattr(self, 'current', []), script]
        running = sum(not one.is_closed for one in self.current)
        self.most_at_once = max(self.most_at_once, running)
        return script


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_loop, 'LOOK_PERIOD', 0.0)


def test_each_trial_is_told_with_its_score(tmp_path: Path):
    rising = Sweep(tmp_path, Scripted([1.0, 2.0]), Scripted([9.0, 4.0]))
    assert rising.run() == [TrialState.COMPLETE] * 2
    trials = rising.study.get_trials()
    assert [trial.value for trial in trials] == [2.0, 4.0]
    assert trials[1].intermediate_values == {100: 9.0, 200: 4.0}
    assert trials[0].params == {'learning_rate': SMALL.learning_rate, 'gamma': SMALL.gamma}


def test_a_trial_that_is_worse_than_the_median_is_stopped_early(tmp_path: Path):
    good = [Scripted([10.0 + k] * 10) for k in range(5)]
    poor, middling = Scripted([1.0] * 10), Scripted([12.5] * 10)
    states = Sweep(tmp_path, *good, poor, middling).run()
    assert states == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED, TrialState.COMPLETE]
    # At steps 100 and 200, before a quarter of 1,000, nobody is stopped; 12 is the median.
    assert (poor.is_stopped, poor.looks) == (True, 3)
    assert not middling.is_stopped


def test_a_trial_that_ends_well_before_it_can_be_stopped_keeps_its_score(tmp_path: Path):
    class Quick(Scripted):
        def stop(self) -> None:  # the signal comes too late
            self.looks = 10

    good = [Scripted([10.0] * 10) for _ in range(5)]
    assert Sweep(tmp_path, *good, Quick([1.0] * 10)).run() == [TrialState.COMPLETE] * 6


@pytest.mark.fault('D13', 'told as failed', '')
def test_a_trial_that_fails_is_told_with_its_reason_and_the_sweep_goes_on(tmp_path: Path):
    text = 'sac-ros: Pendulum-v1, step 170: learning has diverged: critic is nan'
    failing = Sweep(tmp_path, Scripted([1.0]), Scripted([1.0], 1, text), Scripted([2.0]))
    assert failing.run() == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    reason = failing.study.get_trials()[1].user_attrs['reason']
    assert reason == 'Pendulum-v1, step 170: learning has diverged: critic is nan'


def test_three_failures_at_the_beginning_stop_the_sweep(tmp_path: Path):
    failing = Sweep(tmp_path, *[Scripted([], 1, f'sac-ros: no {k}') for k in range(5)])
    with pytest.raises(UserError, match=r'^the first 3 trials failed, the last one: no 2$'):
        failing.run()
    assert failing.begun == [0, 1, 2]


def test_failures_behind_a_score_do_not_stop_the_sweep(tmp_path: Path):
    scripts = [Scripted([1.0]), *[Scripted([], 1) for _ in range(4)], Scripted([2.0])]
    assert Sweep(tmp_path, *scripts).run()[-1] == TrialState.COMPLETE


@pytest.mark.fault('D01', 'resumed', '')
def test_a_training_that_is_killed_by_somebody_else_is_taken_up_again(tmp_path: Path):
    killed, terminated = Scripted([1.0], -9), Scripted([1.0, 2.0], STOPPED)
    both = Sweep(tmp_path, [killed, terminated, Scripted([1.0, 2.0, 3.0])])
    assert both.run() == [TrialState.COMPLETE]
    assert both.begun == [0, 0, 0]
    assert both.study.get_trials()[0].value == 3.0


@pytest.mark.fault('D01', 'told as failed', '')
def test_a_training_that_is_killed_three_times_has_failed(tmp_path: Path):
    killed = Sweep(tmp_path, [Scripted([1.0], -9, 'step 100') for _ in range(3)])
    assert killed.run() == [TrialState.FAIL]
    reason = killed.study.get_trials()[0].user_attrs['reason']
    assert reason == 'signal 9; it last said: step 100'


@pytest.mark.parametrize('parallel', [1, 2, 3])
def test_no_more_trials_run_at_the_same_time_than_were_asked_for(tmp_path: Path, parallel: int):
    many = Sweep(tmp_path, *[Scripted([float(k)] * (1 + k)) for k in range(7)])
    assert many.run(parallel) == [TrialState.COMPLETE] * 7
    assert many.most_at_once == parallel


@pytest.mark.fault('D04', 'resumed', '')
def test_on_a_stop_trials_are_saved_and_the_next_sweep_takes_them_up(tmp_path: Path):
    first, second = Scripted([5.0] * 10), Scripted([6.0] * 10)
    stopped = Sweep(tmp_path, first, second, Scripted([7.0] * 10))
    assert stopped.run(parallel=2, looks=3) == [TrialState.RUNNING] * 2
    assert [one.is_stopped and one.is_closed for one in (first, second)] == [True, True]
    values = [trial.params for trial in stopped.study.get_trials()]
    going_on = Sweep(tmp_path, Scripted([5.0] * 10), Scripted([6.0] * 10), Scripted([7.0] * 10))
    assert going_on.run(parallel=2) == [TrialState.COMPLETE] * 3
    assert going_on.begun == [0, 1, 2]
    assert [trial.params for trial in going_on.study.get_trials()[:2]] == values


@pytest.mark.fault('D05', 'resumed', 'UserError')
def test_on_a_full_disk_trials_are_saved_and_the_next_sweep_takes_them_up(tmp_path: Path):
    journal = tmp_path / 'study.log'
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Filling(Scripted):
        def look(self) -> Look:
            if self.looks == 2 and not self.is_stopped:  # room for a part of the next line only
                full = (journal.stat().st_size + 20, limits[1])
                resource.setrlimit(resource.RLIMIT_FSIZE, full)
            return super().look()

    filling = Filling([5.0] * 10)
    text = f'^the sweep in {tmp_path} cannot go on: File too large; put that right and type '
    try:
        with pytest.raises(UserError, match=text):
            Sweep(tmp_path, filling).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (filling.is_stopped, filling.is_closed) == (True, True)
    assert not journal.read_text().endswith('\n')
    going_on = Sweep(tmp_path, Scripted([5.0] * 10))
    assert going_on.run() == [TrialState.COMPLETE]
    assert len(going_on.study.get_trials()[0].intermediate_values) == 10
