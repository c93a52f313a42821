"""Faces of large images, found on a reduced copy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skfer import FaceCropper
from skfer.detection import (
    CachedDetector,
    Detections,
    HaarDetector,
    MTCNNDetector,
    YuNetDetector,
    detect_faces,
)
from skfer.detection._reduced import MAX_PIXELS
from skfer.recognition import FaceReader


class Whole(BaseEstimator):
    """Takes every image for a face; notes what it has seen."""

    def __init__(self, min_face_size=100, seen=None):
        self.min_face_size = min_face_size
        self.seen = seen

    def detect(self, image):
        height, width = image.shape[:2]
        SEEN.append((self.min_face_size, height, width))
        corners = np.array(
            [[0, 0], [width, 0], [width / 2, height / 2], [0, height], [width, height]]
        )
        return Detections([[0, 0, width, height]], [0.5], corners[np.newaxis])

    def cache_key(self):
        return self.min_face_size


SEEN = []


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


@pytest.mark.parametrize(
    "shape", [(100, 200), (300, 300, 3), (1, 100_000), (100_000, 1, 3), (7, 90_001)]
)
def test_a_detector_sees_no_more_pixels_than_allowed(shape):
    faces = detect_faces(Whole(), np.zeros(shape, np.uint8), max_pixels=10_000)
    _, height, width = SEEN[0]
    assert 0 < height * width <= 10_000
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.02) or 1 in (height, width)
    assert faces.boxes.tolist() == [[0, 0, shape[1], shape[0]]]
    assert faces.landmarks[0, 4].tolist() == [shape[1], shape[0]]


def test_an_image_of_the_allowed_size_is_seen_as_it_is():
    detect_faces(Whole(), np.zeros((100, 100), np.uint8), max_pixels=10_000)
    detect_faces(Whole(), np.zeros((4000, 4000), np.uint8))
    assert SEEN == [(100, 100, 100), (100, 4000, 4000)]
    assert MAX_PIXELS == 4000 * 4000


def test_the_smallest_face_is_that_of_the_whole_image(tmp_path):
    image = np.zeros((400, 400), np.uint8)
    detector = Whole(min_face_size=100)
    detect_faces(detector, image, max_pixels=10_000)
    assert SEEN == [(25, 100, 100)]
    assert detector.min_face_size == 100
    for _ in range(2):
        detect_faces(CachedDetector(detector, tmp_path), image, max_pixels=10_000)
    assert SEEN == [(25, 100, 100)] * 2  # the second time from the cache
    detect_faces(Whole(min_face_size=24), image, max_pixels=10_000)
    detect_faces(Whole(min_face_size=5), image, max_pixels=10_000)
    assert SEEN[2:] == [(20, 100, 100), (5, 100, 100)]


def test_small_faces_in_a_large_photo_are_found_where_they_are(astronaut, yunet_model):
    face = astronaut[30:180, 145:305]
    photo = np.full((2000, 2400, 3), 128, np.uint8)
    places = [(100, 150), (900, 1900), (1700, 300), (1600, 1500)]
    for top, left in places:
        photo[top : top + 150, left : left + 160] = face
    for detector in (HaarDetector(), YuNetDetector(yunet_model, refine_landmarks=False)):
        whole, found = (detect_faces(detector, photo, pixels) for pixels in (10**8, 10**6))
        assert len(whole) == len(found) == len(places)
        order, other = (np.lexsort(faces.boxes[:, :2].T // 40) for faces in (whole, found))
        np.testing.assert_allclose(whole.boxes[order], found.boxes[other], atol=12)


def test_a_cropper_cuts_from_the_whole_image(astronaut, monkeypatch):
    monkeypatch.setattr("skfer.preprocessing._face_finder.FaceFinder.max_pixels", 65_536)
    photo = cv2.resize(astronaut, (1024, 1024))
    cropper = FaceCropper()
    [whole], [crop] = cropper.detect([photo]), cropper.transform([photo])
    assert whole.boxes[0].tolist() == pytest.approx([354, 132, 190, 190], abs=16)
    x, y, width, height = whole.boxes[0]
    np.testing.assert_array_equal(crop, photo[y : y + height, x : x + width])


def test_a_reader_limits_the_pixels_that_are_searched(fitted_pipeline, astronaut):
    reader = FaceReader(fitted_pipeline, detector=Whole(), max_pixels=10_000)
    [reading] = reader.read([astronaut])
    assert SEEN[-1][1:] == (100, 100)
    assert reading.detections.boxes.tolist() == [[0, 0, 512, 512]]
    for wrong in (0, -1, 2.5, "all"):
        with pytest.raises(ValueError, match="max_pixels must be a positive int"):
            FaceReader(fitted_pipeline, max_pixels=wrong)


def test_mtcnn_keeps_the_boxes_that_its_package_keeps():
    pytest.importorskip("mtcnn", reason='pip install "skfer[mtcnn]"')
    from mtcnn.utils.bboxes import smart_nms_from_bboxes

    from skfer.detection._mtcnn import _strongest

    rng = np.random.default_rng(0)
    for n_boxes in (0, 1, 2, 255, 257, 700):
        corners, sides = rng.uniform(0, 200, (n_boxes, 2)), rng.uniform(5, 40, (n_boxes, 2))
        scores = np.sort(rng.random(n_boxes))[::-1]
        boxes = np.c_[np.zeros(n_boxes), corners, corners + sides, scores]
        rng.shuffle(boxes)
        for threshold in (0.3, 0.7):
            expected = smart_nms_from_bboxes(boxes, threshold=threshold)
            np.testing.assert_array_equal(_strongest(boxes, threshold=threshold), expected)


@pytest.mark.slow
def test_mtcnn_finds_many_faces_in_little_memory(astronaut):
    pytest.importorskip("mtcnn", reason='pip install "skfer[mtcnn]"')
    face = cv2.resize(astronaut[40:200, 150:310], (56, 56), interpolation=cv2.INTER_AREA)
    photo = np.tile(face, (12, 12, 1))
    assert len(MTCNNDetector().detect(photo)) == 12 * 12
