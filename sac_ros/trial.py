"""Whether a model is worse than the one before it, judged by its returns, episode by episode.

Returns scatter, and few of them are known, so no single number decides.  What speaks against the
model is added up, in standard deviations of the returns of the model before it: a cumulative sum
(Page, Biometrika 41, 1954).  An episode may fall short by SLACK; what is missing beyond that is
added to the suspicion, what is better takes from it, down to zero: a good past excuses nothing.
Above LIMIT the model is worse.  So a large shortfall shows in one episode, a small one when it
comes again and again, and no window has to be chosen that is right for both; returns that fall
into two heaps, as of a task that succeeds or fails, are judged by how often they fail.

A model on trial begins with half of LIMIT against it (Lucas and Crosier, Technometrics 24, 1982):
its first episode may fall short by 2.5 deviations, the mean of its first three by 1.2.  It is good
enough when after three episodes or more no more speaks against it than in the beginning: they
fall short by SLACK or less.  In between, the trial goes on.

Of models on trial that are just as good, with normal returns, 7 % are rolled back when 20 returns
of the model before are known, and 23 % when 3 are; of those that are worse by two deviations 99 %
and 95 %, after two episodes.  The error is on the side of what is known to work, and costs little:
the next candidate comes.  An accepted model that is just as good as the base falls after some two
hundred episodes, one that is better by a deviation hardly ever.
"""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

LEAST_RETURNS = 3  # of the model before, before anything is compared with it
TRIAL_EPISODES = 3  # at least, before a model is accepted
NEWEST = 20  # returns of a model that count
SLACK = 0.5  # [deviations] by which every episode may fall short
LIMIT = 4.0  # [deviations] of suspicion, above which a model is worse
HEAD_START = LIMIT / 2.0  # [deviations] of suspicion against a model on trial
# A base that always does the same has no scatter, and yet 2.5 * 0.04 = 10 % less in one episode is
# no reason to go back.
LEAST_SHARE = 0.04  # of the mean: the least deviation


class ReturnWatch:
    """Judges a model by its returns, against those of the model before it."""

    def __init__(self, before: Sequence[float], suspicion: float = 0.0) -> None:
        """Compare with the returns `before`, LEAST_RETURNS or more; begin with a suspicion."""
        if len(before) < LEAST_RETURNS:
            raise ValueError(f'{len(before)} returns are known; {LEAST_RETURNS} are needed')
        self.before = tuple(before)
        self.suspicion = suspicion  # [deviations]
        self.episodes = 0
        self.against: deque[float] = deque(maxlen=NEWEST)  # the returns that the suspicion is from
        self._mean, self._deviation = _mean_and_deviation(before)

    @property
    def is_worse(self) -> bool:
        """Return whether enough speaks against the model to end it now."""
        return self.suspicion > LIMIT

    @property
    def is_good_enough(self) -> bool:
        """Return whether a model on trial has passed."""
        return self.episodes >= TRIAL_EPISODES and self.suspicion <= HEAD_START

    def add(self, value: float) -> None:
        """Take the return of one episode."""
        if self.suspicion == 0.0:
            self.against.clear()
        self.episodes += 1
        self.against.append(value)
        # S <- max(0, S + (mean - return) / deviation - SLACK)    Page (1954), one-sided
        shortfall = (self._mean - value) / self._deviation
        self.suspicion = max(0.0, self.suspicion + shortfall - SLACK)


def shown_returns(returns: Sequence[float]) -> str:
    """Return `480.1 +- 5.2 of 20 episodes`: mean and standard deviation."""
    mean = f'{np.mean(returns):.4g}'
    if len(returns) == 1:
        return f'{mean} of 1 episode'
    return f'{mean} +- {np.std(returns, ddof=1):.2g} of {len(returns)} episodes'


def _mean_and_deviation(returns: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation of what the next return of the same model would be.

    deviation = s sqrt(1 + 1/n): the scatter of one return and of the mean of n are added.
    """
    mean = float(np.mean(returns))
    deviation = float(np.std(returns, ddof=1)) * math.sqrt(1.0 + 1.0 / len(returns))
    least = max(LEAST_SHARE * abs(mean), np.finfo(float).tiny)
    return mean, max(deviation, least)
