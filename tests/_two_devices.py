"""Fits under `tf.distribute` on one processor, configured as two logical devices.

Run as ``python -m _two_devices CASE FOLDER``, in a process of its own: devices must be configured
before TensorFlow initializes them. Results are written to ``FOLDER/facts.json``.
"""

import json
import pickle
import sys
from pathlib import Path

from _utils import tiny_network

EXPRESSIONS = ["happy", "sad", "surprise"]


def fast_network(input_shape, n_outputs):
    """A network with batch statistics and dropout that learns in a few epochs."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(n_outputs, activation="softmax"),
        ]
    )


def drawn_faces(n, seed):
    from skfer.datasets import make_faces

    # With noise, since two accuracies of 1.0 could not be compared.
    hard = {"noise": 0.2, "occlusion": 0, "brightness": 0.2, "pose": 0}
    faces = make_faces(n, classes=EXPRESSIONS, size=24, random_state=seed, **hard)
    return faces.images, faces.labels


def mirrored(folder):
    """Compare fits on one and two devices, with an odd number of images."""
    import numpy as np
    from sklearn.base import clone
    from sklearn.metrics import log_loss

    (X, y), (X_val, y_val), (X_test, y_test) = (
        drawn_faces(n, seed) for seed, n in enumerate((301, 34, 300))
    )
    classifier = small_classifier().fit(X, y)
    facts = {"accuracy on one": classifier.score(X_test, y_test)}

    classifier = clone(classifier).set_params(distribution="mirrored")
    classifier.fit(X, y, X_val=X_val, y_val=y_val)
    facts["accuracy on two"] = classifier.score(X_test, y_test)
    facts["val_loss"] = classifier.history_["val_loss"][-1]
    facts["loss of predict_proba"] = log_loss(y_val, classifier.predict_proba(X_val))
    np.savez(folder / "test.npz", X=X_test, proba=classifier.predict_proba(X_test))
    (folder / "classifier.pickle").write_bytes(pickle.dumps(classifier))

    facts["steps of fit"] = n_steps(classifier)
    facts["steps of partial_fit"] = n_steps(classifier.partial_fit(X, y)) - facts["steps of fit"]
    try:
        classifier.set_params(batch_size=1).fit(X, y)
    except ValueError as error:
        facts["batch of one"] = str(error)
    return facts


def strategy(folder):
    """Search over networks under a strategy of the user."""
    import tensorflow as tf
    from sklearn.model_selection import GridSearchCV

    X, y = drawn_faces(60, 0)
    distribution = tf.distribute.MirroredStrategy()
    search = GridSearchCV(
        small_classifier().set_params(distribution=distribution, epochs=1, weight_average=0.9),
        {"network": [fast_network, tiny_network]},
        cv=2,
        error_score="raise",
    )
    search.fit(X, y)
    (folder / "search.pickle").write_bytes(pickle.dumps(search))
    return {
        "devices": distribution.num_replicas_in_sync,
        "shared": search.best_estimator_.distribution is distribution,
        "predicted": search.predict(X).tolist(),
    }


def small_classifier():
    from skfer import FacialExpressionClassifier

    settings = {"epochs": 6, "batch_size": 17, "learning_rate": 5e-3, "random_state": 0}
    # With a schedule and augmentation, six epochs would not be enough.
    return FacialExpressionClassifier(fast_network, schedule=None, augment=None, **settings)


def n_steps(classifier):
    return int(classifier.network_.optimizer.iterations.numpy())


def main(case, folder):
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    facts = {"mirrored": mirrored, "strategy": strategy}[case](folder)
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    # Pickles then refer to this module by its name, not as __main__.
    import _two_devices

    _two_devices.main(sys.argv[1], Path(sys.argv[2]))
