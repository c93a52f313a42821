import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import keras
import numpy as np
import pytest
from _utils import assert_same_weights
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skfer import FacialAffectRegressor, FacialExpressionClassifier
from skfer._training._checkpoint import CheckpointFile, Progress


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 156, (96, 16, 16), dtype=np.uint8)
    y = np.where(rng.random(96) < 0.6, "surprise", "happy")
    X[y == "surprise", :8] += 100
    X[y == "happy", 8:] += 100
    return X, y


@pytest.fixture
def settings(tiny_network):
    return {
        "network": tiny_network,
        "epochs": 3,
        "batch_size": 20,  # the last batch is smaller
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "random_state": 0,
    }


def estimators(settings, y):
    ratings = np.where(y == "happy", 0.8, -0.6)
    yield FacialExpressionClassifier(**settings), y
    yield FacialAffectRegressor(**settings), ratings
    yield FacialAffectRegressor(loss="concordance", **settings), ratings


@pytest.mark.slow
def test_scale_of_sample_weights(halves, settings):
    X, y = halves
    weights = np.random.default_rng(1).random(len(y)) + 0.1
    kinds = estimators(settings | {"validation_fraction": 0.3}, y)
    for (estimator, targets), scale in zip(kinds, (1e-6, 1e3, 1e200), strict=True):
        one, other = (
            clone(estimator).fit(X, targets, sample_weight=factor * weights)
            for factor in (1.0, scale)
        )
        assert_same_weights(one, other, rtol=1e-4, atol=1e-5)
        assert one.history_["val_loss"] == pytest.approx(other.history_["val_loss"], rel=1e-3)
    for estimator, targets in list(estimators(settings, y))[:2]:
        one = clone(estimator).fit(X, targets)
        other = clone(estimator).fit(X, targets, sample_weight=np.full(len(y), 1 / len(y)))
        assert_same_weights(one, other)
    weights = np.random.default_rng(1).random(len(y)) + 0.1
    for estimator, targets in list(estimators(settings, y))[:2]:
        first = {"classes": ["happy", "surprise"]} if targets.dtype.kind == "U" else {}
        one, other = clone(estimator), clone(estimator)
        for part in (slice(0, 50), slice(50, 96)):
            one.partial_fit(X[part], targets[part], sample_weight=weights[part], **first)
            other.partial_fit(X[part], targets[part], sample_weight=weights[part] / 1e4, **first)
        assert_same_weights(one, other, rtol=1e-4, atol=1e-5)


def test_weighted_losses(halves, settings):
    X, y = halves
    weights = np.random.default_rng(1).random(len(y)) * 50
    settings = settings | {"learning_rate": 1e-9, "epochs": 1, "augment": None}
    settings["validation_fraction"] = 0.5
    classifier = FacialExpressionClassifier(**settings).fit(X, y, sample_weight=weights)
    for rows, name in zip(held_out_rows(classifier, y, 0.5), ("loss", "val_loss"), strict=True):
        expected = log_loss(y[rows], classifier.predict_proba(X[rows]), sample_weight=weights[rows])
        assert classifier.history_[name][0] == pytest.approx(expected, rel=0.02)


def held_out_rows(classifier, y, fraction):
    return train_test_split(
        np.arange(len(y)), test_size=fraction, stratify=y, random_state=classifier._seed
    )


def test_adaboost_and_zero_weights(halves, settings):
    X, y = halves
    boosted = AdaBoostClassifier(
        FacialExpressionClassifier(**settings | {"epochs": 10}), n_estimators=2, random_state=0
    )
    assert boosted.fit(X, y).score(X, y) > 0.95
    for estimator, targets in list(estimators(settings, y))[:2]:
        first = {"classes": ["happy", "surprise"]} if targets.dtype.kind == "U" else {}
        with pytest.raises(ValueError, match=r"non-zero number|weight is 0 for every"):
            estimator.fit(X, targets, sample_weight=np.zeros(len(y)))
        with pytest.raises(ValueError, match=r"non-zero number|weight is 0 for every"):
            estimator.partial_fit(X, targets, sample_weight=np.zeros(len(y)), **first)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"happy": -1.0}, r"class_weight\['happy'\] is -1.0: a weight must be a finite number"),
        ({"happy": np.nan}, r"class_weight\['happy'\] is nan"),
        ({"happy": np.inf}, r"class_weight\['happy'\] is inf"),
        ({"happy": "2"}, r"class_weight\['happy'\] is '2'"),
        ({"happy": 0, "surprise": 0.0}, "class_weight is 0 for every class"),
        ({"glad": 2.0}, "class_weight has a weight for 'glad', which is not one of the classes"),
        ({0: 1.0, 1: 2.0}, "class_weight has a weight for 0"),
    ],
)
def test_invalid_class_weights(halves, settings, weights, message):
    X, y = halves
    classifier = FacialExpressionClassifier(class_weight=weights, **settings)
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(X, y, classes=["happy", "surprise"])


@pytest.mark.slow
def test_class_weights(halves, settings):
    X, y = halves
    one, other = (
        FacialExpressionClassifier(
            class_weight={"happy": 3 * scale, "surprise": scale}, **settings
        ).fit(X, y)
        for scale in (1, 1e5)
    )
    assert_same_weights(one, other, rtol=1e-4, atol=1e-5)
    # Equal to the same sample weights.
    weighted = FacialExpressionClassifier(**settings)
    weighted.fit(X, y, sample_weight=np.where(y == "happy", 3, 1))
    assert_same_weights(one, weighted, rtol=1e-4, atol=1e-5)
    happy, labels = X[y == "happy"][:20], ["happy"] * 20
    classes = ["happy", "surprise"]
    start = FacialExpressionClassifier(**settings | {"learning_rate": 1e-12})
    start.partial_fit(happy, labels, classes=classes)
    steps = []
    for weight in (1.0, 3.0):
        classifier = FacialExpressionClassifier(
            class_weight={"happy": weight, "surprise": 1.0}, **settings | {"learning_rate": 1e-3}
        )
        classifier.partial_fit(happy, labels, classes=classes)
        pairs = zip(classifier.network_.get_weights(), start.network_.get_weights(), strict=True)
        steps.append(np.sqrt(sum(((a - b) ** 2).sum() for a, b in pairs)))
    # Scaled to a mean of 1, the weights 3 and 1 are 1.5 and 0.5.
    assert steps[1] / steps[0] == pytest.approx(1.5, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("class_weight", ["balanced", {"happy": 5.0, "surprise": 1.0}])
def test_validation_images_have_equal_weights(halves, settings, class_weight):
    X, y = halves
    settings = settings | {"class_weight": class_weight, "early_stopping": 1}
    by_fraction = FacialExpressionClassifier(validation_fraction=0.3, **settings).fit(X, y)
    train, val = held_out_rows(by_fraction, y, 0.3)
    by_images = FacialExpressionClassifier(**settings)
    by_images.fit(X[train], y[train], X_val=X[val], y_val=y[val])
    assert by_fraction.history_ == by_images.history_
    expected = log_loss(y[val], by_fraction.predict_proba(X[val]))
    assert min(by_fraction.history_["val_loss"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("weight_average", [None, 0.5])
def test_best_epoch_in_the_frozen_phase(halves, small_network, weight_average):
    X, y = halves
    classifier = FacialExpressionClassifier(
        small_network,
        epochs=5,
        early_stopping=True,
        optimizer="sgd",
        learning_rate=0.05,
        # This learning rate makes every epoch of the second phase worse.
        fine_tune={"frozen_epochs": 3, "learning_rate": 100.0},
        weight_average=weight_average,
        random_state=0,
    )
    classifier.fit(X[32:], y[32:], X_val=X[:32], y_val=y[:32])
    losses = classifier.history_["val_loss"]
    assert len(losses) == 5
    assert int(np.argmin(losses)) < 3
    restored = log_loss(y[:32], classifier.predict_proba(X[:32]))
    assert restored == pytest.approx(min(losses), rel=1e-3)


def test_concurrent_fits_with_a_checkpoint(halves, settings, tmp_path):
    settings = settings | {"epochs": 6, "checkpoint_dir": tmp_path}
    fits = [FacialExpressionClassifier(**settings) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        fits = list(pool.map(lambda classifier: classifier.fit(*halves), fits))
    assert_same_weights(*fits, rtol=1e-5, atol=1e-6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock folders")
def test_remove_while_writing(tmp_path, monkeypatch):
    one, other = (CheckpointFile(tmp_path, "0123456789abcdef") for _ in range(2))
    (tmp_path / ".fit-0123456789abcdef.killed.npz").write_bytes(b"half")
    writing, resume = threading.Event(), threading.Event()
    write = np.savez

    def slow(*args, **kwargs):
        writing.set()
        assert resume.wait(60)
        write(*args, **kwargs)

    monkeypatch.setattr(np, "savez", slow)
    with ThreadPoolExecutor(2) as pool:
        written = pool.submit(one.write, Progress(0, 0, 1), {"network": []})
        assert writing.wait(60)
        removed = pool.submit(other.remove)
        wait([removed], 0.2)
        assert len(list(tmp_path.glob(".fit-*"))) == 2
        resume.set()
        written.result(60)
        removed.result(60)
    assert list(tmp_path.iterdir()) == []
    assert one.read() is None


@pytest.mark.slow
def test_partial_fit_reuses_the_traced_step(halves, small_network, monkeypatch):
    X, y = halves
    classifier = FacialExpressionClassifier(small_network, batch_size=16, random_state=0)
    classifier.partial_fit(X[:32], y[:32], classes=["happy", "surprise"])
    classifier.partial_fit(X[:32], y[:32])
    step = classifier.network_.train_function

    def fail():
        raise AssertionError("the kernel cache was cleared")

    monkeypatch.setattr("skfer._training._tensorflow._clear_kernel_cache", fail)
    for start in (0, 32, 64):
        classifier.partial_fit(X[start : start + 32], y[start : start + 32])
    assert classifier.network_.train_function is step


def largest_update(classifier, X, y):
    before = classifier.network_.get_weights()
    classifier.partial_fit(X, y)
    pairs = zip(before, classifier.network_.get_weights(), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


@pytest.mark.slow
def test_changed_optimizer_and_momentum(halves, settings, small_network):
    X, y = halves
    classifier = FacialExpressionClassifier(**settings)
    classifier.partial_fit(X, y, classes=["happy", "surprise"])
    assert largest_update(classifier, X, y) > 1e-3
    optimizer = classifier.network_.optimizer
    classifier.set_params(learning_rate=1e-9)
    assert largest_update(classifier, X, y) < 1e-6
    assert classifier.network_.optimizer is optimizer
    classifier.set_params(learning_rate=1e-3, optimizer="adam")
    assert largest_update(classifier, X, y) > 1e-4
    assert isinstance(classifier.network_.optimizer, keras.optimizers.Adam)
    classifier.set_params(optimizer="unknown")
    for _ in range(2):
        with pytest.raises(ValueError, match="unknown"):
            classifier.partial_fit(X, y)
    classifier = FacialExpressionClassifier(small_network, batch_size=2, random_state=0)
    classifier.partial_fit(X[:2], y[:2], classes=["happy", "surprise"])
    step = classifier.network_.train_function
    classifier.partial_fit(X, y)  # 48 steps: a momentum of 0.92, after 0.5
    assert classifier.network_.train_function is not step


@pytest.mark.slow
def test_partial_fit_ignores_validation(halves, settings):
    X, y = halves
    settings = settings | {"weight_average": 0.9}
    plain = FacialExpressionClassifier(**settings)
    validated = FacialExpressionClassifier(
        early_stopping=True, reduce_lr=True, validation_fraction=0.2, **settings
    )
    for _ in range(3):
        plain.partial_fit(X, y, classes=["happy", "surprise"])
        validated.partial_fit(X, y, classes=["happy", "surprise"])
    assert validated.history_ == plain.history_
    assert_same_weights(validated, plain)


class Momenta(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        body = self.model.layers[-1]
        self.momenta = [
            layer.momentum
            for layer in body.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]


@pytest.mark.slow
def test_batch_norm_momentum(halves):
    def network(input_shape, n_outputs):
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input(input_shape),
                layers.Conv2D(2, 3, strides=4),
                *(layers.BatchNormalization(momentum=m) for m in (0.9, 0.9899, 0.99, 0.999)),
                layers.Flatten(),
                layers.Dense(n_outputs, activation="softmax"),
            ]
        )

    X, y = halves
    classifier = FacialExpressionClassifier(network, epochs=1, callbacks=[Momenta()])
    classifier.fit(X, y)
    assert classifier.callbacks_[0].momenta == [0.9, 0.9899, 0.5, 0.5]


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])


@pytest.mark.slow
def test_callbacks_are_copied(halves, settings):
    X, y = halves
    for estimator, targets in list(estimators(settings, y))[:2]:
        recorder = Recorder()
        estimator.set_params(callbacks=[recorder]).fit(X, targets)
        assert recorder.losses == []
        (used,) = estimator.callbacks_
        assert used.losses == pytest.approx(estimator.history_["loss"])
        unpickled = pickle.loads(pickle.dumps(estimator))
        assert not hasattr(unpickled, "callbacks_")
    recorder = Recorder()
    recorder.lock = threading.Lock()
    classifier = FacialExpressionClassifier(callbacks=[Recorder(), recorder], **settings)
    with pytest.raises(TypeError, match=r"callbacks\[1\], a Recorder, can't be copied"):
        classifier.fit(X, y)
