"""Pictures of the cross-dataset matrix, of groups, leaks and prediction sets."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skfer.datasets import make_faces
from skfer.evaluation import group_report, leak_audit
from skfer.inspection import (
    CrossDatasetDisplay,
    GroupDisplay,
    LeakDisplay,
    PredictionSetDisplay,
)


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


def test_a_cell_for_every_pair(matrix):
    display = CrossDatasetDisplay(matrix).plot(metric="weighted_f1")
    np.testing.assert_array_equal(
        display.image_.get_array().filled(np.nan), [[0.7, 0.4], [0.6, np.nan]]
    )
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["fer2013", "ferplus"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["PublicTest", "CK+"]
    assert display.text_[1].get_text() == "0.400\n0.380 \N{EN DASH} 0.420\n7 labels, 1,000 images"
    with pytest.raises(ValueError, match="metric='f1' is none of the report's"):
        CrossDatasetDisplay(matrix).plot(metric="f1")


def test_what_is_written_stays_in_its_cell(matrix):
    display = CrossDatasetDisplay(matrix).plot()
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_mark_for_every_class_and_group():
    rng = np.random.default_rng(0)
    y = rng.choice(["happy", "sad", "fear"], 300)
    report = group_report(y, rng.permutation(y), groups=np.repeat(["a", "b", "c"], [150, 140, 10]))
    display = GroupDisplay(report).plot()
    assert len(display.errorbars_) == 3
    of_b = report.groups[report.groups["group"] == "b"]["value"]
    np.testing.assert_allclose(display.errorbars_[1].lines[0].get_xdata(), of_b)
    words = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert words == ["a (n = 150)", "b (n = 140)", "c (n = 10)"]
    # What is small has an open mark.
    opened = [line for line in display.ax_.lines if line.get_markerfacecolor() == "white"]
    assert [len(line.get_xdata()) for line in opened] == [0, 0, 4]


@pytest.fixture(scope="module")
def leaks():
    images = make_faces(30, random_state=0).images
    test = np.concatenate([images[:3], images[5:9] // 2, images[28:]])
    train = images[:25]
    return leak_audit(train, test), train, test


def test_pairs_are_shown_above_one_another(leaks):
    audit, train, test = leaks
    display = LeakDisplay.from_audit(audit, train, test)
    assert len(display.images_) == 2 * len(audit.pairs) == 14
    first = display.pairs.iloc[0]
    np.testing.assert_allclose(display.images_[0].get_array(), test[first["test"]] / 255, rtol=1e-6)
    np.testing.assert_allclose(
        display.images_[1].get_array(), train[first["train"]] / 255, rtol=1e-6
    )
    assert display.images_[0].get_extent()[3] < display.images_[1].get_extent()[3]
    assert display.pairs["similarity"].is_monotonic_decreasing


def test_some_pairs_of_one_kind(leaks):
    audit, train, test = leaks
    drawn = [
        LeakDisplay.from_audit(
            audit, list(train), list(test / 255), kind="near copy", n_pairs=2, random_state=seed
        )
        for seed in (0, 0, 3)
    ]
    assert set(drawn[0].pairs["kind"]) == {"near copy"}
    assert len(drawn[0].text_) == 2
    assert drawn[0].pairs.equals(drawn[1].pairs)
    assert not drawn[0].pairs.equals(drawn[2].pairs)
    with pytest.raises(ValueError, match="kind='mirrored copy': the audit found no such pairs"):
        LeakDisplay.from_audit(audit, train, test, kind="mirrored copy")
    with pytest.raises(ValueError, match="n_pairs=0"):
        LeakDisplay.from_audit(audit, train, test, n_pairs=0)


def test_coverage_by_class_and_sizes():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    display = PredictionSetDisplay.from_predictions(
        ["a", "b", "a", "b"], sets, labels=["a", "b", "c"], confidence=0.8
    )
    np.testing.assert_array_equal(display.coverage, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(display.sizes, [0.25, 0.5, 0.25, 0])
    words = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert words == ["all images: 0.500", "stated: 0.8"]
    assert [bar.get_height() for bar in display.bars_[1]] == [0.25, 0.5, 0.25, 0]


def test_axes_of_the_users_own(matrix, leaks):
    report = group_report(["a", "b"] * 40, ["a"] * 80, groups=[0, 1] * 40)
    for draw in (CrossDatasetDisplay(matrix).plot, GroupDisplay(report).plot):
        _, axis = plt.subplots()
        assert draw(axis).ax_ is axis
    _, axis = plt.subplots()
    assert LeakDisplay.from_audit(*leaks, ax=axis).ax_ is axis


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_the_error_says_what_to_install(matrix, leaks):
    report = group_report(["a", "b"] * 40, ["a"] * 80, groups=[0, 1] * 40)
    for draw in (
        CrossDatasetDisplay(matrix).plot,
        GroupDisplay(report).plot,
        lambda: LeakDisplay.from_audit(*leaks),
        lambda: PredictionSetDisplay.from_predictions(["a"], [[True]]),
    ):
        with pytest.raises(ImportError, match=r'Display\..*"skfer\[plot\]"'):
            draw()
