"""Some images of every class."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skfer.datasets import make_faces
from skfer.inspection import ImageGridDisplay

FACES = make_faces(30, classes=["happy", "sad", "surprise"], size=32, random_state=0)


def rows(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def test_a_row_a_class_with_its_name_and_count():
    display = ImageGridDisplay.from_data(FACES.images, FACES.labels, n_images=4, random_state=0)

    assert rows(display) == ["happy\nn = 10", "sad\nn = 10", "surprise\nn = 10"]
    assert len(display.images_) == 12
    assert display.figure_ is display.ax_.figure
    for label, indices, images in zip(
        display.classes, display.indices, display.images, strict=True
    ):
        assert (FACES.labels[indices] == label).all()
        np.testing.assert_array_equal(images, FACES.images[indices])


def test_chance_decides_and_a_seed_repeats_it():
    drawn = [
        np.concatenate(
            ImageGridDisplay.from_data(FACES.images, FACES.labels, random_state=seed).indices
        ).tolist()
        for seed in (0, 0, 1)
    ]

    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == len(drawn[0])


def test_only_the_images_drawn_are_read(photo_files):
    # No other path of the batch exists.
    paths = [f"missing/{number}.png" for number in range(50_000)] + photo_files
    labels = ["absent"] * 50_000 + ["one", "one", "two", "two"]

    display = ImageGridDisplay.from_data(paths, labels, classes=["two", "one"], n_images=2)

    assert rows(display) == ["two\nn = 2", "one\nn = 2"]


def test_an_image_that_cannot_be_read_is_named(photo_files):
    with pytest.raises(ValueError, match=r"X\[4\] \('missing.png'\) can't be read"):
        ImageGridDisplay.from_data([*photo_files, "missing.png"], list("aaaab"))


def test_photos_of_any_form_and_size_keep_their_proportions(photo_files, astronaut):
    batch = [photo_files[0], photo_files[2].read_bytes(), astronaut[:100], astronaut[..., :1] / 255]

    display = ImageGridDisplay.from_data(batch, ["a"] * 4, n_images=4)

    assert len(display.images_) == 4
    for image in display.images_:
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape[:2]
        assert max(height, width) <= 256
        assert (right - left) / (bottom - top) == pytest.approx(width / height)
        assert image.get_array().min() >= 0
        assert image.get_array().max() <= 1


def test_gray_and_colour_look_as_they_are():
    gray = np.array([[0, 51], [102, 255]], np.uint8)
    color = np.stack([gray, gray // 2, gray // 3], axis=-1)

    display = ImageGridDisplay.from_data([gray, color], ["gray", "colour"])

    shown_color, shown_gray = (image.get_array() for image in display.images_)
    np.testing.assert_allclose(shown_gray, gray / 255, rtol=1e-6)
    np.testing.assert_allclose(shown_color, color / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0, 1, (0.25, 0.75)), (0, 255, (0.25, 0.75)), (-1, 1, (0.25, 0.75)), (-400, 400, (0, 1))],
)
def test_floats_are_shown_on_their_scale(low, high, shown):
    quarter = (high - low) / 4
    images = np.empty((2, 8, 8))
    images[0], images[1] = low + quarter, high - quarter

    display = ImageGridDisplay.from_data(images, [0, 1])

    values = [image.get_array().flat[0] for image in display.images_]
    np.testing.assert_allclose(values, shown)


def test_flat_rows_are_images_too():
    rng = np.random.default_rng(0)

    display = ImageGridDisplay.from_data(rng.random((4, 64 * 64)), [0, 0, 1, 1])

    assert {image.get_array().shape for image in display.images_} == {(64, 64)}


def test_a_small_class_shows_all_it_has():
    display = ImageGridDisplay.from_data(FACES.images[:4], ["a", "b", "b", "b"], n_images=3)

    assert [len(row) for row in display.images] == [1, 3]


def test_what_is_predicted_wrong_is_marked():
    predicted = FACES.labels.copy()
    predicted[FACES.labels == "sad"] = "happy"

    display = ImageGridDisplay.from_data(FACES.images, FACES.labels, y_pred=predicted, n_images=2)

    words = [text.get_text() for text in display.text_]
    cross = "\N{MULTIPLICATION SIGN}"
    assert words == ["happy"] * 2 + [f"{cross} happy"] * 2 + ["surprise"] * 2
    widths = [frame.get_linewidth() for frame in display.ax_.lines]
    assert widths[2] == widths[3] > widths[0] == widths[1] == widths[4]
    assert display.text_[0].get_weight() != display.text_[2].get_weight()


def test_what_is_written_stays_in_its_cell():
    predicted = ["an expression with a long name", *FACES.labels[1:]]

    display = ImageGridDisplay.from_data(
        FACES.images, FACES.labels, y_pred=predicted, n_images=10, random_state=0
    )
    display.figure_.canvas.draw()

    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert sum(text.get_text().endswith("…") for text in display.text_) == 1
    box = display.ax_.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0


def test_the_grid_goes_into_axes_of_the_users_own():
    _, axis = plt.subplots()

    assert ImageGridDisplay.from_data(FACES.images, FACES.labels, ax=axis).ax_ is axis


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_images": 0}, "n_images=0 must be an int of at least 1"),
        ({"classes": ["fear"]}, r"classes=\['fear'\] must be some of the labels in y, \['happy'"),
        ({"classes": []}, r"classes=\[\] must be"),
        ({"y_pred": ["happy"]}, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageGridDisplay.from_data(FACES.images, FACES.labels, **options)


def test_one_image_is_no_batch():
    with pytest.raises(ValueError, match="Wrap a single image in a list"):
        ImageGridDisplay.from_data("face.png", ["happy"])


def test_no_images_no_grid():
    with pytest.raises(ValueError, match="images is empty"):
        ImageGridDisplay([], classes=[]).plot()


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_the_error_says_what_to_install():
    for draw in (
        lambda: ImageGridDisplay.from_data(FACES.images, FACES.labels),
        ImageGridDisplay([[FACES.images[0]]], classes=["happy"]).plot,
    ):
        with pytest.raises(ImportError, match=r'ImageGridDisplay\..*"skfer\[plot\]"'):
            draw()
