import numpy as np
import pandas as pd
import pytest

from skfer import annotate
from skfer.recognition import expression_color


def make_table(*boxes, expression="surprise"):
    rows = [[*box, expression, 0.7, 0.7, 0.3] for box in boxes]
    columns = ["x", "y", "width", "height", "expression", "probability", "surprise", "happy"]
    return pd.DataFrame(rows, columns=columns)


def n_white(image):
    return (image > 200).all(axis=2).sum()


@pytest.mark.parametrize("background", [0, 128, 255])
def test_labels_are_legible_on_every_background(background):
    image = np.full((480, 640, 3), background, np.uint8)
    label = annotate(image, make_table((200, 160, 180, 180)))[100:155]
    assert n_white(label) > 20
    assert (label < 55).all(axis=2).sum() > 20


@pytest.mark.parametrize("box", [(0, 0, 60, 60), (270, 190, 60, 60), (-20, 100, 60, 60)])
def test_labels_at_the_edge_are_complete(box):
    image = np.full((240, 320, 3), 90, np.uint8)
    central = annotate(image, make_table((130, 90, 60, 60)))
    assert n_white(annotate(image, make_table(box))) == n_white(central)


def test_labels_do_not_overlap():
    image = np.full((240, 320, 3), 90, np.uint8)
    one = annotate(image, make_table((100, 90, 50, 50)))
    two = annotate(image, make_table((100, 90, 50, 50), (120, 90, 50, 50)))
    assert n_white(two) == 2 * n_white(one)


def test_bars():
    image = np.full((240, 320, 3), 90, np.uint8)
    faces = make_table((60, 80, 80, 80))
    without, with_bars = annotate(image, faces), annotate(image, faces, bars=True)
    changed = np.argwhere((without != with_bars).any(axis=2))
    assert changed[:, 1].min() >= 140
    bar = (with_bars == expression_color("surprise", [])).all(axis=2).sum()
    track = (with_bars == (48, 54, 60)).all(axis=2).sum()
    assert track > 20  # behind the bars of 70 % and 30 %
    assert bar > 20


def test_gray_image_is_copied_in_colour():
    image = np.full((48, 48), 90, np.uint8)
    annotated = annotate(image, make_table((4, 4, 40, 40)))
    assert annotated.shape == (48, 48, 3)
    assert annotated.dtype == np.uint8
    assert (image == 90).all()


def test_rows_without_a_face():
    image = np.full((48, 48, 3), 90, np.uint8)
    empty = make_table((0, 0, 1, 1)).astype({"x": "Int64"})
    empty.loc[0, "x":] = None
    np.testing.assert_array_equal(annotate(image, empty), image)


def test_table_without_boxes():
    with pytest.raises(ValueError, match="no column 'x'"):
        annotate(np.zeros((48, 48), np.uint8), pd.DataFrame({"expression": ["happy"]}))


def test_table_of_two_images():
    table = make_table((5, 5, 20, 20), (9, 9, 20, 20)).assign(image=["a.png", "b.png"])
    with pytest.raises(ValueError, match="faces has rows of 2 images"):
        annotate(np.zeros((48, 48), np.uint8), table)


def test_colors_of_other_classes():
    assert (
        expression_color(1, ["0", "1"])
        == expression_color("1", [0, 1])
        != expression_color("unsure", [0, 1])
    )


@pytest.mark.parametrize("side", [60, 100, 140])
def test_labels_do_not_cover_faces(side):
    boxes = [(x, y, side, side) for y in (40, 220) for x in (30, 200, 370)]
    faces = make_table(*boxes)
    faces["face"] = pd.array(range(1, 7), dtype="Int64")
    image = np.full((400, 540, 3), 90, np.uint8)
    plain, annotated = annotate(image, faces), annotate(image, faces, bars=True)
    for x, y, width, height in boxes:
        inside = (slice(y + 6, y + height - 6), slice(x + 6, x + width - 6))
        assert (annotated[inside] == 90).all()
        assert (plain[inside] == 90).all()
    assert (plain != annotated).any() == (side < 140)  # no space for bars next to large faces


def test_numbers_of_faces():
    image = np.full((300, 500, 3), 90, np.uint8)
    faces = make_table((50, 100, 80, 80), (300, 100, 80, 80))

    def label(numbers, column="face"):
        table = faces.iloc[: len(numbers)].assign(**{column: numbers})
        return annotate(image, table)[:100, :250]

    assert (label([1, 2]) != label([2, 1])).any()
    np.testing.assert_array_equal(label([1, 2]), label([1, 2], "face_id"))
    # A single face has a number only if it has a face_id, as in videos.
    np.testing.assert_array_equal(label([1]), label([2]))
    assert (label([1], "face_id") != label([2], "face_id")).any()


def test_numbers_of_faces_from_a_file():
    image = np.full((300, 500, 3), 90, np.uint8)
    table = make_table((50, 100, 80, 80), (300, 100, 80, 80)).assign(face=[1, 2])
    np.testing.assert_array_equal(
        annotate(image, table), annotate(image, table.assign(face=[1.0, 2.0]))
    )


def test_antialiased_text():
    annotated = annotate(np.zeros((240, 320, 3), np.uint8), make_table((100, 90, 50, 50)))
    gray = annotated[60:88, 95:200].reshape(-1, 3)
    assert len(np.unique(gray[(gray[:, 0] > 30) & (gray[:, 0] < 240)], axis=0)) > 20
