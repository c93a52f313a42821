"""Figures of valence and arousal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.exceptions import UndefinedMetricWarning

from skfer.metrics import concordance_correlation, sign_agreement

pairs = arrays.arrays(
    np.float64, st.tuples(st.just(2), st.integers(2, 20)), elements=st.integers(-9, 9)
)


def test_concordance_by_hand():
    y = np.array([1.0, 2.0, 3.0])
    assert concordance_correlation(y, y) == 1
    assert concordance_correlation(y, 4 - y) == pytest.approx(-1)
    # Variance 2/3 of both, means 1 apart.
    assert concordance_correlation(y, y + 1) == pytest.approx((4 / 3) / (4 / 3 + 1))
    # Half of the spread: covariance 1/3, variances 2/3 and 1/6.
    assert concordance_correlation(y, 2 + (y - 2) / 2) == pytest.approx((2 / 3) / (5 / 6))
    assert concordance_correlation(y, [2, 2, 2]) == 0
    assert concordance_correlation([2, 2], [2, 2]) == 1
    assert concordance_correlation([2, 2], [3, 3]) == 0


@given(pairs)
@settings(max_examples=100, deadline=None)
def test_concordance_is_symmetric_and_never_beyond_pearson(y):
    value = concordance_correlation(*y)
    assert value == pytest.approx(concordance_correlation(y[1], y[0]))
    assert -1 - 1e-12 <= value <= 1 + 1e-12
    if (y.std(axis=1) > 0).all():
        assert abs(value) <= abs(np.corrcoef(y)[0, 1]) + 1e-12


@given(pairs, st.integers(1, 5), st.integers(-5, 5))
@settings(max_examples=50, deadline=None)
def test_concordance_is_the_same_on_another_scale_for_both(y, factor, offset):
    there = concordance_correlation(*(factor * y + offset))
    assert there == pytest.approx(concordance_correlation(*y))


def test_several_outputs_are_averaged_as_in_scikit_learn():
    y = np.array([[1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    predicted = np.column_stack([y[:, 0] + 1, [-1.0, -1.0, -1.0]])
    for measure, expected in ((concordance_correlation, [4 / 7, 0]), (sign_agreement, [1, 2 / 3])):
        np.testing.assert_allclose(measure(y, predicted, multioutput="raw_values"), expected)
        assert measure(y, predicted) == pytest.approx(np.mean(expected))
        assert measure(y, predicted, multioutput=[3, 1]) == pytest.approx(
            np.average(expected, weights=[3, 1])
        )


@pytest.mark.parametrize("measure", [concordance_correlation, sign_agreement])
def test_a_weight_of_two_is_an_image_twice(measure):
    y, predicted = np.array([-0.5, 0.2, 0.9]), np.array([-0.1, -0.4, 0.7])
    twice = measure(np.r_[y, y[1:]], np.r_[predicted, predicted[1:]])
    assert measure(y, predicted, sample_weight=[1, 2, 2]) == pytest.approx(twice)


def test_a_rating_of_zero_has_no_sign():
    assert sign_agreement([0.0, 0.5, -0.5, 0.1], [0.3, 0.1, 0.2, 0.0]) == pytest.approx(1 / 3)
    with pytest.warns(UndefinedMetricWarning, match="all 0"):
        assert np.isnan(sign_agreement([0.0, 0.0], [0.1, 0.2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), r"differ in shape: \(2, 1\) and \(1, 1\)"),
        (([1.0, np.nan], [1.0, 2.0]), "y_true contains NaN"),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        concordance_correlation(*arguments)


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="multioutput='macro' must be one of"):
        concordance_correlation([1, 2], [1, 2], multioutput="macro")
    with pytest.raises(ValueError, match=r"weights of shape \(2,\); there are 1 outputs"):
        sign_agreement([1, 2], [1, 2], multioutput=[1, 1])
    with pytest.raises(ValueError, match=r"sample_weight is 0|at least one non-zero"):
        sign_agreement([1, 2], [1, 2], sample_weight=[0, 0])
