import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from sklearn.base import clone

from skfer.detection import HaarDetector


@pytest.fixture
def two_faces(astronaut):
    half = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    beside = np.zeros((512, 256, 3), np.uint8)
    beside[:256] = half
    return np.hstack([astronaut, beside])


def test_faces_of_photos(astronaut, two_faces, monkeypatch):
    faces = HaarDetector().detect(astronaut)
    assert len(faces) == 1
    x, y, width, height = faces.boxes[0]
    assert x < 224 < x + width  # between the eyes
    assert y < 110 < y + height
    assert faces.boxes.dtype == np.int32
    assert faces.scores.dtype == np.float32
    assert faces.landmarks is None
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(HaarDetector().detect(gray).boxes, faces.boxes)
    large, small = HaarDetector().detect(two_faces).boxes[:, 2:].prod(axis=1)
    assert large > small
    assert (HaarDetector(min_face_size=70).detect(two_faces).boxes[:, 2] >= 70).all()
    monkeypatch.setattr("skfer.detection._haar._cascade", Cascade)
    image = np.zeros((200, 200), np.uint8)
    for threshold, left in ((1.05, [10, 110]), (2, [10]), (-math.inf, [10, 110, 120]), (9, [])):
        faces = HaarDetector(min_face_size=24, score_threshold=threshold).detect(image)
        assert faces.boxes[:, 0].tolist() == left


class Cascade:
    """Replacement of OpenCV's cascade that finds faces in the search for small ones only."""

    def detectMultiScale3(self, image, maxSize, **_):  # noqa: N802 - OpenCV's names
        if maxSize[0] > 100:
            return (), (), ()
        boxes = [(10, 10, 90, 90), (35, 60, 40, 40), (110, 20, 60, 60), (120, 90, 50, 50)]
        return np.array(boxes), None, np.array([5.0, 3.0, 1.5, 0.1]) + 105.76


@pytest.mark.parametrize("size", [100, 150, 300, 1000])
@pytest.mark.parametrize("side", [95, 113, 161])
def test_face_that_fills_the_image(astronaut, size, side):
    top, left = 120 - side // 2, 224 - side // 2
    crop = cv2.resize(astronaut[top : top + side, left : left + side], (size, size))
    [box] = HaarDetector().detect(crop).boxes
    center = box[:2] + box[2:] / 2
    np.testing.assert_allclose(center, size / 2, atol=0.15 * size)
    assert box[2] == pytest.approx(98 / side * size, rel=0.3)


@pytest.mark.slow
def test_small_images_threads_and_pickles(two_faces):
    detector = HaarDetector(min_neighbors=3)
    boxes = detector.detect(two_faces).boxes
    for same in (detector, pickle.loads(pickle.dumps(detector)), clone(detector)):
        assert same.min_neighbors == 3
        with ThreadPoolExecutor(4) as threads:
            for faces in threads.map(same.detect, [two_faces] * 8):
                np.testing.assert_array_equal(faces.boxes, boxes)
    for shape in [(1, 1), (1, 500), (23, 23), (23, 200, 3)]:
        faces = HaarDetector().detect(np.zeros(shape, np.uint8))
        assert len(faces) == 0
        assert faces.boxes.shape == (0, 4)
        assert faces.scores.shape == (0,)
