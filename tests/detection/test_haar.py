import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from sklearn.base import clone

from skfer.detection import HaarDetector
from skfer.detection._haar import _remove_overlaps


@pytest.fixture
def two_faces(astronaut):
    half = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    beside = np.zeros((512, 256, 3), np.uint8)
    beside[:256] = half
    return np.hstack([astronaut, beside])


def test_face_of_a_photo(astronaut):
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


def test_faces_in_order_of_size(two_faces):
    large, small = HaarDetector().detect(two_faces).boxes[:, 2:].prod(axis=1)
    assert large > small


def test_min_face_size(two_faces):
    assert HaarDetector().detect(two_faces).boxes[:, 2].min() < 70
    assert HaarDetector(min_face_size=70).detect(two_faces).boxes[:, 2].min() >= 70


@pytest.mark.parametrize(
    ("threshold", "left"), [(1.05, [10, 110]), (2, [10]), (-math.inf, [10, 110, 120]), (9, [])]
)
def test_score_threshold(monkeypatch, threshold, left):
    monkeypatch.setattr("skfer.detection._haar._cascade", Cascade)
    detector = HaarDetector(min_face_size=24, score_threshold=threshold)
    assert detector.detect(np.zeros((200, 200), np.uint8)).boxes[:, 0].tolist() == left


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


def test_search_near_known_faces(two_faces):
    detector = HaarDetector()
    faces = detector.detect(two_faces)
    assert len(faces) == 2
    left, top = 20, 12  # a movement between two frames
    moved = cv2.copyMakeBorder(two_faces, top, 0, left, 0, cv2.BORDER_REPLICATE)
    for known in (faces.boxes, faces.boxes[:1], faces.boxes[1:]):
        near = detector.detect_near(moved, known)
        sizes = known[:, 2:]
        np.testing.assert_allclose(near.boxes[:, :2] - [left, top], known[:, :2], atol=8)
        np.testing.assert_allclose(near.boxes[:, 2:], sizes, rtol=0.15)
    gray = cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(
        detector.detect_near(gray, faces.boxes).boxes[:, 0] - left, faces.boxes[:, 0], atol=8
    )
    assert len(detector.detect_near(np.zeros_like(moved), faces.boxes)) == 0
    near = HaarDetector(min_face_size=70).detect_near(moved, faces.boxes)
    assert near.boxes[:, 2].min() >= 70


def test_search_near_many_small_faces_is_complete(two_faces):
    # Small faces all over a large image: the complete search is faster.
    detector = HaarDetector()
    large = cv2.resize(two_faces, None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
    corners = np.array([[0, 0, 200, 200], [4000, 2800, 200, 200]])
    complete = detector.detect(large).boxes
    assert len(complete) == 2
    np.testing.assert_array_equal(detector.detect_near(large, corners).boxes, complete)


def test_search_near_a_face_at_the_edge(astronaut):
    photo = astronaut[60:, 165:]  # the face touches two edges
    box = np.array([[10, -5, 98, 98]])
    [found] = HaarDetector().detect_near(photo, box).boxes
    np.testing.assert_allclose(found[:2] + found[2:] / 2, [59, 45], atol=12)
    for outside in ([2000, 2000, 0, 0], [-2000, 90, 0, 0]):  # frames may change their size
        assert len(HaarDetector().detect_near(photo, box + outside)) == 0


@pytest.mark.slow
def test_threads_and_copies(two_faces):
    detector = HaarDetector(min_neighbors=3)
    boxes = detector.detect(two_faces).boxes
    for same in (detector, pickle.loads(pickle.dumps(detector)), clone(detector)):
        assert same.min_neighbors == 3
        with ThreadPoolExecutor(4) as threads:
            for faces in threads.map(same.detect, [two_faces] * 8):
                np.testing.assert_array_equal(faces.boxes, boxes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (23, 23), (23, 200, 3)])
def test_images_smaller_than_a_face(shape):
    faces = HaarDetector().detect(np.zeros(shape, np.uint8))
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert faces.scores.shape == (0,)


def test_overlaps():
    # In order of score: a face, one inside it, one around it, and one whose centre is outside.
    boxes = np.array([[10, 10, 40, 40], [20, 20, 10, 10], [0, 0, 80, 80], [45, 10, 40, 40.0]])
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    assert _remove_overlaps(boxes, scores) == [0, 3]
    assert _remove_overlaps(boxes[::-1], scores[::-1]) == [3, 0]
    assert _remove_overlaps(boxes[:0], scores[:0]) == []


@pytest.mark.slow
def test_overlaps_of_many_faces():
    # A mosaic. A loop over all pairs of its faces would take minutes.
    side = np.arange(80)
    corners = 40.0 * np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    boxes = np.hstack([corners, np.full_like(corners, 32.0)])
    assert sorted(_remove_overlaps(boxes, np.zeros(len(boxes)))) == list(range(len(boxes)))
