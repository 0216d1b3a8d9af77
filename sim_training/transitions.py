"""TransitionMaker: what a policy node tells of its ticks -> transitions to learn from.  No ROS.

A transition is made of two ticks that follow each other without a gap, a fault or a change of who
acts.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sac_ros.control_step import ControlStep, Mode
from sac_ros.observation import split_observation
from sac_ros.spec import TaskSpec
from sim_training.learned_action import learned_action
from sim_training.tasks.task import Terms

SETTLE = 0.5  # [s] of stamps for which a tick waits for news of an end of its episode
LARGEST_DEVIATION = 0.5  # [periods] by which two ticks may be nearer or further than one period
LARGEST_REWARD = 1e6  # what is learned from stays finite in float32
GOAL_TERM = 'goal_from_tool'  # of the observation: where a goal is seen [m]
NEW_GOAL = 0.1  # [m]: no tool moves that far in a period
STOPPED = Mode.HOLD, Mode.SAFE, Mode.FAULT  # HOLD may be the beginning of it

# (tick, tick after it) -> reward, or None where nobody gave one
Score = Callable[[ControlStep, ControlStep], float | None]


@dataclass(frozen=True)
class Transition:
    """A step of the robot."""

    observation: np.ndarray  # float32, SI, shape (observation_size,)
    action: np.ndarray  # float64, as `learned_action` says, its own units, shape (action_size,)
    command: np.ndarray  # float64, what was sent, shape (action_size,)
    reward: float
    next_observation: np.ndarray  # float32, SI, shape (observation_size,)
    terminated: bool
    is_takeover: bool  # a person acted


@dataclass(frozen=True)
class EpisodeReturn:
    """An episode that has ended."""

    model: int  # ControlStep.model of its last tick
    reward_sum: float  # undiscounted return
    length: int  # transitions
    is_whole: bool  # one model acted from its beginning to its end, and nothing is missing
    is_interrupted: bool = False  # a person took the robot out of play in the middle of it


@dataclass(frozen=True)
class _End:
    """The end of an episode, of which a person or the simulation has told."""

    stamp: float  # [s] of the state that was the last one
    verdict: float | None = None  # a person's, which makes it the end of the task
    is_break: bool = False  # nothing was heard behind it


@dataclass
class _Episode:
    """The episode that goes on.  It is whole unless something was missed since it began."""

    reward_sum: float = 0.0
    length: int = 0
    model: int = 0
    is_whole: bool = True
    is_rest: bool = False  # a play is over: this is what a robot does until the next one

    def add(self, transition: Transition, model: int) -> None:
        """Take the next transition, under the model that acted when it ended."""
        self.is_whole &= not transition.is_takeover and (self.length == 0 or self.model == model)
        self.reward_sum += transition.reward
        self.length += 1
        self.model = model


class TransitionMaker:
    """Takes the ticks of a policy node in the order in which they come."""

    def __init__(
        self,
        spec: TaskSpec,
        score: Score,
        terminated: Callable[[Terms], bool],
        time_limit: int | None,
        *,
        is_told: bool = False,
    ) -> None:
        """Score by `score`; an episode ends by `terminated` and after `time_limit` periods.

        `is_told`: a simulation tells of every end by `end_episode`, and no limit is needed.  A
        robot begins another episode also when it is let go again, and by a new goal.
        """
        self._spec = spec
        self._score = score
        self._terminated = terminated
        self._time_limit = time_limit
        self._is_told = is_told
        self.refused: float | None = None  # the newest reward that cannot be learned from
        self._has_goal = any(term.term == GOAL_TERM for term in spec.observation)
        self._sequence = 0  # of the newest tick
        self._waiting: deque[ControlStep] = deque()
        self._ends: deque[_End] = deque()
        self._settled: tuple[list[Transition], list[EpisodeReturn]] = [], []
        self._last: ControlStep | None = None  # a transition may begin here
        self._seen: ControlStep | None = None  # the tick before, whatever it was
        self._held: Transition | None = None  # the last one before a stop: it may still be judged
        self._episode = _Episode(is_whole=False)  # we may have come in the middle of it

    def add(self, step: ControlStep) -> bool:
        """Take the next tick; return whether ticks are counted anew from it on.

        Where the stamps begin anew, too, or may do so, those before it wait for no more news.
        """
        is_anew = step.sequence == 1 or step.sequence <= self._sequence  # 1 may be missed
        self._sequence = step.sequence
        if is_anew or (self._waiting and step.stamp < self._waiting[-1].stamp):
            while self._waiting:
                self._follow(self._waiting.popleft(), *self._settled)
            self._ends = deque(end for end in self._ends if end.stamp <= step.stamp + SETTLE)
        self._waiting.append(step)
        return is_anew

    def end_episode(self, stamp: float, verdict: float | None = None) -> None:
        """End the episode with the tick that saw the state stamped `stamp` [s].

        A verdict, from a person, is added to the reward of the last transition, behind which there
        is then nothing; without one the episode was cut off.  A robot that has been stopped can be
        judged until it acts again: then the last transition is that before the stop.
        """
        self._ends.append(_End(stamp, verdict))

    def break_off(self, stamp: float) -> None:
        """Cut the episode off behind that tick: what follows will not be heard for a while."""
        self._ends.append(_End(stamp, is_break=True))

    def settle(self, most: int = 0) -> None:
        """Make transitions of the ticks that have waited for news, while more than `most` wait."""
        waiting = self._waiting
        while len(waiting) > most and waiting[-1].stamp > waiting[0].stamp + SETTLE:
            self._follow(waiting.popleft(), *self._settled)

    def take(self) -> tuple[list[Transition], list[EpisodeReturn]]:
        """Return what is settled since the last call."""
        self.settle()
        settled, self._settled = self._settled, ([], [])
        return settled

    def _follow(
        self, step: ControlStep, transitions: list[Transition], returns: list[EpisodeReturn]
    ) -> None:
        """Make the transition that ends at this tick, if there is one."""
        last, self._last = self._last, None
        seen, self._seen = self._seen, step
        end = self._end_before(step)
        periods_after = (step.stamp - end.stamp) / self._spec.dt if end else -math.inf
        is_at_end = end is not None and periods_after <= 0.5
        self._release(step, end, transitions)
        if step.sequence == 1 or (end is not None and not is_at_end):
            # Before this tick: nothing leads here.  Cut off, unless an end was told of.
            # A simulation goes on at once: whatever tick is lost here, an episode lacks it.
            self._episode.is_whole &= not (self._is_told and periods_after > 0.5)
            self._finish(returns, is_cut=end is None or end.is_break)
            self._episode.is_whole &= not (self._is_told and periods_after > 1.5)
            last = end = None
        elif not self._is_told and self._is_new_play(seen, step, is_at_end=is_at_end):
            is_disabled = step.fault is not None and step.fault.code == 'W_DISABLED'
            self._finish(returns, is_cut=True, is_interrupted=is_disabled)
            last = None
        transition = None if last is None else self._between(last, step, end)
        is_terminated = transition is not None and transition.terminated
        if transition is not None and not is_learnable(transition.reward):
            self.refused, transition = transition.reward, None
        if transition is not None:
            if end is None and self._waiting and _stops(step, self._waiting[0]):
                self._held = transition
            else:
                transitions.append(transition)
            self._episode.add(transition, step.model)
        elif (last is not None or step.fault is not None) and self._has_begun:
            self._episode.is_whole = False
        if is_at_end or is_terminated or self._episode.length == self._time_limit:
            self._finish(returns, is_cut=end is not None and end.is_break)
            if not self._is_told and not (end and end.is_break):
                is_judged = end is not None and end.verdict is not None
                self._episode.is_rest = is_judged or self._has_goal
                if self._has_goal:
                    self._episode.is_whole = False  # it may be at its goal already
        if not is_at_end and self._may_begin(step):
            self._last = step

    def _release(self, step: ControlStep, end: _End | None, transitions: list[Transition]) -> None:
        """Give out the transition before a stop: judged, or because the robot acts again."""
        held = self._held
        if held is None:
            return
        if end is not None and end.verdict is not None:
            reward = held.reward + end.verdict
            held, self._held = replace(held, reward=reward, terminated=True), None
            transitions.append(held)
        elif step.mode not in STOPPED:
            self._held = None
            transitions.append(held)

    def _end_before(self, step: ControlStep) -> _End | None:
        """Return the last end that was told of, up to this tick."""
        found = None
        while self._ends and self._ends[0].stamp < step.stamp + 0.5 * self._spec.dt:
            end = self._ends.popleft()
            found = found if found is not None and end.is_break else end
        return found

    @property
    def _has_begun(self) -> bool:
        """Tell whether what is missing now is missing in an episode."""
        return self._is_told or self._episode.length > 0

    def _is_new_play(
        self, seen: ControlStep | None, step: ControlStep, *, is_at_end: bool
    ) -> bool:
        """Tell whether the robot was taken out of play by a person, or has got another goal.

        A goal that comes with the end of an episode is that of the next one.
        """
        if step.fault is not None:
            return step.fault.code == 'W_DISABLED' or step.mode is Mode.FAULT
        if is_at_end or not self._has_goal or seen is None or step.sequence != seen.sequence + 1:
            return False
        if seen.observation is None or step.observation is None:
            return False
        move = self._terms(step.observation)[GOAL_TERM] - self._terms(seen.observation)[GOAL_TERM]
        return float(np.linalg.norm(move)) > NEW_GOAL

    def _between(
        self, last: ControlStep, step: ControlStep, end: _End | None
    ) -> Transition | None:
        """Return the transition from one tick to another, or None if they do not follow."""
        if step.observation is None or last.observation is None or step.fault is not None:
            return None
        periods = (step.stamp - last.stamp) / self._spec.dt
        follows = step.sequence == last.sequence + 1 and abs(periods - 1.0) <= LARGEST_DEVIATION
        if not follows or step.is_takeover != last.is_takeover:
            return None
        reward = self._score(last, step)
        if reward is None:
            return None
        verdict = None if end is None else end.verdict
        return Transition(
            last.observation,
            learned_action(self._spec, last),
            last.command,
            reward + (verdict or 0.0),
            step.observation,
            verdict is not None or self._terminated(self._terms(step.observation)),
            last.is_takeover,
        )

    def _may_begin(self, step: ControlStep) -> bool:
        """Tell whether the command of a tick can be learned from."""
        is_sent = step.mode is Mode.ACTIVE and step.fault is None
        if not is_sent or step.observation is None:
            return False
        return not self._terminated(self._terms(step.observation))  # it lies there, and is over

    def _finish(
        self, returns: list[EpisodeReturn], *, is_cut: bool, is_interrupted: bool = False
    ) -> None:
        episode, self._episode = self._episode, _Episode()
        episode.is_whole &= not is_cut
        if is_cut and self._is_told and episode.length > 0:
            self._episode.is_whole = False  # the rest of an episode of the simulation
        if episode.length > 0:
            returns.append(
                EpisodeReturn(
                    episode.model,
                    episode.reward_sum,
                    episode.length,
                    episode.is_whole,
                    is_interrupted and not episode.is_rest,
                )
            )

    def _terms(self, observation: np.ndarray) -> Terms:
        return split_observation(self._spec, observation)


def _stops(step: ControlStep, following: ControlStep) -> bool:
    """Tell whether a robot that acted at a tick was stopped at the one after it."""
    return following.sequence == step.sequence + 1 and following.mode in STOPPED


def is_learnable(reward: float) -> bool:
    """Tell whether a reward is a number, and not so large that it would drown all others."""
    return abs(reward) <= LARGEST_REWARD
