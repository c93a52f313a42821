import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfer import GrayscaleResizer, ImageResizer


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(["none", "brighten", "histogram", "clahe"]),
    st.sampled_from(["gray", "rgb"]),
    st.sampled_from([np.uint8, np.float32]),
)
def test_shape_and_dtype(shapes, size, equalize, color, dtype):
    rng = np.random.default_rng(0)
    batch = [rng.integers(0, 256, shape).astype(dtype) for shape in shapes]
    dense = ImageResizer(size, color=color, equalize=equalize).fit_transform(batch)
    assert dense.shape == (len(batch), *size, 3 if color == "rgb" else 1)
    assert dense.dtype == dtype
    assert np.isfinite(dense).all()


def test_sizes_and_colours(photo_files):
    gray = GrayscaleResizer(48).fit_transform(photo_files)
    rgb = ImageResizer((224, 160), color="rgb").fit_transform(photo_files)
    assert gray.shape == (4, 48, 48, 1)
    assert rgb.shape == (4, 224, 160, 3)
    assert gray.dtype == rgb.dtype == np.uint8
    # The channels of the third file, which is gray, are equal.
    np.testing.assert_array_equal(rgb[2, ..., 0], rgb[2, ..., 2])


def test_images_of_the_given_size_are_unchanged():
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)
    np.testing.assert_array_equal(GrayscaleResizer().fit_transform(images)[..., 0], images)


def test_gray_is_the_luma_of_colours():
    green, blue = np.zeros((2, 4, 4, 3), np.uint8)
    green[..., 1] = blue[..., 2] = 255
    gray = GrayscaleResizer(4).fit_transform([green, blue])
    assert gray[:, 0, 0, 0].tolist() == [round(0.587 * 255), round(0.114 * 255)]


def test_reduction_averages_pixels():
    stripes = np.zeros((100, 100), np.float32)
    stripes[::2] = 1
    np.testing.assert_allclose(GrayscaleResizer(10).fit_transform([stripes]), 0.5)


def test_equalized_histogram(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[:48, :48]
    (equalized,) = GrayscaleResizer(48, equalize="histogram").fit_transform([gray])
    np.testing.assert_array_equal(equalized[..., 0], cv2.equalizeHist(gray))


def test_result_is_a_copy(astronaut):
    photos = astronaut[np.newaxis].copy()
    out = ImageResizer(512, color="rgb", equalize="histogram").fit_transform(photos)
    out[:] = 0
    np.testing.assert_array_equal(photos[0], astronaut)


@pytest.mark.parametrize("equalize", ["histogram", "clahe"])
@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_contrast(astronaut, equalize, color):
    image = (astronaut // 8 + 100).astype(np.uint8)
    plain, equalized = (
        ImageResizer(96, color=color, equalize=method).fit_transform([image])
        for method in ("none", equalize)
    )
    assert equalized.std() > 1.5 * plain.std()


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_brighten(astronaut, color):
    resizer = ImageResizer(96, color=color, equalize="brighten")
    plain = ImageResizer(96, color=color).fit_transform([astronaut])[0]
    dark, darker, nearly_black = (
        np.rint(plain * factor).astype(np.uint8) for factor in (0.4, 0.2, 0.02)
    )
    images = np.stack([plain, dark, darker, nearly_black, np.zeros_like(plain)])
    brightened = resizer.fit_transform(images)
    np.testing.assert_array_equal(brightened[0], plain)
    gray = GrayscaleResizer(96).fit_transform(brightened)
    for index in (1, 2):
        assert 0.009 < (gray[index] >= 127).mean() < 0.013
        assert np.corrcoef(brightened[index].ravel(), plain.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(brightened[3], nearly_black * 10)
    assert not brightened[4].any()
    floats = images.astype(np.float32) / 255
    np.testing.assert_array_equal(resizer.fit_transform(floats[:1])[0], floats[0])
    np.testing.assert_allclose(resizer.fit_transform(floats), brightened / 255, atol=0.021)
    np.testing.assert_allclose(
        resizer.fit_transform(floats[:3]), brightened[:3] / np.float32(255), atol=1e-6
    )


@pytest.mark.parametrize("equalize", ["histogram", "clahe"])
def test_equalized_floats_keep_their_scale(astronaut, equalize):
    resizer = ImageResizer(64, color="rgb", equalize=equalize)
    (equalized,) = resizer.fit_transform([astronaut / 255 * 6 - 3])
    assert equalized.dtype == np.float32
    assert -3.001 <= equalized.min() < -2
    assert 2 < equalized.max() <= 3.001


@pytest.mark.parametrize("equalize", ["histogram", "clahe"])
@pytest.mark.parametrize(
    "constant", [np.full((9, 9), 7, np.uint8), np.full((9, 9), 0.25, np.float32)]
)
def test_equalized_constants_are_constant(equalize, constant):
    resizer = ImageResizer(64, color="rgb", equalize=equalize)
    assert np.ptp(resizer.fit_transform([constant])) == 0


@pytest.mark.parametrize("size", [0, True, (4,), (4, 0), (4, True), (4, 4, 1), (4.0, 4), "48"])
def test_invalid_size(size):
    with pytest.raises(ValueError, match="size"):
        GrayscaleResizer(size).fit(np.zeros((1, 8, 8)))


@pytest.mark.parametrize(("name", "value"), [("color", "bgr"), ("equalize", "adaptive")])
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_invalid_parameters(method, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of ImageResizer"):
        getattr(ImageResizer(**{name: value}), method)(np.zeros((1, 8, 8)))
