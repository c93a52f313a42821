"""Networks and helpers of the tests, in a module that worker processes can import."""

import json
from pathlib import Path

import sklearn
from sklearn.utils.fixes import parse_version

# Files saved by earlier releases.
MODELS = sorted(Path(__file__).parent.joinpath("persistence", "models").glob("*.skfer"))


def read_record(path):
    """Return the outputs of a model when it was saved, and the packages that it needs."""
    return json.loads(path.with_suffix(".json").read_text())


def store_turned(pixels, orientation):
    """Return an upright picture as files with this EXIF orientation store it, and the EXIF data."""
    from PIL import Image

    transpositions = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(pixels)
    if orientation in transpositions:
        stored = stored.transpose(transpositions[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored, exif


def is_too_new(path):
    """Return whether the file has parameters that this scikit-learn does not know.

    LogisticRegression has a penalty "deprecated" since scikit-learn 1.8.
    """
    minimum = read_record(path).get("scikit-learn", "0")
    return parse_version(sklearn.__version__) < parse_version(minimum)


def assert_same_weights(one, other, rtol=0, atol=0):
    """Assert that the networks of two estimators have equal weights, within a tolerance."""
    import numpy as np

    for a, b in zip(one.network_.get_weights(), other.network_.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def tiny_network(input_shape, n_outputs):
    """A CNN that is fitted in less than a second."""
    import keras

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(n_outputs, activation="softmax"),
        ],
        name="tiny_network",
    )


def untrained_classifier(network, image_shape, classes):
    """A classifier in the state at the start of a fit on uint8 images."""
    import numpy as np

    from skfer import FacialExpressionClassifier

    classifier = FacialExpressionClassifier(network, random_state=0)
    classifier.classes_ = np.array(classes)
    classifier._seed = 0
    classifier._build(np.zeros((1, *image_shape), np.uint8), len(classes))
    return classifier


def wide_network(input_shape, n_outputs):
    """A network with one wide layer: large files, but fast to build."""
    import keras

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, activation="relu"),
            keras.layers.Dense(n_outputs, activation="softmax"),
        ],
        name="wide_network",
    )


def small_network(input_shape, n_outputs, dropout=0.2):
    """A small CNN with state: batch normalisation and dropout."""
    import keras

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", name="second"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(n_outputs, activation="softmax"),
        ],
        name="small_network",
    )


def probabilities_and_threads(classifier, images):
    """Return the probabilities of each backend, and the thread counts of the process."""
    import cv2
    import tensorflow as tf

    backends = ("onnx", "keras")
    proba = [classifier.set_params(backend=name).predict_proba(images) for name in backends]
    threading = tf.config.threading
    return proba, (
        threading.get_intra_op_parallelism_threads(),
        threading.get_inter_op_parallelism_threads(),
        cv2.getNumThreads(),
    )
