import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from skfer.detection import MTCNNDetector, _mtcnn, build_detector


@pytest.mark.slow
def test_face_and_order_of_landmarks(astronaut):
    pytest.importorskip("mtcnn", reason='pip install "skfer[mtcnn]"')
    detector = build_detector("mtcnn", min_face_size=40)
    part = astronaut[40:200, 150:310]
    faces = detector.detect(part)
    assert len(faces) == 1
    # Right eye, left eye, nose, right and left corner of the mouth, read off the photo by eye.
    by_eye = np.array([[202, 101], [246, 103], [223, 127], [201, 139], [244, 141]]) - [150, 40]
    np.testing.assert_allclose(faces.landmarks[0], by_eye, atol=6)
    x, y, width, height = faces.boxes[0]
    assert x < by_eye[:, 0].min() < by_eye[:, 0].max() < x + width
    assert y < by_eye[:, 1].min() < by_eye[:, 1].max() < y + height
    assert 0.9 < faces.scores[0] <= 1
    gray = detector.detect(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY))
    np.testing.assert_allclose(gray.landmarks, faces.landmarks, atol=4)
    with ThreadPoolExecutor(2) as threads:
        for again in threads.map(pickle.loads(pickle.dumps(detector)).detect, [part] * 2):
            np.testing.assert_array_equal(again.boxes, faces.boxes)
    assert len(detector.detect(np.zeros_like(part))) == 0
    for shape in ((40, 40), (40, 90, 3)):
        assert len(detector.detect(np.zeros(shape, np.uint8))) == 0
    assert len(detector.set_params(min_face_size=140).detect(part)) == 0
    assert detector.cache_key() != MTCNNDetector(min_face_size=40).cache_key()


def test_missing_package(astronaut, monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    monkeypatch.setattr(_mtcnn, "_networks", [])
    with pytest.raises(ImportError, match=r'pip install "skfer\[mtcnn\]"'):
        MTCNNDetector().detect(astronaut)


@pytest.mark.parametrize("shape", [(1, 1), (11, 300, 3)])
def test_images_smaller_than_a_face(monkeypatch, shape):
    monkeypatch.setattr(_mtcnn, "_networks", None)  # they are not used
    assert len(MTCNNDetector(min_face_size=1).detect(np.zeros(shape, np.uint8))) == 0


def test_suppression_equals_mtcnn():
    pytest.importorskip("mtcnn", reason='pip install "skfer[mtcnn]"')
    from mtcnn.utils.bboxes import smart_nms_from_bboxes

    rng = np.random.default_rng(0)
    for n_boxes in (0, 1, 2, 255, 257, 700):
        corners, sides = rng.uniform(0, 200, (n_boxes, 2)), rng.uniform(5, 40, (n_boxes, 2))
        scores = np.sort(rng.random(n_boxes))[::-1]
        boxes = np.c_[np.zeros(n_boxes), corners, corners + sides, scores]
        rng.shuffle(boxes)
        for threshold in (0.3, 0.7):
            expected = smart_nms_from_bboxes(boxes, threshold=threshold)
            np.testing.assert_array_equal(
                _mtcnn._suppress_overlaps(boxes, threshold=threshold), expected
            )


@pytest.mark.slow
def test_many_faces(astronaut):
    pytest.importorskip("mtcnn", reason='pip install "skfer[mtcnn]"')
    face = cv2.resize(astronaut[40:200, 150:310], (56, 56), interpolation=cv2.INTER_AREA)
    photo = np.tile(face, (12, 12, 1))
    assert len(MTCNNDetector().detect(photo)) == 12 * 12
