import copy
import multiprocessing
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from _utils import probabilities_and_threads
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skfer import ExpressionEmbedder
from skfer._utils import threads_allowed
from skfer.datasets import make_faces
from skfer.detection import MTCNNDetector
from skfer.recognition import FaceReader

N_THREADS = 8

# Haar may miss a face.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found")


@pytest.fixture(scope="module")
def photos():
    return list(make_faces(6, scene=(96, 128), random_state=1).images)


def run_in_threads(function):
    start = threading.Barrier(N_THREADS)

    def task():
        start.wait()
        return [function() for _ in range(3)]

    with ThreadPoolExecutor(N_THREADS) as pool:
        futures = [pool.submit(task) for _ in range(N_THREADS)]
    return [result for future in futures for result in future.result()]


@pytest.mark.parametrize(
    "state",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("fitted", "copied")), "unpickled"],
)
def test_predictions_in_threads(fitted_pipeline, photos, state):
    expected = fitted_pipeline.predict_proba(photos)
    pipeline = {
        "fitted": lambda: fitted_pipeline,
        # The threads start before the graph is compiled.
        "copied": lambda: copy.deepcopy(fitted_pipeline),
        "unpickled": lambda: pickle.loads(pickle.dumps(fitted_pipeline)),
    }[state]()
    for proba in run_in_threads(lambda: pipeline.predict_proba(photos)):
        np.testing.assert_array_equal(proba, expected)


def test_features_in_threads(fitted_pipeline, photos):
    pipelines = fitted_pipeline, pickle.loads(pickle.dumps(fitted_pipeline))
    one, other = (ExpressionEmbedder(FrozenEstimator(p)).fit(photos) for p in pipelines)
    expected = one.transform(photos)
    for features in run_in_threads(lambda: other.transform(photos)):
        np.testing.assert_array_equal(features, expected)


@pytest.mark.slow
def test_predictions_in_workers(fitted_pipeline):
    # The parent has used TensorFlow; workers must not wait for its threads.
    images = make_faces(5, random_state=1).images
    classifier = fitted_pipeline[-1]
    expected = classifier.predict_proba(images)
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        results = Parallel(n_jobs=2)(
            delayed(probabilities_and_threads)(classifier, images) for _ in range(2)
        )
    for probabilities, threads in results:
        for proba in probabilities:
            np.testing.assert_allclose(proba, expected, atol=1e-6)
        assert threads == (1, 1, 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes(fitted_pipeline):
    faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    fitted = fitted_pipeline[-1]
    expected = fitted.predict(faces.images).tolist()
    fit = delayed(clone(fitted).fit)(faces.images, faces.labels)
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        for labels in Parallel()([delayed(fitted.predict)(faces.images)] * 2):
            assert labels.tolist() == expected
        with pytest.raises(RuntimeError, match=r'forked.*"loky"'):
            Parallel()([fit, fit])


def run_in_fork(function):
    receiver, sender = multiprocessing.Pipe()

    def send_result():
        try:
            sender.send(function())
        except Exception as error:
            sender.send(error)

    child = multiprocessing.get_context("fork").Process(target=send_result)
    child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_reader(fitted_pipeline, photos):
    reader = FaceReader(fitted_pipeline, n_jobs=2)
    assert any(len(reading) for reading in reader.read(photos))  # starts its threads
    error = run_in_fork(lambda: reader.read(photos))
    assert isinstance(error, RuntimeError)
    assert "forked" in str(error)
    assert '"loky"' in str(error)
    # The network is not used without a face.
    blank = [np.zeros((96, 128, 3), np.uint8)] * 3
    assert run_in_fork(lambda: [len(reading) for reading in reader.read(blank)]) == [0, 0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_mtcnn(fitted_pipeline, photos):
    fitted_pipeline.predict(photos)  # starts TensorFlow, with or without the package mtcnn
    error = run_in_fork(lambda: MTCNNDetector().detect(photos[0]))
    assert isinstance(error, RuntimeError)
    assert "forked" in str(error)


@pytest.mark.parametrize(
    ("value", "threads"),
    [("1", 1), ("100000", os.cpu_count()), ("1,4", 1), ("0", None), ("9" * 50, None), ("x", None)],
)
def test_number_of_threads(monkeypatch, value, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads_allowed() == threads
