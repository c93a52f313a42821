import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from _utils import assert_same_weights
from sklearn.frozen import FrozenEstimator

from skfer import FacialExpressionClassifier
from skfer._training._callbacks import EarlyStopping, WeightAverage
from skfer._training._checkpoint import CheckpointFile, Progress, SaveCheckpoint
from skfer.datasets import make_faces


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise InterruptedError


@pytest.fixture(scope="module")
def faces():
    return make_faces(60, classes=["happy", "sad", "neutral"], random_state=0)


def interrupt(classifier, faces, epoch, **fit_params):
    with pytest.raises(InterruptedError):
        classifier.set_params(callbacks=[Interrupt(epoch)]).fit(
            faces.images, faces.labels, **fit_params
        )
    return classifier.set_params(callbacks=None)


RECIPES = {
    "plain": {"dropout": 0.3},
    "schedule, average": {"schedule": "cosine", "weight_average": 0.9, "augment": "light"},
    "plateau, early stopping": {"reduce_lr": {"patience": 1}, "early_stopping": 4},
    "two phases": {"fine_tune": {"frozen_epochs": 3}, "learning_rate": 0.01},
    "two phases, early stopping": {
        "early_stopping": 9,
        "learning_rate": 0.01,
        # The best epoch is in the first phase.
        "fine_tune": {"frozen_epochs": 3, "learning_rate": 10.0},
    },
    "sampled votes": {"vote_mode": "probabilistic", "label_smoothing": 0.1},
}


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 4])
@pytest.mark.parametrize("recipe", RECIPES)
def test_interrupted_fit(recipe, epoch, faces, small_network, tmp_path):
    settings = {"epochs": 6, "batch_size": 16, "random_state": 0, **RECIPES[recipe]}
    votes = np.eye(3)[np.unique(faces.labels, return_inverse=True)[1]] + 0.2
    fit_params = {"votes": votes} if "votes" in recipe else {}
    uninterrupted = FacialExpressionClassifier(small_network, **settings)
    uninterrupted.fit(faces.images, faces.labels, **fit_params)
    resumed = FacialExpressionClassifier(small_network, checkpoint_dir=tmp_path, **settings)
    interrupt(resumed, faces, epoch, **fit_params).fit(faces.images, faces.labels, **fit_params)
    assert resumed.n_iter_ == uninterrupted.n_iter_
    assert resumed.history_ == uninterrupted.history_
    assert resumed.fine_tune_epoch_ == uninterrupted.fine_tune_epoch_
    assert_same_weights(resumed, uninterrupted)
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_needs_a_seed(faces, tiny_network, tmp_path):
    classifier = FacialExpressionClassifier(tiny_network, checkpoint_dir=tmp_path)
    with pytest.raises(
        ValueError, match=r"checkpoint_dir=.* needs an int as random_state, not None"
    ):
        classifier.fit(faces.images, faces.labels)


def make_network(activation):
    def network(input_shape, n_outputs):
        return keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Conv2D(4, 3, strides=4, activation=activation),
                keras.layers.Flatten(),
                keras.layers.Dense(n_outputs, activation="softmax"),
            ]
        )

    return network


@pytest.mark.slow
def test_checkpoint_of_another_network(faces, tmp_path):
    settings = {"epochs": 3, "random_state": 0, "checkpoint_dir": tmp_path}
    first, second, third = (
        FacialExpressionClassifier(make_network(activation), **settings)
        for activation in ("relu", "tanh", "relu")
    )
    interrupt(first, faces, 2)
    (checkpoint,) = tmp_path.iterdir()
    second.fit(faces.images, faces.labels)
    assert list(tmp_path.iterdir()) == [checkpoint]
    third.fit(faces.images, faces.labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_checkpoint_with_equal_initial_weights(faces, small_network, tmp_path):
    def source():
        callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
        classifier = FacialExpressionClassifier(
            small_network, epochs=1, random_state=0, callbacks=[callback]
        )
        return FrozenEstimator(classifier.fit(faces.images, faces.labels))

    settings = {"epochs": 3, "random_state": 0, "checkpoint_dir": tmp_path}
    one, other = (
        FacialExpressionClassifier(small_network, weights=source(), **settings) for _ in range(2)
    )
    interrupt(one, faces, 2)
    other.fit(faces.images, faces.labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"augment": "flip"}, {"epochs": 4}])
def test_checkpoint_of_other_settings(change, faces, tiny_network, tmp_path):
    settings = {"epochs": 3, "random_state": 0, "checkpoint_dir": tmp_path}
    interrupt(FacialExpressionClassifier(tiny_network, **settings), faces, 2)
    (checkpoint,) = tmp_path.iterdir()
    other = FacialExpressionClassifier(tiny_network, **settings | change)
    expected = FacialExpressionClassifier(
        tiny_network, **settings | change | {"checkpoint_dir": None}
    )
    assert_same_weights(
        other.fit(faces.images, faces.labels), expected.fit(faces.images, faces.labels)
    )
    assert list(tmp_path.iterdir()) == [checkpoint]


@pytest.fixture(scope="module")
def saved_fit(faces, tmp_path_factory):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    network.compile("adam", "sparse_categorical_crossentropy")
    callbacks = [WeightAverage(0.9), EarlyStopping("loss", patience=3, best=None)]
    file = CheckpointFile(tmp_path_factory.mktemp("saved"), "0")
    saving = SaveCheckpoint(file, Progress(0, 0, 0), callbacks, None)
    network.fit(np.eye(4), np.arange(4) % 2, callbacks=[*callbacks, saving], verbose=0)
    with np.load(file.path) as stored:
        return network, callbacks, dict(stored)


def change_progress(**changes):
    def change(arrays):
        arrays["progress"] = np.array(json.dumps(json.loads(str(arrays["progress"])) | changes))

    return change


def change_array(name, change):
    def apply(arrays):
        arrays[name] = change(arrays[name])

    return apply


def _nan(array):
    return np.full_like(array, np.nan)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_array("network.00000", _nan), r"'network\.00000' holds NaN"),
        (change_array("average.00000", _nan), r"'average\.00000' holds NaN"),
        (change_array("own.00001", lambda array: array + np.inf), r"'own\.00001' holds NaN"),
        (change_array("optimizer.00001", lambda array: array * np.nan), r"'optimizer\.00001'"),
        (change_array("network.00000", lambda array: array[..., :1]), r"'network\.00000' is \("),
        (change_array("age.00000", lambda array: np.arange(3)), r"'age\.00000' is \(3,\)"),
        (lambda arrays: arrays.pop("network.00001"), "1 arrays of"),
        (lambda arrays: arrays.pop("age.00000"), "0 arrays of 'age'"),
        (lambda arrays: arrays.pop("own.00000"), "arrays of 'own'"),
        (lambda arrays: arrays.pop("progress"), "can't be used"),
        (change_progress(epochs=70), "70 of 3 epochs"),
        (change_progress(epochs=-1), "progress is damaged"),
        (change_progress(stopped="no"), "progress is damaged"),
        (change_progress(history={"loss": ["a"]}), "progress is damaged"),
        (change_progress(history={"loss": [1.0] * 500}), "history has more than"),
        (change_progress(callbacks=[{}, {"model": 1}]), "callbacks are others"),
    ],
)
def test_invalid_checkpoints(saved_fit, tmp_path, change, reason):
    network, callbacks, arrays = saved_fit
    file = CheckpointFile(tmp_path, "0")
    np.savez(file.path, **arrays)
    file.read().check(network, callbacks, phase_epochs=3)
    arrays = dict(arrays)
    change(arrays)
    np.savez(file.path, **arrays)
    with pytest.raises(ValueError, match=reason):
        file.read().check(network, callbacks, phase_epochs=3)


@pytest.mark.slow
def test_unusable_checkpoints(faces, tiny_network, tmp_path):
    classifier = FacialExpressionClassifier(
        tiny_network, epochs=2, random_state=0, checkpoint_dir=tmp_path
    )
    interrupt(classifier, faces, 1)
    (file,) = tmp_path.iterdir()
    with np.load(file) as stored:
        arrays = dict(stored)

    def assert_refused(reason):
        with pytest.raises(ValueError, match=rf"fit-.*npz.*{reason}.*Delete it"):
            classifier.fit(faces.images, faces.labels)

    np.savez(file, **arrays | {"network.00000": _nan(arrays["network.00000"])})
    assert_refused("NaN")
    np.savez(
        file,
        **arrays | {"progress": json.dumps(json.loads(str(arrays["progress"])) | {"phase": 7})},
    )
    assert_refused("phase 7 of 1")
    file.write_bytes(file.read_bytes()[:1000])
    assert_refused("")
    np.savez_compressed(file, bomb=np.zeros(10_000_000))
    assert_refused("unpacks to")
    file.unlink()
    os.mkfifo(file)
    assert_refused("it is a pipe")
    file.unlink()
    assert classifier.fit(faces.images, faces.labels).n_iter_ == 2


PROGRAM = """
import sys
import keras
from _utils import small_network
from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces

faces = make_faces(60, classes=["happy", "sad", "neutral"], random_state=0)
log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch + 1, flush=True))
classifier = FacialExpressionClassifier(
    small_network, epochs=25, batch_size=8, random_state=0, validation_fraction=0.2,
    reduce_lr=True, weight_average=0.9, checkpoint_dir=sys.argv[1], callbacks=[log],
)
classifier.fit(faces.images, faces.labels)
print("done after", classifier.n_iter_, len(classifier.history_["val_loss"]))
print("weights", sum(float(abs(w).sum()) for w in classifier.network_.get_weights()))
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[1],
    )


@pytest.mark.slow
def test_killed_fit(tmp_path):
    uninterrupted = start(tmp_path / "uninterrupted").communicate()[0].splitlines()
    assert uninterrupted[-2] == "done after 25 25"
    rng = random.Random(0)
    for number in range(int(os.environ.get("SKFER_KILLS", "1"))):
        folder = tmp_path / str(number)
        killed, last = start(folder), rng.randint(1, 20)
        while int(killed.stdout.readline()) < last:
            pass
        time.sleep(rng.uniform(0, 0.1))  # within an epoch or while the checkpoint is written
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        resumed = start(folder).communicate()[0].splitlines()
        assert resumed[-2:] == uninterrupted[-2:]
        assert int(resumed[0]) >= last  # only an epoch without a checkpoint is repeated
        assert list(folder.iterdir()) == []
