"""Succession: which model acts in place of the base model, and when it must give way.

The control loop swaps models between two ticks; what takes time, files above all, comes after.
"""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sac_ros.accepted_model import Acceptance, find_accepted, forget_accepted, keep_accepted
from sac_ros.condemned import Condemned
from sac_ros.control_step import Mode
from sac_ros.decision_log import time_now
from sac_ros.episode_return import read_episode_return
from sac_ros.errors import UserError
from sac_ros.fault import Fault
from sac_ros.ladder import Conditions, Ladder, Rung
from sac_ros.model_file import check_sha256
from sac_ros.model_gate import check_candidate
from sac_ros.policy import OnnxPolicy
from sac_ros.trial import NEWEST

if TYPE_CHECKING:
    from sac_ros.control_loop import ControlLoop
    from sac_ros.decisions import Decisions

# A trial that nobody judges ends: after so many of the longest episodes without a return, but not
# before so long [s]: where the model before it soon fell, a better one says nothing at first.
UNJUDGED_EPISODES = 5
UNJUDGED = 30.0
LONGEST_UNJUDGED = 3600.0  # [s]: whatever a learner says of the length of episodes
# What a model can bring about by the way in which it moves the robot.
BROUGHT_ABOUT = ('E_OBS_RANGE', 'E_OBS_JUMP', 'E_ACT_NONFINITE')


class Succession:
    """The models of one control loop, from configure to cleanup."""

    def __init__(
        self,
        loop: 'ControlLoop',
        folder: Path | None,
        decisions: 'Decisions',
        condemned: Condemned,
        tell_policy: Callable[[OnnxPolicy], None],
    ) -> None:
        """Begin with the model of `loop` as the base; what is accepted is kept in `folder`.

        What fails is added to `condemned`; `tell_policy` announces the model that acts from now
        on.
        """
        self.ladder = Ladder(Rung(loop.policy), _conditions(loop))
        self.ladder.base.numbers.append(loop.controller.model)
        self._loop = loop
        self._folder = folder
        self._decisions = decisions
        self._condemned = condemned
        self._tell_policy = tell_policy
        self._unjudged = 0  # [ticks] that the model on trial has acted since its newest return
        self._looked_at = 0  # [ticks]
        self._taken_over = 0  # [ticks], before the trial
        self._latches = 0  # faults that have latched before the trial
        self._swapping = threading.Lock()  # held for moments only
        self._is_base_demanded = False

    def restore(self, expected_sha256: str) -> None:
        """Let the model act that was accepted earlier in place of this base, if there is one."""
        base = self.ladder.base
        try:
            found = find_accepted(self._folder, base.policy.sha256) if self._folder else None
            if found is None:
                return
            data, acceptance = found
            where = f'accepted model {acceptance.sha256[:12]}'
            if expected_sha256:
                check_sha256(data, expected_sha256, where)
            nothing = np.empty((0, self._loop.spec.observation_size), dtype=np.float32)
            policy = check_candidate(data, where, base.policy, nothing, 1.0)
        except UserError as error:
            self._loop.warn(Fault('W_ACCEPTED_IGNORED', f'the base model acts: {error}'))
            return
        then, now = acceptance.conditions, self.ladder.conditions
        if then is None or Conditions(*then) == now:
            base.returns.extend(acceptance.base_returns)
        else:
            base.elsewhere[Conditions(*then)] = deque(acceptance.base_returns, maxlen=NEWEST)
        # Its own returns are of another day: a candidate waits for new ones.
        self.ladder.accept(Rung(policy, data))
        self._act()
        text = f'accepted {acceptance.time} in place of {base.policy.sha256[:12]}'
        self._decisions.tell('restored', policy.sha256, text=text)

    def change_base(self, policy: OnnxPolicy) -> None:
        """Let another base model act; what was learnt for the one before is forgotten."""
        on_trial, accepted = self.ladder.on_trial, self.ladder.accepted
        self.ladder = Ladder(Rung(policy), _conditions(self._loop))
        self._act()
        if accepted is not None:
            self._forget()
        self._tell_dropped(on_trial, 'another base model was asked for')
        self._decisions.tell('base model', policy.sha256, text='another model was asked for')

    def demand_base(self) -> None:
        """Let the base model act at once, whatever another thread does; then `back_to_base`."""
        with self._swapping:
            self._is_base_demanded = True
            base = self.ladder.base
            if self._loop.policy is not base.policy:
                self._swap(base)

    def back_to_base(self) -> None:
        """Keep the base model acting, and let none of the others act again."""
        dropped = [self.ladder.on_trial, self.ladder.accepted]
        for rung in dropped:
            if rung is not None:
                self.ladder.drop(rung)
        self._is_base_demanded = False
        self._act()
        self._tell_policy(self.ladder.base.policy)
        for rung in dropped:
            if rung is not None:
                self._condemn(rung.policy.sha256)
            self._tell_dropped(rung, 'the base model was asked for')

    def begin_trial(self, policy: OnnxPolicy, data: bytes) -> None:
        """Let a candidate act that has passed the gate."""
        before = self.ladder.acting
        self._condemn(policy.sha256)  # until it is accepted: see condemned.py
        self.ladder.try_out(policy, data)
        self._unjudged, self._looked_at = 0, self._loop.statistics.ticks
        self._taken_over = self._loop.taken_over
        self._latches = self._loop.controller.latches
        self._act()
        self._decisions.tell(
            'on trial',
            policy.sha256,
            text=f'in place of {before.policy.sha256[:12]}',
            before=before.returns,
        )

    def watch(self, unwanted: Fault | None) -> None:
        """Let a model fall that has brought a fault about; end a trial for that and other reasons.

        In doubt the model was to blame for what it can bring about: a state that is implausible.
        In shadow mode no model moves the robot, and none is to blame.
        """
        if self._loop.options.is_shadow:
            return
        on_trial, accepted = self.ladder.on_trial, self.ladder.accepted
        if on_trial is not None:
            self._watch_trial(on_trial, unwanted)
        elif accepted is not None and (fault := self._find_brought_about(accepted)):
            self._roll_back(accepted, fault, is_to_blame=True)
        self._follow_conditions()

    def _watch_trial(self, rung: Rung, unwanted: Fault | None) -> None:
        self._count_unjudged()
        rate = self._loop.controller.spec.control_rate
        patience = max(UNJUDGED * rate, UNJUDGED_EPISODES * self.ladder.longest)
        if unwanted is not None:
            self._roll_back(rung, unwanted, is_to_blame=False)
        elif found := self._find_blame(rung):
            self._roll_back(rung, found, is_to_blame=True)
        elif self._unjudged > min(patience, LONGEST_UNJUDGED * rate):
            fault = Fault(
                'W_LEARNER_LOST',
                f'no return in {self._unjudged} ticks in which it acted; the longest episode '
                f'has {self.ladder.longest}',
            )
            self._loop.warn(fault)
            self._roll_back(rung, fault, is_to_blame=False)

    def _count_unjudged(self) -> None:
        """Count the ticks since the last look, if the policy acts or is too slow to."""
        ticks, step = self._loop.statistics.ticks, self._loop.last_step
        is_slow = step is not None and step.fault is not None and step.fault.code == 'E_TICK_LATE'
        if step is not None and (step.mode is Mode.ACTIVE or is_slow):
            self._unjudged += ticks - self._looked_at
        self._looked_at = ticks

    def _find_blame(self, rung: Rung) -> Fault | None:
        """Return what speaks against the model on trial, besides its returns."""
        if self._loop.taken_over > self._taken_over:
            return Fault('E_CAND_STOPPED', 'a person has taken over')
        if self._loop.controller.latches > self._latches:  # a reset may have come since
            return self._loop.controller.newest_latch
        return self._find_brought_about(rung)

    def _find_brought_about(self, rung: Rung) -> Fault | None:
        for number in rung.numbers:
            stops = self._loop.fault_log.stops.get(number, {})
            for code in BROUGHT_ABOUT:
                if code in stops:
                    return stops[code]
        return None

    def end_trial(self, why: str) -> None:
        """Let a model on trial fall that was stopped in the middle of what it did."""
        if self.ladder.on_trial is not None:
            self._roll_back(self.ladder.on_trial, Fault('E_CAND_STOPPED', why), is_to_blame=True)

    def take_return(self, text: str) -> None:
        """Judge the model that has acted in an episode.  Raises UserError on nonsense."""
        if self._loop.options.is_shadow:
            raise UserError('episode_return: in shadow mode no model can be judged')
        verdict = self.ladder.add(read_episode_return(text))
        self._unjudged = 0
        if verdict is None:
            return
        if verdict.code:
            self._roll_back(verdict.rung, Fault(verdict.code, verdict.text), is_to_blame=True)
        else:
            self._accept(verdict.rung, verdict.text)

    def _accept(self, rung: Rung, text: str) -> None:
        before = rung.watch.before if rung.watch else ()
        self.ladder.accept(rung)
        base = self.ladder.base
        acceptance = Acceptance(
            sha256=rung.policy.sha256,
            base_sha256=base.policy.sha256,
            time=time_now(),
            returns=tuple(rung.returns),
            base_returns=tuple(base.returns),
            conditions=self.ladder.conditions,
        )
        try:
            if self._folder is not None:
                keep_accepted(self._folder, rung.data, acceptance)
            self._condemned.remove(rung.policy.sha256)
        except UserError as error:
            self._loop.warn(Fault('W_DISK', str(error)))
        self._decisions.tell('accepted', rung.policy.sha256, '', text, rung.returns, before)

    def _roll_back(self, rung: Rung, fault: Fault, *, is_to_blame: bool) -> None:
        """Let the model act again that is below `rung`."""
        before = rung.watch.before if rung.watch else ()
        on_trial, was_accepted = self.ladder.on_trial, rung is self.ladder.accepted
        self.ladder.drop(rung)
        self._act()
        if was_accepted:
            self._forget()
        self._condemn(rung.policy.sha256, is_to_blame=is_to_blame)
        if rung is not on_trial:
            self._tell_dropped(on_trial, 'the accepted model that it was tried above has fallen')
        self._decisions.tell(
            'rolled back', rung.policy.sha256, fault.code, fault.text, rung.returns, before
        )

    def _tell_dropped(self, rung: Rung | None, why: str) -> None:
        """Tell of a model that has gone without a fault of its own."""
        if rung is not None:
            self._decisions.tell('rolled back', rung.policy.sha256, text=why, returns=rung.returns)

    def _condemn(self, sha256: str, *, is_to_blame: bool = True) -> None:
        """Never try a model again, or cross it out where it was not to blame."""
        try:
            (self._condemned.add if is_to_blame else self._condemned.remove)(sha256)
        except UserError as error:
            self._loop.warn(Fault('W_DISK', str(error)))

    def _forget(self) -> None:
        try:
            if self._folder is not None:
                forget_accepted(self._folder)
        except UserError as error:
            self._loop.warn(Fault('W_DISK', str(error)))

    def _follow_conditions(self) -> None:
        """Compare no returns that came with more noise or less speed with those that did not."""
        conditions = _conditions(self._loop)
        if conditions == self.ladder.conditions:
            return
        on_trial = self.ladder.on_trial
        self.ladder.change_conditions(conditions)
        if on_trial is not None:
            self._condemn(on_trial.policy.sha256, is_to_blame=False)
            self._tell_dropped(on_trial, 'exploration or speed_scale has changed')
        self._act(is_anew=True)  # by a new number, so that no episode is of both

    def _act(self, *, is_anew: bool = False) -> None:
        """Let the highest model of the ladder act from the next tick on."""
        with self._swapping:
            rung = self.ladder.base if self._is_base_demanded else self.ladder.acting
            if self._loop.policy is rung.policy and not is_anew:
                return
            self._swap(rung)
        self._tell_policy(rung.policy)

    def _swap(self, rung: Rung) -> None:
        self._loop.swap(rung.policy)
        rung.numbers.append(self._loop.controller.model)


def _conditions(loop: 'ControlLoop') -> Conditions:
    noise = loop.controller.noise
    return Conditions(0.0 if noise is None else noise.exploration, loop.controller.speed_scale)
