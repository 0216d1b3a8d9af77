"""Hindsight: what a robot did, as if it had been told to go where it went.

Hindsight experience replay (Andrychowicz et al. 2017, arXiv:1707.01495, strategy `future`): a step
is learned from again, with goals that were reached later in its episode.  In its first minutes a
robot sees some dozens of goals, too few for a critic to know what a goal is.  Unlike there, some
are beside what was reached: if all were reached, critics would believe that every goal is.
"""

from dataclasses import replace

import numpy as np

from sac_ros.observation import split_observation
from sim_training.tasks import is_task, load_task
from sim_training.tasks.task import Task
from sim_training.transitions import GOAL_TERM, Transition, is_learnable

# For each step, besides its own goal: standard deviations around where the tool was later [m]
SPREADS = 0.0, 0.02, 0.1
GOALS = len(SPREADS)


class Hindsight:
    """Takes transitions in the order in which they came, returns them with other goals."""

    def __init__(self, task: Task, seed: int) -> None:
        """Score by the task's own reward; its observation has GOAL_TERM."""
        self._task = task
        self._generator = np.random.default_rng(seed)
        self._episode: list[Transition] = []

    def take(self, transition: Transition) -> list[Transition]:
        """Take the next one; return what `flush` does if another episode begins with it."""
        last = self._episode[-1:]
        follows = last and np.array_equal(last[0].next_observation, transition.observation)
        is_over = not follows or len(self._episode) >= self._task.time_limit
        others = self.flush() if is_over else []
        self._episode.append(transition)
        return others

    def flush(self) -> list[Transition]:
        """Return the episode so far, each step with GOALS other goals; begin another one.

        A goal whose reward cannot be learned from is left out.
        """
        episode, self._episode = self._episode, []
        others = [
            self._towards(step, episode[self._generator.integers(number, len(episode))], spread)
            for number, step in enumerate(episode)
            if not self._is_judged(step)
            for spread in SPREADS
        ]
        return [other for other in others if is_learnable(other.reward)]

    def _is_judged(self, step: Transition) -> bool:
        """Tell whether a person has ended a step, whom the task's own reward would deny."""
        terms = split_observation(self._task.spec, step.next_observation)
        return step.terminated and not self._task.terminated(terms)

    def _towards(self, step: Transition, later: Transition, spread: float) -> Transition:
        """Return a step as if its goal had been about where the tool is at the end of `later`."""
        spec = self._task.spec
        observation, next_observation = step.observation.copy(), step.next_observation.copy()
        # goal - tool, of the goal that was given: what the new goal lacks of it
        gap = split_observation(spec, later.next_observation)[GOAL_TERM]
        gap = gap + spread * self._generator.standard_normal(len(gap), np.float32)
        split_observation(spec, observation)[GOAL_TERM] -= gap
        terms = split_observation(spec, next_observation)
        terms[GOAL_TERM] -= gap
        return replace(
            step,
            observation=observation,
            next_observation=next_observation,
            reward=float(self._task.reward(terms, step.command)),
            terminated=bool(self._task.terminated(terms)),
        )


def find_hindsight(name: str, seed: int) -> Hindsight | None:
    """Return the hindsight of the task called `name`, or None: no task, or none with a goal."""
    if not is_task(name):
        return None
    task = load_task(name)
    return Hindsight(task, seed) if GOAL_TERM in task.spec.term_sizes else None
