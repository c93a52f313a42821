"""On faces that differ in one part alone, whatever is asked points to that part."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from faces_for_tests import faces_differing_in
from networks_for_tests import local_network

from skfer import FacialExpressionClassifier
from skfer.inspection import (
    deletion_score,
    grad_cam,
    insertion_score,
    occlusion_sensitivity,
    region_importance,
    region_weights,
    saliency,
)

# The mouth is 0.18 of the image, eyes and brows are 0.26.
REGIONS = {"mouth": (0.2, 0.64, 0.6, 0.32), "eyes and brows": (0.1, 0.17, 0.8, 0.32)}
MAPS = {
    "saliency": saliency,
    "smooth saliency": lambda *data: saliency(*data, smooth=8, noise=0.1),
    "grad_cam": grad_cam,
    "occlusion": occlusion_sensitivity,
}


@pytest.fixture(scope="module", params=REGIONS)
def case(request):
    """What differs; a classifier that found it out; images that it doesn't know."""
    images, labels = faces_differing_in(request.param, 400)
    classifier = FacialExpressionClassifier(
        local_network,
        epochs=15,
        batch_size=32,
        learning_rate=3e-3,
        augment=None,
        random_state=0,
    ).fit(images, labels)
    images, labels = faces_differing_in(request.param, 40, seed=1)
    assert classifier.score(images, labels) > 0.95
    return request.param, classifier, images, labels


@pytest.mark.parametrize("name", MAPS)
def test_most_of_a_map_lies_on_what_differs(case, name, request):
    part, classifier, images, _ = case
    if (part, name) == ("mouth", "grad_cam") and keras.__version__.startswith("3.8."):
        # As coarse as the last convolution, and the lowest Keras learns another network.
        request.applymarker(pytest.mark.xfail(reason="0.47 of the map with Keras 3.8"))
    found = region_weights(MAPS[name](classifier, images).maps, REGIONS)
    weights = dict(zip(found.regions, np.nanmean(found.weights, axis=0), strict=True))
    area = dict(zip(found.regions, found.areas[0], strict=True))[part]
    (other,) = set(REGIONS) - {part}
    assert weights[part] > max(0.5, 1.8 * area)
    assert weights[part] > 3 * weights[other]


def test_exchanging_what_differs_costs_the_score(case):
    part, classifier, images, labels = case
    found = region_importance(
        classifier, images, labels, regions=REGIONS, n_repeats=3, random_state=0
    )
    falls = dict(zip(found.regions, found.importances_mean, strict=True))
    (other,) = set(REGIONS) - {part}
    # With another's part every second face gets the other label.
    assert 0.3 < falls[part] < 0.7
    assert abs(falls[other]) < 0.1


def test_without_what_a_map_points_at_the_class_is_lost(case):
    _, classifier, images, _ = case
    found = occlusion_sensitivity(classifier, images)
    chance = np.random.default_rng(0).random(found.maps.shape)
    for worse in (chance, -found.maps):
        lost, won = (
            score(classifier, images, found.maps) - score(classifier, images, worse)
            for score in (deletion_score, insertion_score)
        )
        assert lost.mean() < -0.05
        assert won.mean() > 0.05
