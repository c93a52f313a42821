"""What a batch of images may be, and what becomes of it."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from skfer import GrayscaleResizer
from skfer._dense_images import dense_images
from skfer._images import image_name, image_sequence, read_image, rows_to_images

SIDES = st.integers(1, 12)
FINITE = st.floats(-1e6, 1e6, width=32)


@st.composite
def images(draw):
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    shape = (draw(SIDES), draw(SIDES), *channels)
    if draw(st.booleans()):
        return draw(hnp.arrays(np.uint8, shape))
    return draw(hnp.arrays(draw(st.sampled_from([np.float32, np.float64])), shape, elements=FINITE))


def encoded(image, extension=".png"):
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(extension, image)
    assert ok
    return data.tobytes()


def with_pillow(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@given(st.lists(images(), min_size=1, max_size=6))
def test_ragged_images_come_out_as_many_in_order_and_unchanged(batch):
    out = image_sequence(batch)

    assert len(out) == len(batch)
    for image, original in zip(out, batch, strict=True):
        assert image.shape == original.shape
        assert image.dtype == (np.uint8 if original.dtype == np.uint8 else np.float32)
        np.testing.assert_array_equal(image, original.astype(image.dtype))


@given(images(), st.integers(1, 4))
def test_dense_images_come_out_with_a_channel_axis(image, n):
    batch = np.stack([image] * n)
    if batch.ndim == 3 and batch.shape[-1] in (3, 4):
        return  # one colour image, by its shape

    out = image_sequence(batch)

    assert out.shape == (n, *image.shape[:2], image.shape[2] if image.ndim == 3 else 1)
    np.testing.assert_array_equal(out.ravel(), batch.astype(out.dtype).ravel())


@given(st.lists(hnp.arrays(np.uint8, st.tuples(SIDES, SIDES)), min_size=1, max_size=5))
def test_lossless_files_come_out_as_they_were_written(batch):
    out = image_sequence([encoded(image) for image in batch])

    for image, original in zip(out, batch, strict=True):
        np.testing.assert_array_equal(image, original)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 32)), elements=FINITE))
def test_short_float_rows_are_strips(rows):
    strips = rows_to_images(rows)

    assert strips.shape == (len(rows), 1, rows.shape[1], 1)
    np.testing.assert_array_equal(strips[:, 0, :, 0], rows.astype(np.float32))


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_image_are_an_error_and_nothing_else(junk):
    with pytest.raises(ValueError, match=r"X\[0\]"):
        read_image(junk, 0)


def test_olivetti_rows_are_square_images():
    rows = np.random.default_rng(0).random((3, 4096))

    faces = rows_to_images(rows)

    assert faces.shape == (3, 64, 64, 1)
    np.testing.assert_array_equal(faces[1].ravel(), rows[1].astype(np.float32))
    assert GrayscaleResizer(48).fit_transform(rows).shape == (3, 48, 48, 1)


def test_colour_is_rgb(astronaut):
    np.testing.assert_array_equal(read_image(encoded(astronaut), 0), astronaut)


@pytest.mark.parametrize(
    "as_batch",
    [
        list,
        tuple,
        lambda paths: [str(path) for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array(paths, dtype=object),
        lambda paths: pd.Series(paths, index=[7, 5, 3, 1]),
        lambda paths: pd.Series([str(path) for path in paths]),
        lambda paths: pd.DataFrame({"path": [str(path) for path in paths]})["path"],
        lambda paths: [path.read_bytes() for path in paths],
        lambda paths: [bytearray(path.read_bytes()) for path in paths],
    ],
)
def test_paths_and_bytes_in_any_kind_of_sequence(photo_files, as_batch):
    out = image_sequence(as_batch(photo_files))

    assert [image.shape for image in out] == [
        (512, 512, 3),
        (300, 350, 3),
        (250, 250),
        (256, 256, 3),
    ]


def test_files_are_read_when_they_are_asked_for(tmp_path, photo_files):
    batch = image_sequence([photo_files[0], tmp_path / "missing.png"])

    assert len(batch) == 2
    assert batch[0].shape == (512, 512, 3)
    with pytest.raises(ValueError, match=r"X\[1\].*missing.png.*No such file"):
        batch[1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright_by_their_exif(orientation):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = 255  # bright at the top left
    # How a camera stores the picture for each orientation.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = with_pillow(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif)

    image = read_image(data, 0)

    assert image.shape == (40, 60, 3)
    assert np.abs(image.astype(int) - upright).mean() < 5


def test_alpha_is_dropped(astronaut):
    pixels = Image.fromarray(astronaut)
    pixels.putalpha(128)

    np.testing.assert_array_equal(read_image(with_pillow(pixels, "PNG"), 0), astronaut)


def test_gray_files_stay_gray_and_16_bits_become_8(astronaut):
    gray = astronaut[..., 0]

    np.testing.assert_array_equal(read_image(encoded(gray), 0), gray)
    np.testing.assert_array_equal(read_image(encoded(gray.astype(np.uint16) * 257), 0), gray)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_other_kinds_of_files_are_decoded(astronaut, mode):
    form = "JPEG" if mode == "CMYK" else "PNG"

    image = read_image(with_pillow(Image.fromarray(astronaut).convert(mode), form), 0)

    assert image.shape[:2] == (512, 512)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_truncated_file_among_many_is_named(tmp_path, astronaut, extension, part):
    data = encoded(astronaut[:100, :100], extension)
    files = [tmp_path / f"{number}{extension}" for number in range(20)]
    for file in files:
        file.write_bytes(data)
    files[13].write_bytes(data[: int(len(data) * part)])

    with pytest.raises(ValueError, match=rf"X\[13\] \('.*13{extension}'\)"):
        GrayscaleResizer().fit_transform(files)


def test_errors_in_a_batch_name_the_image(tmp_path):
    good = np.zeros((4, 4), np.uint8)
    folder, empty, text = tmp_path / "folder", tmp_path / "empty.png", tmp_path / "notes.png"
    folder.mkdir()
    empty.touch()
    text.write_text("no image")

    for bad, problem in [
        (tmp_path / "none.png", r"\('.*none.png'\) can't be read: No such file"),
        (folder, r"\('.*folder'\) can't be read: Is a directory"),
        (empty, r"\('.*empty.png'\) is empty"),
        (text, r"\('.*notes.png'\) can't be decoded"),
        ("a\0.png", r"\('a.*png'\) can't be read: embedded null"),
        (b"", "is empty"),
        (b"junk", "can't be decoded"),
        (None, "is None; an image is"),
        (float("nan"), "is of type float; an image is"),
        ({"image": good}, "is of type dict; an image is"),
        (np.zeros((2, 2, 2, 2)), r"has shape \(2, 2, 2, 2\)"),
        (np.zeros((4, 4, 4), np.uint8), r"has shape \(4, 4, 4\)"),
        (np.zeros((0, 4)), "has no pixels"),
        (np.full((2, 2), np.nan), "NaN or infinity"),
        (np.full((2, 2), np.inf, np.float32), "NaN or infinity"),
        (np.full((2, 2), 1j), "Complex data not supported"),
        (np.full((2, 2), "a"), "pixels are uint8 or floating point"),
    ]:
        with pytest.raises(ValueError, match=rf"^X\[2\].*{problem}"):
            list(image_sequence([good, good, bad, good]))


@pytest.mark.parametrize(
    ("X", "problem"),
    [
        ("face.png", "X is one image .*Wrap a single image in a list"),
        (Path("face.png"), "X is one image .*Wrap a single image in a list"),
        (b"png", r"X is one image \(3 bytes\).*Wrap a single image in a list"),
        (np.zeros((48, 48, 3), np.uint8), "one colour image.*Wrap a single image"),
        (np.zeros((48, 48, 4), np.uint8), "one colour image.*Wrap a single image"),
        (np.zeros((48, 48), np.uint8), "flat rows of pixels, or one gray image.*Wrap a single"),
        (np.zeros((9, 2304), np.uint8), r"X.reshape\(-1, 48, 48\)"),
        (np.zeros((9, 1000)), "rows of 1000 values"),
        (np.zeros((9, 100)), "rows of 100 values"),
        (np.zeros((48, 48)), "rows of 48 values.*Wrap a single image"),
        (np.zeros((480, 640)), "rows of 640 values.*Wrap a single image"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"4 channels.*X\[..., :3\]"),
        (np.zeros((2, 2, 8, 8, 3)), r"shape \(2, 2, 8, 8, 3\)"),
        (np.zeros((0, 8, 8)), "at least 1 is required"),
        (np.zeros((2, 0, 8)), "no pixels"),
        ([], "at least 1 is required"),
        (pd.Series([], dtype=object), "at least 1 is required"),
        ([1.0, 2.0], "one-dimensional"),
        (None, "X is None, .*give a list"),
        (5, "X is of type int, .*give a list"),
        ({"a.png", "b.png"}, "X is of type set, .*give a list"),
        ({"a.png": "sad"}, "X is of type dict, .*give a list"),
        ((path for path in ["a.png"]), "X is of type generator, .*give a list"),
        (np.full((2, 8, 8), None), "dtype object"),
        (np.stack([np.zeros((8, 8)), np.full((8, 8), np.nan)]), r"X\[1\] holds NaN"),
    ],
)
def test_what_is_no_batch_is_an_error_that_says_what_to_do(X, problem):
    with pytest.raises(ValueError, match=problem):
        GrayscaleResizer().fit(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_numpy_may_have_taken_images_of_one_size_apart(dtype, shape):
    batch = list(np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(dtype))

    out = image_sequence(np.array(batch, dtype=object))

    np.testing.assert_array_equal(out, dense_images(image_sequence(batch)))
    assert out.dtype == np.float32  # Python's numbers don't tell that they were uint8


def test_images_of_one_shape_become_one_array():
    ragged = [np.zeros((4, 5), np.uint8), np.ones((4, 5, 1), np.uint8)]

    dense = dense_images(image_sequence(ragged))

    assert dense.shape == (2, 4, 5, 1)
    assert dense.dtype == np.uint8


@pytest.mark.parametrize(
    "other", [np.zeros((5, 4), np.uint8), np.zeros((4, 5)), np.zeros((4, 5, 3), np.uint8)]
)
def test_images_that_differ_need_a_resizer(other):
    ragged = image_sequence([np.zeros((4, 5), np.uint8), other])

    with pytest.raises(ValueError, match=r"X\[0\] is 4x5x1 uint8 and X\[1\] is .*ImageResizer"):
        dense_images(ragged)


def test_booleans_are_black_and_white():
    mask = np.array([[True, False]])

    np.testing.assert_array_equal(read_image(mask, 0), np.array([[255, 0]], np.uint8))


def test_an_image_goes_by_its_place_and_path():
    assert image_name(image_sequence(["a.png", "b.png"]), 1) == "X[1] ('b.png')"
    assert image_name(image_sequence([np.zeros((2, 2))]), 0) == "X[0]"
    assert image_name(image_sequence(np.zeros((2, 2, 2))), 1) == "X[1]"


def test_a_batch_in_the_batch_is_named():
    images = [np.zeros((4, 5), np.uint8), [np.zeros((4, 5, 3)), np.zeros((6, 7, 3))]]
    with pytest.raises(ValueError, match=r"X\[1\] is of type list and no image"):
        list(image_sequence(images))
