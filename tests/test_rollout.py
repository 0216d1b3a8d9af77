"""rollout.py: what a training has come to."""

import pytest

from sim_training.rollout import final_score


@pytest.mark.parametrize(
    ('evaluations', 'score'),
    [
        (40, (37 + 38 + 39 + 40) / 4),
        (20, 19.5),  # of 19 and 20
        (11, 10.5),  # the tenth of 11, rounded up
        (2, 2.0),  # the last
        (1, 1.0),
    ],
)
def test_the_score_is_the_mean_of_the_final_tenth_of_the_evaluations(
    evaluations: int, score: float
):
    assert final_score([float(number) for number in range(1, evaluations + 1)]) == score


def test_the_score_is_not_the_best_one():
    assert final_score([9.0, 8.0, 3.0]) == 3.0
