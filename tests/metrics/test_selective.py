import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from skfer.metrics import (
    coverage_curve,
    prediction_set_score,
    selective_score,
    threshold_for_accuracy,
    threshold_for_coverage,
)

Y = ["a", "b", "b", "a", "a"]
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.6, 0.4], [0.45, 0.55]])
SETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)


def test_coverage_curve():
    coverage, accuracy, thresholds = coverage_curve(Y, PROBA)
    # The two predictions with 0.8, one of which is wrong, share a threshold.
    np.testing.assert_allclose(thresholds, [0.9, 0.8, 0.6, 0.55])
    np.testing.assert_allclose(coverage, [0.2, 0.6, 0.8, 1])
    np.testing.assert_allclose(accuracy, [1, 2 / 3, 3 / 4, 3 / 5])
    swapped = coverage_curve(Y, PROBA[:, ::-1], labels=["b", "a"])
    np.testing.assert_allclose(swapped, [coverage, accuracy, thresholds])


def test_threshold_for_accuracy_has_the_highest_coverage():
    # The accuracy is 2/3 at 0.8 and 3/4 at 0.6, where the coverage is higher than at 0.9.
    assert threshold_for_accuracy(Y, PROBA, 0.7) == 0.6
    assert threshold_for_accuracy(Y, PROBA, 0.6) == 0.55
    assert threshold_for_accuracy(Y, PROBA, 1.0) == 0.9
    assert threshold_for_accuracy(Y, PROBA[:, ::-1], 0.7, labels=["b", "a"]) == 0.6
    with pytest.raises(ValueError, match=r"accuracy=0.9 is reached at no threshold.*0.500.*100.0%"):
        threshold_for_accuracy(["a", "b"], [[0.9, 0.1], [0.9, 0.1]], 0.9)


@pytest.mark.parametrize(
    ("share", "threshold"), [(0.1, 0.9), (0.2, 0.9), (0.21, 0.8), (0.6, 0.8), (1, 0.55)]
)
def test_threshold_for_coverage(share, threshold):
    assert threshold_for_coverage(PROBA, share) == threshold
    assert (PROBA.max(axis=1) >= threshold).mean() >= share


@pytest.mark.parametrize("share", [0, 1.1, -1, math.nan])
def test_invalid_shares(share):
    with pytest.raises(ValueError, match=r"coverage=.* must be above 0 and at most 1"):
        threshold_for_coverage(PROBA, share)
    with pytest.raises(ValueError, match=r"accuracy=.* must be above 0 and at most 1"):
        threshold_for_accuracy(Y, PROBA, share)


def test_selective_score():
    y_pred = ["a", "unsure", "a", "a", "unsure"]
    score = selective_score(Y, y_pred, abstention_label="unsure")
    assert score == (2 / 3, 3 / 5)
    assert score.accuracy * score.coverage == pytest.approx(accuracy_score(Y, y_pred))
    score = selective_score([1, 2], [-1, -1], abstention_label=-1)
    assert math.isnan(score.accuracy)
    assert score.coverage == 0


def test_prediction_set_score():
    score = prediction_set_score(["a", "b", "c", "d"], SETS, labels=["a", "b", "c"])
    assert score == (0.5, 1.5, 0.25, 0.25)
    assert prediction_set_score(["b"], SETS[:1], labels=["b", "c", "a"]).coverage == 1
    assert prediction_set_score(["b"], SETS[:1], labels=["a", "b", "c"]).coverage == 0


@pytest.mark.parametrize("sets", [SETS.astype(int), SETS[:2], SETS[:, :2], SETS[0]])
def test_invalid_prediction_sets(sets):
    with pytest.raises(ValueError, match="y_set has the shape"):
        prediction_set_score(["a", "b", "c", "d"], sets, labels=["a", "b", "c"])
