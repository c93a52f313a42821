"""Searches and predictions in the worker processes of a Dask cluster on this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from _dask import LoggedFit, LoggedImages, events_by_process
from _utils import tiny_network
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces
from skfer.distributed import on_dask, predict_folder

pytestmark = [
    pytest.mark.dist,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore:.* no face found:UserWarning"),
    # Dask warns if the machine is busy.
    pytest.mark.filterwarnings("ignore:Creating scratch directories is taking:UserWarning"),
]

CANDIDATES = {"learning_rate": [1e-4, 1e-3, 1e-2], "epochs": [2, 6]}
EXPRESSIONS = ["happy", "sad", "surprise"]


@pytest.fixture(scope="module")
def client():
    """Client of two worker processes that can import the modules of the tests."""
    distributed = pytest.importorskip("distributed")
    tests = Path(__file__).parent.parent
    with pytest.MonkeyPatch.context() as patch:
        path = [str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def faces():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "pose": 0}
    # Folds have more than 125 images: joblib only scatters arrays of more than a kilobyte.
    return make_faces(450, classes=EXPRESSIONS, size=24, **plain, random_state=0)


@pytest.fixture
def classifier():
    return FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)


@pytest.fixture(scope="module")
def folds(faces):
    return list(StratifiedKFold(2).split(faces.images, faces.labels))


@pytest.fixture(scope="module")
def local(faces, folds):
    """A search in this process."""
    classifier = FacialExpressionClassifier(tiny_network, random_state=0)
    return make_search(classifier, folds).fit(faces.images, faces.labels)


def make_search(classifier, folds, **parameters):
    return GridSearchCV(
        classifier,
        CANDIDATES,
        cv=folds,
        scoring="neg_log_loss",
        error_score="raise",
        **parameters,
    )


def assert_same_scores(search, local):
    assert search.best_params_ == local.best_params_
    scores, expected = (s.cv_results_["mean_test_score"] for s in (search, local))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_search(client, classifier, faces, folds, local, tmp_path):
    X, y = LoggedImages(faces.images, tmp_path), faces.labels
    search = make_search(classifier, folds)
    with on_dask(X, y, folds=folds):
        search.fit(X, y)
    assert_same_scores(search, local)
    counts, pids = events_by_process(tmp_path), client.run(os.getpid).values()
    assert [counts.get(pid) for pid in pids] == [1, 1]


def test_cross_val_score(client, classifier, faces, folds):
    X, y = faces.images, faces.labels
    with on_dask(X, y, folds=folds):
        scores = cross_val_score(classifier, X, y, cv=folds, error_score="raise")
    np.testing.assert_allclose(scores, cross_val_score(classifier, X, y, cv=folds))


def test_killed_worker(client, classifier, faces, folds, local, tmp_path):
    workers = set(client.run(os.getpid).values())
    killed = []

    def kill_third_worker():
        while sum(events_by_process(tmp_path).values()) < 3:
            time.sleep(0.01)
        newest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        killed.append(int(newest.name.split("-")[0]))
        os.kill(killed[0], signal.SIGKILL)

    classifier.set_params(callbacks=[LoggedFit(tmp_path)])
    search = make_search(classifier, folds, refit=False)
    killer = threading.Thread(target=kill_third_worker, daemon=True)
    with on_dask(faces.images, faces.labels, folds=folds, client=client):
        killer.start()
        search.fit(faces.images, faces.labels)
    assert set(killed) < workers
    assert sum(events_by_process(tmp_path).values()) > 12  # some fits were repeated
    assert_same_scores(search, local)


def test_predict_folder(client, fitted_pipeline, tmp_path):
    scenes = make_faces(10, classes=EXPRESSIONS, scene=(96, 128), random_state=1).images
    paths = [tmp_path / f"{i % 3}" / f"{i}.png" for i in range(len(scenes))]
    for path, scene in zip(paths, scenes, strict=True):
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), scene[..., ::-1])
    broken = tmp_path / "1" / "broken.jpg"
    broken.write_bytes(b"no image")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty.PNG").touch()

    table = predict_folder(tmp_path, fitted_pipeline, client=client, partition_size=3)
    invalid = [str(broken), str(tmp_path / "empty.PNG")]
    assert table["image"].tolist() == sorted([*map(str, paths), *invalid])
    valid = table[table["error"].isna()]
    assert sorted(table.loc[table["error"].notna(), "image"]) == invalid
    assert "broken.jpg" in table.set_index("image")["error"][invalid[0]]
    expected = fitted_pipeline.predict_proba(valid["image"].tolist())
    np.testing.assert_allclose(valid[EXPRESSIONS], expected, atol=1e-5)
    assert valid["expression"].tolist() == fitted_pipeline.predict(valid["image"].tolist()).tolist()
