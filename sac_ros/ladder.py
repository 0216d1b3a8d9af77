"""Ladder: the base model, the accepted one above it, the one on trial above that.  No ROS.

The highest of them acts.  One that is worse than the one that it replaced falls, and what stands
above it with it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sac_ros.episode_return import EpisodeReturn
from sac_ros.errors import UserError
from sac_ros.policy import OnnxPolicy
from sac_ros.trial import HEAD_START, LEAST_RETURNS, NEWEST, ReturnWatch, shown_returns

REMEMBERED = 10  # other conditions, under which returns are kept


class Conditions(NamedTuple):
    """Under what a return came: those of easier conditions judge nobody."""

    exploration: float
    speed_scale: float

    def is_harder_than(self, other: 'Conditions') -> bool:
        """Return whether there is more noise here, and less speed, or as much."""
        return self.exploration >= other.exploration and self.speed_scale <= other.speed_scale


class Rung:
    """A model that acts or has acted, and how well."""

    def __init__(
        self, policy: OnnxPolicy, data: bytes = b'', watch: ReturnWatch | None = None
    ) -> None:
        """Hold a model; `data` is its file, `watch` judges it."""
        self.policy = policy
        self.data = data
        self.watch = watch
        self.returns: deque[float] = deque(maxlen=NEWEST)
        self.elsewhere: dict[Conditions, deque[float]] = {}  # returns under other conditions
        self.numbers: deque[int] = deque(maxlen=NEWEST)  # by which ~/control_step calls it

    def least_returns(self, conditions: Conditions) -> Sequence[float]:
        """Return what is the least to expect: returns under `conditions`, or under harder ones.

        Empty where too few are known.
        """
        if len(self.returns) >= LEAST_RETURNS:
            return self.returns
        for known, returns in reversed(self.elsewhere.items()):
            if known.is_harder_than(conditions) and len(returns) >= LEAST_RETURNS:
                return returns
        return ()


@dataclass(frozen=True)
class Verdict:
    """What the returns say about a model: it may stay, or it must fall."""

    rung: Rung
    code: str  # of sac_ros.fault, why it must fall; '' where it may stay
    text: str  # the returns, and those before, for people


class Ladder:
    """Which model acts, and which ones it may fall back to."""

    def __init__(self, base: Rung, conditions: Conditions) -> None:
        """Begin with the base model alone."""
        self.base = base
        self.conditions = conditions
        self.accepted: Rung | None = None
        self.on_trial: Rung | None = None
        self.longest = 0  # [ticks]: the longest episode of any model

    @property
    def acting(self) -> Rung:
        """Return the highest rung."""
        return self.on_trial or self.accepted or self.base

    @property
    def acting_name(self) -> str:
        """Return what the model that acts is."""
        if self.on_trial is not None:
            return 'on trial'
        return 'base' if self.accepted is None else 'accepted'

    def try_out(self, policy: OnnxPolicy, data: bytes) -> None:
        """Let a model act on trial, to be compared with the one that acts now."""
        watch = ReturnWatch(self.acting.returns, HEAD_START)
        self.on_trial = Rung(policy, data, watch)

    def accept(self, rung: Rung) -> None:
        """Make the model on trial the accepted one, watched on against the base."""
        self.accepted, self.on_trial = rung, None
        self._watch_accepted()

    def holds(self, sha256: str) -> bool:
        """Return whether a model stands on the ladder."""
        return any(rung.policy.sha256 == sha256 for rung in self._rungs())

    def drop(self, rung: Rung) -> None:
        """Take a model off the ladder, with what stands above it."""
        self.on_trial = None
        if rung is self.accepted:
            self.accepted = None

    def add(self, episode: EpisodeReturn) -> Verdict | None:
        """Take an episode of one of the models; return what must follow from it.

        Raises UserError when it is of no model of this ladder.
        """
        rung = self._find(episode.model)
        if episode.interrupted:
            text = 'a person has taken the robot out of play in the middle of an episode'
            return Verdict(rung, 'E_CAND_STOPPED', text) if rung is self.on_trial else None
        rung.returns.append(episode.value)
        self.longest = max(self.longest, episode.length)
        if rung.watch is None:
            if rung is self.accepted and len(rung.returns) >= LEAST_RETURNS:
                # No returns of the base compare with it: it must not become worse than it is.
                rung.watch = ReturnWatch(rung.returns)
            return None
        rung.watch.add(episode.value)
        before = f'{shown_returns(rung.watch.before)} before'
        if rung.watch.is_worse:
            return Verdict(
                rung, 'E_CAND_WORSE', f'return {shown_returns(rung.watch.against)}; {before}'
            )
        if rung is self.on_trial and rung.watch.is_good_enough:
            return Verdict(rung, '', f'return {shown_returns(rung.returns)}; {before}')
        return None

    def change_conditions(self, conditions: Conditions) -> None:
        """Judge by returns under other conditions from now on, which models have or will get."""
        self.on_trial = None
        for rung in self._rungs():
            rung.elsewhere[self.conditions] = rung.returns
            rung.returns = rung.elsewhere.pop(conditions, deque(maxlen=NEWEST))
            if len(rung.elsewhere) > REMEMBERED:
                del rung.elsewhere[next(iter(rung.elsewhere))]
            rung.numbers.clear()
        self.conditions = conditions
        self._watch_accepted()

    def _watch_accepted(self) -> None:
        """Compare the accepted model with the base from now on."""
        if self.accepted is not None:
            before = self.base.least_returns(self.conditions) or self.accepted.returns
            is_known = len(before) >= LEAST_RETURNS
            self.accepted.watch = ReturnWatch(before) if is_known else None  # see `add`

    def _find(self, number: int) -> Rung:
        for rung in self._rungs():
            if number in rung.numbers:
                return rung
        known = sorted(number for rung in self._rungs() for number in rung.numbers)
        raise UserError(
            f'episode_return: model {number} is none of those that count: '
            f'{", ".join(map(str, known))}'
        )

    def _rungs(self) -> list[Rung]:
        rungs = (self.base, self.accepted, self.on_trial)
        return [rung for rung in rungs if rung is not None]
