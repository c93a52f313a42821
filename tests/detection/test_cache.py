import contextlib
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skfer import FaceCropper
from skfer.detection import Detections, HaarDetector, _cache

NO_WARNING = contextlib.nullcontext()


class CountingDetector(BaseEstimator):
    def __init__(self, log):
        self.log = log

    def detect(self, image):
        joblib.dump(joblib.hash(image), Path(self.log) / f"{time.monotonic_ns()}")
        return HaarDetector().detect(image)

    def seen(self):
        return [joblib.load(call) for call in Path(self.log).iterdir()]


@pytest.fixture
def counting(tmp_path):
    (tmp_path / "log").mkdir()
    return CountingDetector(str(tmp_path / "log"))


@pytest.fixture
def cropper(counting, tmp_path):
    return FaceCropper(counting, memory=tmp_path / "cache")


def assert_same_crops(crops, others):
    for one, other in zip(crops, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("as_memory", [True, False])
def test_paths_and_joblib_memory(counting, photo_files, tmp_path, as_memory):
    memory = joblib.Memory(tmp_path / "m", verbose=0) if as_memory else tmp_path / "m"
    cropper = FaceCropper(counting, memory=memory)
    first = cropper.fit_transform(photo_files)
    again = clone(cropper).set_params(margin=0.0, select="central").transform(photo_files)
    assert len(counting.seen()) == len(photo_files)
    assert_same_crops(again, first)
    if as_memory:
        memory.clear(warn=False)
        cropper.transform(photo_files)
        assert len(counting.seen()) == 2 * len(photo_files)


def test_memory_without_a_location(counting, photo_files):
    cropper = FaceCropper(counting, memory=joblib.Memory(None))
    cropper.transform(photo_files[:1])
    cropper.transform(photo_files[:1])
    assert len(counting.seen()) == 2


def test_cache_of_detectors_with_other_settings(astronaut, tmp_path):
    def count(**settings):
        cropper = FaceCropper(HaarDetector(**settings), memory=tmp_path / "cache")
        return len(cropper.detect([astronaut])[0])

    assert [count(), count(min_face_size=480), count()] == [1, 0, 1]


def test_images_without_a_face_are_cached(counting, cropper):
    for _ in range(2):
        assert len(cropper.detect([np.zeros((40, 40), np.uint8)])[0]) == 0
    assert len(counting.seen()) == 1


def test_landmarks_are_cached(tmp_path):
    class WithLandmarks(BaseEstimator):
        calls = 0

        def detect(self, image):
            type(self).calls += 1
            return Detections([[1, 2, 30, 40]], [0.7], np.arange(10))

    cropper = FaceCropper(WithLandmarks(), memory=tmp_path / "landmarks")
    image = np.zeros((50, 50), np.uint8)
    (first,), (again,) = cropper.detect([image]), cropper.detect([image])
    assert WithLandmarks.calls == 1
    np.testing.assert_array_equal(again.boxes, first.boxes)
    np.testing.assert_array_equal(again.scores, first.scores)
    np.testing.assert_array_equal(again.landmarks, first.landmarks)


def test_damaged_entries_are_replaced(counting, cropper, photo_files, tmp_path):
    crops = cropper.transform(photo_files)
    entries = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(entries) == len(photo_files)
    entries[0].write_bytes(b"")
    entries[1].write_bytes(entries[1].read_bytes()[:-3])
    entries[2].write_bytes(b"something else")
    np.save(entries[3], np.zeros(7))
    assert_same_crops(cropper.transform(photo_files), crops)
    assert len(counting.seen()) == 2 * len(photo_files)


def test_entries_are_read_without_ast(counting, cropper, photo_files, monkeypatch):
    crops = cropper.transform(photo_files)

    def parse(*arguments):
        raise SystemError("AST constructor recursion depth mismatch")  # as 3.11 does

    monkeypatch.setattr("ast.literal_eval", parse)
    assert_same_crops(cropper.transform(photo_files), crops)
    assert len(counting.seen()) == len(photo_files)


@pytest.fixture
def entry(cropper, photo_files, tmp_path):
    cropper.detect(photo_files[:1])
    (path,) = (tmp_path / "cache").rglob("*.npy")
    path.unlink()
    return path


CLAIM = """
import sys, time
from skfer.detection._cache import _lock
from pathlib import Path
with _lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_lock_of_a_killed_process_is_released(cropper, photo_files, entry):
    claim = entry.with_suffix(".claim")
    other = subprocess.Popen([sys.executable, "-c", CLAIM, claim], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"locked\n"
    other.kill()
    other.communicate()
    assert claim.exists()
    cropper.detect(photo_files[:1])
    assert entry.exists()
    assert not claim.exists()


def test_waiting_for_a_lock_is_limited(cropper, photo_files, entry, monkeypatch):
    monkeypatch.setattr("skfer.detection._cache._WAIT_SECONDS", 0.05)
    with _cache._lock(entry.with_suffix(".claim")):
        cropper.detect(photo_files[:1])
    assert entry.exists()


def test_lock_is_released_after_an_error(tmp_path):
    class Failing(BaseEstimator):
        def detect(self, image):
            assert list(tmp_path.rglob("*.claim"))
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        FaceCropper(Failing(), memory=tmp_path).detect([np.zeros((30, 30), np.uint8)])
    assert not list(tmp_path.rglob("*.claim"))


def _lock_of_the_future(path):
    path.touch()
    os.utime(path, (4e9, 4e9))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        _lock_of_the_future,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
        Path.mkdir,
    ],
    ids=["future", "dangling link", "device", "pipe", "folder"],
)
@pytest.mark.parametrize("suffix", [".npy", ".claim"])
def test_special_files_in_the_cache(cropper, photo_files, tmp_path, entry, make, suffix):
    make(entry.with_suffix(suffix))
    folder_in_place = suffix == ".npy" and make is Path.mkdir
    with (
        pytest.warns(UserWarning, match="detections can't be written")
        if folder_in_place
        else NO_WARNING
    ):
        (faces,) = cropper.detect(photo_files[:1])
    assert len(faces) == 1
    assert not (tmp_path / "nowhere").exists()
    assert entry.is_file() or folder_in_place


@pytest.mark.parametrize(
    "row",
    [
        [np.nan, 1, 9, 9, 1],
        [1, 1, np.inf, 9, 1],
        [1, 1, 9, 9, np.nan],
        [1, 1, 1e9, 1e9, 1],
        [-1e300, 1, 9, 9, 1],
        [1, 1, 0, 9, 1],
        [1, 1, 9, -9, 1],
    ],
)
def test_invalid_boxes_are_replaced(counting, cropper, photo_files, entry, row):
    np.save(entry, np.array([row], "<f8"))
    (faces,) = cropper.detect(photo_files[:1])
    (again,) = cropper.detect(photo_files[:1])
    np.testing.assert_array_equal(again.boxes, faces.boxes)
    assert faces.boxes.max() < 1000
    assert len(counting.seen()) == 2


def test_huge_entry_is_not_read(cropper, photo_files, entry):
    np.save(entry, np.ones((1, 5), "<f8"))
    os.truncate(entry, 10**12)
    cropper.detect(photo_files[:1])
    assert entry.stat().st_size < 1000


def test_full_disk_disables_the_cache(cropper, photo_files, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name, message in (
        ("pathlib.Path.touch", "No space left"),
        ("skfer.detection._cache.np.save", "No space left"),
        ("pathlib.Path.mkdir", "can't be written"),
    ):
        with monkeypatch.context() as full:
            full.setattr(name, fail)
            with pytest.warns(UserWarning, match=message):
                (faces,) = cropper.detect(photo_files[:1])
        assert len(faces) == 1
        assert not list(tmp_path.rglob("*.npy"))
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_detector_that_cannot_be_pickled(tmp_path):
    class Unpicklable:
        def __init__(self):
            self.model = (pixel for pixel in ())

        def detect(self, image):
            return Detections.none()

    with pytest.raises(ValueError, match="use memory=None"):
        FaceCropper(Unpicklable(), memory=tmp_path).fit(["a.jpg"])


def test_folder_that_cannot_be_created(tmp_path, astronaut):
    (tmp_path / "file").write_text("no folder")
    cropper = FaceCropper(memory=tmp_path / "file" / "boxes")
    with pytest.raises(ValueError, match=r"memory: the folder .*file.*memory=None"):
        cropper.fit_transform([astronaut])
