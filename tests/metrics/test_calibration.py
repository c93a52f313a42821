"""Whether probabilities come true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from skfer.metrics import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
)


def test_bins_of_a_few_answers_by_hand():
    # Of two bins, answers with at most 0.5 are in the first; three classes allow less.
    proba = [[0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]
    curve = reliability_curve([0, 1, 1, 1], proba, labels=[0, 1, 2], n_bins=2)
    np.testing.assert_allclose(curve.accuracy, [0.5, 0.5])
    np.testing.assert_allclose(curve.confidence, [0.45, 0.9])
    assert curve.counts.tolist() == [2, 2]
    error = expected_calibration_error([0, 1, 1, 1], proba, labels=[0, 1, 2], n_bins=2)
    assert error == pytest.approx(0.5 * 0.05 + 0.5 * 0.4)


def test_empty_bins_are_left_out():
    curve = reliability_curve(["a", "b"], [[0.95, 0.05], [0.45, 0.55]], n_bins=10)
    assert curve.counts.tolist() == [1, 1]
    assert np.isfinite(curve.accuracy).all()


def test_the_error_is_0_if_probabilities_are_the_truth_and_1_if_all_is_wrong():
    truth = np.repeat([[0.9, 0.1]], 10, axis=0)
    assert expected_calibration_error([0] * 9 + [1], truth) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error([0, 1], [[0.0, 1.0], [1.0, 0.0]]) == 1


def test_a_temperature_mends_what_is_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(4000, 3))
    y = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    proba = softmax(3 * logits, axis=1)
    temperature = fit_temperature(y[:2000], proba[:2000])
    before = expected_calibration_error(y[2000:], proba[2000:])
    after = expected_calibration_error(y[2000:], apply_temperature(proba[2000:], temperature))
    assert before > 0.15
    assert after < 0.03


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, None])
def test_bins_are_counted(n_bins):
    with pytest.raises(ValueError, match=r"n_bins=.* must be a whole number of 1 or more"):
        expected_calibration_error(["a", "b"], [[0.5, 0.5]] * 2, n_bins=n_bins)
