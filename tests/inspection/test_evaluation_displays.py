import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression

from skfer import inspection
from skfer.evaluation import group_report
from skfer.inspection import CircumplexDisplay
from skfer.metrics import concordance_correlation, coverage_curve, expected_calibration_error


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(300, centers=4, cluster_std=3, random_state=0)
    y = np.array(["angry", "happy", "neutral", "sad"])[y]
    return LogisticRegression().fit(X[:150], y[:150]), X[150:], y[150:]


@pytest.fixture(scope="module")
def matrix():
    rows = [
        (estimator, dataset, metric, value, value - 0.02, value + 0.02, 1000, 7)
        for estimator, dataset, value in [
            ("fer2013", "PublicTest", 0.7),
            ("fer2013", "CK+", 0.4),
            ("ferplus", "PublicTest", 0.6),
        ]
        for metric in ("accuracy", "weighted_f1")
    ]
    columns = ["estimator", "dataset", "metric", "value", "low", "high", "images", "n_labels"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def robustness():
    rows = [("none", 0, np.nan, "", 0.7, 0.6)]
    for name, unit in [("noise", "deviation"), ("low_light", "share"), ("blur", "deviation")]:
        rows += [(name, step, step / 10, unit, 0.7 - step / 10, 0.5) for step in (1, 2, 3)]
    columns = ["corruption", "strength", "level", "unit", "accuracy", "recall_macro"]
    return pd.DataFrame(rows, columns=columns)


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def overlap(texts):
    boxes = [text.get_window_extent() for text in texts]
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_reliability_display(blobs):
    estimator, X, y = blobs
    display = inspection.ReliabilityDisplay.from_estimator(estimator, X, y, n_bins=10, name="blobs")
    error = expected_calibration_error(
        y, estimator.predict_proba(X), labels=estimator.classes_, n_bins=10
    )
    assert display.error_ == pytest.approx(error)
    assert legend(display.ax_) == ["perfectly calibrated", f"blobs: calibration error {error:.3f}"]


def test_coverage_display(blobs):
    estimator, X, y = blobs
    display = inspection.CoverageDisplay.from_estimator(estimator, X, y)
    assert display.line_.get_xdata()[-1] == 1
    assert display.line_.get_ydata()[-1] == pytest.approx(estimator.score(X, y))
    coverage, accuracy, thresholds = coverage_curve(y, estimator.predict_proba(X))
    assert len(display.text_) > 1
    for text in display.text_:
        index = np.flatnonzero(thresholds >= float(text.get_text()))[-1]
        assert text.xy == pytest.approx((coverage[index], accuracy[index]), abs=0.03)
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize(
    ("display", "n_entries"), [(inspection.ReliabilityDisplay, 3), (inspection.CoverageDisplay, 2)]
)
def test_two_estimators_in_the_same_axes(blobs, display, n_entries):
    estimator, X, y = blobs
    proba = estimator.predict_proba(X)
    one = display.from_predictions(y, proba, name="one")
    two = display.from_predictions(y, proba, ax=one.ax_, name="two")
    assert one.ax_ is two.ax_
    assert one.line_.get_color() != two.line_.get_color()
    assert len(legend(one.ax_)) == n_entries


def test_cross_dataset_display(matrix):
    display = inspection.CrossDatasetDisplay(matrix).plot(metric="weighted_f1", cmap="magma")
    np.testing.assert_array_equal(
        display.image_.get_array().filled(np.nan), [[0.7, 0.4], [0.6, np.nan]]
    )
    assert display.image_.get_cmap().name == "magma"
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["fer2013", "ferplus"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["PublicTest", "CK+"]
    assert display.text_[1].get_text() == "0.400\n0.380 \N{EN DASH} 0.420\n7 labels, 1,000 images"
    display.figure_.canvas.draw()
    assert not overlap(display.text_)
    with pytest.raises(ValueError, match="metric='f1' is none of the report's"):
        inspection.CrossDatasetDisplay(matrix).plot(metric="f1")


def test_group_display():
    rng = np.random.default_rng(0)
    y = rng.choice(["happy", "sad", "fear"], 300)
    report = group_report(y, rng.permutation(y), groups=np.repeat(["a", "b", "c"], [150, 140, 10]))
    display = inspection.GroupDisplay(report).plot()
    assert len(display.errorbars_) == 3
    group_b = report.groups[report.groups["group"] == "b"]["value"]
    np.testing.assert_allclose(display.errorbars_[1].lines[0].get_xdata(), group_b)
    assert legend(display.ax_) == ["a (n = 150)", "b (n = 140)", "c (n = 10)"]
    # Markers of small groups are open.
    open_markers = [line for line in display.ax_.lines if line.get_markerfacecolor() == "white"]
    assert [len(line.get_xdata()) for line in open_markers] == [0, 0, 4]


def test_prediction_set_display():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    display = inspection.PredictionSetDisplay.from_predictions(
        ["a", "b", "a", "b"], sets, labels=["a", "b", "c"], confidence=0.8
    )
    np.testing.assert_array_equal(display.coverage, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(display.sizes, [0.25, 0.5, 0.25, 0])
    assert legend(display.axes_[0]) == ["all images: 0.500", "guaranteed: 0.8"]
    assert [bar.get_height() for bar in display.bars_[1]] == [0.25, 0.5, 0.25, 0]


def test_robustness_display(robustness):
    display = inspection.RobustnessDisplay(robustness).plot()
    assert [axis.get_title() for axis in display.axes_] == ["noise", "low light", "blur"]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), [0.7, 0.6, 0.5, 0.4])
    ticks = [label.get_text() for label in display.axes_[0].get_xticklabels()]
    assert ticks == ["none", "0.1", "0.2", "0.3"]
    assert display.figure_.axes == display.axes_


def test_scores_of_a_robustness_display(robustness):
    display = inspection.RobustnessDisplay(robustness).plot(score="recall_macro")
    assert display.lines_[0].get_ydata()[0] == 0.6
    losses = robustness.assign(neg_log_loss=-robustness["accuracy"])
    display = inspection.RobustnessDisplay(losses).plot(score="neg_log_loss")
    assert display.axes_[0].get_ylim()[0] < -robustness["accuracy"].max()
    with pytest.raises(ValueError, match="score='f1' is not a column of the report"):
        inspection.RobustnessDisplay(robustness).plot(score="f1")
    with pytest.raises(ValueError, match="no corruptions to draw"):
        inspection.RobustnessDisplay(robustness[:1]).plot()


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    y = rng.uniform(-0.7, 0.7, (200, 2))
    return y, y + rng.normal(0, 0.1, y.shape)


def test_circumplex_display(ratings):
    y, predicted = ratings
    display = CircumplexDisplay.from_predictions(y, predicted, name="regressor")
    np.testing.assert_allclose(display.points_.get_offsets(), predicted)
    segments = display.lines_.get_segments()
    assert len(segments) == 150
    np.testing.assert_allclose(segments[0], [y[0], predicted[0]])
    np.testing.assert_allclose(segments[-1], [y[-1], predicted[-1]])
    expected = concordance_correlation(y, predicted, multioutput="raw_values")
    np.testing.assert_allclose(display.concordance_, expected)
    texts = legend(display.ax_)
    assert texts[0] == "ratings"
    assert texts[1].startswith(f"regressor: concordance {expected[0]:.2f} of valence")
    assert {text.get_text() for text in display.ax_.texts} >= {"happy", "sad", "angry"}


def test_two_regressors_in_the_same_circumplex(ratings):
    y, predicted = ratings
    one = CircumplexDisplay.from_predictions(y, predicted)
    two = CircumplexDisplay.from_predictions(y, y, name="other", ax=one.ax_)
    assert two.ax_ is one.ax_
    assert len(legend(one.ax_)) == 3
    assert not np.allclose(one.points_.get_facecolor(), two.points_.get_facecolor())


def test_circumplex_of_an_estimator(ratings):
    y, _ = ratings
    constant = DummyRegressor().fit(y, y)
    display = CircumplexDisplay.from_estimator(constant, y)
    assert display.lines_ is None
    assert display.concordance_ is None
    np.testing.assert_allclose(display.points_.get_offsets()[0], y.mean(axis=0))
    with_ratings = CircumplexDisplay.from_estimator(constant, y, y, name="constant")
    np.testing.assert_allclose(with_ratings.concordance_, [0, 0], atol=1e-9)


def test_invalid_ratings(ratings):
    y, predicted = ratings
    with pytest.raises(ValueError, match=r"y_pred has the shape \(200, 1\)"):
        CircumplexDisplay.from_predictions(y, predicted[:, :1])
    with pytest.raises(ValueError, match="y_true holds 199 images, but y_pred 200"):
        CircumplexDisplay.from_predictions(y[1:], predicted)
