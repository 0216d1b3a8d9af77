"""LearnerStart: from a learner's options to what learns, and what it learns from.  No ROS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sac_ros.model_file import model_name, read_model
from sac_ros.policy import OnnxPolicy
from sim_training.compiler import why_not_compiled
from sim_training.env import make_env
from sim_training.experience import JOURNAL, Experience
from sim_training.fine_tuner import CHECKPOINT, FineTuner, check_config
from sim_training.hindsight import find_hindsight
from sim_training.learner_scores import GivenRewards, transition_maker
from sim_training.prior_data import simulate
from sim_training.run_folder import held
from sim_training.tasks import other_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_training.learner_options import LearnerOptions
    from sim_training.transitions import Transition


class LearnerStart:
    """Model, task and journal of a learner; `begin` makes of them what learns."""

    def __init__(self, options: LearnerOptions, warn: Callable[[str], object]) -> None:
        """Hear again what is in the folder, which is ours until `close`.  Raises UserError.

        `warn` is told what the user should know, a line each time.
        """
        self._options = options
        self._warn = warn
        self._model = read_model(options.model)
        self._policy = OnnxPolicy(self._model, model_name(options.model))
        self.spec = self._policy.spec
        self.task = options.task or self.spec.name
        note = None if options.task else other_task(self.task, self._policy.origin.get('env'))
        if note is not None:
            warn(f'{note}: the parameter task says another')
        given = GivenRewards() if options.reward_topic else None
        self.maker = transition_maker(
            self.task, self.spec, given, has_simulation=bool(options.episode_topic)
        )
        with contextlib.ExitStack() as folder:
            folder.enter_context(held(options.folder, (CHECKPOINT,), 'give another folder'))
            self.experience = Experience(options.folder / JOURNAL, self.spec, self.maker, given)
            folder.callback(self.experience.close)
            self._folder = folder.pop_all()

    def begin(
        self, tell: Callable[[str, FineTuner | None], None], should_stop: Callable[[], bool]
    ) -> FineTuner:
        """Return what learns, with its prior data and all that the robot has done so far.

        It takes a while, in which `tell` is told what goes on.  Raises UserError.
        """
        options = self._options
        torch.set_num_threads(options.threads)
        check_config(options.sac)
        tell('simulating', None)
        prior = self._simulate(should_stop)
        past, _ = self.experience.take()
        tuner = FineTuner(
            options.folder,
            self._model,
            options.sac,
            prior,
            past,
            options.seed,
            None if options.reward_topic else find_hindsight(self.task, options.seed),
            'a topic' if options.reward_topic else Path(self.task).name,
        )
        if options.compile and not should_stop():
            if (reason := why_not_compiled()) is None:
                tell('compiling', tuner)
                tuner.compile()
            else:
                tuner.notes.append(f'learning is slower than it could be: {reason}')
        if damaged := self.experience.damaged:
            tuner.notes.append(f'{damaged} damaged rows of {JOURNAL} are left out')
        for note in tuner.notes:
            self._warn(note)
        return tuner

    def close(self) -> None:
        """Leave the folder to others."""
        self._folder.close()

    def _simulate(self, should_stop: Callable[[], bool]) -> list[Transition]:
        """Return what the model does in the unchanged simulation."""
        options = self._options
        if options.prior_steps == 0:
            return []
        if options.sac.prior_fraction == 0.0:
            self._warn(
                f'prior_steps is {options.prior_steps} and nothing is simulated: the preset has '
                'sac.prior_fraction 0'
            )
            return []
        with contextlib.closing(make_env(self.task)) as env:
            return simulate(self._policy, env, options.prior_steps, options.seed, should_stop)
