import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skfer import FaceCropper
from skfer.detection import Detections, HaarDetector


@dataclass
class FixedDetector:
    boxes: list
    scores: list | None = None

    def detect(self, image):
        return Detections(self.boxes, self.scores or [1.0] * len(self.boxes))


@pytest.fixture
def ramp():
    return np.arange(100 * 120, dtype=np.float32).reshape(100, 120)


def crop_box(image, box, **settings):
    settings = {"min_face_size": 1, **settings}
    return FaceCropper(FixedDetector([box]), **settings).transform([image])[0]


def assert_same_crops(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_crops_of_photos(photo_files):
    crops = FaceCropper().fit_transform(photo_files)
    assert crops.shape == (4,)
    assert crops.dtype == object
    assert [crop.ndim for crop in crops] == [3, 3, 2, 3]
    for crop in crops:
        assert crop.dtype == np.uint8
        assert crop.shape[0] == crop.shape[1]
    assert len(crops[0]) > 1.5 * len(crops[3])


def test_crops_of_a_dense_batch_are_copies(astronaut):
    photos = np.stack([astronaut, astronaut])
    crops = FaceCropper().fit_transform(photos)
    assert crops.shape == (2,)
    assert crops[0].shape == crops[1].shape
    crops[0][:] = 0
    np.testing.assert_array_equal(photos[0], astronaut)


@pytest.mark.parametrize("scale", [1 / 255, 1])
def test_crops_of_floats(astronaut, scale):
    (crop,) = FaceCropper().transform([astronaut * np.float64(scale)])
    (expected,) = FaceCropper().transform([astronaut])
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, expected * scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("box", "settings", "rows", "columns"),
    [
        ((30, 20, 40, 40), {}, (20, 60), (30, 70)),
        ((40, 40, 20, 20), {"margin": 0.25}, (35, 65), (35, 65)),
        ((40, 20, 20, 40), {}, (20, 60), (30, 70)),
        ((40, 20, 20, 40), {"square": False}, (20, 60), (40, 60)),
    ],
    ids=["box", "margin", "square", "not square"],
)
def test_box_and_margin(ramp, box, settings, rows, columns):
    crop = crop_box(ramp, box, **settings)
    np.testing.assert_array_equal(crop, ramp[slice(*rows), slice(*columns)])


def test_margin_beyond_the_border_is_mirrored(ramp):
    crop = crop_box(ramp, (0, 0, 20, 20), margin=0.5)
    assert crop.shape == (40, 40)
    np.testing.assert_array_equal(crop[10:, 10:], ramp[:30, :30])
    np.testing.assert_array_equal(crop[:10, 10:], ramp[10:0:-1, :30])
    mirrored = cv2.copyMakeBorder(ramp, 10, 0, 10, 0, cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(crop, mirrored[:40, :40])


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 3), (1, 1), (2, 1, 3)])
def test_margin_larger_than_the_image(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    height, width = shape[:2]
    crop = crop_box(image, (0, 0, width, height), margin=5, square=False)
    assert crop.shape == (11 * height, 11 * width, *shape[2:])
    y, x = 5 * height, 5 * width
    np.testing.assert_array_equal(crop[y : y + height, x : x + width], image)


def test_detected_faces_in_order_of_size(ramp):
    boxes = FixedDetector([[0, 0, 20, 40], [50, 50, 30, 30], [0, 0, 40, 40]])
    cropper = FaceCropper(boxes, min_face_size=25, square=False, margin=2)
    detections = cropper.detect([ramp, ramp])
    assert len(detections) == 2
    for faces in detections:
        assert faces.boxes.tolist() == [[0, 0, 40, 40], [50, 50, 30, 30]]


@pytest.mark.parametrize(("select", "left"), [("largest", 0), ("central", 45), ("confident", 80)])
def test_selected_face(ramp, select, left):
    boxes = FixedDetector([[0, 0, 40, 40], [45, 35, 30, 30], [80, 60, 35, 35]], [1.0, 2.0, 3.0])
    (crop,) = FaceCropper(boxes, select=select).transform([ramp])
    assert crop[0, 0] % 120 == left


def test_image_without_a_face_is_kept_with_a_warning(astronaut):
    blank = np.zeros((60, 50, 3), np.uint8)
    with pytest.warns(
        UserWarning, match=r"^2 of 3 images: .* in X\[0\], X\[2\]; the whole"
    ) as caught:
        crops = FaceCropper().transform([blank, astronaut, blank + 7])
    assert len(caught) == 1
    assert Path(caught[0].filename).name == Path(__file__).name
    np.testing.assert_array_equal(crops[0], blank)
    np.testing.assert_array_equal(crops[2], blank + 7)
    assert crops[1].shape == (103, 103, 3)


def test_image_without_a_face_is_blank():
    gray = np.full((60, 50), 0.5, np.float32)
    with pytest.warns(UserWarning, match=r"no face found in X\[0\]; the crop is blank"):
        (crop,) = FaceCropper(on_missing="blank").transform([gray])
    np.testing.assert_array_equal(crop, np.zeros_like(gray))
    assert crop.dtype == np.float32


def test_image_without_a_face_is_refused(photo_files, tmp_path):
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.zeros((60, 60), np.uint8))
    cropper = FaceCropper(on_missing="raise")
    with pytest.raises(ValueError, match=r"2 of 6 images: .*X\[1\] \(.*empty.png'\), X\[5\] \("):
        cropper.transform([photo_files[0], empty, *photo_files[1:], empty])
    with pytest.raises(ValueError, match=r"X\[9\] and 5 more"):
        cropper.transform(np.zeros((15, 1, 9), np.float32))


def test_whole_below(astronaut):
    face = cv2.resize(astronaut[66:161, 177:272], (60, 63), interpolation=cv2.INTER_AREA)
    cropper = FaceCropper(FixedDetector([[5, 5, 30, 30]]), margin=0.5, whole_below=64)
    whole, cropped = cropper.transform([face, astronaut])
    np.testing.assert_array_equal(whole, face)
    assert not np.shares_memory(whole, face)
    assert cropped.shape == (60, 60, 3)
    faces, _ = cropper.detect([face, astronaut])
    assert faces.boxes.tolist() == [[0, 0, 60, 63]]
    assert faces.scores.tolist() == [1]
    for shape in [(64, 64), (64, 10), (30, 100)]:
        image = np.zeros(shape, np.uint8)
        assert crop_box(image, (0, 0, 8, 8), whole_below=64).shape == (8, 8)
    dot = FaceCropper(whole_below=64, on_missing="raise")
    with pytest.raises(ValueError, match="no face"):
        dot.transform([np.zeros((1, 1), np.uint8)])


def test_fit_reads_no_files():
    FaceCropper().fit(["missing.jpg"])
    with pytest.raises(ValueError, match=r"'viola'.*'haar'"):
        FaceCropper(detector="viola").fit(["a.jpg"])


@pytest.mark.filterwarnings("ignore:.*no face found:UserWarning")
def test_image_of_one_pixel():
    (crop,) = FaceCropper(margin=3).transform([np.zeros((1, 1), np.uint8)])
    assert crop.shape == (1, 1)


def test_verbose_prints_progress(photo_files, capfd):
    FaceCropper(verbose=10).transform(photo_files)
    assert "Done " in "".join(capfd.readouterr())


@pytest.mark.parametrize("method", ["fit", "transform", "detect"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("margin", -0.1), ("whole_below", -1), ("select", "first"), ("on_missing", "drop")],
)
def test_invalid_parameters(astronaut, method, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of FaceCropper"):
        getattr(FaceCropper(**{name: value}), method)([astronaut])


class NoneDetector(BaseEstimator):
    def detect(self, image):
        return None


def test_detectors_of_users_that_are_wrong(ramp, tmp_path):
    with pytest.raises(TypeError, match=r"detector=HaarDetector is a class: .* HaarDetector\(\)"):
        FaceCropper(HaarDetector).fit_transform([ramp])
    with pytest.raises(TypeError, match=r"returned NoneType .* return Detections\(\[\], \[\]\)"):
        FaceCropper(NoneDetector()).fit_transform([ramp])
    with pytest.raises(TypeError, match="returned NoneType"):
        FaceCropper(NoneDetector(), memory=tmp_path).fit_transform([ramp])


def test_detector_that_returns_empty_lists(ramp):
    (faces,) = FaceCropper(FixedDetector([])).detect([ramp])
    assert len(faces) == 0


@pytest.mark.slow
def test_calls_are_equivalent(photo_files, tmp_path):
    cropper = FaceCropper(HaarDetector(min_neighbors=4), margin=0.2, memory=tmp_path / "cache")
    crops = cropper.fit_transform(photo_files)
    assert_same_crops(cropper.fit(photo_files).transform(photo_files), crops)
    assert_same_crops(pickle.loads(pickle.dumps(cropper)).transform(photo_files), crops)
    cropper.set_params(memory=None)
    assert_same_crops(clone(cropper).transform(photo_files), crops)
    assert_same_crops([cropper.transform([path])[0] for path in photo_files], crops)
    assert_same_crops(cropper.transform(photo_files[::-1]), crops[::-1])
    threads = clone(cropper).set_params(n_jobs=2)
    assert_same_crops(threads.transform(photo_files * 3), [*crops] * 3)
