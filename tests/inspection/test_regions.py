import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skfer.inspection import (
    FACE_REGIONS,
    RegionImportanceDisplay,
    region_importance,
    region_masks,
    region_weights,
)


class BrightPatch(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["high", "low"])

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        middle = X.shape[1] // 2
        peaks = (X[:, part].max(axis=(1, 2, 3)) for part in (slice(middle), slice(middle, None)))
        high, low = (peak.astype(float) for peak in peaks)
        return np.stack([high, low], axis=1) / (high + low + 1e-9)[:, None]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_masks_of_boxes():
    masks = region_masks((4, 8), {"left": (0, 0, 0.5, 1), "low": (0, 0.7, 1, 0.3)})
    assert masks["left"].tolist() == [[True] * 4 + [False] * 4] * 4
    assert masks["low"].tolist() == [[False] * 8] * 3 + [[True] * 8]


def test_masks_of_boxes_of_each_image():
    boxes = np.array([(0, 0, 1, 0.5), (0, 0.5, 1, 0.5)])
    upper, lower = region_masks((4, 4), {"half": boxes})["half"]
    np.testing.assert_array_equal(upper, ~lower)


def test_default_regions():
    masks = region_masks((48, 48))
    assert list(masks) == list(FACE_REGIONS) == ["brows", "eyes", "nose", "mouth"]
    assert sum(mask.astype(int) for mask in masks.values()).max() == 1
    tops = [np.flatnonzero(mask.any(axis=1))[0] for mask in masks.values()]
    assert tops == sorted(tops)


def test_region_weights():
    maps = np.zeros((3, 4, 4))
    maps[0, :2] = 1
    maps[1, 0], maps[1, 2] = 3, 1
    maps[1, 3] = -5
    result = region_weights(maps, {"upper": (0, 0, 1, 0.5), "lower": (0, 0.5, 1, 0.5)})
    np.testing.assert_allclose(result.weights, [[1, 0], [0.75, 0.25], [np.nan, np.nan]])
    np.testing.assert_allclose(result.areas, 0.5)
    with pytest.raises(ValueError, match=r"must be \(n, height, width\)"):
        region_weights(np.ones((12, 12)))


@pytest.fixture
def bright():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (40, 12, 12), np.uint8)
    high = np.arange(40) % 2 == 0
    rows = np.where(high, rng.integers(0, 6, 40), rng.integers(6, 12, 40))
    images[np.arange(40), rows, rng.integers(0, 6, 40)] = 250
    return images, np.where(high, "high", "low")


HALVES = {"left": (0, 0, 0.5, 1), "right": (0.5, 0, 0.5, 1)}


def test_importances(bright):
    images, y = bright
    result, again = (
        region_importance(BrightPatch(), images, y, regions=HALVES, random_state=0)
        for _ in range(2)
    )
    assert result.score == 1
    assert result.importances.shape == (2, 5)
    assert 0.3 < result.importances_mean[0] < 0.7
    assert result.importances_mean[1] == 0
    np.testing.assert_allclose(result.importances_std, result.importances.std(axis=1))
    np.testing.assert_array_equal(result.importances, again.importances)


def test_importances_for_a_loss(bright):
    images, y = bright
    options = {"regions": HALVES, "scoring": "neg_log_loss", "random_state": 0}
    result = region_importance(BrightPatch(), images, y, **options)
    assert result.score < 0
    assert result.importances_mean[0] > 10 * abs(result.importances_mean[1])
    display = RegionImportanceDisplay.from_estimator(BrightPatch(), images, y, **options)
    assert display.ax_.get_xlabel() == f"decrease of neg log loss from {result.score:.3f}"


def test_regions_of_each_image(bright):
    images, y = bright
    before = images.copy()
    widths = np.where(np.arange(40) % 3 == 0, 0.5, 0.75)
    boxes = np.column_stack([np.zeros(40), np.zeros(40), widths, np.ones(40)])
    masks = region_masks((12, 12), {"varying width": boxes})
    masks["first image"] = np.zeros((40, 12, 12), bool)
    masks["first image"][0] = True
    result = region_importance(BrightPatch(), images, y, regions=masks, random_state=0)
    assert 0.3 < result.importances_mean[0] < 0.7
    assert result.importances_mean[1] == 0
    assert result.areas[0] == pytest.approx(widths.mean(), abs=0.01)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"mouth": (10, 20, 30, 10)}, r"regions\['mouth'\]=.* fractions of the image's width"),
        ({"mouth": (0.1, 0.2, 0.3)}, "neither a box .* nor a bool array"),
        ({"mouth": np.ones((5, 5), bool)}, r"a mask of shape \(5, 5\).* need \(12, 12\)"),
        ({"mouth": np.zeros((12, 12), bool)}, r"regions\['mouth'\] holds no pixel"),
        ({"mouth": np.ones((7, 12, 12), bool)}, "given for 7 images, but there are 40"),
        ({}, "must be a dict of at least one named region"),
        (["mouth"], "must be a dict of at least one named region"),
    ],
)
def test_invalid_regions(bright, regions, message):
    with pytest.raises(ValueError, match=message):
        region_importance(BrightPatch(), *bright, regions=regions)


def test_display(fitted, faces):
    drawn = RegionImportanceDisplay.from_estimator(
        fitted, faces.images, faces.labels, n_repeats=2, random_state=0
    )
    result = region_importance(fitted, faces.images, faces.labels, n_repeats=2, random_state=0)
    widths = [bar.get_width() for bar in drawn.bars_]
    np.testing.assert_allclose(widths, result.importances_mean)
    names = [label.get_text() for label in drawn.ax_.get_yticklabels()]
    assert names == ["brows", "eyes", "nose", "mouth"]
    assert drawn.ax_.get_xlabel() == f"decrease of accuracy from {result.score:.3f}"
    assert drawn.face_ax_ is not None
    again = RegionImportanceDisplay(result.importances, result.regions).plot()
    assert again.face_ax_ is None


def test_invalid_parameters(bright):
    images, y = bright
    with pytest.raises(ValueError, match="n_repeats=0"):
        region_importance(BrightPatch(), images, y, n_repeats=0)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        region_importance(BrightPatch(), images, y[:3])
    with pytest.raises(ValueError, match="X holds 1 image"):
        region_importance(BrightPatch(), images[:1], y[:1])
