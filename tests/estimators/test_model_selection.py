import os
import pickle
import subprocess
import sys

import cv2
import joblib
import numpy as np
import pytest
from _utils import wide_network
from sklearn.base import BaseEstimator, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    check_cv,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces
from skfer.detection import HaarDetector
from skfer.estimators import _base

# Haar misses some of the faces that fill their image.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")

EXPRESSIONS = ["happy", "sad", "surprise"]


def small_network(input_shape, n_outputs):
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(n_outputs, activation="softmax"),
        ]
    )


class CountingDetector(BaseEstimator):
    def __init__(self, log):
        self.log = log

    def detect(self, image):
        with open(self.log, "a") as log:
            log.write("image\n")
        return HaarDetector().detect(image)


@pytest.fixture
def classifier():
    return FacialExpressionClassifier(
        small_network, epochs=8, batch_size=16, learning_rate=5e-3, augment=None, random_state=0
    )


@pytest.fixture
def pipeline(classifier):
    return Pipeline(
        [("cropper", FaceCropper()), ("resizer", GrayscaleResizer(24)), ("classifier", classifier)]
    )


@pytest.fixture(scope="module")
def faces():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "pose": 0}
    return make_faces(120, classes=EXPRESSIONS, **plain, return_X_y=True, random_state=0)


@pytest.fixture
def scene_files(tmp_path):
    scenes = make_faces(24, classes=EXPRESSIONS, scene=(96, 128), random_state=0)
    paths = [tmp_path / f"{number}.png" for number in range(len(scenes.images))]
    for path, image in zip(paths, scenes.images, strict=True):
        assert cv2.imwrite(str(path), image[..., ::-1])
    return paths, scenes.labels


@pytest.mark.slow
def test_calibrated_pipeline(classifier, pipeline, faces):
    for estimator in (classifier, pipeline):
        folds = check_cv(3, EXPRESSIONS * 4, classifier=is_classifier(estimator))
        assert isinstance(folds, StratifiedKFold)
    X_train, X_test, y_train, y_test = train_test_split(*faces, stratify=faces[1], random_state=0)
    fitted = CalibratedClassifierCV(pipeline, cv=2).fit(X_train, y_train)
    np.testing.assert_allclose(fitted.predict_proba(X_test).sum(axis=1), 1, rtol=1e-5)
    assert fitted.score(X_test, y_test) > 1.2 / len(EXPRESSIONS)


def test_pickles_of_other_versions(fitted_pipeline, monkeypatch):
    with monkeypatch.context() as past:
        past.setattr(_base, "package_versions", lambda: {"keras": "3.0.1"})
        pickled = pickle.dumps(fitted_pipeline["classifier"])
    with pytest.warns(UserWarning, match=r"was pickled with keras 3\.0\.1 \(here 3\."):
        pickle.loads(pickled)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["drawn", pytest.param("fer2013", marks=pytest.mark.real_data)])
def test_cross_validation(pipeline, data, request):
    if data == "drawn":
        X, y = request.getfixturevalue("faces")
    else:
        fer2013 = request.getfixturevalue("fer2013")
        rows = np.flatnonzero(np.isin(fer2013.labels, EXPRESSIONS))[:300]
        X, y = fer2013.images[rows], fer2013.labels[rows]
    scores = cross_validate(
        pipeline, X, y, cv=3, scoring=["neg_log_loss", "roc_auc_ovr"], error_score="raise"
    )
    assert scores["test_neg_log_loss"].mean() > -np.log(len(EXPRESSIONS))
    assert scores["test_roc_auc_ovr"].mean() > 0.55


@pytest.mark.slow
def test_grid_search_over_every_step(pipeline, faces, tiny_network):
    search = GridSearchCV(
        pipeline,
        [
            {"cropper__margin": [0.0, 0.2]},
            {"resizer__equalize": ["clahe"]},
            {"classifier__network": [tiny_network], "classifier__epochs": [1]},
            {"classifier__learning_rate": [1e-3]},
            {"classifier__augment": ["strong"]},
        ],
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
        scoring="neg_log_loss",
        error_score="raise",
    )
    search.fit(*faces)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == len(scores) == 6  # each parameter has an effect
    assert search.best_score_ > -np.log(len(EXPRESSIONS))
    np.testing.assert_array_equal(search.classes_, EXPRESSIONS)


@pytest.mark.slow
def test_parallel_search_detects_each_image_once(pipeline, scene_files, tmp_path):
    paths, labels = scene_files
    scores = []
    for n_jobs in (1, 2):
        log = tmp_path / f"{n_jobs}.log"
        pipeline.set_params(
            cropper__detector=CountingDetector(log), cropper__memory=tmp_path / f"cache{n_jobs}"
        )
        search = GridSearchCV(
            pipeline,
            {"cropper__margin": [0.0, 0.2]},
            cv=2,
            scoring="neg_log_loss",
            n_jobs=n_jobs,
            error_score="raise",
        )
        search.fit(paths, labels).score(paths, labels)
        assert len(log.read_text().splitlines()) == len(paths)
        scores.append([search.cv_results_[f"split{fold}_test_score"] for fold in range(2)])
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)
    assert len(np.unique(scores[0])) == 4


LOAD_AND_PREDICT = """
import pickle, warnings
import joblib
import numpy as np

faces = np.load("faces.npy")
warnings.filterwarnings("error", ".* was pickled with", UserWarning)
with open("pipeline.pickle", "rb") as file:
    models = [joblib.load("classifier.joblib"), joblib.load("pipeline.joblib"), pickle.load(file)]
np.save("probabilities.npy", [model.predict_proba(faces) for model in models])
"""


@pytest.mark.slow
def test_pickles_contain_the_weights_once(pipeline, tmp_path):
    faces = make_faces(30, classes=EXPRESSIONS, size=24, random_state=0)
    pipeline.set_params(classifier__network=wide_network, classifier__epochs=1)
    cropped = pipeline.fit(faces.images, faces.labels).predict_proba(faces.images)
    uncropped = pipeline[-1].predict_proba(faces.images[..., np.newaxis])
    np.save(tmp_path / "faces.npy", faces.images)
    joblib.dump(pipeline[-1], tmp_path / "classifier.joblib")
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    (tmp_path / "pipeline.pickle").write_bytes(pickle.dumps(pipeline))
    weights = sum(w.nbytes for w in pipeline[-1].network_.get_weights())
    for name in ("classifier.joblib", "pipeline.joblib", "pipeline.pickle"):
        assert weights < (tmp_path / name).stat().st_size < 1.02 * weights
    # So that the process can import the network.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", LOAD_AND_PREDICT], cwd=tmp_path, env=environment, check=True
    )
    np.testing.assert_array_equal(
        np.load(tmp_path / "probabilities.npy"), [uncropped, cropped, cropped]
    )


@pytest.mark.slow
def test_repeated_fits_are_silent(classifier, capfd, caplog):
    faces = make_faces(40, classes=EXPRESSIONS, size=24, random_state=0)
    classifier.set_params(epochs=1, early_stopping=True)
    for n_images in range(35, 41):  # TensorFlow warns about the fifth retracing
        classifier.fit(faces.images[:n_images], faces.labels[:n_images])
        classifier.predict(faces.images[: n_images // 2])
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")
