"""ReturnScale: brings rewards to a scale on which every task looks alike to a critic."""

import math

import numpy as np

LARGEST_SCALE = 1e4  # of returns that are all alike
FIRST = 4  # numbers before the returns of the envs, in `state`


class ReturnScale:
    """Statistics of discounted returns (SimbaV2, Lee et al. 2025, arXiv:2502.15280, section 4.3).

    G = gamma G + r runs along each episode.  Rewards are divided by the deviation of G, or by more
    where max |G| would not fit `bound`.  A value looks beyond a time limit and G does not, so an
    episode that is cut off counts in max |G| as if it had gone on as it was.
    """

    def __init__(self, gamma: float, bound: float, envs: int) -> None:
        """Begin without any reward."""
        self._gamma = gamma
        self._bound = bound
        # count, mean, sum of squared deviations, largest |G|; then G of each env
        self.state = np.zeros(FIRST + envs)

    def begin(self, env: int) -> None:
        """Forget an episode that is not played to its end."""
        if FIRST + env < len(self.state):
            self.state[FIRST + env] = 0.0

    def add(
        self, env: int, reward: float, is_over: bool = False, cut_after: int | None = None
    ) -> None:
        """Take the reward of a step; `is_over` when it is the last one of its episode.

        `cut_after` is the number of steps of an episode that a time limit ends here.
        """
        place = FIRST + env
        if place >= len(self.state):  # collectors come as the cluster has room for them
            self.state = np.pad(self.state, (0, place + 1 - len(self.state)))
        state = self.state
        value = self._gamma * state[place] + reward
        state[0] += 1.0
        before = value - state[1]
        state[1] += before / state[0]
        state[2] += before * (value - state[1])
        # G of k equal rewards is the part 1 - gamma^k of what it is without an end.
        seen = 1.0 if cut_after is None else 1.0 - self._gamma**cut_after
        state[3] = max(state[3], abs(value) / seen)
        state[place] = 0.0 if is_over else value

    @property
    def largest(self) -> float:
        """The largest |G| so far, what time limits have cut off included."""
        return float(self.state[3])

    @property
    def scale(self) -> float:
        """What rewards are multiplied by."""
        count, _, squares, largest = self.state[:FIRST]
        deviation = math.sqrt(squares / count + LARGEST_SCALE**-2) if count else 1.0
        return 1.0 / max(deviation, largest / self._bound)
