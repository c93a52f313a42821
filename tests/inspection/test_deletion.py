import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skfer.inspection import deletion_curve, deletion_score, insertion_curve, insertion_score


class CornerBrightness(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["dark", "light"])

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        light = X[:, :4, :4].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - light, light], axis=1)


IMAGES = np.full((3, 8, 8), 255, np.uint8)
CORNER = np.zeros((3, 8, 8))
CORNER[:, :4, :4] = 1


OPTIONS = {"n_steps": 8, "baseline": 0, "target": "light"}


def test_deletion_curve():
    shares, proba = deletion_curve(CornerBrightness(), IMAGES, CORNER, n_steps=8, baseline=0)
    np.testing.assert_allclose(shares, np.arange(9) / 8)
    # The corner, a quarter of the image, is deleted in the first two of eight steps.
    np.testing.assert_allclose(proba, [[1, 0.5, 0, 0, 0, 0, 0, 0, 0]] * 3, atol=1e-6)


def test_insertion_curve():
    _, proba = insertion_curve(CornerBrightness(), IMAGES, CORNER, **OPTIONS)
    np.testing.assert_allclose(proba, [[0, 0.5, 1, 1, 1, 1, 1, 1, 1]] * 3, atol=1e-6)


@pytest.mark.parametrize(
    ("score", "of_corner", "of_rest"),
    [(deletion_score, 1 / 8, 7 / 8), (insertion_score, 7 / 8, 1 / 8)],
)
def test_scores(score, of_corner, of_rest):
    for maps, expected in ((CORNER, of_corner), (-CORNER, of_rest)):
        scores = score(CornerBrightness(), IMAGES, maps, **OPTIONS)
        np.testing.assert_allclose(scores, [expected] * 3, atol=1e-6)


def test_target():
    options = {"n_steps": 2, "baseline": 0}
    _, proba = deletion_curve(CornerBrightness(), IMAGES, CORNER, **options)
    assert proba[0, 0] == 1  # the predicted class, "light"
    _, dark = deletion_curve(CornerBrightness(), IMAGES, CORNER, **options, target="dark")
    np.testing.assert_allclose(dark, 1 - proba, atol=1e-6)


def test_pixels_of_constant_maps_are_in_a_fixed_random_order():
    first, again = (
        deletion_score(CornerBrightness(), IMAGES, np.zeros((3, 8, 8)), **OPTIONS) for _ in range(2)
    )
    assert first == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("patch_size", "expected"), [(3, [1, 7 / 16, 1 / 16, 0, 0]), (4, [1, 0, 0, 0, 0])]
)
def test_patches(patch_size, expected):
    # The mean of a patch with a single high pixel is low.
    maps = 0.5 * CORNER
    maps[:, 7, 7] = 1
    options = {"n_steps": 4, "patch_size": patch_size, "baseline": 0}
    _, proba = deletion_curve(CornerBrightness(), IMAGES, maps, **options)
    np.testing.assert_allclose(proba[0], expected, atol=0.01)


@pytest.mark.parametrize(("baseline", "expected"), [("mean", 1 / 4), ("blur", 0.86), (51, 0.2)])
def test_baselines(baseline, expected):
    light = (CORNER * 255).astype(np.uint8)
    _, proba = deletion_curve(CornerBrightness(), light, CORNER, n_steps=1, baseline=baseline)
    assert proba[:, -1] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (CORNER[:2], {}, r"maps has the shape \(2, 8, 8\).* one map for each is needed"),
        (CORNER * np.nan, {}, "maps holds NaN"),
        (CORNER, {"n_steps": 0}, "n_steps=0 must be an int of at least 1"),
        (CORNER, {"patch_size": 9}, "patch_size=9 must be an int from 1 to .* side, 8"),
        (CORNER, {"baseline": "black"}, "baseline='black' must be 'blur', 'mean', or a number"),
    ],
)
def test_invalid_parameters(maps, options, message):
    with pytest.raises(ValueError, match=message):
        deletion_score(CornerBrightness(), IMAGES, maps, **options)
