import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from _two_devices import drawn_faces, small_classifier
from sklearn.base import clone

TESTS = Path(__file__).parents[1]


def run_on_two_devices(case, folder):
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-m", "_two_devices", case, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    return json.loads((folder / "facts.json").read_text())


@pytest.mark.dist
@pytest.mark.timeout(1200)
def test_two_devices(tmp_path):
    facts = run_on_two_devices("mirrored", tmp_path)
    assert 0.85 < facts["accuracy on one"] < 1
    assert 0.85 < facts["accuracy on two"] < 1
    # 0.07 is three standard errors of the difference of two accuracies of 0.9 over 300 images.
    assert facts["accuracy on two"] == pytest.approx(facts["accuracy on one"], abs=0.07)
    # Equal if the batch statistics of the devices are merged.
    assert facts["val_loss"] == pytest.approx(facts["loss of predict_proba"], rel=1e-3)
    # A device has 150 images and a batch size of 8: 19 steps in each of 6 epochs.
    assert facts["steps of fit"] == 6 * 19
    assert facts["steps of partial_fit"] == 19
    assert "batch_size=1 for 2 devices" in facts["batch of one"]
    classifier = pickle.loads((tmp_path / "classifier.pickle").read_bytes())
    test = np.load(tmp_path / "test.npz")
    assert classifier.distribution == "mirrored"
    np.testing.assert_allclose(classifier.predict_proba(test["X"]), test["proba"], atol=1e-5)


@pytest.mark.dist
@pytest.mark.timeout(1200)
def test_search_with_a_strategy(tmp_path):
    facts = run_on_two_devices("strategy", tmp_path)
    assert facts["devices"] == 2
    assert facts["shared"]
    search = pickle.loads((tmp_path / "search.pickle").read_bytes())
    X, y = drawn_faces(60, 0)
    assert search.predict(X).tolist() == facts["predicted"]
    with pytest.raises(ValueError, match="MirroredStrategy of the process that pickled"):
        search.best_estimator_.fit(X, y)


@pytest.mark.slow
def test_strategy_of_one_device():
    X, y = drawn_faces(60, 0)
    plain = small_classifier().set_params(epochs=1, early_stopping=1)
    mirrored = clone(plain).set_params(distribution="mirrored")
    plain.fit(X, y)
    mirrored.fit(X, y)
    np.testing.assert_allclose(plain.predict_proba(X), mirrored.predict_proba(X), atol=1e-4)
    assert plain.history_["val_loss"] == pytest.approx(mirrored.history_["val_loss"], rel=1e-3)


def test_strategies_in_clones_and_pickles():
    for distribution in ["mirrored", tf.distribute.MirroredStrategy]:
        classifier = small_classifier().set_params(distribution=distribution)
        assert clone(classifier).distribution is distribution
        assert pickle.loads(pickle.dumps(classifier)).distribution == distribution
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    classifier = small_classifier().set_params(distribution=strategy)
    assert clone(classifier).distribution is strategy
    unpickled = pickle.loads(pickle.dumps(classifier))
    assert "<OneDeviceStrategy of another process>" in str(unpickled)
    with pytest.raises(ValueError, match="distribution was a OneDeviceStrategy"):
        unpickled.fit(*drawn_faces(30, 0))
    assert classifier.distribution is strategy
    X, y = drawn_faces(30, 0)
    with pytest.raises(ValueError, match="'mirrored'"):
        small_classifier().set_params(distribution="mirorred").fit(X, y)
    with pytest.raises(TypeError, match="returned dict; it must return a tf"):
        small_classifier().set_params(distribution=dict).fit(X, y)
