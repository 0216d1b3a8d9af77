"""CandidateGate: one candidate at a time is checked, in a thread that does nothing else.

What is checked stands in model_gate.py; the child process in which candidates are tried is kept
for the next one.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sac_ros.fault import Fault
from sac_ros.model_check import ModelChecker
from sac_ros.model_error import ModelError
from sac_ros.model_file import check_sha256, check_size
from sac_ros.model_gate import check_candidate
from sac_ros.policy import OnnxPolicy


@dataclass(frozen=True)
class Offer:
    """A candidate as it came."""

    data: bytes
    sha256: str

    @property
    def name(self) -> str:
        """Return how errors name it."""
        return f'candidate {self.sha256[:12]}'


@dataclass(frozen=True)
class Terms:
    """What a candidate is checked against."""

    running: OnnxPolicy
    recent_observations: np.ndarray  # shape (k, observation_size)
    max_action_change: float  # fraction of the action range
    expected_sha256: str  # '' for any


@dataclass(frozen=True)
class Checked:
    """A candidate that may act, or why it may not."""

    offer: Offer
    terms: Terms
    result: OnnxPolicy | Fault


class CandidateGate:
    """Begin a check, ask for its result from time to time.  For one thread, which never waits."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._pool = ThreadPoolExecutor(1, 'gate')
        self._checker: ModelChecker | None = None
        self._check: Future[Checked] | None = None

    @property
    def is_busy(self) -> bool:
        """Return whether a check has begun whose result has not been taken."""
        return self._check is not None

    def begin(self, offer: Offer, terms: Terms) -> None:
        """Begin to check a candidate; the gate must not be busy."""
        self._check = self._pool.submit(self._run, offer, terms)

    def take(self) -> Checked | None:
        """Return the result of the check, once, when there is one."""
        if self._check is None or not self._check.done():
            return None
        checked, self._check = self._check.result(), None
        return checked

    def close(self) -> None:
        """End a check that is under way, and the child process."""
        if self._checker is not None:
            self._checker.interrupt()
        self._pool.shutdown()
        if self._checker is not None:
            self._checker.close()

    def _run(self, offer: Offer, terms: Terms) -> Checked:
        """Check a candidate, in the thread of the pool."""
        try:
            check_size(len(offer.data), offer.name)
            if terms.expected_sha256:
                check_sha256(offer.data, terms.expected_sha256, offer.name)
            self._checker = self._checker or ModelChecker()
            policy = check_candidate(
                offer.data,
                offer.name,
                terms.running,
                terms.recent_observations,
                terms.max_action_change,
                self._checker.check,
            )
        except ModelError as error:
            return Checked(offer, terms, Fault(error.code, str(error)))
        return Checked(offer, terms, policy)
