"""Random changes to training images."""

import numpy as np
import pytest

from skfer.training import Augmentation


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (64, 12, 10, 1), dtype=np.uint8)


def changed(augmentation, images, seed=(1, 2)):
    return np.asarray(augmentation(images, seed=np.asarray(seed)))


def test_flip_mirrors_about_half_of_the_images_and_nothing_else(images):
    result = changed(Augmentation(flip=True), images)
    same = (result == images).all(axis=(1, 2, 3))
    mirrored = (result == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 <= mirrored.sum() <= 48


def test_none_changes_nothing(images):
    np.testing.assert_array_equal(changed(Augmentation.of("none"), images), images)


@pytest.mark.parametrize("change", [{"rotation": 20}, {"shift": 0.2}, {"zoom": 0.3}])
def test_each_change_keeps_shape_dtype_and_range(images, change):
    for dtype in (np.uint8, np.float32):
        result = changed(Augmentation.of(change), images.astype(dtype))
        assert result.shape == images.shape
        assert result.dtype == dtype
        assert not np.array_equal(result, images)
        assert result.min() >= images.min()
        assert result.max() <= images.max()


def test_the_middle_of_the_image_stays_under_rotation_and_zoom():
    dot = np.zeros((50, 21, 21, 1), np.float32)
    dot[:, 9:12, 9:12] = 1
    result = changed(Augmentation(rotation=30, zoom=0.1, flip=True), dot)
    np.testing.assert_allclose(result[:, 10, 10, 0], 1, atol=1e-5)


def test_shift_moves_by_no_more_than_it_says():
    dot = np.zeros((200, 41, 41, 1), np.float32)
    dot[:, 20, 20] = 1
    result = changed(Augmentation(shift=0.1), dot)
    rows, columns = np.nonzero(result[..., 0].max(axis=0))
    assert min(rows.min(), columns.min()) >= 15
    assert max(rows.max(), columns.max()) <= 25
    assert rows.min() < 18
    assert columns.max() > 22


def test_the_seed_decides(images):
    light = Augmentation.of("light")
    np.testing.assert_array_equal(changed(light, images), changed(light, images))
    assert not np.array_equal(changed(light, images), changed(light, images, seed=(1, 3)))


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("heavy", "augment must be one of .*'flip', 'light', 'none'"),
        ({"tilt": 3}, "no entry 'tilt'"),
        ({"zoom": 1.5}, "'zoom' must be from 0 to 0.9"),
        ({"rotation": -3}, "'rotation' must be from 0 to 180"),
    ],
)
def test_what_is_unknown_is_named(augment, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.of(augment)
