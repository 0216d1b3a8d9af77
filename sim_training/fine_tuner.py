"""FineTuner: SAC that goes on from a model with what a robot does.  No ROS, no robot.

As in RLPD (Ball et al. 2023, arXiv:2302.02948) and HIL-SERL (Luo et al. 2024, arXiv:2410.21845):
a part of every batch from prior data, here of the simulation, and layer norms in the critics,
which learn alone until they know something.  A task with a goal is learned in hindsight too.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch._dynamo.exc import TorchDynamoException

from sac_ros.errors import UserError
from sac_ros.policy import OnnxPolicy
from sim_training.array_file import DamagedError, read_arrays, write_arrays
from sim_training.compiler import compiler_refusal
from sim_training.export import build_policy
from sim_training.hindsight import GOALS, Hindsight
from sim_training.model_actor import actor_from_model
from sim_training.replay_buffer import Batch, ReplayBuffer, sample_shares
from sim_training.run_file import library_versions
from sim_training.sac import SAC
from sim_training.sac_config import SACConfig
from sim_training.sac_state import ACTORS, check_learning, check_losses, restore_sac, sac_arrays
from sim_training.transitions import Transition

CHECKPOINT = 'learner.safetensors'
DEVIATION = 0.15  # of the actor at the start, before tanh: that of the target entropy -0.5
WARM_UP = 6_000  # updates of the critics on prior data
PATIENCE = 2_000  # transitions of the robot before the actor learns
TAUGHT = 50_000  # transitions of people that fit beside the prior data; more push these out
AT_ONCE = 10  # updates between two looks at whether to stop


class FineTuner:
    """What a learner knows: an agent, what it learns from, and the folder of its checkpoint."""

    def __init__(
        self,
        folder: Path,
        model: bytes,
        config: SACConfig,
        prior: Sequence[Transition] = (),
        past: Sequence[Transition] = (),
        seed: int = 0,
        hindsight: Hindsight | None = None,
        scored_by: str = '',
    ) -> None:
        """Begin from a model, or go on from `folder` if it has begun there.  Raises UserError.

        `prior` is what was simulated, `past` what the robot did before it goes on, all of it
        `scored_by` the same.
        """
        check_config(config)
        self._scored_by = scored_by
        self.base = OnnxPolicy(model, 'the base model')
        self.spec = spec = self.base.spec
        self.notes: list[str] = []  # for the user
        self.folder = folder
        actor = actor_from_model(model, 'the base model', DEVIATION)
        sizes = tuple(weight.shape[-1] for weight in list(actor.body.weights)[:-1])
        self.config = config = replace(config, hidden_sizes=sizes)
        self._generator = np.random.default_rng(seed)
        self._middle = (
            spec.per_action(spec.action.upper) + spec.per_action(spec.action.lower)
        ) / 2
        self._half_range = spec.per_action(spec.action.upper) - self._middle
        self.agent = SAC(
            config,
            spec.observation_size,
            spec.per_action(spec.action.lower),
            spec.per_action(spec.action.upper),
            seed,
        )
        _begin_from(self.agent, actor.state_dict())
        self._hindsight = hindsight
        copies = 1 if hindsight is None else 1 + GOALS
        self._prior = self._buffer(copies * (len(prior) + TAUGHT))
        self._replay = self._buffer(copies * config.replay_capacity)
        for transition in prior:
            self._store(self._prior, transition)
        if hindsight is not None:
            self._add(self._prior, hindsight.flush())
        self.simulated = len(prior)
        self._owed = 0.0  # updates
        self._seen = 0  # transitions of the robot
        for transition in past:
            self._take(transition)
        self._offered = self._seen  # when there was a candidate last
        self._has_learned = False  # the actor, since then
        if (folder / CHECKPOINT).exists():
            self._resume()

    @property
    def transitions(self) -> int:
        """Return how many transitions of the robot there have been."""
        return self._seen

    @property
    def updates(self) -> int:
        """Return how many updates there have been, those of the critics alone among them."""
        return self.agent.updates

    @property
    def updates_due(self) -> int:
        """Return how many updates belong to what has been seen and are still to be done."""
        return int(self._owed)

    @property
    def is_warming_up(self) -> bool:
        """Return whether the critics still have to learn from prior data."""
        return self.simulated > 0 and self.agent.updates < WARM_UP

    @property
    def news(self) -> int:
        """Return the transitions since the last candidate; 0 if the actor is still that one."""
        return self._seen - self._offered if self._has_learned else 0

    def compile(self) -> None:
        """Let torch compile the update now, so that no robot is waited for later.

        Raises UserError where torch cannot.
        """
        agent, spec = self.agent, self.spec
        known = {name: array.copy() for name, array in sac_arrays(agent).items()}
        widths = (spec.observation_size,), (spec.action_size,), (), (spec.observation_size,), ()
        zeros = Batch(*(torch.zeros(self.config.batch_size, *width) for width in widths))
        agent.compile()
        try:
            agent.update(zeros, is_critics_only=True)
            for _ in range(self.config.policy_delay):
                agent.update(zeros)
        except TorchDynamoException as error:
            raise UserError(f'{compiler_refusal(error)}; compile:=false does without') from error
        restore_sac(agent, known)

    def warm_up(self, should_stop: Callable[[], bool]) -> None:
        """Let the critics learn from prior data what is still missing; the actor stays."""
        while self.is_warming_up and not should_stop():
            batches = self._prior.sample(self._generator, AT_ONCE * self.config.batch_size)
            self.agent.update(batches, is_critics_only=True)

    def learn(self, transition: Transition) -> None:
        """Take a transition of the robot."""
        self._take(transition)
        self._owed += self.config.utd_ratio

    def update(self, count: int) -> None:
        """Learn from so many batches.  Raises UserError when learning has diverged."""
        size = self.config.batch_size
        # Where people alone have shown something, one transition counts once in a batch.
        share = min(self.config.prior_rows, self._prior.size)
        parts = (self._prior, share), (self._replay, size - share)
        batches = sample_shares(parts, self._generator, count)
        is_patient = self._seen < PATIENCE
        self.agent.update(batches, is_critics_only=is_patient)
        self._has_learned |= not is_patient
        self._owed -= count
        check_losses(self.agent)

    def candidate(self) -> bytes:
        """Return the exported actor as a model, checked against torch.  Raises UserError."""
        self._offered, self._has_learned = self._seen, False
        origin = {
            'base_sha256': self.base.sha256,
            'robot_steps': self._seen,
            'updates': self.agent.updates,
            'versions': library_versions(),
        }
        return build_policy(self.agent.exported, self.spec, origin, 'the candidate')[1]

    def save(self) -> None:
        """Write the checkpoint.  Raises UserError, also when learning has diverged."""
        check_learning(self.agent)
        facts = json.dumps({**self._identity(), 'generator': self._generator.bit_generator.state})
        write_arrays(self.folder / CHECKPOINT, sac_arrays(self.agent), facts)

    def _resume(self) -> None:
        """Take up the checkpoint."""
        try:
            arrays, text = read_arrays(self.folder / CHECKPOINT)
        except DamagedError as error:
            self.notes.append(f'{error}; learning anew from the base model and the journal')
            return
        facts = json.loads(text)
        for key, value in self._identity().items():
            if facts.get(key, value) != value:
                raise UserError(
                    f'{self.folder} is of another fine-tuning: its {key} differs; '
                    'give another folder'
                )
        self._generator.bit_generator.state = facts['generator']
        restore_sac(self.agent, arrays)

    def _identity(self) -> dict[str, object]:
        """Return what must be the same when it goes on."""
        config = json.loads(json.dumps(asdict(self.config)))
        return {
            'base_sha256': self.base.sha256,
            'config': config,
            'scored_by': self._scored_by,
        }

    def _take(self, transition: Transition) -> None:
        self._store(self._replay, transition)
        if transition.is_takeover:  # worth as much as prior data: Luo et al. 2024, section 3.3
            self._add(self._prior, [transition])
        self._seen += 1

    def _store(self, replay: ReplayBuffer, transition: Transition) -> None:
        """Add a transition, and with other goals what is known to have come before it."""
        others = [] if self._hindsight is None else self._hindsight.take(transition)
        self._add(replay, [transition, *others])

    def _add(self, replay: ReplayBuffer, transitions: Sequence[Transition]) -> None:
        for transition in transitions:
            replay.add(*self._fields(transition))

    def _fields(
        self, transition: Transition
    ) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, bool]:
        """Return a transition as ReplayBuffer.add takes it."""
        unit = (transition.action - self._middle) / self._half_range
        return (
            transition.observation,
            unit,
            transition.reward,
            transition.next_observation,
            transition.terminated,
        )

    def _buffer(self, capacity: int) -> ReplayBuffer:
        sizes = self.spec.observation_size, self.spec.action_size
        return ReplayBuffer(capacity, *sizes, self.config.gamma, self.config.n_step)


def check_config(config: SACConfig) -> None:
    """Refuse what a model cannot begin: its file holds neither batch norms nor a reward scale."""
    for name, allowed in (('norm', ('none', 'layer')), ('normalise_reward', (False,))):
        found = getattr(config, name)
        if found not in allowed:
            raise UserError(
                f'fine-tuning with sac.{name} {found} cannot begin from a model; allowed: '
                f'{" or ".join(map(str, allowed))}, as in the preset robot'
            )


def _begin_from(agent: SAC, actor: dict[str, torch.Tensor]) -> None:
    """Give an agent another actor, and its normalisation to all networks."""
    for name, network in agent.networks().items():
        if name in ACTORS:
            network.load_state_dict(actor)
        else:
            network.observation_mean.copy_(actor['observation_mean'])
            network.observation_scale.copy_(actor['observation_scale'])
