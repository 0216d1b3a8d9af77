"""RayCollectors: envs on a Ray cluster feed one learner; one that is lost is replaced.

Each collector has one request under way: some steps, with the weights of that moment.  While the
learner learns, they play.  They answer in an order of their own, so a run with them is not
repeated bit for bit.
"""

import math
import time
from dataclasses import dataclass
from typing import cast

import numpy as np
import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from sac_ros.errors import UserError
from sim_training.checkpoint import Playing
from sim_training.ray_cluster import join_cluster, leave_cluster, processors
from sim_training.remote_collector import Chunk, Place, RemoteCollector, Weights
from sim_training.run_state import Run, save_run
from sim_training.sac_state import check_learning

STEPS = 50  # asked for in one request: 1 s at 50 Hz
WAIT = 1.0  # [s] after which `collect` returns with nothing, so that a signal is not left waiting
PATIENCE = 120.0  # [s] of waiting without any collector before the run ends
SILENCE = 300.0  # [s] without an answer after which a collector hangs, as of an env's process here
LOSSES = 3  # of each collector, in a row and without a step of any, before the run ends
LONGEST_REASON = 200  # characters of what Ray says of a loss


@dataclass
class Remote:
    """A collector as the learner sees it."""

    number: int
    incarnation: int  # of those with this number, counted from 0
    actor: ActorHandle
    place: Place | None = None  # once it has begun
    asked_at: float = math.inf  # when it was asked for steps, by time.monotonic


class RayCollectors:
    """Collects for a run like sim_training.collector.Collector, on the machines of a cluster."""

    def __init__(
        self,
        address: str,
        count: int | None = None,
        patience: float = PATIENCE,
        silence: float = SILENCE,
    ) -> None:
        """Join a cluster (ray_cluster.py) for `count` collectors; patience and silence in [s].

        By default there is one for each processor but one, which is left to the learner.
        Raises UserError.
        """
        self._news = [join_cluster(address, count)]
        self._count = count or max(1, processors() - 1)
        if self._count > processors():
            self._news.append(
                f'{self._count} collectors are to share {processors()} processors: '
                'those that find none wait for one'
            )
        self._patience, self._silence = patience, silence
        self._end = 0  # the last step of the run
        self._actor_class = ray.remote(num_cpus=1, num_gpus=0)(RemoteCollector)
        self._collectors: dict[int, Remote] = {}  # by number
        self._requests: dict[ray.ObjectRef, Remote] = {}  # oldest first: none is passed over
        self._failing: set[int] = set()  # numbers of which it was said that they cannot begin
        self._weights: ray.ObjectRef | None = None
        self._weights_step = -1  # of the run, when they were sent
        self._version = 0  # of the weights
        self._waited = 0.0  # [s] since there was a collector last
        self._losses = 0  # of collectors that had begun, since the last step
        self._loss = 'no processor is free'  # why there is none, as far as is known

    @property
    def places(self) -> dict[int, Place]:
        """Where the collectors are, by number; one that has not begun yet is not in it."""
        return {c.number: c.place for c in self._collectors.values() if c.place is not None}

    def collect(self, run: Run) -> None:
        """Add the steps of one answer to the run, or none if there is no answer within WAIT.

        What there is to say is appended to `run.notes`.  Raises UserError when an env breaks
        down or Ray does, and, after saving the run, when there has been no collector for
        `patience`, or they are lost again and again.
        """
        try:
            self._collect(run)
        except RayTaskError:  # an error in our own code
            raise
        except RayError as error:
            raise UserError(f'the Ray cluster fails: {_reason(error)}') from error

    def close(self) -> None:
        """End the collectors, and the cluster if it was started here."""
        leave_cluster()

    def _collect(self, run: Run) -> None:
        if not self._collectors:
            self._end = run.steps
            _leave_episodes(run)
            for number in range(self._count):
                self._start(run, number, incarnation=0)
        weights = self._send_weights(run)
        request = self._oldest_answer()
        if request is not None:
            self._take(run, self._requests.pop(request), request, weights)
        self._replace_silent(run)
        run.notes += self._news
        self._news.clear()
        self._check_patience(run)

    def _oldest_answer(self) -> ray.ObjectRef | None:
        """Return the request, of those that are answered, that has waited longest; or None."""
        requests, begun = list(self._requests), time.monotonic()
        first, _ = ray.wait(requests, num_returns=1, timeout=WAIT)
        self._waited += time.monotonic() - begun
        if not first:
            return None
        others, _ = ray.wait(requests, num_returns=len(requests), timeout=0.0)
        answered = {*first, *others}
        return next(request for request in requests if request in answered)

    def _take(
        self, run: Run, collector: Remote, request: ray.ObjectRef, weights: ray.ObjectRef | None
    ) -> None:
        """Take what a collector has answered and ask it again, or replace it."""
        try:
            answer = ray.get(request)
        except RayTaskError as error:  # the collector lives, its env does not
            if isinstance(error.cause, UserError):
                raise UserError(f'{_name(collector)}: {error.cause}') from error
            raise
        except RayError as error:
            self._replace(run, collector, _reason(error))
            return
        if isinstance(answer, Place):
            collector.place = answer
            self._failing.discard(collector.number)
        else:
            add_chunk(run, collector.number, answer, self._end)
            self._losses = 0
        collector.asked_at = time.monotonic()
        self._requests[collector.actor.play.remote(STEPS, weights)] = collector

    def _start(self, run: Run, number: int, incarnation: int) -> None:
        """Ask for a new collector; it begins when the cluster has a free processor for it."""
        run.returns.begin(number)
        # With the step, for a run that goes on from a checkpoint must not play the same again.
        words = [run.command.seed, number, incarnation, run.counters.step]
        seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])
        actor = cast(  # Ray's hints say that it might be the class itself
            ActorHandle, self._actor_class.remote(run.command, run.contract.to_json(), seed)
        )
        collector = Remote(number, incarnation, actor)
        self._collectors[number] = collector
        self._requests[actor.begin.remote()] = collector

    def _send_weights(self, run: Run) -> ray.ObjectRef | None:
        """Put the actor where all can fetch it, once after each time of learning."""
        step = run.counters.step
        if step < run.command.sac.learning_starts:
            return None
        if step != self._weights_step:
            self._version += 1
            self._weights = ray.put(Weights(self._version, actor_arrays(run)))
            self._weights_step = step
        return self._weights

    def _replace_silent(self, run: Run) -> None:
        """Replace the collectors that live and have not answered for `silence`: envs can hang."""
        due = time.monotonic() - self._silence
        late = [request for request, asked in self._requests.items() if asked.asked_at < due]
        if not late:
            return
        # An answer may lie somewhere else until the learner, who can be late as well, fetches it.
        _, silent = ray.wait(late, num_returns=len(late), timeout=0.0, fetch_local=False)
        for request in silent:
            collector = self._requests.pop(request)
            self._replace(run, collector, f'no answer for {self._silence:g} s')

    def _replace(self, run: Run, lost: Remote, reason: str) -> None:
        """Put a new collector in the place of one that is lost, and say so."""
        self._loss = reason
        if lost.place is not None:
            self._losses += 1
            self._news.append(f'{_name(lost)} is lost ({self._loss}): a new one takes its place')
        elif lost.number not in self._failing:
            self._failing.add(lost.number)
            self._news.append(f'{_name(lost)} cannot begin ({self._loss}): trying on')
        ray.kill(lost.actor)  # it may only be out of reach, and would keep its processor
        self._start(run, lost.number, lost.incarnation + 1)

    def _check_patience(self, run: Run) -> None:
        """Save the run and give up when there has been no step, or no collector, for too long."""
        if self._losses > LOSSES * self._count:
            save_run(run)
            raise UserError(
                f'collectors were lost {self._losses} times without a step in between '
                f'({self._loss})'
            )
        if self.places:
            self._waited = 0.0
        elif self._waited > self._patience:
            save_run(run)
            raise UserError(
                f'no collector has begun on the Ray cluster for {self._patience:g} s '
                f'({self._loss}); it has {processors()} processors, each collector needs one'
            )


def actor_arrays(run: Run) -> dict[str, np.ndarray]:
    """Return the actor's weights and normalisation, by their names in its state_dict."""
    return {name: array.numpy() for name, array in run.agent.acting.state_dict().items()}


def _leave_episodes(run: Run) -> None:
    """Forget the episodes of envs in this process: the newest steps are no longer theirs."""
    if any(playing.length > 0 for playing in run.playing):
        next_episode = 1 + max(playing.episode for playing in run.playing)
        run.playing = tuple(
            Playing(next_episode + env, length=0) for env in range(len(run.playing))
        )
    run.under_way = None


def add_chunk(run: Run, number: int, chunk: Chunk, end: int) -> None:
    """Remember what collector `number` has seen, up to step `end` of the run."""
    left = end - run.counters.step
    rows = list(zip(*chunk.columns.values(), strict=True))
    try:
        for i, row in enumerate(rows[:left], start=1):
            run.counters.step += 1
            run.remember(number, row, chunk.episode_length if i == len(rows) else None)
    except UserError:
        check_learning(run.agent)  # actions that are not finite come from weights that are not
        raise
    if chunk.episode_return is not None and len(rows) <= left:
        run.counters.episode_returns.append(chunk.episode_return)


def _name(collector: Remote) -> str:
    """Return which collector it is, and where."""
    if collector.place is None:
        return f'collector {collector.number}'
    return (
        f'collector {collector.number} (process {collector.place.pid} on {collector.place.host})'
    )


def _reason(error: RayError) -> str:
    """Return the first sentence of the last line of what Ray says, which is the telling one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    sentence = lines[-1].partition('. ')[0] if lines else type(error).__name__
    return sentence[:LONGEST_REASON].rstrip('.')
