import math

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skfer import FacialAffectRegressor, FacialExpressionClassifier


@pytest.fixture
def faces():
    X = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    return X, np.array(["sad", "happy"] * 10)


@pytest.fixture
def classifier(tiny_network):
    return FacialExpressionClassifier(tiny_network, epochs=1, random_state=0)


def logits(input_shape, n_outputs):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(n_outputs)(keras.layers.Flatten()(inputs)))


def logits_for_three(input_shape, n_outputs):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"network": "vgg99"}, "Unknown network 'vgg99'. Known networks: cnn4, cnn5"),
        ({"network": "absent.keras"}, "no model file 'absent.keras'"),
        ({"network": logits_for_three}, r"outputs of shape \(None, 3\); 2 classes need"),
        ({"network": logits}, "not probabilities. It must end in a softmax"),
        ({"epochs": 0}, "'epochs' parameter .* must be an int in the range"),
        ({"early_stopping": 0}, "'early_stopping' parameter .* must be"),
        ({"early_stopping": 2.5}, "'early_stopping' parameter .* must be"),
        ({"backend": "torch"}, "'backend' parameter"),
        ({"test_time_augmentation": "five"}, "'test_time_augmentation' parameter"),
        ({"class_prior": "even"}, "class_prior"),
        *[({"temperature": wrong}, "'temperature' parameter") for wrong in (0, -1.0, "hot")],
        ({"network_params": {"dropout": 0.1}, "dropout": 0.2}, "'dropout' is given twice"),
        ({"network_params": {"colour": 1}}, "takes no 'colour'"),
        ({"schedule": "cosine", "reduce_lr": True}, "both set the rate"),
        ({"dropout": 1.5}, "'dropout' parameter"),
        ({"dropout": 0.5}, "takes no 'dropout'"),
        ({"optimizer": "adamant"}, "adamant"),
        ({"augment": "heavy"}, "augment must be one of"),
        ({"reduce_lr": {"speed": 2}}, "reduce_lr has no entry 'speed'"),
        ({"pixel_range": (1, 0)}, r"pixel_range must be \(low, high\)"),
        ({"classes": ["sad", "angry"]}, "label 'happy', which is none of the classes"),
        ({"callbacks": ["stop"]}, "callbacks"),
    ],
)
def test_invalid_parameters(classifier, faces, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        classifier.set_params(**parameters).fit(*faces)


def test_invalid_labels(classifier, faces):
    X, y = faces
    with pytest.raises(ValueError, match="20 images, but y holds 19 labels"):
        classifier.fit(X, y[:-1])
    with pytest.raises(ValueError, match="only one class: 'sad'"):
        classifier.fit(X, np.full(20, "sad"))
    with pytest.raises(ValueError, match="y is None"):
        classifier.fit(X, None)
    with pytest.raises(ValueError, match="y_val holds the label 'fear', which is none of"):
        classifier.fit(X, y, X_val=X[:2], y_val=["fear", "sad"])
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        classifier.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="leaves 1 for validation and 19 for training"):
        classifier.set_params(validation_fraction=0.01).fit(X, y)
    with pytest.raises(ValueError, match="1 for training; each part needs at least 2"):
        classifier.set_params(validation_fraction=0.95).fit(X, y)
    with pytest.raises(ValueError, match="A class has 1 image"):
        classifier.set_params(validation_fraction=0.2).fit(X, [*y[:-1], "fear"])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        classifier.predict(X)


def test_similar_labels(classifier, faces):
    X, y = faces
    names = np.where(y == "sad", np.array(["sad", " Sad"] * 10)[np.arange(20) // 2], y)
    with pytest.warns(
        UserWarning, match=r"only in case or spaces are different.*\[' Sad', 'sad'\]"
    ):
        classifier.fit(X, names)
    assert classifier.classes_.tolist() == [" Sad", "happy", "sad"]


@pytest.mark.slow
def test_images_of_another_size_or_scale(classifier, faces):
    X, y = faces
    classifier.fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\).*fitted on \(16, 16, 1\).*Resizer"):
        classifier.predict(X[:, :8, :8])
    with pytest.raises(
        ValueError, match=r"values from 0.* to 0.9.* fitted on pixels from 0 to 255"
    ):
        classifier.predict(X / np.float32(260))
    classifier.fit(X / np.float32(255), y)
    with pytest.raises(ValueError, match=r"to 25.*fitted on pixels from 0 to 1"):
        classifier.predict(X.astype(np.float32))


def test_classes_of_partial_fit(classifier, faces):
    X, y = faces
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier.partial_fit(X, y)
    classifier.partial_fit(X, y, classes=["sad", "happy"])
    with pytest.raises(ValueError, match="not the same as on the first call"):
        classifier.partial_fit(X, y, classes=["sad", "angry"])
    known = clone(classifier).set_params(classes=["angry", "happy", "sad"])
    with pytest.raises(ValueError, match=r"in the parameter classes: \['angry', 'happy', 'sad'\]"):
        known.partial_fit(X, y, classes=["sad", "happy"])
    with pytest.raises(ValueError, match="class_weight='balanced' needs all data"):
        classifier.set_params(class_weight="balanced").partial_fit(X, y)


def test_invalid_images(classifier, faces):
    X, y = faces
    invalid = X / np.float32(255)
    invalid[7, 3, 3] = np.nan
    with pytest.raises(ValueError, match=r"X\[7\] holds NaN"):
        classifier.fit(invalid, y)
    with pytest.raises(ValueError, match="no images"):
        classifier.fit([], [])
    with pytest.raises(ValueError, match="Wrap a single image in a list"):
        classifier.fit(X, y).predict(X[0])
    with pytest.raises(ValueError, match=r"X\[0\] is 16x16x1 uint8 and X\[1\] is 8x16x1"):
        classifier.predict([X[0], X[0, :8]])


MISSING_LABELS = [["a", "b", missing, "b"] for missing in (math.nan, None, "")]
MISSING_LABELS += [pd.Series(["a", "b", pd.NA, "b"])]


@pytest.mark.parametrize("y", MISSING_LABELS, ids=["nan", "none", "empty", "series"])
def test_missing_labels(tiny_network, y):
    X, valid = np.zeros((4, 8, 8), np.uint8), ["a", "b"] * 2
    classifier = FacialExpressionClassifier(tiny_network)
    with_classes = clone(classifier).set_params(classes=list(y))
    for name, fit in (
        ("y", lambda: classifier.fit(X, y)),
        ("y", lambda: classifier.partial_fit(X, y, classes=["a", "b"])),
        ("y_val", lambda: classifier.fit(X, valid, X_val=X, y_val=y)),
        ("classes", lambda: classifier.partial_fit(X, valid, classes=y)),
        ("classes", lambda: with_classes.fit(X, valid)),
    ):
        with pytest.raises(ValueError, match=rf"^{name}\[2\] is .*: 1 of 4 labels are missing"):
            fit()
    assert not hasattr(classifier, "network_")


def test_one_hot_labels(tiny_network):
    images = np.zeros((4, 8, 8), np.uint8)
    classifier = FacialExpressionClassifier(tiny_network)
    for dtype in (float, int):
        for fit in (classifier.fit, classifier.partial_fit):
            with pytest.raises(ValueError, match=r"argmax\(axis=1\).*votes"):
                fit(images, np.eye(2, dtype=dtype)[[0, 1, 0, 1]])


def test_missing_ratings(tiny_network):
    images = np.zeros((3, 8, 8), np.uint8)
    for y in [[0.1, None, 0.3], [[0.1, 0.2], [0.3, math.nan], [0.0, 0.0]]]:
        regressor = FacialAffectRegressor(tiny_network)
        with pytest.raises(ValueError, match=r"^y\[1\] holds NaN: ratings of 1 of 3 images"):
            regressor.fit(images, y)
