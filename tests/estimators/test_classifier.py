import copy
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn
import tensorflow as tf
from _utils import assert_same_weights
from sklearn.base import clone, is_classifier
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier, GrayscaleResizer


@pytest.fixture(scope="module")
def bright_halves():
    """Images with a brighter upper or lower half, which a network learns in a few epochs."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 156, (160, 16, 16), dtype=np.uint8)
    y = np.where(rng.random(160) < 0.5, "surprise", "happy")
    X[y == "surprise", :8] += 100
    X[y == "happy", 8:] += 100
    return X, y


@pytest.fixture
def classifier(tiny_network):
    return FacialExpressionClassifier(
        tiny_network, epochs=8, batch_size=16, learning_rate=1e-2, random_state=0
    )


def test_fit_learns_classes(classifier, bright_halves):
    X, y = bright_halves
    classifier.fit(X, y)
    assert is_classifier(classifier)
    assert classifier.classes_.tolist() == ["happy", "surprise"]
    assert classifier.image_shape_ == (16, 16, 1)
    assert classifier.n_iter_ == 8
    assert [len(values) for values in classifier.history_.values()] == [8, 8]
    assert classifier.score(X, y) > 0.95
    classifier.set_params(classes=["surprise", "angry", "happy"]).fit(X, y)
    assert classifier.classes_.tolist() == ["angry", "happy", "surprise"]
    assert classifier.score(X, y) > 0.95


@pytest.mark.parametrize("n_classes", [2, 5, 7, 8])
@pytest.mark.parametrize("names", [np.arange(8), np.array(list("hgfedcba"))])
def test_string_and_integer_labels(classifier, n_classes, names):
    rng = np.random.default_rng(0)
    y = names[np.arange(40) % n_classes]
    X = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8)
    classifier.set_params(epochs=1).fit(X, y)
    probabilities = classifier.predict_proba(X[:1])
    assert probabilities.shape == (1, n_classes)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    assert set(classifier.predict(X)) <= set(y)


@pytest.mark.slow
def test_random_state_determines_weights(classifier, bright_halves):
    X, y = bright_halves
    classifier.set_params(augment="light", epochs=2)
    first = clone(classifier).fit(X, y)
    random.seed(99)
    tf.random.set_seed(99)
    second = clone(classifier).fit(X, y)
    assert_same_weights(first, second)
    before = first.predict_proba(X)
    third = clone(classifier).set_params(random_state=1).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), before)
    assert not np.array_equal(first.network_.get_weights()[0], third.network_.get_weights()[0])
    classifier.set_params(epochs=1)
    alone = clone(classifier).fit(X, y)
    with ThreadPoolExecutor(3) as threads:
        for fitted in threads.map(lambda _: clone(classifier).fit(X, y), range(3)):
            assert_same_weights(fitted, alone)


def test_global_random_states_are_unchanged(classifier, bright_halves):
    random.seed(3)
    tf.random.set_seed(3)
    expected = random.Random(3).random(), float(tf.random.uniform(()))
    random.seed(3)
    tf.random.set_seed(3)
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    classifier.set_params(epochs=1, augment="light").fit(*bright_halves)
    assert (random.random(), float(tf.random.uniform(()))) == expected
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_arguments_are_unchanged(classifier, bright_halves):
    X, y = (part.copy() for part in bright_halves)
    weight = np.linspace(0.5, 1, len(y))
    before = copy.deepcopy((X, y, weight))
    stopper = keras.callbacks.EarlyStopping("loss", patience=0)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    classifier.set_params(
        epochs=1,
        callbacks=[stopper],
        optimizer=optimizer,
        learning_rate=None,
        schedule=None,
        class_weight="balanced",
    )
    classifier.fit(X, y, sample_weight=weight)
    for now, then in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert stopper.model is None
    assert optimizer.iterations == 0
    assert classifier.network_.optimizer.momentum == 0.9
    assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.slow
def test_reduce_lr(classifier, bright_halves):
    X, y = bright_halves
    noisy = np.random.default_rng(1).permutation(y)
    classifier.set_params(epochs=10, reduce_lr={"factor": 0.5, "patience": 1})
    rates = classifier.fit(X, noisy).history_["learning_rate"]
    assert rates[0] == pytest.approx(1e-2)
    assert rates[-1] <= 5e-3


@pytest.mark.slow
def test_early_stopping_restores_the_best_epoch(classifier, bright_halves):
    X, y = bright_halves
    noisy = np.random.default_rng(1).permutation(y)
    classifier.set_params(epochs=40, early_stopping=2, validation_fraction=0.3)
    # A schedule depends on the number of epochs.
    classifier.set_params(schedule=None).fit(X, noisy)
    losses = classifier.history_["val_loss"]
    assert classifier.n_iter_ == len(losses) == int(np.argmin(losses)) + 3
    # A fit is reproducible: with this number of epochs, it ends with the restored weights.
    short = clone(classifier).set_params(epochs=int(np.argmin(losses)) + 1).fit(X, noisy)
    assert_same_weights(short, classifier)


def test_validation_images_in_a_pipeline(classifier, bright_halves):
    X, y = bright_halves
    larger = [np.kron(x, np.ones((2, 2), np.uint8)) for x in X]
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline(
            [
                ("resizer", GrayscaleResizer(16)),
                ("classifier", classifier.set_fit_request(X_val=True, y_val=True)),
            ],
            transform_input=["X_val"],
        )
        pipeline.set_params(classifier__epochs=2)
        pipeline.fit(larger[40:], y[40:], X_val=larger[:40], y_val=y[:40])
    expected = log_loss(y[:40], pipeline.predict_proba(larger[:40]))
    assert pipeline[-1].history_["val_loss"][-1] == pytest.approx(expected, rel=1e-3)


def test_warm_start_continues_training(classifier, bright_halves):
    X, y = bright_halves
    classifier.set_params(epochs=2, warm_start=True).fit(X, y)
    before = log_loss(y, classifier.predict_proba(X))
    classifier.fit(X, y)
    assert classifier.n_iter_ == 4
    assert classifier.history_["loss"][2] < classifier.history_["loss"][0]
    assert log_loss(y, classifier.predict_proba(X)) < before


@pytest.mark.slow
def test_failed_fit(classifier, bright_halves):
    X, y = bright_halves
    unfitted = clone(classifier).set_params(callbacks=[FailingCallback()])
    with pytest.raises(RuntimeError, match="enough"):
        unfitted.fit(X, y)
    assert not hasattr(unfitted, "network_")
    before = classifier.fit(X, y).predict_proba(X)
    classifier.set_params(callbacks=[FailingCallback()])
    for warm_start in (False, True):
        with pytest.raises(RuntimeError, match="enough"):
            classifier.set_params(warm_start=warm_start).fit(X[::-1], y)
        np.testing.assert_array_equal(classifier.predict_proba(X), before)
        assert classifier.classes_.tolist() == ["happy", "surprise"]
        classifier.set_params(warm_start=False)


class FailingCallback(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("enough")


@pytest.mark.slow
def test_images_of_weight_zero_are_ignored(classifier, bright_halves):
    X, y = bright_halves
    wrong = np.r_[y, np.where(y == "happy", "surprise", "happy")]
    weight = np.r_[np.ones(len(y)), np.zeros(len(y))]
    classifier.set_params(validation_fraction=0.3).fit(np.r_[X, X], wrong, sample_weight=weight)
    assert classifier.history_["val_accuracy"][-1] > 0.9
    assert classifier.score(X, y) > 0.9


def test_mixed_precision(classifier, bright_halves):
    X, y = bright_halves
    classifier.set_params(mixed_precision="float16", epochs=1).fit(X, y)
    assert isinstance(classifier.network_.optimizer, keras.optimizers.LossScaleOptimizer)
    classifier.set_params(mixed_precision="bfloat16", epochs=2).fit(X, y)
    assert keras.config.dtype_policy().name == "float32"
    probabilities = classifier.predict_proba(X)
    # In bfloat16, with 8 significant bits, many probabilities would be equal.
    assert len(np.unique(probabilities)) > 0.9 * probabilities.size
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_allclose(loaded.predict_proba(X), probabilities, rtol=1e-5)


@pytest.mark.slow
def test_partial_fit_equals_fit(classifier, bright_halves):
    X, y = bright_halves
    whole = clone(classifier).set_params(epochs=3, schedule=None).fit(X, y)
    for _ in range(3):
        classifier.partial_fit(X, y, classes=y)
    assert_same_weights(whole, classifier)


@pytest.mark.slow
def test_partial_fit_after_a_fit_with_a_schedule(classifier, bright_halves):
    X, y = bright_halves
    classifier.set_params(schedule="cosine", learning_rate=0.01, epochs=2).fit(X, y)
    classifier.set_params(schedule="auto")
    for rate in (0.01, 0.02):
        before = classifier.network_.get_weights()
        classifier.set_params(learning_rate=rate).partial_fit(X, y)
        assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(rate)
        after = classifier.network_.get_weights()
        assert max(np.abs(new - old).max() for new, old in zip(after, before, strict=True)) > 1e-4


def test_empty_dict_of_reduce_lr(classifier, bright_halves):
    classifier.set_params(reduce_lr={}, epochs=1).fit(*bright_halves)
    assert "learning_rate" in classifier.history_
    assert "val_loss" in classifier.history_


def test_partial_fit_of_one_class(classifier, bright_halves):
    X, y = bright_halves
    for _ in range(6):
        classifier.partial_fit(
            X[y == "surprise"], y[y == "surprise"], classes=["happy", "surprise"]
        )
    assert classifier.n_iter_ == 6
    assert set(classifier.predict(X)) == {"surprise"}


@pytest.mark.slow
def test_options_of_little_vgg(bright_halves):
    X, y = bright_halves
    classifier = FacialExpressionClassifier("little_vgg", epochs=1, activation="relu", dropout=0.1)
    layers = classifier.fit(X[:16], y[:16]).network_.get_layer("little_vgg").layers
    assert {layer.activation.__name__ for layer in layers if "activ" in layer.name} == {"relu"}
    assert 0.1 in {layer.rate for layer in layers if "dropout" in layer.name}


@pytest.mark.slow
def test_little_vgg_learns():
    rng = np.random.default_rng(0)
    y = np.arange(96) % 2
    X = (
        rng.integers(0, 120, (96, 16, 16), dtype=np.uint8)
        + (y * 100).astype(np.uint8)[:, None, None]
    )
    classifier = FacialExpressionClassifier(
        "little_vgg", epochs=6, batch_size=16, learning_rate=1e-3, random_state=0
    )
    assert classifier.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(("dtype", "kind"), [("Int64", "i"), ("boolean", "b")])
def test_nullable_labels(tiny_network, dtype, kind):
    y = pd.Series([0, 1] * 4, dtype="Int64").astype(dtype)
    classifier = FacialExpressionClassifier(tiny_network, epochs=1, random_state=0)
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    assert classifier.fit(images, y).classes_.dtype.kind == kind
    assert classifier.predict(images).dtype.kind == kind
    assert 0 <= classifier.score(images, y) <= 1
