"""Boxes that `FaceCropper(memory=...)` keeps by the content of their images."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, GrayscaleResizer
from skfer.detection import Detections, HaarDetector


class CountingDetector(BaseEstimator):
    """Leaves a file for each image that it sees, so that other processes' calls count too."""

    def __init__(self, log, seconds=0.0):
        self.log = log
        self.seconds = seconds

    def detect(self, image):
        time.sleep(self.seconds)
        joblib.dump(joblib.hash(image), Path(self.log) / f"{time.monotonic_ns()}")
        return HaarDetector().detect(image)

    def seen(self):
        return [joblib.load(call) for call in Path(self.log).iterdir()]


@pytest.fixture
def counting(tmp_path):
    (tmp_path / "log").mkdir()
    return CountingDetector(str(tmp_path / "log"))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_detects_each_image_once(counting, photo_files, tmp_path, n_jobs):
    photos = [cv2.imread(str(path))[..., ::-1] for path in photo_files]
    photos = [photo[row:] for row in (0, 1, 2) for photo in photos]
    counting.seconds = 0.02
    pipeline = Pipeline(
        [
            ("cropper", FaceCropper(counting, memory=str(tmp_path / "cache"))),
            ("resizer", GrayscaleResizer(24)),
            ("classifier", Pixels()),
        ]
    )
    search = GridSearchCV(
        pipeline,
        {"cropper__margin": [0.0, 0.1, 0.2, 0.3]},
        cv=3,
        n_jobs=n_jobs,
        error_score="raise",
    )

    search.fit(photos, ["happy", "sad"] * 6)
    search.score(photos, ["happy", "sad"] * 6)

    seen = counting.seen()
    assert len(seen) == len(photos)
    assert len(set(seen)) == len(photos)


class Pixels(DummyClassifier):
    """A classifier of images that needs no training."""


@pytest.mark.parametrize("as_memory", [True, False])
def test_cache_takes_a_path_or_a_joblib_memory(counting, photo_files, tmp_path, as_memory):
    memory = joblib.Memory(tmp_path / "m", verbose=0) if as_memory else tmp_path / "m"
    cropper = FaceCropper(counting, memory=memory)

    first = cropper.fit_transform(photo_files)
    again = clone(cropper).set_params(margin=0.0, select="central").transform(photo_files)

    assert len(counting.seen()) == len(photo_files)
    for one, other in zip(again, first, strict=True):
        np.testing.assert_array_equal(one, other)


def test_clearing_the_memory_empties_the_cache(counting, photo_files, tmp_path):
    memory = joblib.Memory(tmp_path / "m", verbose=0)
    FaceCropper(counting, memory=memory).transform(photo_files)

    memory.clear(warn=False)

    FaceCropper(counting, memory=memory).transform(photo_files)
    assert len(counting.seen()) == 2 * len(photo_files)


def test_memory_without_a_location_keeps_nothing(counting, photo_files):
    cropper = FaceCropper(counting, memory=joblib.Memory(None))

    cropper.transform(photo_files[:1])
    cropper.transform(photo_files[:1])

    assert len(counting.seen()) == 2


def test_other_settings_of_the_detector_are_other_faces(astronaut, tmp_path):
    def count(**settings):
        cropper = FaceCropper(HaarDetector(**settings), memory=tmp_path / "cache")
        return len(cropper.detect([astronaut])[0])

    assert [count(), count(min_face_size=200), count()] == [1, 0, 1]


def test_an_image_without_a_face_is_remembered_too(counting, tmp_path):
    cropper = FaceCropper(counting, memory=tmp_path / "cache")

    for _ in range(2):
        assert len(cropper.detect([np.zeros((40, 40), np.uint8)])[0]) == 0

    assert len(counting.seen()) == 1


def test_scores_and_landmarks_are_remembered(tmp_path):
    class WithLandmarks(BaseEstimator):
        def detect(self, image):
            return Detections([[1, 2, 30, 40]], [0.7], np.arange(10))

    cropper = FaceCropper(WithLandmarks(), memory=tmp_path / "cache")
    image = np.zeros((50, 50), np.uint8)

    (first,), (again,) = cropper.detect([image]), cropper.detect([image])

    np.testing.assert_array_equal(again.boxes, first.boxes)
    np.testing.assert_array_equal(again.scores, first.scores)
    np.testing.assert_array_equal(again.landmarks, first.landmarks)


def test_damaged_entries_are_detected_anew(counting, photo_files, tmp_path):
    cropper = FaceCropper(counting, memory=tmp_path / "cache")
    crops = cropper.transform(photo_files)
    entries = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(entries) == len(photo_files)
    entries[0].write_bytes(b"")
    entries[1].write_bytes(entries[1].read_bytes()[:-3])
    entries[2].write_bytes(b"something else")
    np.save(entries[3], np.zeros(7))

    for one, other in zip(cropper.transform(photo_files), crops, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(counting.seen()) == 2 * len(photo_files)


def test_entries_are_read_without_pythons_parser(counting, photo_files, tmp_path, monkeypatch):
    cropper = FaceCropper(counting, memory=tmp_path / "cache")
    crops = cropper.transform(photo_files)

    def parse(*arguments):
        raise SystemError("AST constructor recursion depth mismatch")  # as 3.11 does

    monkeypatch.setattr("ast.literal_eval", parse)
    for one, other in zip(cropper.transform(photo_files), crops, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(counting.seen()) == len(photo_files)


def test_a_claim_left_by_a_dead_process_is_taken_over(counting, photo_files, tmp_path):
    cropper = FaceCropper(counting, memory=tmp_path / "cache")
    (faces,) = cropper.detect(photo_files[:1])
    (entry,) = (tmp_path / "cache").rglob("*.npy")
    entry.unlink()
    claim = entry.with_suffix(".claim")
    claim.touch()
    long_ago = time.time() - 3600
    os.utime(claim, (long_ago, long_ago))

    (again,) = cropper.detect(photo_files[:1])

    np.testing.assert_array_equal(again.boxes, faces.boxes)
    assert not claim.exists()


def test_a_failing_detector_leaves_no_claim(tmp_path):
    class Failing(BaseEstimator):
        def detect(self, image):
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        FaceCropper(Failing(), memory=tmp_path).detect([np.zeros((30, 30), np.uint8)])
    assert not list(tmp_path.rglob("*.claim"))


def test_a_detector_that_cannot_be_told_from_others_is_refused(tmp_path):
    class Unpicklable:
        def __init__(self):
            self.model = (pixel for pixel in ())

        def detect(self, image):
            return Detections.none()

    with pytest.raises(ValueError, match="use memory=None"):
        FaceCropper(Unpicklable(), memory=tmp_path).fit(["a.jpg"])


def test_a_memory_that_can_not_be_made_is_named(astronaut, tmp_path):
    (tmp_path / "file").write_text("no folder")
    cropper = FaceCropper(memory=tmp_path / "file" / "boxes")
    with pytest.raises(ValueError, match=r"memory: the folder .*file.*memory=None"):
        cropper.fit_transform([astronaut])
