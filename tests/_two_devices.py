"""Fits under `tf.distribute` in a process whose processor counts as two devices.

Run as ``python -m _two_devices CASE FOLDER``: a process can say so only once, before
TensorFlow looks at its devices. What happened goes into ``FOLDER/facts.json``.
"""

import json
import pickle
import sys
from pathlib import Path

from _utils import tiny_network

EXPRESSIONS = ["happy", "sad", "surprise"]


def steady_network(input_shape, n_outputs):
    """Learns drawn faces in a few epochs; has batch statistics and dropout."""
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

    # Noise enough for mistakes: two accuracies of 1.0 would say nothing of each other.
    hard = {"noise": 0.2, "occlusion": 0, "brightness": 0.2, "pose": 0}
    faces = make_faces(n, classes=EXPRESSIONS, size=24, random_state=seed, **hard)
    return faces.images, faces.labels


def mirrored(folder):
    """Beside a fit on one device; image numbers are odd, which two devices can't share evenly."""
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
    facts["loss of the fitted"] = log_loss(y_val, classifier.predict_proba(X_val))
    np.savez(folder / "test.npz", X=X_test, probabilities=classifier.predict_proba(X_test))
    (folder / "classifier.pickle").write_bytes(pickle.dumps(classifier))

    facts["steps of fit"] = steps_of(classifier)
    facts["steps of partial_fit"] = steps_of(classifier.partial_fit(X, y)) - facts["steps of fit"]
    try:
        classifier.set_params(batch_size=1).fit(X, y)
    except ValueError as error:
        facts["batch of one"] = str(error)
    return facts


def strategy(folder):
    """A grid search under the user's own strategy, over networks of differing shapes."""
    import tensorflow as tf
    from sklearn.model_selection import GridSearchCV

    X, y = drawn_faces(60, 0)
    own = tf.distribute.MirroredStrategy()
    search = GridSearchCV(
        small_classifier().set_params(distribution=own, epochs=1, weight_average=0.9),
        {"network": [steady_network, tiny_network]},
        cv=2,
        error_score="raise",
    )
    search.fit(X, y)
    (folder / "search.pickle").write_bytes(pickle.dumps(search))
    return {
        "devices": own.num_replicas_in_sync,
        "shared": search.best_estimator_.distribution is own,
        "predicted": search.predict(X).tolist(),
    }


def small_classifier():
    from skfer import FacialExpressionClassifier

    settings = {"epochs": 6, "batch_size": 17, "learning_rate": 5e-3, "random_state": 0}
    # A falling rate and changed images need more than six epochs.
    return FacialExpressionClassifier(steady_network, schedule=None, augment=None, **settings)


def steps_of(classifier):
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
    # By its name, so that pickles name a module that others can import.
    import _two_devices

    _two_devices.main(sys.argv[1], Path(sys.argv[2]))
