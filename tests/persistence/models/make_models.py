"""Write model files that later releases have to load, and the outputs of these models.

    python tests/persistence/models/make_models.py v1

Run once for each new FORMAT of skfer/persistence/_model_file.py, with its number. The files of
earlier formats are not changed. A file has a few kilobytes: the network has 8 filters.
"""

import json
import sys
from pathlib import Path

import keras
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skfer
from skfer import (
    AbstainingClassifier,
    ExpressionEmbedder,
    FaceCropper,
    FacialExpressionClassifier,
    GrayscaleResizer,
)
from skfer.datasets import make_faces
from skfer.networks import register_network

FOLDER = Path(__file__).parent
SIZE = 32


def very_small(input_shape, n_outputs):
    """Small network with one layer of each type with weights or state, and a shortcut."""
    layers = keras.layers
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(4, 3, strides=2, padding="same", kernel_regularizer="l2")(inputs)
    x = layers.BatchNormalization()(x)
    x = shortcut = layers.ReLU()(x)
    x = layers.SeparableConv2D(4, 3, padding="same", activation="elu")(x)
    x = layers.Add()([layers.DepthwiseConv2D(3, padding="same")(x), shortcut])
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(n_outputs, activation="softmax")(x))


def main(version):
    register_network("very_small", very_small)
    faces = make_faces(60, classes=["happy", "sad"], size=SIZE, random_state=0)
    classifier = FacialExpressionClassifier(
        "very_small", epochs=2, random_state=0, temperature=1.2, test_time_augmentation="flip"
    ).fit(faces.images, faces.labels)
    embedder = ExpressionEmbedder(FrozenEstimator(classifier))
    models = {
        "pipeline": make_pipeline(FaceCropper(whole_below=64), GrayscaleResizer(SIZE), classifier),
        "abstaining": AbstainingClassifier(classifier, threshold=0.6),
        "embedder": make_pipeline(embedder, StandardScaler(), LogisticRegression()).fit(
            faces.images, faces.labels
        ),
    }
    images = make_faces(3, size=SIZE, random_state=1).images
    for name, model in models.items():
        path = skfer.save(model, FOLDER / f"{version}_{name}.skfer")
        record = {
            "size": SIZE,
            "method": "predict_proba",
            "outputs": model.predict_proba(images).round(6).tolist(),
            "made_with": {"skfer": skfer.__version__, "keras": keras.__version__},
        }
        path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main(sys.argv[1])
