"""Images as bad light, cameras and lines make them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from skfer.datasets import make_faces
from skfer.evaluation import CORRUPTIONS, corrupt_images


@pytest.fixture(scope="module")
def faces():
    images = make_faces(6, noise=0.0, random_state=0).images
    images.flags.writeable = False
    return images


def difference(a, b):
    return np.abs(a.astype(float).reshape(b.shape) - b).mean()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_step_goes_further_from_the_image(faces, name):
    steps = [
        difference(corrupt_images(faces, name, level), faces) for level in CORRUPTIONS[name].levels
    ]
    assert len(steps) == 5
    assert steps[0] > 0
    assert steps == sorted(steps)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_form_and_scale_are_those_of_the_images(faces, name, astronaut):
    level = CORRUPTIONS[name].levels[2]
    eight_bits = corrupt_images(faces, name, level)
    assert eight_bits.shape == (6, 48, 48, 1)
    assert eight_bits.dtype == np.uint8

    floats = corrupt_images(faces / np.float32(255), name, level)
    assert floats.dtype == np.float32
    assert floats.min() >= 0
    assert floats.max() <= 1
    np.testing.assert_allclose(floats * 255, eight_bits, atol=0.51)

    (color, gray) = corrupt_images([astronaut, astronaut[:50, :40, 0]], name, level)
    assert color.shape == (512, 512, 3)
    assert gray.shape == (50, 40)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_images(faces, name):
    level = CORRUPTIONS[name].levels[3]
    first = corrupt_images(faces, name, level, random_state=1)
    np.testing.assert_array_equal(first, corrupt_images(faces, name, level, random_state=1))
    by_chance = name in ("noise", "occlusion", "rotation")
    other = corrupt_images(faces, name, level, random_state=2)
    assert np.array_equal(first, other) == (not by_chance)


def test_levels_differ_in_strength_alone(faces):
    gray = np.full((1, 48, 48), 128, dtype=np.uint8)
    weak, strong = (corrupt_images(gray, "noise", level).astype(float) for level in (0.05, 0.1))
    np.testing.assert_allclose(2 * (weak - 128), strong - 128, atol=1.51)


def test_images_of_one_batch_differ_in_chance():
    gray = np.full((2, 48, 48), 128, dtype=np.uint8)
    one, two = corrupt_images(gray, "noise", 0.1)
    assert not np.array_equal(one, two)


def test_what_the_numbers_mean(faces):
    bright = np.full((1, 40, 40), 200, dtype=np.uint8)
    assert (corrupt_images(bright, "low_light", 0.25) == 50).all()
    assert (corrupt_images(bright, "overexposure", 2) == 255).all()
    assert corrupt_images(bright, "noise", 0.04).std() == pytest.approx(0.04 * 255, rel=0.1)
    hidden = corrupt_images(bright, "occlusion", 0.25) != 200
    assert hidden.sum() == 20 * 20

    dot = np.zeros((1, 41, 41), np.uint8)
    dot[0, 20, 30] = 255  # to the right of the middle
    turned = corrupt_images(dot, "rotation", 90.0)[0, ..., 0]
    assert np.argmax(turned) in (10 * 41 + 20, 30 * 41 + 20)

    edge = np.repeat([[0] * 24 + [255] * 24], 48, axis=0).astype(np.uint8)[None]
    assert len(np.unique(corrupt_images(edge, "resolution", 0.25)[0, 0])) > 2
    expected = cv2.GaussianBlur(edge[0], (0, 0), 2.4)
    assert difference(corrupt_images(edge, "blur", 0.05)[0], expected) < 1


def test_files_are_read(photo_files):
    changed = corrupt_images(photo_files, "low_light", 0.5)
    assert [image.ndim for image in changed] == [3, 3, 2, 3]


def test_an_unknown_corruption(faces):
    with pytest.raises(ValueError, match=r"corruption='fog' must be one of \['blur'"):
        corrupt_images(faces, "fog", 1.0)
