"""What abstention costs and gains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from skfer.metrics import (
    coverage_curve,
    selective_score,
    threshold_for_accuracy,
    threshold_for_coverage,
)

Y = ["a", "b", "b", "a", "a"]
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.6, 0.4], [0.45, 0.55]])


def test_the_curve_goes_from_the_surest_answer_to_all_of_them():
    coverage, accuracy, thresholds = coverage_curve(Y, PROBA)
    # The two answers with 0.8, one of them wrong, come together.
    np.testing.assert_allclose(thresholds, [0.9, 0.8, 0.6, 0.55])
    np.testing.assert_allclose(coverage, [0.2, 0.6, 0.8, 1])
    np.testing.assert_allclose(accuracy, [1, 2 / 3, 3 / 4, 3 / 5])


@pytest.mark.parametrize(
    ("share", "threshold"), [(0.1, 0.9), (0.2, 0.9), (0.21, 0.8), (0.6, 0.8), (1, 0.55)]
)
def test_threshold_for_a_share_of_answers(share, threshold):
    found = threshold_for_coverage(PROBA, share)
    assert found == threshold
    assert (PROBA.max(axis=1) >= found).mean() >= share


def test_threshold_for_an_accuracy_answers_as_many_as_it_can():
    # 0.8 would give 2/3 only, yet 0.6 gives 3/4 again and more answers than 0.9.
    assert threshold_for_accuracy(Y, PROBA, 0.7) == 0.6
    assert threshold_for_accuracy(Y, PROBA, 0.6) == 0.55
    assert threshold_for_accuracy(Y, PROBA, 1.0) == 0.9


def test_an_accuracy_out_of_reach_names_the_best_there_is():
    with pytest.raises(ValueError, match=r"accuracy=0.9 is reached at no threshold.*0.500.*100.0%"):
        threshold_for_accuracy(["a", "b"], [[0.9, 0.1], [0.9, 0.1]], 0.9)


@pytest.mark.parametrize("share", [0, 1.1, -1, math.nan])
def test_shares_lie_between_0_and_1(share):
    with pytest.raises(ValueError, match=r"coverage=.* must be above 0 and at most 1"):
        threshold_for_coverage(PROBA, share)
    with pytest.raises(ValueError, match=r"accuracy=.* must be above 0 and at most 1"):
        threshold_for_accuracy(Y, PROBA, share)


def test_answers_that_were_given_are_scored_alone():
    said = ["a", "unsure", "a", "a", "unsure"]
    score = selective_score(Y, said, abstention_label="unsure")
    assert score == (2 / 3, 3 / 5)
    assert score.accuracy * score.coverage == pytest.approx(accuracy_score(Y, said))


def test_no_answer_at_all_has_no_accuracy():
    score = selective_score([1, 2], [-1, -1], abstention_label=-1)
    assert math.isnan(score.accuracy)
    assert score.coverage == 0
