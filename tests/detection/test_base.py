import io

import cv2
import numpy as np
import pytest
from _utils import store_turned
from sklearn.base import BaseEstimator

from skfer import FaceCropper
from skfer.detection import (
    CachedDetector,
    Detections,
    FaceDetector,
    HaarDetector,
    MTCNNDetector,
    YuNetDetector,
    build_detector,
    detect_faces,
    list_detectors,
    to_eight_bits,
)
from skfer.detection._base import SEARCHED_PIXELS
from skfer.recognition import FaceReader


class Whole(BaseEstimator):
    def __init__(self, min_face_size=100):
        self.min_face_size = min_face_size

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
def clear_seen():
    SEEN.clear()


@pytest.mark.parametrize(
    "shape", [(100, 200), (300, 300, 3), (1, 100_000), (100_000, 1, 3), (7, 90_001)]
)
def test_large_images_are_reduced_to_max_pixels(shape):
    faces = detect_faces(Whole(), np.zeros(shape, np.uint8), max_pixels=10_000)
    _, height, width = SEEN[0]
    assert 0 < height * width <= 10_000
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.02) or 1 in (height, width)
    assert faces.boxes.tolist() == [[0, 0, shape[1], shape[0]]]
    assert faces.landmarks[0, 4].tolist() == [shape[1], shape[0]]


@pytest.mark.slow
def test_max_pixels():
    detect_faces(Whole(), np.zeros((100, 100), np.uint8), max_pixels=10_000)
    detect_faces(Whole(), np.zeros((4000, 4000), np.uint8))
    assert SEEN == [(100, 100, 100), (100, 4000, 4000)]
    assert SEARCHED_PIXELS == 4000 * 4000
    photo = np.arange(4000 * 4400, dtype=np.uint32).astype(np.uint8).reshape(4000, 4400)
    (crop,) = FaceCropper(Whole(), square=False).transform([photo])
    assert SEEN[-1][1] * SEEN[-1][2] <= SEARCHED_PIXELS
    np.testing.assert_array_equal(crop, photo)


@pytest.mark.slow
def test_small_faces_of_a_large_photo(astronaut, yunet_model):
    face = astronaut[30:180, 145:305]
    photo = np.full((2000, 2400, 3), 128, np.uint8)
    corners = [(100, 150), (900, 1900), (1700, 300), (1600, 1500)]
    for top, left in corners:
        photo[top : top + 150, left : left + 160] = face
    yunet = YuNetDetector(yunet_model, refine_landmarks=False)
    for detector in (HaarDetector(min_face_size=50), yunet):
        whole, found = (detect_faces(detector, photo, pixels) for pixels in (10**8, 10**6))
        assert len(whole) == len(found) == len(corners)
        order, other = (np.lexsort(faces.boxes[:, :2].T // 40) for faces in (whole, found))
        np.testing.assert_allclose(whole.boxes[order], found.boxes[other], atol=12)


def as_jpeg(photo, orientation):
    stored, exif = store_turned(photo, orientation)
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("form", [*range(1, 9), "gray", "float"])
def test_the_same_box_in_every_orientation_and_form(astronaut, form):
    photo = astronaut[:300]  # not square, so that a wrong turn shows
    if form == "gray":
        image = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    elif form == "float":
        image = (photo / 255).astype(np.float32)
    else:
        image = as_jpeg(photo, form)
    [plain], [faces] = (FaceCropper("auto").detect([one]) for one in (photo, image))
    [box] = faces.boxes
    np.testing.assert_allclose(box, plain.boxes[0], atol=4)
    np.testing.assert_allclose(box[:2] + box[2:] / 2, [224, 113], atol=12)


def test_min_face_size_is_scaled(tmp_path):
    image = np.zeros((400, 400), np.uint8)
    detector = Whole(min_face_size=100)
    detect_faces(detector, image, max_pixels=10_000)
    assert SEEN == [(25, 100, 100)]
    assert detector.min_face_size == 100
    for _ in range(2):
        detect_faces(CachedDetector(detector, tmp_path), image, max_pixels=10_000)
    assert SEEN == [(25, 100, 100)] * 2  # one more: the second result is cached
    detect_faces(Whole(min_face_size=24), image, max_pixels=10_000)
    detect_faces(Whole(min_face_size=5), image, max_pixels=10_000)
    assert SEEN[2:] == [(20, 100, 100), (5, 100, 100)]


def test_max_pixels_of_a_reader(fitted_pipeline, astronaut):
    reader = FaceReader(fitted_pipeline, detector=Whole(), max_pixels=10_000)
    [reading] = reader.read([astronaut])
    assert SEEN[-1][1:] == (100, 100)
    assert reading.detections.boxes.tolist() == [[0, 0, 512, 512]]
    for wrong in (0, -1, 2.5, "all"):
        with pytest.raises(ValueError, match="must be an int of at least 1"):
            FaceReader(fitted_pipeline, max_pixels=wrong)


def test_to_eight_bits(astronaut):
    in_unit_range = astronaut.astype(np.float32) / 255
    np.testing.assert_array_equal(to_eight_bits(in_unit_range), astronaut)
    np.testing.assert_array_equal(to_eight_bits(astronaut.astype(np.float32)), astronaut)
    stretched = to_eight_bits(np.array([[-3.0, 0.0, 3.0]], np.float32))
    assert stretched.tolist() == [[0, 128, 255]]
    assert to_eight_bits(np.full((4, 4, 1), 1000, np.float32)).shape == (4, 4)


def test_names_of_detectors():
    assert set(list_detectors()) == {"auto", "haar", "mtcnn", "yunet"}
    assert "haar" not in list_detectors(landmarks=True)
    assert isinstance(build_detector("haar", min_face_size=30), FaceDetector)
    for landmarks in (True, False):
        assert build_detector("yunet", landmarks=landmarks).refine_landmarks == landmarks
    with pytest.raises(ValueError, match=r"'harr'.*'haar'"):
        build_detector("harr", min_face_size=30)


def test_detections_in_order_of_size():
    faces = Detections(
        boxes=[[0, 0, 10, 10], [5, 5, 20, 20], [9, 9, 10, 10]],
        scores=[1, 0, 2],
        landmarks=np.arange(30).reshape(3, 5, 2),
    )
    ordered = faces.largest_first()
    assert ordered.boxes[:, 0].tolist() == [5, 9, 0]
    assert ordered.scores.tolist() == [0, 2, 1]
    assert ordered.landmarks[:, 0, 0].tolist() == [10, 20, 0]


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        (np.ones((2, 4)), np.zeros(1), "2 boxes, but 1 scores"),
        ([[np.nan, 0, 9, 9]], [1.0], "finite"),
        ([[0, 0, np.inf, 9]], [1.0], "finite"),
        ([[0, 0, 1e12, 9]], [1.0], "finite"),
        ([[0, 0, 9, 9]], [np.nan], "finite"),
        ([[0, 0, 0, 9]], [1], "at least 1 pixel"),
        ([[0, 0, 9, -9]], [1], "at least 1 pixel"),
    ],
)
def test_invalid_detections(boxes, scores, message):
    with pytest.raises(ValueError, match=message):
        Detections(boxes, scores)


@pytest.mark.parametrize(
    "detector",
    [
        HaarDetector(scale_factor=1.0),
        HaarDetector(min_neighbors=0),
        HaarDetector(min_face_size=0),
        MTCNNDetector(score_threshold=-1),
        MTCNNDetector(min_face_size=0),
        YuNetDetector("yunet.onnx", score_threshold=1.5),
        YuNetDetector("yunet.onnx", min_face_size=0),
        YuNetDetector("yunet.onnx", max_side=20),
        YuNetDetector("yunet.onnx", refine_landmarks=2),
    ],
    ids=str,
)
def test_invalid_parameters(detector, astronaut):
    with pytest.raises(ValueError, match="parameter of"):
        detector.detect(astronaut)
