from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier
from skfer.inspection import HistoryDisplay

HISTORY = {
    "accuracy": [0.2, 0.5, 0.7, 0.8],
    "loss": [2.0, 1.2, 0.8, 0.5],
    "val_accuracy": [0.2, 0.4, 0.45, 0.6],
    "val_loss": [2.0, 1.5, 1.3, 1.4],
    "learning_rate": [0.1, 0.1, 0.01, 0.01],
}


def fitted(history=HISTORY, fine_tune_epoch=None):
    return SimpleNamespace(history_=history, fine_tune_epoch_=fine_tune_epoch)


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def vertical_lines(axis):
    return [line.get_xdata()[0] for line in axis.lines if list(line.get_ydata()) == [0, 1]]


def test_panels_and_lines():
    display = HistoryDisplay(HISTORY).plot()
    assert [axis.get_ylabel() for axis in display.axes_] == ["loss", "accuracy"]
    assert [axis.figure is display.figure_ for axis in display.axes_] == [True, True]
    assert [line.get_linestyle() for line in display.lines_] == ["-", "--", "-", "--"]
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(display.lines_[3].get_ydata(), HISTORY["val_accuracy"])


def test_best_epoch():
    loss, accuracy = HistoryDisplay(HISTORY).plot().axes_
    assert "best: 1.3 in epoch 3" in legend(loss)
    assert "best: 0.6 in epoch 4" in legend(accuracy)
    rings = [line for line in loss.lines if line.get_markerfacecolor() == "none"]
    assert [(*ring.get_xdata(), *ring.get_ydata()) for ring in rings] == [(3, 1.3)]


@pytest.mark.parametrize("metric", ["mean_absolute_error", "mae", "mse", "log_loss"])
def test_best_epoch_of_other_losses(metric):
    display = HistoryDisplay({f"val_{metric}": [3.0, 1.0, 2.0]}).plot()
    assert "best: 1 in epoch 2" in legend(display.axes_[0])


def test_metrics():
    metrics = ["accuracy", "learning_rate"]
    for display in (
        HistoryDisplay(HISTORY).plot(metrics=metrics),
        HistoryDisplay.from_estimator(fitted(), metrics=metrics),
        HistoryDisplay.from_histories({"cnn4": HISTORY}, metrics=metrics),
    ):
        assert [axis.get_ylabel() for axis in display.axes_] == ["accuracy", "learning rate"]
    rates = HistoryDisplay({"learning_rate": [0.1, 0.01]}).plot()
    assert [axis.get_ylabel() for axis in rates.axes_] == ["learning rate"]
    assert legend(rates.axes_[0]) == ["training"]


@pytest.mark.parametrize("metrics", [["val_loss"], ["f1"], [], "loss"])
def test_invalid_metrics(metrics):
    with pytest.raises(ValueError, match=r"metrics=.*'accuracy', 'loss', 'learning_rate'"):
        HistoryDisplay(HISTORY).plot(metrics=metrics)


def test_several_fits():
    display = HistoryDisplay.from_histories(
        {"cnn4": HISTORY, "vgg": fitted({"loss": [3.0, 2.0, 1.0]}, fine_tune_epoch=1)}
    )
    loss, accuracy = display.axes_
    styles = ["training", "validation", "best in validation", "fine-tuning"]
    assert legend(loss) == ["cnn4: 1.3 in epoch 3", "vgg", *styles]
    assert "vgg" not in legend(accuracy)
    assert vertical_lines(loss) == [1.5]
    first, _, second = display.lines_[:3]
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()


@pytest.mark.parametrize(("epoch", "lines"), [(2, [2.5]), (None, [])])
def test_start_of_fine_tuning(epoch, lines):
    display = HistoryDisplay.from_estimator(fitted(fine_tune_epoch=epoch))
    for axis in display.axes_:
        assert vertical_lines(axis) == lines
        assert ("fine-tuning" in legend(axis)) == bool(lines)


def test_markers_and_ticks_of_short_and_long_fits():
    short = HistoryDisplay({"loss": [1.0]}).plot()
    long = HistoryDisplay({"loss": np.linspace(2, 1, 300)}).plot()
    assert short.lines_[0].get_marker() not in ("", "None")
    low, high = short.axes_[0].get_xlim()
    assert [tick for tick in short.axes_[0].get_xticks() if low < tick < high] == [1]
    assert long.lines_[0].get_markevery() >= 20


def test_given_axes():
    figure, axes = plt.subplots(2, 1)
    display = HistoryDisplay.from_estimator(fitted(), ax=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match=r"ax holds 1 axes, but 2 are needed.*'accuracy'"):
        HistoryDisplay(HISTORY).plot(axes[0])


def test_histories_without_names():
    with pytest.raises(ValueError, match="histories is of type list"):
        HistoryDisplay.from_histories([HISTORY])


def test_unfitted_estimator():
    classifier = FacialExpressionClassifier()
    for estimator in (classifier, Pipeline([("c", classifier)])):
        with pytest.raises(NotFittedError, match="FacialExpressionClassifier has no history_"):
            HistoryDisplay.from_estimator(estimator)


@pytest.mark.slow
def test_long_legends_are_inside_the_figure():
    names = [f"a fit with a long name {number}" for number in range(6)]
    display = HistoryDisplay.from_histories(dict.fromkeys(names, HISTORY))
    display.figure_.canvas.draw()
    for axis in display.axes_:
        box = axis.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= display.figure_.bbox.width
        assert box.y1 <= display.figure_.bbox.height
        assert box.height > axis.get_legend().get_window_extent().height
        assert axis.get_window_extent().height > 0.3 * display.figure_.bbox.height


@pytest.mark.parametrize(
    ("history", "name", "expected"),
    [
        ({"loss": [2.0, 1.0]}, None, ["training"]),
        ({"loss": [1.0]}, "cnn4", ["cnn4, training"]),
        ({"val_loss": [2.0, 1.0, np.nan]}, None, ["validation", "best: 1 in epoch 2"]),
        ({"val_accuracy": [np.nan] * 3}, None, ["validation"]),
        ([{"loss": [1.0]}, {"loss": [2.0]}], None, ["fit 1", "fit 2", "training"]),
    ],
)
def test_legends(history, name, expected):
    assert legend(HistoryDisplay(history, name=name).plot().axes_[0]) == expected


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        ({}, {}, "is empty: no epoch was trained"),
        ({"loss": []}, {}, "is empty: no epoch was trained"),
        ({"loss": 1.0}, {}, r"history\['loss'\] has shape \(\)"),
        ([], {}, "no histories to draw"),
        ([[1.0, 2.0]], {}, "'fit 1' is of type list"),
        (HISTORY, {"fine_tune_epoch": -1}, "fine_tune_epoch=-1 must be from 0 to 4"),
        (HISTORY, {"fine_tune_epoch": 5}, "fine_tune_epoch=5 must be from 0 to 4"),
        ([HISTORY, HISTORY], {"name": "cnn4"}, "name='cnn4' must be a list of 2"),
    ],
)
def test_invalid_histories(history, options, message):
    with pytest.raises(ValueError, match=message):
        HistoryDisplay(history, **options).plot()
