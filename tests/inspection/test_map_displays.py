import numpy as np
import pytest

from skfer.inspection import GradCAMDisplay, MapDisplay, OcclusionDisplay, SaliencyDisplay, grad_cam

DISPLAYS = [SaliencyDisplay, GradCAMDisplay, OcclusionDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_images_maps_and_classes(fitted, faces, display):
    drawn = display.from_estimator(fitted, faces.images[:4], target="sad")
    assert isinstance(drawn, display)
    assert len(drawn.images_) == len(drawn.maps_) == len(drawn.text_) == 4
    proba = fitted.predict_proba(faces.images[:4])[:, 1]
    assert [text.get_text() for text in drawn.text_] == [f"sad {share:.2f}" for share in proba]
    for shown, image in zip(drawn.images_, faces.images, strict=False):
        np.testing.assert_allclose(shown.get_array(), image / 255, rtol=1e-6)
    for shown, values in zip(drawn.maps_, drawn.maps, strict=True):
        np.testing.assert_array_equal(shown.get_array(), values)


def test_existing_results_and_other_maps(fitted, faces):
    found = grad_cam(fitted, faces.images[:8])
    drawn = GradCAMDisplay(**found).plot(n_columns=3)
    assert len(drawn.maps_) == 8
    left = [image.get_extent()[0] for image in drawn.images_]
    assert left[0] == left[3] == left[6]
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 14, 3), np.uint8)
    maps = np.zeros((2, 10, 14))
    maps[0, 3, 4] = 5
    drawn = MapDisplay(maps, images).plot()
    assert drawn.text_ == []
    left, right, bottom, top = drawn.maps_[0].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(1.4)
    assert drawn.maps_[1].get_alpha().max() == 0


def test_occlusion_has_a_common_symmetric_scale(fitted, faces):
    drawn = OcclusionDisplay.from_estimator(fitted, faces.images[:3], patch_size=8)
    limits = {image.get_clim() for image in drawn.maps_}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high
    labels = [axis.get_ylabel() for axis in drawn.figure_.axes]
    assert "decrease in probability" in labels


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (np.ones((2, 5, 5)), {}, r"maps has the shape \(2, 5, 5\) and images \(3, 5, 5\)"),
        (np.ones((3, 5, 5)), {"target": ["a"]}, "inconsistent numbers"),
    ],
)
def test_invalid_maps(maps, options, message):
    with pytest.raises(ValueError, match=message):
        MapDisplay(maps, np.ones((3, 5, 5), np.uint8), **options).plot()
