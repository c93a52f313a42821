import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.exceptions import UndefinedMetricWarning

from skfer import expressions_to_affect
from skfer.datasets import EXPRESSIONS, make_faces
from skfer.metrics import concordance_correlation, sign_agreement
from skfer.metrics._affect import CIRCUMPLEX

pairs = arrays.arrays(
    np.float64, st.tuples(st.just(2), st.integers(2, 20)), elements=st.integers(-9, 9)
)


def test_concordance():
    y = np.array([1.0, 2.0, 3.0])
    assert concordance_correlation(y, y) == 1
    assert concordance_correlation(y, 4 - y) == pytest.approx(-1)
    # Both variances are 2/3, the means differ by 1.
    assert concordance_correlation(y, y + 1) == pytest.approx((4 / 3) / (4 / 3 + 1))
    # Half the deviations: covariance 1/3, variances 2/3 and 1/6.
    assert concordance_correlation(y, 2 + (y - 2) / 2) == pytest.approx((2 / 3) / (5 / 6))


def test_concordance_of_constants():
    assert concordance_correlation([1, 2, 3], [2, 2, 2]) == 0
    assert concordance_correlation([2, 2], [2, 2]) == 1
    assert concordance_correlation([2, 2], [3, 3]) == 0


@given(pairs)
@settings(max_examples=100, deadline=None)
def test_concordance_is_symmetric_and_at_most_the_correlation(y):
    value = concordance_correlation(*y)
    assert value == pytest.approx(concordance_correlation(y[1], y[0]))
    assert -1 - 1e-12 <= value <= 1 + 1e-12
    if (y.std(axis=1) > 0).all():
        assert abs(value) <= abs(np.corrcoef(y)[0, 1]) + 1e-12


@given(pairs, st.integers(1, 5), st.integers(-5, 5))
@settings(max_examples=50, deadline=None)
def test_concordance_is_scale_invariant(y, factor, offset):
    scaled = concordance_correlation(*(factor * y + offset))
    assert scaled == pytest.approx(concordance_correlation(*y))


def test_sign_agreement_ignores_true_zeros():
    assert sign_agreement([0.0, 0.5, -0.5, 0.1], [0.3, 0.1, 0.2, 0.0]) == pytest.approx(1 / 3)
    with pytest.warns(UndefinedMetricWarning, match="all 0"):
        assert np.isnan(sign_agreement([0.0, 0.0], [0.1, 0.2]))


@pytest.mark.parametrize(
    ("measure", "expected"), [(concordance_correlation, [4 / 7, 0]), (sign_agreement, [1, 2 / 3])]
)
def test_multioutput(measure, expected):
    y = np.array([[1.0, -1.0], [2.0, 1.0], [3.0, -1.0]])
    predicted = np.column_stack([y[:, 0] + 1, [-1.0, -1.0, -1.0]])
    np.testing.assert_allclose(measure(y, predicted, multioutput="raw_values"), expected)
    assert measure(y, predicted) == pytest.approx(np.mean(expected))
    weighted = measure(y, predicted, multioutput=[3, 1])
    assert weighted == pytest.approx(np.average(expected, weights=[3, 1]))


@pytest.mark.parametrize("measure", [concordance_correlation, sign_agreement])
def test_sample_weight_equals_repetition(measure):
    y, predicted = np.array([-0.5, 0.2, 0.9]), np.array([-0.1, -0.4, 0.7])
    twice = measure(np.r_[y, y[1:]], np.r_[predicted, predicted[1:]])
    assert measure(y, predicted, sample_weight=[1, 2, 2]) == pytest.approx(twice)


@pytest.mark.parametrize("measure", [concordance_correlation, sign_agreement])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "options", "message"),
    [
        ([1.0, 2.0], [1.0], {}, r"differ in shape: \(2, 1\) and \(1, 1\)"),
        ([1.0, np.nan], [1.0, 2.0], {}, "y_true contains NaN"),
        ([1, 2], [1, 2], {"multioutput": "macro"}, "multioutput='macro' must be one of"),
        ([1, 2], [1, 2], {"multioutput": [1, 1]}, r"weights of shape \(2,\); there are 1 outputs"),
        ([1, 2], [1, 2], {"sample_weight": [0, 0]}, "sample_weight is 0|at least one non-zero"),
    ],
)
def test_invalid_ratings(measure, y_true, y_pred, options, message):
    with pytest.raises(ValueError, match=message):
        measure(y_true, y_pred, **options)


def test_positions_of_expressions():
    assert set(CIRCUMPLEX) == set(EXPRESSIONS)
    positions = expressions_to_affect(np.eye(8), EXPRESSIONS)
    assert (np.hypot(*positions.T) < 1).all()
    np.testing.assert_allclose(positions, [CIRCUMPLEX[name] for name in EXPRESSIONS])
    order = ["happy", "surprise", "fear", "angry", "disgust", "contempt", "sad"]
    angles = [np.arctan2(*CIRCUMPLEX[name][::-1]) % (2 * np.pi) for name in order]
    assert (np.diff(angles) > 0).all()


def test_votes_for_synonyms_are_converted():
    from_votes = expressions_to_affect([[3, 1]], ["Sadness", "joy"])
    np.testing.assert_allclose(from_votes, expressions_to_affect([[0.75, 0.25]], ["sad", "happy"]))


def test_converted_expressions_agree_with_drawn_faces():
    faces = make_faces(60, random_state=0)
    converted = expressions_to_affect(np.eye(7)[faces.target], faces.target_names)
    for true, mapped in zip((faces.valence, faces.arousal), converted.T, strict=True):
        assert np.corrcoef(true, mapped)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("probabilities", "classes", "message"),
    [
        ([[1.0, 0.0]], ["happy"], r"shape \(1, 2\), but classes names 1"),
        ([[1.0, 0.0]], ["happy", "Karuna"], "'Karuna', which has no position"),
        ([[1.0, 0.0], [0.0, 0.0]], ["happy", "sad"], r"probabilities\[1\] is \[0.0, 0.0\]"),
        ([[1.0, -0.5]], ["happy", "sad"], "must not be negative"),
    ],
)
def test_invalid_probabilities(probabilities, classes, message):
    with pytest.raises(ValueError, match=message):
        expressions_to_affect(probabilities, classes)
