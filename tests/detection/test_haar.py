from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from sklearn.base import clone

from skfer.detection import (
    Detections,
    FaceDetector,
    HaarDetector,
    build_detector,
    list_detectors,
    to_eight_bits,
)


@pytest.fixture
def two_faces(astronaut):
    """The same face twice, the second half as large."""
    half = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    beside = np.zeros((512, 256, 3), np.uint8)
    beside[:256] = half
    return np.hstack([astronaut, beside])


def test_finds_the_face_in_a_photo(astronaut):
    faces = HaarDetector().detect(astronaut)

    assert len(faces) == 1
    x, y, width, height = faces.boxes[0]
    assert x < 224 < x + width  # between the eyes
    assert y < 110 < y + height
    assert faces.boxes.dtype == np.int32
    assert faces.scores.dtype == np.float32
    assert faces.landmarks is None


def test_gray_and_rgb_give_the_same_faces(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)

    np.testing.assert_array_equal(
        HaarDetector().detect(gray).boxes, HaarDetector().detect(astronaut).boxes
    )


def test_largest_face_comes_first(two_faces):
    areas = HaarDetector().detect(two_faces).boxes[:, 2:].prod(axis=1)

    assert len(areas) == 2
    assert areas[0] > areas[1]


def test_min_face_size_leaves_out_the_smaller_face(two_faces):
    assert len(HaarDetector(min_face_size=70).detect(two_faces)) == 1


class Cascade:
    """In place of OpenCV's, for scores and boxes that can be foretold."""

    def detectMultiScale3(self, image, **_):  # noqa: N802 - OpenCV's name
        boxes = [(10, 10, 90, 90), (35, 60, 40, 40), (110, 20, 60, 60), (120, 90, 50, 50)]
        return np.array(boxes), None, np.array([3.0, 5.0, 0.0, -0.1])


def test_a_nose_in_a_face_and_what_scores_low_are_no_faces(monkeypatch):
    monkeypatch.setattr("skfer.detection._haar._cascade", Cascade)
    image = np.zeros((200, 200), np.uint8)

    assert HaarDetector().detect(image).boxes[:, 0].tolist() == [10, 110]
    assert HaarDetector(score_threshold=1).detect(image).boxes[:, 0].tolist() == [10]
    everything = HaarDetector(score_threshold=float("-inf")).detect(image)
    assert everything.boxes[:, 0].tolist() == [10, 110, 120]
    assert len(HaarDetector(score_threshold=9).detect(image)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (23, 23), (23, 200, 3)])
def test_image_smaller_than_any_face_has_none(shape):
    faces = HaarDetector().detect(np.zeros(shape, np.uint8))

    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert faces.scores.shape == (0,)


def test_threads_share_a_detector(two_faces):
    detector = HaarDetector()
    alone = detector.detect(two_faces).boxes

    with ThreadPoolExecutor(4) as threads:
        for faces in threads.map(detector.detect, [two_faces] * 8):
            np.testing.assert_array_equal(faces.boxes, alone)


def test_a_used_detector_can_be_pickled_and_cloned(astronaut):
    detector = HaarDetector(min_neighbors=3)
    boxes = detector.detect(astronaut).boxes

    for copy in (pickle.loads(pickle.dumps(detector)), clone(detector)):
        assert copy.min_neighbors == 3
        np.testing.assert_array_equal(copy.detect(astronaut).boxes, boxes)


@pytest.mark.parametrize(
    "settings", [{"scale_factor": 1.0}, {"min_neighbors": 0}, {"min_face_size": 0}]
)
def test_settings_out_of_range_are_refused(settings, astronaut):
    with pytest.raises(ValueError, match=next(iter(settings))):
        HaarDetector(**settings).detect(astronaut)


def test_detectors_go_by_name():
    assert set(list_detectors()) == {"haar", "mtcnn", "yunet"}
    assert "haar" not in list_detectors(landmarks=True)
    assert isinstance(build_detector("haar", min_face_size=30), FaceDetector)
    with pytest.raises(ValueError, match=r"'harr'.*'haar'"):
        build_detector("harr", min_face_size=30)


def test_detections_are_ordered_by_area_then_score():
    faces = Detections(
        boxes=[[0, 0, 10, 10], [5, 5, 20, 20], [9, 9, 10, 10]],
        scores=[1, 0, 2],
        landmarks=np.arange(30).reshape(3, 5, 2),
    )

    ordered = faces.largest_first()

    assert ordered.boxes[:, 0].tolist() == [5, 9, 0]
    assert ordered.scores.tolist() == [0, 2, 1]
    assert ordered.landmarks[:, 0, 0].tolist() == [10, 20, 0]


def test_every_box_needs_a_score():
    with pytest.raises(ValueError, match="2 boxes need as many scores; got 1"):
        Detections(np.zeros((2, 4)), np.zeros(1))


def test_a_detector_sees_eight_bits(astronaut):
    in_unit_range = astronaut.astype(np.float32) / 255

    np.testing.assert_array_equal(to_eight_bits(in_unit_range), astronaut)
    np.testing.assert_array_equal(to_eight_bits(astronaut.astype(np.float32)), astronaut)
    stretched = to_eight_bits(np.array([[-3.0, 0.0, 3.0]], np.float32))
    assert stretched.tolist() == [[0, 128, 255]]
    assert to_eight_bits(np.full((4, 4, 1), 1000, np.float32)).shape == (4, 4)
