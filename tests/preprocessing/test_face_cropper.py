from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from skfer import FaceCropper
from skfer.detection import Detections, HaarDetector


@dataclass
class FixedBoxes:
    """Finds the same boxes in every image."""

    boxes: list
    scores: list | None = None

    def detect(self, image):
        return Detections(self.boxes, self.scores or [1.0] * len(self.boxes))


@pytest.fixture
def ramp():
    """An image whose pixels tell where they come from."""
    return np.arange(100 * 120, dtype=np.float32).reshape(100, 120)


def crop_of(image, box, **settings):
    settings = {"min_face_size": 1, **settings}
    return FaceCropper(FixedBoxes([box]), **settings).transform([image])[0]


def assert_same_crops(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_one_crop_for_each_photo_in_their_order(photo_files):
    crops = FaceCropper().fit_transform(photo_files)

    assert crops.shape == (4,)
    assert crops.dtype == object
    assert [crop.ndim for crop in crops] == [3, 3, 2, 3]
    for crop in crops:
        assert crop.dtype == np.uint8
        assert crop.shape[0] == crop.shape[1]
    assert len(crops[0]) > 1.5 * len(crops[3])


def test_photos_come_as_paths_bytes_or_arrays(photo_files):
    by_path = FaceCropper().transform(photo_files)

    by_content = FaceCropper().transform([path.read_bytes() for path in photo_files])
    as_strings = FaceCropper().transform(np.array([str(path) for path in photo_files]))

    assert_same_crops(by_path, by_content)
    assert_same_crops(by_path, as_strings)


def test_crops_of_one_size_are_an_array_of_objects_too(astronaut):
    crops = FaceCropper().fit_transform(np.stack([astronaut, astronaut]))

    assert crops.shape == (2,)
    assert crops[0].shape == crops[1].shape


@pytest.mark.parametrize("scale", [1 / 255, 1])
def test_float_photos_stay_float_and_show_the_same_face(astronaut, scale):
    (crop,) = FaceCropper().transform([astronaut * np.float64(scale)])

    (expected,) = FaceCropper().transform([astronaut])
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, expected * scale, rtol=1e-6)


def test_a_crop_is_no_view_of_the_photo(astronaut):
    photos = astronaut[np.newaxis].copy()

    FaceCropper().transform(photos)[0][:] = 0

    np.testing.assert_array_equal(photos[0], astronaut)


def test_crop_is_the_box(ramp):
    np.testing.assert_array_equal(crop_of(ramp, (30, 20, 40, 40)), ramp[20:60, 30:70])


def test_margin_is_added_on_every_side(ramp):
    crop = crop_of(ramp, (40, 40, 20, 20), margin=0.25)

    np.testing.assert_array_equal(crop, ramp[35:65, 35:65])


def test_square_grows_the_shorter_side_about_the_centre(ramp):
    box = (40, 20, 20, 40)

    np.testing.assert_array_equal(crop_of(ramp, box), ramp[20:60, 30:70])
    np.testing.assert_array_equal(crop_of(ramp, box, square=False), ramp[20:60, 40:60])


def test_beyond_the_edge_is_the_mirror_image(ramp):
    crop = crop_of(ramp, (0, 0, 20, 20), margin=0.5)

    assert crop.shape == (40, 40)
    np.testing.assert_array_equal(crop[10:, 10:], ramp[:30, :30])
    np.testing.assert_array_equal(crop[:10, 10:], ramp[10:0:-1, :30])
    mirrored = cv2.copyMakeBorder(ramp, 10, 0, 10, 0, cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(crop, mirrored[:40, :40])


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 3), (1, 1), (2, 1, 3)])
def test_margin_may_exceed_the_picture_many_times(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    height, width = shape[:2]

    crop = crop_of(image, (0, 0, width, height), margin=5, square=False)

    assert crop.shape == (11 * height, 11 * width, *shape[2:])
    y, x = 5 * height, 5 * width
    np.testing.assert_array_equal(crop[y : y + height, x : x + width], image)


@pytest.mark.parametrize(("select", "left"), [("largest", 0), ("central", 45), ("confident", 80)])
def test_select_takes_one_of_several_faces(ramp, select, left):
    boxes = FixedBoxes([[0, 0, 40, 40], [45, 35, 30, 30], [80, 60, 35, 35]], [1.0, 2.0, 3.0])

    (crop,) = FaceCropper(boxes, select=select).transform([ramp])

    assert crop[0, 0] % 120 == left


def test_smaller_faces_than_min_face_size_are_left_out(ramp):
    boxes = FixedBoxes([[0, 0, 20, 40], [50, 50, 30, 30]])

    (faces,) = FaceCropper(boxes, min_face_size=25).detect([ramp])

    assert faces.boxes.tolist() == [[50, 50, 30, 30]]


def test_detect_returns_every_face_largest_first(ramp):
    boxes = FixedBoxes([[50, 50, 30, 30], [0, 0, 40, 40]])

    one, same = FaceCropper(boxes, square=False, margin=2).detect([ramp, ramp])

    assert one.boxes.tolist() == same.boxes.tolist() == [[0, 0, 40, 40], [50, 50, 30, 30]]


def test_whole_image_without_a_face_and_one_warning(astronaut):
    blank = np.zeros((60, 50, 3), np.uint8)

    with pytest.warns(UserWarning, match=r"^2 of 3 images: no face found; the whole") as caught:
        crops = FaceCropper().transform([blank, astronaut, blank + 7])

    assert len(caught) == 1
    assert Path(caught[0].filename).name == Path(__file__).name
    np.testing.assert_array_equal(crops[0], blank)
    np.testing.assert_array_equal(crops[2], blank + 7)
    assert crops[1].shape == (95, 95, 3)


def test_the_warning_can_be_turned_off_as_the_docstring_says():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".* no face found")
        FaceCropper().transform(np.zeros((2, 60, 50), np.uint8))


def test_blank_image_without_a_face():
    gray = np.full((60, 50), 0.5, np.float32)

    with pytest.warns(UserWarning, match="1 of 1 images: no face found; the crop is blank"):
        (crop,) = FaceCropper(on_missing="blank").transform([gray])

    np.testing.assert_array_equal(crop, np.zeros_like(gray))
    assert crop.dtype == np.float32


def test_raise_names_all_images_without_a_face(photo_files, tmp_path):
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.zeros((60, 60), np.uint8))

    with pytest.raises(ValueError, match=r"2 of 6 images: .*X\[1\] \(.*empty.png'\), X\[5\] \("):
        FaceCropper(on_missing="raise").transform([photo_files[0], empty, *photo_files[1:], empty])


def test_raise_counts_what_it_does_not_name():
    strips = np.zeros((15, 1, 9), np.float32)

    with pytest.raises(ValueError, match=r"X\[9\] and 5 more"):
        FaceCropper(on_missing="raise").transform(strips)


def test_images_that_are_faces_already_come_out_whole(astronaut):
    face = cv2.resize(astronaut[66:161, 177:272], (60, 63), interpolation=cv2.INTER_AREA)
    cropper = FaceCropper(FixedBoxes([[5, 5, 30, 30]]), margin=0.5, whole_below=64)

    whole, searched = cropper.transform([face, astronaut])

    np.testing.assert_array_equal(whole, face)
    assert not np.shares_memory(whole, face)
    assert searched.shape == (60, 60, 3)
    faces, _ = cropper.detect([face, astronaut])
    assert faces.boxes.tolist() == [[0, 0, 60, 63]]
    assert faces.scores.tolist() == [1]


@pytest.mark.parametrize("shape", [(64, 64), (64, 10), (30, 100)])
def test_the_longer_side_decides_whether_an_image_is_a_face(shape):
    image = np.zeros(shape, np.uint8)

    (crop,) = FaceCropper(FixedBoxes([[0, 0, 8, 8]]), min_face_size=8, whole_below=64).transform(
        [image]
    )

    assert crop.shape == (8, 8)


@pytest.mark.filterwarnings("ignore:.*no face found:UserWarning")
def test_a_single_pixel_passes():
    (crop,) = FaceCropper(margin=3).transform([np.zeros((1, 1), np.uint8)])

    assert crop.shape == (1, 1)


def test_unreadable_file_is_named(photo_files):
    photo_files[2].write_bytes(b"no image")

    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"X\[2\] \('.*gray.png'\) can't be decoded"):
            FaceCropper(n_jobs=n_jobs).transform(photo_files)


def test_fit_reads_no_file():
    FaceCropper().fit(["missing.jpg"])


def test_unknown_detector_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'viola'.*'haar'"):
        FaceCropper(detector="viola").fit(["a.jpg"])


@pytest.mark.parametrize(
    "wrong", [{"margin": -0.1}, {"whole_below": -1}, {"select": "first"}, {"on_missing": "drop"}]
)
def test_wrong_parameters_are_refused_with_and_without_fit(wrong, astronaut):
    for method in ("fit", "transform", "detect"):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            getattr(FaceCropper(**wrong), method)([astronaut])


# What scikit-learn's suite compares with assert_allclose, on photos.


def test_fitting_again_changes_nothing(photo_files):
    cropper = FaceCropper(margin=0.2)

    once = cropper.fit_transform(photo_files)

    assert_same_crops(cropper.fit(photo_files).transform(photo_files), once)
    assert_same_crops(FaceCropper(margin=0.2).transform(photo_files), once)


def test_photos_are_cropped_independently(photo_files):
    cropper = FaceCropper()
    together = cropper.transform(photo_files)

    one_by_one = [cropper.transform([path])[0] for path in photo_files]
    reversed_order = cropper.transform(photo_files[::-1])

    assert_same_crops(one_by_one, together)
    assert_same_crops(reversed_order, together[::-1])


def test_a_pickled_cropper_crops_the_same(photo_files, tmp_path):
    cropper = FaceCropper(HaarDetector(min_neighbors=4), memory=tmp_path / "cache")
    crops = cropper.fit_transform(photo_files)

    assert_same_crops(pickle.loads(pickle.dumps(cropper)).transform(photo_files), crops)


def test_threads_change_nothing(photo_files):
    assert_same_crops(
        FaceCropper(n_jobs=2).transform(photo_files * 3),
        FaceCropper().transform(photo_files * 3),
    )


def test_verbose_reports_the_progress(photo_files, capfd):
    FaceCropper(verbose=10).transform(photo_files)

    # Not how often, nor in what words: each joblib has its own.
    assert "Done " in "".join(capfd.readouterr())


@pytest.mark.real_data
def test_every_real_face_comes_out(fer2013):
    faces = fer2013.images[:60]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        crops = FaceCropper().fit_transform(faces)

    assert len(crops) == 60
    assert all(crop.dtype == np.uint8 and crop.ndim == 3 for crop in crops)


@pytest.mark.real_data
def test_the_images_of_fer2013_pass_whole(fer2013):
    crops = FaceCropper(whole_below=64).fit_transform(fer2013.images[:500])

    np.testing.assert_array_equal(np.stack(crops), fer2013.images[:500].reshape(-1, 48, 48, 1))
