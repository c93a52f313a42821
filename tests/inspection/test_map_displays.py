"""Maps over images, and what regions are worth."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from networks_for_tests import small_network

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces
from skfer.inspection import (
    GradCAMDisplay,
    MapDisplay,
    OcclusionDisplay,
    RegionImportanceDisplay,
    SaliencyDisplay,
    grad_cam,
    region_importance,
)

DISPLAYS = [SaliencyDisplay, GradCAMDisplay, OcclusionDisplay]


@pytest.fixture(scope="module")
def faces():
    return make_faces(40, classes=["happy", "sad"], size=24, random_state=0)


@pytest.fixture(scope="module")
def fitted(faces):
    classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    return classifier.fit(faces.images, faces.labels)


@pytest.mark.parametrize("display", DISPLAYS)
def test_an_image_its_map_and_its_class(fitted, faces, display):
    drawn = display.from_estimator(fitted, faces.images[:4], target="sad")
    assert isinstance(drawn, display)
    assert len(drawn.images_) == len(drawn.maps_) == len(drawn.text_) == 4
    proba = fitted.predict_proba(faces.images[:4])[:, 1]
    assert [text.get_text() for text in drawn.text_] == [f"sad {share:.2f}" for share in proba]
    for shown, given in zip(drawn.images_, faces.images, strict=False):
        np.testing.assert_allclose(shown.get_array(), given / 255, rtol=1e-6)
    for shown, given in zip(drawn.maps_, drawn.maps, strict=True):
        np.testing.assert_array_equal(shown.get_array(), given)


def test_a_result_is_drawn_without_being_made_again(fitted, faces):
    found = grad_cam(fitted, faces.images[:8])
    drawn = GradCAMDisplay(**found).plot(n_columns=3)
    assert len(drawn.maps_) == 8
    left = [image.get_extent()[0] for image in drawn.images_]
    assert left[0] == left[3] == left[6]


def test_occlusion_has_one_scale_around_zero(fitted, faces):
    drawn = OcclusionDisplay.from_estimator(fitted, faces.images[:3], patch_size=8)
    limits = {image.get_clim() for image in drawn.maps_}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high
    labels = [axis.get_ylabel() for axis in drawn.figure_.axes]
    assert "fall in probability" in labels


def test_maps_from_elsewhere_in_axes_of_the_users_own():
    _, axis = plt.subplots()
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 14, 3), np.uint8)
    maps = np.zeros((2, 10, 14))
    maps[0, 3, 4] = 5
    drawn = MapDisplay(maps, images).plot(axis)
    assert drawn.ax_ is axis
    assert drawn.text_ == []
    left, right, bottom, top = drawn.maps_[0].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(1.4)
    assert drawn.maps_[1].get_alpha().max() == 0


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (np.ones((2, 5, 5)), {}, r"maps has the shape \(2, 5, 5\) and images \(3, 5, 5\)"),
        (np.ones((3, 5, 5)), {"target": ["a"]}, "inconsistent numbers"),
    ],
)
def test_what_does_not_belong_together(maps, options, message):
    with pytest.raises(ValueError, match=message):
        MapDisplay(maps, np.ones((3, 5, 5), np.uint8), **options).plot()


def test_a_bar_for_each_region_and_the_regions_on_the_face(fitted, faces):
    drawn = RegionImportanceDisplay.from_estimator(
        fitted, faces.images, faces.labels, n_repeats=2, random_state=0
    )
    found = region_importance(fitted, faces.images, faces.labels, n_repeats=2, random_state=0)
    widths = [bar.get_width() for bar in drawn.bars_]
    np.testing.assert_allclose(widths, found.importances_mean)
    names = [label.get_text() for label in drawn.ax_.get_yticklabels()]
    assert names == ["brows", "eyes", "nose", "mouth"]
    assert drawn.ax_.get_xlabel() == f"fall in accuracy from {found.score:.3f}"
    assert drawn.face_ax_ is not None

    _, axis = plt.subplots()
    again = RegionImportanceDisplay(found.importances, found.regions).plot(axis)
    assert again.ax_ is axis
    assert again.face_ax_ is None


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_the_error_says_what_to_install(fitted, faces):
    for display in DISPLAYS:
        with pytest.raises(ImportError, match=rf'{display.__name__}\..*"skfer\[plot\]"'):
            display.from_estimator(fitted, faces.images)
    with pytest.raises(ImportError, match=r'RegionImportanceDisplay\..*"skfer\[plot\]"'):
        RegionImportanceDisplay.from_estimator(fitted, faces.images, faces.labels)
