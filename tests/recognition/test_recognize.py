import sys
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfer import (
    AbstainingClassifier,
    FaceCropper,
    FacialExpressionClassifier,
    GrayscaleResizer,
    recognize,
)
from skfer.datasets import make_faces
from skfer.detection import Detections, YuNetDetector
from skfer.recognition import FaceReader, image_files

CLASSES = ["happy", "sad", "surprise"]


class FixedDetector:
    def __init__(self, *boxes):
        self.boxes = boxes

    def detect(self, image):
        if image.max() == 0:
            return Detections.none()
        return Detections(np.array(self.boxes), np.linspace(0.9, 0.5, len(self.boxes)))


@pytest.fixture
def two_faces(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[:300, :400]
    return [astronaut, np.zeros((90, 80), np.uint8), gray]


@pytest.fixture
def detector():
    return FixedDetector((150, 40, 60, 60), (160, 60, 100, 100))


def test_table(two_faces, detector, fitted_pipeline):
    table = recognize(two_faces, fitted_pipeline, detector=detector)
    assert table.columns.tolist() == [
        *("image", "face", "x", "y", "width", "height", "confidence"),
        *("expression", "probability", *CLASSES),
    ]
    assert table["image"].tolist() == [0, 0, 1, 2, 2]
    assert table["face"].tolist() == [1, 2, pd.NA, 1, 2]
    assert table.loc[0, ["x", "y", "width", "height"]].tolist() == [160, 60, 100, 100]
    assert table.loc[1, "confidence"] == pytest.approx(0.9)
    assert table.loc[2, "face":].isna().all()
    found = table[table["expression"].notna()]
    np.testing.assert_allclose(found[CLASSES].sum(axis=1), 1, atol=1e-5)
    assert (found["expression"] == found[CLASSES].idxmax(axis=1)).all()
    np.testing.assert_array_equal(found["probability"], found[CLASSES].max(axis=1))


def test_probabilities_equal_predict_proba(photo_files, fitted_pipeline):
    table = recognize(photo_files, fitted_pipeline)
    largest = table[table["face"] == 1]
    assert largest["image"].tolist() == [str(path) for path in photo_files]
    np.testing.assert_allclose(
        largest[CLASSES], fitted_pipeline.predict_proba(photo_files), atol=1e-6
    )


@pytest.mark.slow
def test_batches_and_threads_change_nothing(photo_files, fitted_pipeline):
    photos = photo_files * 3
    together = recognize(photos, fitted_pipeline)
    for options in ({"batch_size": 5, "n_jobs": 1}, {"batch_size": 1, "n_jobs": 3}):
        other = recognize(photos, fitted_pipeline, **options)
        pd.testing.assert_frame_equal(together, other, rtol=1e-4)


def test_folder(photo_files, fitted_pipeline, tmp_path):
    folder = photo_files[0].parent
    (folder / "notes.txt").write_text("no image")
    table = recognize(folder, fitted_pipeline)
    assert table["image"].unique().tolist() == sorted(map(str, photo_files))
    with pytest.raises(ValueError, match=r"no file or folder '.*missing\.png'"):
        recognize(tmp_path / "missing.png", fitted_pipeline)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        recognize(tmp_path / "empty", fitted_pipeline)


def test_links_out_of_a_folder_are_left_out(photo_files, tmp_path):
    folder = photo_files[0].parent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.png").symlink_to(photo_files[0])
    with pytest.raises(ValueError, match=r"link\.png' is a link to .*Copy the files"):
        image_files(elsewhere)
    (folder / "a.png").symlink_to(elsewhere / "missing.png")
    (folder / "inside.png").symlink_to(photo_files[0].name)
    with pytest.warns(UserWarning, match=r"1 of 6 images .*a\.png' is a link"):
        files = image_files(folder)
    assert files == sorted([*photo_files, folder / "inside.png"])


def test_heic_photos_and_videos_of_a_folder(tmp_path, fitted_pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    photo, film = tmp_path / "IMG_1.HEIC", tmp_path / "IMG_2.mp4"
    photo.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    film.write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    table = recognize(tmp_path, fitted_pipeline, on_error="keep")
    assert table["image"].tolist() == [str(photo)]
    assert "is HEIC. Reading it needs" in table["error"][0]
    with pytest.raises(ValueError, match=r"it is a video, which skfer\.video"):
        recognize([film], fitted_pipeline)


def test_missing_model_of_a_detector_is_not_kept(astronaut, fitted_pipeline, tmp_path):
    detector = YuNetDetector(tmp_path / "nowhere.onnx")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        recognize([astronaut], fitted_pipeline, detector=detector, on_error="keep")


@pytest.mark.parametrize("whole_below", [0, 100])
def test_missing_model_of_a_cropper_is_not_kept(astronaut, fitted_pipeline, tmp_path, whole_below):
    cropper = FaceCropper(YuNetDetector(tmp_path / "nowhere.onnx"), whole_below=whole_below)
    pipeline = Pipeline([("cropper", cropper), *fitted_pipeline.steps[1:]])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        recognize([astronaut], pipeline, on_error="keep")


def test_table_without_any_face(fitted_pipeline):
    table = recognize(np.zeros((2, 64, 64), np.uint8), fitted_pipeline)
    assert table["image"].tolist() == [0, 1]
    assert table["expression"].isna().all()
    assert table["happy"].dtype == np.float64


def test_unreadable_file_of_a_batch(photo_files, fitted_pipeline):
    photo_files[2].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"X\[2\] .*gray\.png.* can't be decoded") as caught:
        recognize(photo_files, fitted_pipeline, batch_size=2)
    assert 'on_error="keep"' in caught.value.__notes__[0]
    table = recognize(photo_files, fitted_pipeline, on_error="keep")
    failed = table["image"] == str(photo_files[2])
    assert "gray.png" in table["error"][failed].item()
    assert table["expression"].isna().tolist() == failed.tolist()
    assert table["error"].notna().tolist() == failed.tolist()


def test_text_instead_of_a_photo(fitted_pipeline, astronaut):
    text = "data:image/jpeg;base64,/9j/4AAQSkZJRg" + "AAAA" * 10_000
    table = recognize([astronaut, text], fitted_pipeline, on_error="keep")
    assert "base64.b64decode" in table["error"].iloc[-1]
    assert len(table["error"].iloc[-1]) < 300


def test_objects_that_cannot_be_arrays(fitted_pipeline, astronaut):
    class NoArray:
        def __init__(self, error):
            self.error = error

        def __array__(self, dtype=None, copy=None):
            raise self.error

    images = [astronaut, NoArray(MemoryError()), NoArray(TypeError("on a GPU")), astronaut]
    table = recognize(images, fitted_pipeline, on_error="keep").drop_duplicates("image")
    assert table["image"].tolist() == [0, 1, 2, 3]
    assert table["error"].tolist()[1:3] == [
        "X[1] can't be read: MemoryError",
        "X[2] can't be read: on a GPU",
    ]
    with pytest.raises(TypeError, match="on a GPU"):
        recognize(images[2:], fitted_pipeline)


def test_faulty_images_are_kept_with_an_error(fitted_pipeline, astronaut):
    class Picky(FixedDetector):
        def detect(self, image):
            if image[0, 0, 0] == 13:
                raise RuntimeError("no thirteens")
            return super().detect(image)

    thirteen, sound = astronaut.copy(), astronaut
    thirteen[0, 0] = 13
    images = [sound, thirteen, sound / 255, np.zeros((9, 9, 4), np.uint8), sound]
    detector = Picky((150, 40, 60, 60))
    table = recognize(images, fitted_pipeline, detector=detector, on_error="keep")
    assert table["image"].tolist() == [0, 1, 2, 3, 4]
    assert table["expression"].isna().tolist() == [False, True, True, True, False]
    assert table["error"].isna().tolist() == [True, False, False, False, True]
    assert table["error"][1] == "X[1] can't be searched for faces: no thirteens"
    assert table["error"][2].startswith(
        "X[2] has faces that can't be classified: face 1 has values"
    )
    assert "shape (9, 9, 4)" in table["error"][3]
    with pytest.raises(RuntimeError, match="no thirteens"):
        recognize(images, fitted_pipeline, detector=detector)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "columns"), [(["face", "p_face"], ["p_p_face", "p_face"]), ([3, 5], ["3", "5"])]
)
def test_class_columns_are_unique(classes, columns, detector, two_faces, tiny_network):
    faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    labels = np.array(classes)[faces.target]
    classifier = FacialExpressionClassifier(tiny_network, epochs=1, random_state=0)
    table = recognize(two_faces, classifier.fit(faces.images, labels), detector=detector)
    assert table.columns[-2:].tolist() == columns
    assert set(table["expression"].dropna()) <= set(classes)


def test_nested_pipelines(two_faces, detector, fitted_pipeline):
    cropper, resizer, classifier = (step for _, step in fitted_pipeline.steps)
    nested = Pipeline(
        [
            ("nothing", "passthrough"),
            ("who", FaceCropper(detector, margin=0.1)),
            ("what", make_pipeline(resizer, classifier)),
        ]
    )
    expected = recognize(two_faces, fitted_pipeline, detector=detector)
    pd.testing.assert_frame_equal(expected, recognize(two_faces, nested))
    assert cropper.detector == "haar"  # the pipeline is not modified


def test_pipelines_without_a_cropper(two_faces, detector, fitted_pipeline):
    table = recognize(two_faces, fitted_pipeline[1:], detector=detector)
    assert len(table) == 5
    bare = recognize(two_faces, fitted_pipeline["classifier"], detector=detector)
    pd.testing.assert_frame_equal(table, bare)


def test_reader(two_faces, detector, fitted_pipeline):
    reader = FaceReader(fitted_pipeline, detector=detector)
    readings = reader.read(two_faces)
    assert [len(reading) for reading in readings] == [2, 0, 2]
    assert [reading.probabilities.shape for reading in readings] == [(2, 3), (0, 3), (2, 3)]
    table = recognize(two_faces, reader)
    found = np.concatenate([reading.probabilities for reading in readings])
    np.testing.assert_allclose(table[reader.classes].dropna(), found, atol=1e-5)
    with pytest.raises(ValueError, match="has its own detector"):
        recognize(two_faces, reader, detector="haar")


def test_abstention(two_faces, detector, fitted_pipeline):
    sure = recognize(two_faces, fitted_pipeline, detector=detector)
    threshold = sure["probability"].median()
    around = AbstainingClassifier(fitted_pipeline, threshold=threshold)
    *steps, (name, classifier) = fitted_pipeline.steps
    inside = Pipeline([*steps, (name, AbstainingClassifier(classifier, threshold=threshold))])
    expected = sure["expression"].mask(sure["probability"] < threshold, "unsure")
    assert "unsure" in expected.tolist()
    for careful in (around, inside):
        table = recognize(two_faces, careful, detector=detector)
        pd.testing.assert_series_equal(table["expression"], expected)
        pd.testing.assert_frame_equal(
            table.drop(columns="expression"), sure.drop(columns="expression")
        )
    unsure = AbstainingClassifier(fitted_pipeline[-1], threshold=1)
    table = recognize(two_faces, make_pipeline(FaceCropper(), unsure), detector=detector)
    assert table["expression"].dropna().unique().tolist() == ["unsure"]


def test_unfitted_abstaining_classifier():
    with pytest.raises(NotFittedError, match="AbstainingClassifier instance is not fitted"):
        FaceReader(AbstainingClassifier(make_pipeline(FacialExpressionClassifier())))


@pytest.mark.parametrize(("label", "dtype"), [(None, "Int64"), (-1.5, "float64")])
def test_abstention_of_classes_that_are_numbers(two_faces, label, dtype):
    numbers = DummyClassifier(strategy="uniform").fit(np.zeros((3, 1)), [0, 1, 2])
    unsure = AbstainingClassifier(numbers, threshold=0.9, abstention_label=label)
    table = recognize(two_faces, make_pipeline(FaceCropper("haar"), unsure))
    assert table["expression"].dtype == dtype
    assert set(table["expression"].dropna()) == {label or -1}


@pytest.mark.parametrize("align", [False, True])
def test_refined_landmarks(photo_files, fitted_pipeline, align):
    class Landmarks(FixedDetector, BaseEstimator):
        asked = []

        def __init__(self, refine_landmarks=True):
            self.refine_landmarks = refine_landmarks

        def detect(self, image):
            self.asked.append(self.refine_landmarks)
            eyes_nose_mouth = [[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]]
            return Detections([[30, 30, 40, 40]], [0.9], [eyes_nose_mouth])

    detector = Landmarks()
    cropper = FaceCropper(detector, align=align)
    table = recognize(photo_files, Pipeline([("c", cropper), *fitted_pipeline.steps[1:]]))
    assert len(table) == 4
    assert Landmarks.asked == [align] * 4
    assert detector.refine_landmarks


def test_invalid_pipelines(fitted_pipeline):
    photos = np.zeros((1, 64, 64), np.uint8)
    with pytest.raises(ValueError, match="must be the first step"):
        recognize(photos, Pipeline([("f", FunctionTransformer()), *fitted_pipeline.steps]))
    with pytest.raises(TypeError, match="ends in a GrayscaleResizer"):
        recognize(photos, make_pipeline(FaceCropper(), GrayscaleResizer()))
    with pytest.raises(NotFittedError, match="LogisticRegression is not fitted"):
        recognize(photos, make_pipeline(FaceCropper(), LogisticRegression()))
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted_pipeline))
    with pytest.raises(ValueError, match="contains a FaceCropper"):
        recognize(photos, calibrated)
    ridge = RidgeClassifier().fit([[0.0], [1.0]], ["happy", "sad"])
    with pytest.raises(TypeError, match="RidgeClassifier has no predict_proba"):
        recognize(photos, make_pipeline(FaceCropper(), ridge))


@pytest.mark.parametrize(
    ("option", "value"),
    [("on_error", "drop"), ("batch_size", 0), ("n_jobs", 0), ("on_missing", "whole")],
)
def test_invalid_options(fitted_pipeline, option, value):
    with pytest.raises(ValueError, match=f"{option}.*{value!r}"):
        recognize(np.zeros((1, 64, 64), np.uint8), fitted_pipeline, **{option: value})


def test_closed_iterator(two_faces, fitted_pipeline):
    released = threading.Event()

    class Slow(FixedDetector):
        calls = 0

        def detect(self, image):
            type(self).calls += 1
            if self.calls == 3:  # the first of the second batch
                released.wait(60)
            return super().detect(image)

    reader = FaceReader(fitted_pipeline, detector=Slow(), n_jobs=1)
    batches = reader.read_batches([two_faces[0]] * 8, batch_size=2)
    assert len(next(batches)) == 2
    batches.close()
    released.set()
    reader._threads.shutdown()
    assert Slow.calls <= 3


def test_photo_without_a_face_is_classified_as_a_whole(two_faces, detector, fitted_pipeline):
    photos = two_faces[:2]
    blank = recognize(photos, fitted_pipeline, detector=detector)
    assert blank.loc[2, "face":].isna().all()
    table = recognize(photos, fitted_pipeline, detector=detector, on_missing="image")
    pd.testing.assert_frame_equal(table[:2], blank[:2])
    whole = table.loc[2]
    assert whole[["face", "confidence"]].isna().all()
    assert whole[["x", "y", "width", "height"]].tolist() == [0, 0, 80, 90]
    with pytest.warns(UserWarning, match=r"1 of 1 images: no face found in X\[0\]; the whole"):
        [expected] = fitted_pipeline.predict_proba([photos[1]])
    np.testing.assert_allclose(whole[CLASSES].tolist(), expected, atol=1e-6)
    part = {"detector": detector, "on_missing": "image", "region": (0.25, 0, 1, 0.5)}
    [row] = recognize(photos[1:], fitted_pipeline, **part).to_dict("records")
    assert [row[name] for name in ("x", "y", "width", "height")] == [20, 0, 60, 45]


def test_photo_without_a_face_is_refused(two_faces, detector, fitted_pipeline, tmp_path):
    path = tmp_path / "landscape.png"
    cv2.imwrite(str(path), two_faces[1])
    images, options = [two_faces[0], path], {"detector": detector, "on_missing": "raise"}
    with pytest.raises(ValueError, match=r"No face found in X\[1\] \('.*landscape.png'\) .*blank"):
        recognize(images, fitted_pipeline, **options)
    with pytest.raises(ValueError, match=r"X\[9\] and 2 more \(on_missing"):
        recognize([two_faces[1]] * 12, fitted_pipeline, **options)
    kept = recognize(images, fitted_pipeline, **options, on_error="keep")
    assert kept["image"].tolist() == [0, 0, str(path)]
    assert kept["error"].notna().tolist() == [False, False, True]
    assert "landscape.png') has no face" in kept["error"][2]
