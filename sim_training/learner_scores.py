"""By what a learner scores a robot: the task's own functions, or rewards from a topic.  No ROS."""

import math
from collections.abc import Sequence

from sac_ros.control_step import ControlStep
from sac_ros.errors import UserError
from sac_ros.observation import split_observation
from sac_ros.spec import TaskSpec, differing_keys
from sim_training.tasks import is_task, load_task
from sim_training.tasks.task import Task
from sim_training.transitions import LARGEST_REWARD, Score, TransitionMaker

LARGEST_BACKLOG = 5_000  # rewards that are kept until their ticks come


class GivenRewards:
    """Rewards that somebody gives for single ticks, by the sequence numbers of these."""

    def __init__(self) -> None:
        self._rewards: dict[int, float] = {}

    def add(self, numbers: Sequence[float]) -> None:
        """Take [sequence, reward]: what it is worth to have come to that tick."""
        if len(numbers) != 2 or not all(map(math.isfinite, numbers)):
            raise UserError(
                f'a reward is {list(numbers[:5])}; [sequence, reward] is needed, both finite'
            )
        if abs(numbers[1]) > LARGEST_REWARD:
            raise UserError(
                f'a reward is {numbers[1]:g}; -{LARGEST_REWARD:g} to {LARGEST_REWARD:g} is allowed'
            )
        self._rewards[int(numbers[0])] = float(numbers[1])
        if len(self._rewards) > LARGEST_BACKLOG:
            del self._rewards[next(iter(self._rewards))]

    def forget(self) -> None:
        """Forget all rewards: ticks are counted anew."""
        self._rewards.clear()

    def score(self, last: ControlStep, step: ControlStep) -> float | None:
        """Return the reward for having come to `step`, or None if nobody gave one."""
        return self._rewards.pop(step.sequence, None)


def transition_maker(
    name: str, spec: TaskSpec, given: GivenRewards | None, *, has_simulation: bool
) -> TransitionMaker:
    """Return what makes transitions of a robot that runs `spec`.

    They are scored by the task called `name` if no rewards are given.  The task also says when an
    episode ends; its time limit does not count where a simulation tells.  Raises UserError.
    """
    if not is_task(name):
        if given is None:
            raise UserError(
                f"'{name}' is no task, so nobody knows its reward; give the parameter "
                "'task', or 'reward_topic'"
            )
        return TransitionMaker(
            spec, given.score, lambda terms: False, None, is_told=has_simulation
        )
    task = load_task(name)
    if keys := differing_keys(task.spec, spec):
        raise UserError(
            f"the model's contract '{spec.name}' is not that of '{name}': they differ in "
            f'{", ".join(keys)}'
        )
    score = task_score(task) if given is None else given.score
    time_limit = None if has_simulation else task.time_limit
    return TransitionMaker(spec, score, task.terminated, time_limit, is_told=has_simulation)


def task_score(task: Task) -> Score:
    """Return the task's own reward, as the simulation gives it."""

    def score(last: ControlStep, step: ControlStep) -> float | None:
        assert step.observation is not None
        return float(task.reward(split_observation(task.spec, step.observation), last.command))

    return score
