"""From the samples of a measurement to its figures.  No ROS, no clock of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Round:
    """What one peer did at one rate for some seconds."""

    latency: np.ndarray  # [s] from a state's leaving to its command's arrival, shape (answers,)
    missed: int  # states without a command in their period
    cpu_time: float  # [s] that the peer's process used for each command

    def percentile(self, q: int) -> float:
        """Return a percentile of the latency [s]; NaN without answers."""
        return float(np.percentile(self.latency, q)) if len(self.latency) else float('nan')

    def as_data(self) -> dict[str, float]:
        """Return the figures of this round alone."""
        return {
            'p50_ms': 1e3 * self.percentile(50),
            'p99_ms': 1e3 * self.percentile(99),
            'answers': len(self.latency),
            'missed': self.missed,
            'cpu_ms_per_command': 1e3 * self.cpu_time,
        }


def match_answers(
    published: Sequence[float], arrivals: Sequence[float], period: float
) -> tuple[np.ndarray, int]:
    """Return the latencies of the states that were answered [s], and how many were not.

    The answer to a state is the first command after it, within one `period` [s] and before the
    next state.  What follows an unanswered state is not timed: it may be the late answer to that
    one.  Both peers are judged by this alone, for a policy's command cannot say what it answers.
    """
    sent, came = np.asarray(published), np.append(np.asarray(arrivals), np.inf)
    ends = np.minimum(np.append(sent[1:], np.inf), sent + period)
    answers = came[np.searchsorted(came, sent)]
    is_answered = answers < ends
    is_clear = is_answered & np.append(True, is_answered[:-1])
    return (answers - sent)[is_clear], int(np.count_nonzero(~is_answered))


def compare(echo: Sequence[Round], policy: Sequence[Round]) -> dict[str, object]:
    """Return the figures of both nodes and their ratios; rounds at the same place are a pair.

    A figure is the median over the rounds, because one bad second of the machine would rule a
    percentile of all samples together.  NaN where a node has answered nothing.
    """
    pairs = list(zip(echo, policy, strict=True))
    ratios = {
        f'ratio_p{q}': _spread([ours.percentile(q) / floor.percentile(q) for floor, ours in pairs])
        for q in (50, 99)
    }
    return {'echo_node': _figures(echo), 'policy_node': _figures(policy), **ratios}


def worst_and_median(values: Sequence[float]) -> dict[str, float]:
    """Return the two figures of what must never be long."""
    return {'median': float(np.median(values)), 'worst': float(np.max(values))}


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the least-squares slope of `values` over `times`; NaN with fewer than two times."""
    t, v = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(t) < 2 or np.ptp(t) == 0.0:
        return float('nan')
    # slope = sum (t - mean t) (v - mean v) / sum (t - mean t)^2
    t, v = t - t.mean(), v - v.mean()
    return float(t @ v / (t @ t))


def _figures(rounds: Sequence[Round]) -> dict[str, object]:
    each = [a_round.as_data() for a_round in rounds]
    return {
        **{
            key: combine([data[key] for data in each])
            for key, combine in (
                ('p50_ms', _median),
                ('p99_ms', _median),
                ('answers', sum),
                ('missed', sum),
                ('cpu_ms_per_command', _median),
            )
        },
        'rounds': each,
    }


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {'median': _median(values), 'min': min(values), 'max': max(values)}
