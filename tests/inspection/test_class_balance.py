import numpy as np
import pytest

from skfer.inspection import ClassBalanceDisplay

Y = ["sad"] * 3 + ["happy"] * 6 + ["angry"]


def rows(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def bar_texts(display):
    return [text.get_text() for text in display.text_]


def lengths(display):
    return [[bar.get_width() for bar in bars] for bars in display.bars_]


def test_bars_of_one_set():
    display = ClassBalanceDisplay.from_labels(Y)
    assert rows(display) == ["happy", "sad", "angry"]
    assert bar_texts(display) == ["6 (60.0 %)", "3 (30.0 %)", "1 (10.0 %)"]
    assert lengths(display) == [[6, 3, 1]]
    assert display.ax_.yaxis_inverted()  # the first row is at the top
    assert display.ax_.get_legend() is None
    assert display.figure_ is display.ax_.figure


def test_bars_of_several_sets():
    display = ClassBalanceDisplay.from_labels(
        {"Training": Y, "PublicTest": np.array(["sad", "sad", "fear", "happy"]), "empty": []}
    )
    assert rows(display) == ["happy", "sad", "angry", "fear"]
    assert lengths(display) == [[6, 3, 1, 0], [1, 2, 0, 1], [0] * 4]
    assert bar_texts(display)[4:8] == ["1 (25.0 %)", "2 (50.0 %)", "0 (0.0 %)", "1 (25.0 %)"]
    assert bar_texts(display)[8:] == ["0 (0.0 %)"] * 4
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["Training", "PublicTest", "empty"]
    # Hatches distinguish the sets without colour.
    assert display.bars_[0][0].get_hatch() != display.bars_[1][0].get_hatch()


def test_sets_as_a_list_or_a_dict():
    by_list = ClassBalanceDisplay.from_labels(Y, sets=["Training", "PublicTest"] * 5)
    by_dict = ClassBalanceDisplay.from_labels({"Training": Y[::2], "PublicTest": Y[1::2]})
    assert by_list.sets == by_dict.sets == ["Training", "PublicTest"]
    np.testing.assert_array_equal(by_list.counts, by_dict.counts)


def test_normalized_bars():
    display = ClassBalanceDisplay.from_labels({"large": Y * 10, "small": Y}, normalize=True)
    np.testing.assert_allclose(lengths(display), [[60, 30, 10]] * 2)
    assert bar_texts(display)[0] == "60 (60.0 %)"
    assert "%" in display.ax_.get_xlabel()


def test_given_counts():
    display = ClassBalanceDisplay([30, 1200], classes=["sad", "happy"]).plot()
    assert bar_texts(display) == ["1,200 (97.6 %)", "30 (2.4 %)"]
    with pytest.raises(ValueError, match=r"counts has shape \(1, 3\).*2 classes"):
        ClassBalanceDisplay([1, 2, 3], classes=["sad", "happy"]).plot()


@pytest.mark.parametrize(
    ("y", "order", "expected"),
    [
        (Y, "name", ["angry", "happy", "sad"]),
        (np.array([10, 9, 2, 2]), "count", ["2", "9", "10"]),
        (np.array([10, 9, 2, 2]), "name", ["2", "9", "10"]),
    ],
)
def test_order_of_classes(y, order, expected):
    assert rows(ClassBalanceDisplay.from_labels(y, order=order)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("n_sets", [1, 4])
def test_text_is_inside_the_figure(n_sets):
    names = ["a class with a long name", *"bcdefgh"]
    sets = {f"set {number}": np.repeat(names, 1234) for number in range(n_sets)}
    display = ClassBalanceDisplay.from_labels(sets)
    display.figure_.canvas.draw()
    box = display.ax_.get_tightbbox()
    assert box.x0 >= 0
    assert box.x1 <= display.figure_.bbox.width
    boxes = [text.get_window_extent() for text in display.text_]
    assert all(box.x1 <= display.ax_.get_window_extent().x1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([], {}, "y holds no labels"),
        ({}, {}, "y holds no labels"),
        (Y, {"order": "size"}, "order='size' must be 'count' or 'name'"),
        (Y, {"sets": ["Training"]}, "inconsistent numbers of samples"),
        ({"Training": Y}, {"sets": Y}, "leave sets at None"),
    ],
)
def test_invalid_labels(y, options, message):
    with pytest.raises(ValueError, match=message):
        ClassBalanceDisplay.from_labels(y, **options)


def test_numbers_in_one_set_and_names_in_another():
    display = ClassBalanceDisplay.from_labels({"a": [1, 2], "b": ["1", "x"]})
    assert display.classes == ["1", "2", "x"]
    assert np.asarray(display.counts).tolist() == [[1, 1, 0], [1, 0, 1]]
