"""Pictures of calibration, coverage and robustness."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skfer.inspection import CoverageDisplay, ReliabilityDisplay, RobustnessDisplay
from skfer.metrics import coverage_curve, expected_calibration_error


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(300, centers=4, cluster_std=3, random_state=0)
    y = np.array(["angry", "happy", "neutral", "sad"])[y]
    return LogisticRegression().fit(X[:150], y[:150]), X[150:], y[150:]


@pytest.fixture(scope="module")
def report():
    rows = [("none", 0, np.nan, "", 0.7, 0.6)]
    for name, unit in [("noise", "deviation"), ("low_light", "share"), ("blur", "deviation")]:
        rows += [(name, step, step / 10, unit, 0.7 - step / 10, 0.5) for step in (1, 2, 3)]
    columns = ["corruption", "strength", "level", "unit", "accuracy", "recall_macro"]
    return pd.DataFrame(rows, columns=columns)


def test_reliability_tells_the_error_of_the_metric(blobs):
    estimator, X, y = blobs
    display = ReliabilityDisplay.from_estimator(estimator, X, y, n_bins=10, name="blobs")
    error = expected_calibration_error(
        y, estimator.predict_proba(X), labels=estimator.classes_, n_bins=10
    )
    assert display.error_ == pytest.approx(error)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["perfectly calibrated", f"blobs: calibration error {error:.3f}"]


def test_curves_are_compared_in_one_picture(blobs):
    estimator, X, y = blobs
    proba = estimator.predict_proba(X)
    one = ReliabilityDisplay.from_predictions(y, proba)
    two = ReliabilityDisplay.from_predictions(y, proba, ax=one.ax_, name="again")
    assert one.ax_ is two.ax_
    assert one.line_.get_color() != two.line_.get_color()
    assert len(one.ax_.get_legend().get_texts()) == 3

    first = CoverageDisplay.from_predictions(y, proba, name="one")
    second = CoverageDisplay.from_predictions(y, proba, name="two", ax=first.ax_)
    assert first.line_.get_color() != second.line_.get_color()
    assert [text.get_text() for text in first.ax_.get_legend().get_texts()] == ["one", "two"]


def test_coverage_ends_at_all_images_and_names_thresholds(blobs):
    estimator, X, y = blobs
    display = CoverageDisplay.from_estimator(estimator, X, y)
    assert display.line_.get_xdata()[-1] == 1
    assert display.line_.get_ydata()[-1] == pytest.approx(estimator.score(X, y))
    coverage, accuracy, thresholds = coverage_curve(y, estimator.predict_proba(X))
    for text in display.text_:
        # What is written stands where the curve passes the threshold.
        place = np.flatnonzero(thresholds >= float(text.get_text()))[-1]
        assert text.xy == pytest.approx((coverage[place], accuracy[place]), abs=0.03)
    assert display.ax_.get_legend() is None


def test_a_panel_for_every_corruption(report):
    display = RobustnessDisplay(report).plot()
    assert [axis.get_title() for axis in display.axes_] == ["noise", "low light", "blur"]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), [0.7, 0.6, 0.5, 0.4])
    ticks = [label.get_text() for label in display.axes_[0].get_xticklabels()]
    assert ticks == ["as is", "0.1", "0.2", "0.3"]
    assert display.figure_.axes == display.axes_

    display = RobustnessDisplay(report).plot(score="recall_macro")
    assert display.lines_[0].get_ydata()[0] == 0.6


def test_what_cannot_be_drawn_is_refused(report):
    with pytest.raises(ValueError, match="score='f1' is no column of the report"):
        RobustnessDisplay(report).plot(score="f1")
    with pytest.raises(ValueError, match="no corruptions to draw"):
        RobustnessDisplay(report[:1]).plot()


@pytest.mark.parametrize("display", [ReliabilityDisplay, CoverageDisplay])
def test_axes_of_the_users_own(blobs, display):
    estimator, X, y = blobs
    _, axis = plt.subplots()
    assert display.from_estimator(estimator, X, y, ax=axis).ax_ is axis


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_the_error_says_what_to_install(blobs, report):
    estimator, X, y = blobs
    for draw in (
        lambda: ReliabilityDisplay.from_estimator(estimator, X, y),
        lambda: CoverageDisplay.from_predictions(["a", "b"], [[0.4, 0.6]] * 2),
        RobustnessDisplay(report).plot,
    ):
        with pytest.raises(ImportError, match=r'Display\..*"skfer\[plot\]"'):
            draw()
