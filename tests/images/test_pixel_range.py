import numpy as np
import pytest

from skfer._images._pixel_range import PixelRange
from skfer.detection import to_eight_bits
from skfer.preprocessing import ImageResizer

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 1)).astype(np.uint8)
BYTES = PIXELS.astype(np.float32)
UNIT = BYTES / 255
SIGNED = BYTES / 127.5 - 1
STANDARD = (UNIT - 0.5) / 0.25
NOISE = np.random.default_rng(1).normal(0, 0.05, PIXELS.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("images", "low", "high"),
    [(PIXELS, 0, 255), (BYTES, 0, 255), (UNIT, 0, 1), (SIGNED, -1, 1), (STANDARD, -2, 2)],
    ids=["uint8", "[0, 255]", "[0, 1]", "[-1, 1]", "standardized"],
)
def test_scale_of_images(images, low, high):
    assert PixelRange.from_images(images) == PixelRange(low, high)


def test_uint8_is_converted_to_the_fitted_scale():
    assert PixelRange.from_images(PIXELS).convert(PIXELS) is PIXELS
    np.testing.assert_allclose(PixelRange.from_images(UNIT).convert(PIXELS), UNIT, atol=1e-6)
    np.testing.assert_allclose(PixelRange.from_images(SIGNED).convert(PIXELS), SIGNED, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5])
def test_constant_images_are_on_every_scale(value):
    constant = np.full((1, 12, 12, 1), value, np.float32)
    for batch in (constant, np.concatenate([BYTES, constant])):
        assert PixelRange.from_images(PIXELS).convert(batch) is batch


def test_single_rows_of_numbers():
    numbers = np.random.default_rng(0).uniform(0, 3, (20, 1, 5, 1)).astype(np.float32)
    fitted = PixelRange.from_images(numbers)
    for row in numbers:
        np.testing.assert_array_equal(fitted.convert(row[np.newaxis]), row[np.newaxis])


def test_large_batches_are_validated_as_a_whole(monkeypatch):
    monkeypatch.setattr("skfer._storage._PART", 2)
    assert PixelRange.from_images(np.concatenate([UNIT, BYTES])) == PixelRange(0, 255)
    with pytest.raises(ValueError, match=r"^X\[5\] has values from 0 to 1\.275"):
        PixelRange.from_images(PIXELS).check(np.concatenate([BYTES, BYTES[:1], BYTES[:1] / 200]))


@pytest.mark.parametrize("batch", [BYTES[:1] / 200, BYTES / 200], ids=["image", "batch"])
def test_almost_black_images_are_refused(batch):
    with pytest.raises(ValueError, match=r"X\[0\] has values from 0 to 1\.275, .*uint8"):
        PixelRange.from_images(PIXELS).check(batch)


@pytest.mark.parametrize(
    ("batch", "index", "conversion"),
    [
        (UNIT, 0, r"\(X \* 255\)\.round\(\)\.astype"),
        (SIGNED, 0, r"\(\(X \+ 1\) \* 127\.5\)\.round\(\)\.astype"),
        (np.concatenate([BYTES, BYTES[:1] / 200]), 4, r"X\.round\(\)\.astype\(\"uint8\"\)"),
        (BYTES * 257, 0, r"\(\(X - low\) / \(high - low\) \* 255\)\.round"),  # 16 bits
        (BYTES - 200, 0, r"\(\(X - low\) / \(high - low\) \* 255\)\.round"),  # int16
    ],
)
def test_errors_suggest_a_conversion(batch, index, conversion):
    with pytest.raises(ValueError, match=rf"^X\[{index}\] .* as made by {conversion}"):
        PixelRange.from_images(PIXELS).check(batch)


@pytest.mark.parametrize(
    ("fitted", "other"),
    [
        (PIXELS, UNIT),
        (PIXELS, SIGNED),
        (PIXELS, UNIT + NOISE),
        (PIXELS, STANDARD),
        (BYTES, UNIT),
        (BYTES, UNIT * 0.9),
        (BYTES, SIGNED * 0.5),
        (UNIT, BYTES),
        (UNIT, SIGNED),
        (UNIT, STANDARD),
        (SIGNED, BYTES),
    ],
)
def test_other_scales(fitted, other):
    scale = PixelRange.from_images(fitted)
    message = (
        f"X.0. has values from .* fitted on pixels from {scale.low:g} to {scale.high:g}.*uint8"
    )
    for batch in (other, other[:1]):
        with pytest.raises(ValueError, match=message):
            scale.convert(batch)


@pytest.mark.parametrize(
    ("fitted", "batch"),
    [
        (PIXELS, BYTES),
        (PIXELS, BYTES * 1.2 - 20),
        (BYTES, BYTES / 20),
        (UNIT, UNIT + NOISE),
        (UNIT, UNIT * 1.4 - 0.2),
        (UNIT, UNIT / 100),
        (SIGNED, SIGNED * 3),
        (STANDARD, STANDARD + NOISE),
    ],
)
def test_similar_scales(fitted, batch):
    assert PixelRange.from_images(fitted).convert(batch) is batch


@pytest.mark.parametrize("scale", [UNIT, SIGNED, SIGNED * 0.9, BYTES])
def test_scale_in_other_modules(scale):
    image = scale[0]
    levels = np.rint(255 * PixelRange.from_images(image).unit(image)).astype(np.uint8)
    np.testing.assert_array_equal(to_eight_bits(image), levels[..., 0])
    equalized = [
        ImageResizer((12, 12), equalize="histogram").fit_transform([one]) for one in (image, levels)
    ]
    fitted = PixelRange.from_images(image)
    np.testing.assert_allclose(fitted.unit(equalized[0]), equalized[1] / 255, atol=1e-6)
