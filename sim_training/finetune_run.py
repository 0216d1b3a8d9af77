"""The nodes of a rehearsal, and the record of what they do while they run."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec
from sim_training.child_process import ChildProcess
from sim_training.episode_record import EpisodeResult
from sim_training.finetune_listener import FinetuneListener
from sim_training.finetune_report import Decision, Episode, FinetuneReport
from sim_training.ros_domain import enter_local_domain
from sim_training.run import (
    NAMESPACE,
    POLL_PERIOD,
    RunCommand,
    node_words,
    policy_parameters,
    sim_parameters,
)

PREPARATION = 600.0  # [s] for the learner to compile and to warm up, on a busy machine
SIMULATION_RATE = 200.0  # [1/s]: steps that it simulates, at least
READY = 'waiting for control steps'  # what a learner says that is ready


@dataclass(frozen=True)
class Rehearsal:
    """What is to be run."""

    run: RunCommand  # the robot and its policy, as in `sac-ros run`
    task: str
    base_sha256: str
    spec: TaskSpec
    learner: Mapping[str, object]  # parameters of learner_node
    policy: Mapping[str, object]  # more parameters of policy_node
    timeout: float  # [s] for an episode, the start of the nodes included


def rehearse(
    rehearsal: Rehearsal, report: FinetuneReport, minutes: float, should_stop: Callable[[], bool]
) -> None:
    """Run the nodes until the robot has run for `minutes` more, and record what happens."""
    environment = enter_local_domain()  # the listener is in this process
    domain_id = environment['ROS_DOMAIN_ID']
    print(f'finetune: ROS domain {domain_id}, namespace {NAMESPACE}', file=sys.stderr)
    run = rehearsal.run
    learner_parameters = {'use_sim_time': 'true', **rehearsal.learner}
    robot_parameters = {
        'sim_training.sim_node': sim_parameters(run, rehearsal.task),
        'sac_ros.policy_node': {**policy_parameters(run), **rehearsal.policy},
    }
    with (
        _node('sim_training.learner_node', learner_parameters, environment) as learner,
        FinetuneListener(
            NAMESPACE, int(domain_id), rehearsal.spec, run.real_time_factor
        ) as listener,
    ):
        steps = rehearsal.learner['prior_steps']
        assert isinstance(steps, int)
        _prepare(learner, listener, PREPARATION + steps / SIMULATION_RATE, should_stop)
        if should_stop():
            return
        with contextlib.ExitStack() as stack:
            nodes = [learner] + [
                stack.enter_context(_node(module, parameters, environment))
                for module, parameters in robot_parameters.items()
            ]
            recorder = _Recorder(rehearsal, report, listener, report.minutes + minutes)
            recorder.run(nodes, should_stop)


def _node(
    module: str, parameters: Mapping[str, object], environment: Mapping[str, str]
) -> ChildProcess:
    return ChildProcess(module, node_words(parameters), environment)


def _prepare(
    learner: ChildProcess,
    listener: FinetuneListener,
    timeout: float,
    should_stop: Callable[[], bool],
) -> None:
    """Wait until the learner could learn from a robot, and say what it is doing."""
    end = time.monotonic() + timeout
    state = ''
    while state != READY and not should_stop():
        listener.wait(POLL_PERIOD)
        learner.check()
        if listener.learning and listener.learning['state'] != state:
            state = listener.learning['state']
            print(f'finetune: the learner is {state}', file=sys.stderr)
        if time.monotonic() > end:
            raise UserError(
                f'the learner is not ready within {timeout:.0f} s; it last said: '
                f'{learner.last_line()}'
            )


class _Recorder:
    """Writes down and shows what the listener hears."""

    def __init__(
        self, rehearsal: Rehearsal, report: FinetuneReport, listener: FinetuneListener, end: float
    ) -> None:
        self._rehearsal = rehearsal
        self._report = report
        self._listener = listener
        self._end = end  # [min]
        self._words: dict[str, str] = {}  # sha256 of a model -> the newest decision on it
        self._watched = (0, 0)  # commands and violations up to the last episode

    def run(self, nodes: Sequence[ChildProcess], should_stop: Callable[[], bool]) -> None:
        """Record what happens until the time of the robot is over."""
        last = time.monotonic()
        while self._report.minutes < self._end and not should_stop():
            if self._listen():
                last = time.monotonic()
            for node in nodes:
                node.check()
            if time.monotonic() - last > self._rehearsal.timeout:
                words = '; '.join(f'{node.name} last said: {node.last_line()}' for node in nodes)
                timeout = f'{self._rehearsal.timeout:.0f} s'
                raise UserError(f'no episode of a known model has ended within {timeout}; {words}')

    def _listen(self) -> bool:
        """Wait a moment; return whether an episode has ended."""
        results = self._listener.wait(POLL_PERIOD)
        for decision in self._listener.take_decisions():
            self._words[decision['sha256']] = decision['decision']
            known = (decision[key] for key in ('decision', 'sha256', 'text'))
            self._report.add_decision(Decision(self._report.minutes, *known))
            self._say(f'{decision["sha256"][:12]} {decision["decision"]}: {decision["text"]}')
        for result in results:
            self._add(result)
        return bool(results)

    def _add(self, result: EpisodeResult) -> None:
        minutes = self._report.minutes + result.length * self._rehearsal.spec.dt / 60.0
        acting, watch = self._acting(), self._listener.watch
        (commands, violations), self._watched = self._watched, (watch.commands, watch.violations)
        self._report.add_episode(
            Episode(
                minutes,
                result.reward_sum,
                result.length,
                bool(result.success),
                acting,
                self._listener.acting,
                result.missed,
                result.latency_ms.get('p50', math.nan),
                result.latency_ms.get('p99', math.nan),
                watch.commands - commands,
                watch.violations - violations,
            )
        )
        told = self._listener.learning
        self._say(
            f'return {result.reward_sum:.1f} in {result.length} periods, {acting} acts; learner: '
            f'{told.get("state", "starting")}, {told.get("updates", 0)} updates'
        )

    def _acting(self) -> str:
        """Return what the model that acts is: a key of finetune_report.ACTING."""
        sha256 = self._listener.acting
        if sha256 == self._rehearsal.base_sha256:
            return 'base'
        return 'on trial' if self._words.get(sha256) == 'on trial' else 'accepted'

    def _say(self, text: str) -> None:
        print(f'{self._report.minutes:.2f} of {self._end:.2f} min: {text}', file=sys.stderr)
