import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

from skfer.inspection import CircumplexDisplay
from skfer.metrics import concordance_correlation


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    y = rng.uniform(-0.7, 0.7, (200, 2))
    return y, y + rng.normal(0, 0.1, y.shape)


def test_points_lines_and_concordance(ratings):
    y, predicted = ratings
    display = CircumplexDisplay.from_predictions(y, predicted, name="mine")
    np.testing.assert_allclose(display.points_.get_offsets(), predicted)
    segments = display.lines_.get_segments()
    assert len(segments) == 150
    np.testing.assert_allclose(segments[0], [y[0], predicted[0]])
    np.testing.assert_allclose(segments[-1], [y[-1], predicted[-1]])
    expected = concordance_correlation(y, predicted, multioutput="raw_values")
    np.testing.assert_allclose(display.concordance_, expected)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[0] == "ratings"
    assert texts[1].startswith(f"mine: concordance {expected[0]:.2f} of valence")
    assert {text.get_text() for text in display.ax_.texts} >= {"happy", "sad", "angry"}


def test_two_estimators_in_one_plot(ratings):
    y, predicted = ratings
    one = CircumplexDisplay.from_predictions(y, predicted)
    two = CircumplexDisplay.from_predictions(y, y, name="other", ax=one.ax_)
    assert two.ax_ is one.ax_
    assert len(one.ax_.get_legend().get_texts()) == 3
    assert not np.allclose(one.points_.get_facecolor(), two.points_.get_facecolor())


def test_predictions_without_ratings(ratings):
    y, _ = ratings
    constant = DummyRegressor().fit(y, y)
    display = CircumplexDisplay.from_estimator(constant, y)
    assert display.lines_ is None
    assert display.concordance_ is None
    np.testing.assert_allclose(display.points_.get_offsets()[0], y.mean(axis=0))
    y, predicted = ratings
    with pytest.raises(ValueError, match=r"y_pred has the shape \(200, 1\)"):
        CircumplexDisplay.from_predictions(y, predicted[:, :1])
    with pytest.raises(ValueError, match="y_true holds 199 images, but y_pred 200"):
        CircumplexDisplay.from_predictions(y[1:], predicted)
