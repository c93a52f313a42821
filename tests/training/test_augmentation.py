import numpy as np
import pytest

from skfer._training._augmentation import Augmentation


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (64, 12, 10, 1), dtype=np.uint8)


def augment(augmentation, images, seed=(1, 2)):
    return np.asarray(augmentation(images, seed=np.asarray(seed)))


def test_flip_mirrors_half_of_the_images(images):
    result = augment(Augmentation(flip=True), images)
    same = (result == images).all(axis=(1, 2, 3))
    mirrored = (result == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 <= mirrored.sum() <= 48


def test_seed_determines_the_changes(images):
    np.testing.assert_array_equal(augment(Augmentation.from_parameter("none"), images), images)
    light = Augmentation.from_parameter("light")
    np.testing.assert_array_equal(augment(light, images), augment(light, images))
    assert not np.array_equal(augment(light, images), augment(light, images, seed=(1, 3)))


def test_changes_are_independent(images):
    pair = augment(Augmentation(rotation=20, brightness=0.2), images.astype(np.float32))
    alone = augment(Augmentation(rotation=20), images.astype(np.float32))
    inside = (pair > 0) & (pair < 255)
    added = np.where(inside, pair - alone, np.nan)
    assert np.nanmax(np.nanmax(added, axis=(1, 2, 3)) - np.nanmin(added, axis=(1, 2, 3))) < 1e-3


CHANGES = {
    "rotation": 20,
    "shift": 0.2,
    "zoom": 0.3,
    "shear": 20,
    "brightness": 0.3,
    "contrast": 0.5,
    "noise": 0.1,
    "blur": 1.5,
    "erasing": 1.0,
}


@pytest.mark.parametrize("change", [{name: strength} for name, strength in CHANGES.items()])
def test_shape_dtype_and_range(images, change):
    for dtype in (np.uint8, np.float32):
        result = augment(Augmentation.from_parameter(change), images.astype(dtype))
        assert result.shape == images.shape
        assert result.dtype == dtype
        assert not np.array_equal(result, images)
        assert result.min() >= 0
        assert result.max() <= 255


def test_brightness():
    gray = np.full((200, 8, 8, 1), 100, np.float32)
    brighter = augment(Augmentation(brightness=0.2), gray)
    assert (brighter == brighter[:, :1, :1]).all()
    assert brighter.min() == pytest.approx(100 - 51, abs=2)
    assert brighter.max() == pytest.approx(100 + 51, abs=2)


def test_contrast():
    gray = np.full((200, 8, 8, 1), 100, np.float32)
    np.testing.assert_array_equal(augment(Augmentation(contrast=0.5), gray), gray)
    images = np.random.default_rng(0).uniform(100, 150, (50, 8, 8, 1)).astype(np.float32)
    result = augment(Augmentation(contrast=0.4), images)
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), rtol=1e-4)
    factors = result.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.6 - 1e-3 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.4 + 1e-3


def test_blur():
    dot = np.zeros((50, 15, 15, 1), np.float32)
    dot[:, 7, 7] = 100
    result = augment(Augmentation(blur=1), dot)
    np.testing.assert_allclose(result.sum(axis=(1, 2, 3)), 100, rtol=1e-4)
    assert result[:, 7, 7].min() < 30
    assert result[:, 7, 7].max() > 95


def test_erasing():
    gray = np.full((400, 20, 20, 1), 100, np.uint8)
    erased = augment(Augmentation(erasing=0.5), gray) != gray
    changed = erased.any(axis=(1, 2, 3))
    assert 0.4 < changed.mean() < 0.6
    share = erased[changed].mean(axis=(1, 2, 3))
    assert share.min() > 0.005
    assert 0.12 < share.max() < 0.25


def test_rotation_and_zoom_keep_the_centre():
    dot = np.zeros((50, 21, 21, 1), np.float32)
    dot[:, 9:12, 9:12] = 1
    result = augment(Augmentation(rotation=30, zoom=0.1, flip=True), dot)
    np.testing.assert_allclose(result[:, 10, 10, 0], 1, atol=1e-5)


def test_shift():
    dot = np.zeros((200, 41, 41, 1), np.float32)
    dot[:, 20, 20] = 1
    result = augment(Augmentation(shift=0.1), dot)
    rows, columns = np.nonzero(result[..., 0].max(axis=0))
    assert min(rows.min(), columns.min()) >= 15
    assert max(rows.max(), columns.max()) <= 25
    assert rows.min() < 18
    assert columns.max() > 22


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 10, 1), (9, 2, 3)])
def test_all_changes_of_small_images(shape):
    images = np.random.default_rng(0).random((5, *shape), np.float32)
    result = np.asarray(Augmentation(**CHANGES, flip=True)(images, (1, 2), pixel_range=(0, 1)))
    assert result.shape == images.shape
    assert 0 <= result.min() <= result.max() <= 1


def test_mixup():
    classes = np.array([0, 1] * 50)
    targets = np.eye(2, dtype=np.float32)[classes]
    images = np.tile((255 * classes).astype(np.uint8)[:, None, None, None], (1, 4, 4, 1))
    mixed, mixed_targets, weights = Augmentation(mixup=1.0).mix(images, targets, None, (1, 2))
    assert weights is None
    np.testing.assert_allclose(np.asarray(mixed_targets).sum(axis=1), 1, rtol=1e-5)
    share = np.asarray(mixed)[:, 0, 0, 0] / 255
    np.testing.assert_allclose(np.asarray(mixed_targets)[:, 1], share, atol=1 / 255)
    assert 0.3 < share.mean() < 0.7
    assert share.std() > 0.2
    weights = np.array([3.0, 0.0] * 50, np.float32)
    _, mixed_targets, mixed_weights = Augmentation(mixup=0.2).mix(images, targets, weights, (1, 2))
    mixed_targets, mixed_weights = np.asarray(mixed_targets), np.asarray(mixed_weights)
    np.testing.assert_allclose(mixed_targets[mixed_weights > 1e-4, 1], 0, atol=1e-5)
    assert mixed_weights.sum() == pytest.approx(weights.sum(), rel=0.2)
    mixed, mixed_targets, _ = Augmentation(mixup=1e-3).mix(images, targets, None, (1, 2))
    assert np.isfinite(np.asarray(mixed_targets)).all()
    assert mixed.shape == images.shape


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("heavy", "augment must be one of .*'flip', 'light', 'none', 'strong'"),
        ({"tilt": 3}, "no entry 'tilt'"),
        ({"zoom": 1.5}, "'zoom' must be from 0 to 0.9"),
        ({"mixup": -1}, "'mixup' must be from 0 to 10"),
        ({"rotation": -3}, "'rotation' must be from 0 to 180"),
        ({"rotation": "10"}, "'rotation' must be from 0 to 180; got '10'"),
    ],
)
def test_invalid_augmentation(augment, message):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_parameter(augment)
