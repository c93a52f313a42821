"""`export_onnx`: write a classifier or a Pipeline as an ONNX file."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

import skfer
from skfer._inference._onnx import create_session, require_onnx
from skfer._pipelines import flat_steps
from skfer._storage import partial_file
from skfer.estimators._classifier import FacialExpressionClassifier
from skfer.metrics import apply_class_prior
from skfer.networks._keras_settings import standard_keras
from skfer.preprocessing import FaceCropper, GrayscaleResizer, ImageResizer

if TYPE_CHECKING:
    import tensorflow as tf

_TOLERANCE = 1e-5
_INPUT, _OUTPUT = "images", "probabilities"
_AXES = ("batch", "height", "width", "channels")
# Sizes of images on which resizing is checked, as shares of the size of the network: an image grows
# or one or both sides shrink.
_CHECKED_SIZES = ((0.5, 0.75), (0.8, 1.5), (1.25, 1.5), (2.0, 2.0))


@standard_keras()
def export_onnx(estimator: FacialExpressionClassifier | Pipeline, path: str | os.PathLike) -> Path:
    """Write a fitted classifier, or a Pipeline that ends in one, as an ONNX file.

    The graph contains conversion to gray or RGB, resizing, scaling, the network, test-time
    augmentation, `temperature` and `class_prior`. It does not contain face detection: each image
    must be the crop of one face.

    ====================  =====================================================================
    input ``images``      uint8, 0 to 255. Of a Pipeline with a resizer ``(batch, height, width,
                          1 or 3)`` of any height and width, gray or RGB; of a classifier
                          alone ``(batch, *image_shape_)``
    ``probabilities``     float32 ``(batch, n_classes)``
    metadata              ``classes``: the names of the columns, as JSON; ``image_shape``: height,
                          width and channels of what the network sees, as JSON;
                          ``test_time_augmentation``; ``skfer_version``
    opset                 15, for ONNX Runtime 1.10 and newer
    ====================  =====================================================================

    The file is checked before it is written to `path`: its probabilities agree with those of
    `estimator` to 1e-5, for images of the size of the network and for resized images. The graph
    resizes exactly as OpenCV does on x86, with one exception: OpenCV computes means over areas in
    single precision, and a pixel whose mean ends in exactly .5 may differ by one gray level of 255,
    before a dark image is made brighter. This is rare; if the sides of the image and of the network
    have a large common factor, such as 160 and 48, it is about 1 pixel in 300.

    Parameters
    ----------
    estimator : FacialExpressionClassifier or Pipeline
        Fitted. The steps of a Pipeline are a `FaceCropper`, which is left out; an `ImageResizer` or
        `GrayscaleResizer` that equalises no histogram, but may brighten; the classifier. The first
        two may be missing or "passthrough". Of a search, a `FrozenEstimator`, an
        `AbstainingClassifier` or a `ConformalClassifier`, the inner estimator is written, which has
        the same probabilities.
    path : str or path
        The file, whose name ends in ``.onnx``. An existing file is replaced in one step.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImportError
        If the extra is not installed: ``pip install "skfer[onnx]"``.
    NotFittedError
        If `estimator` is not fitted.
    ValueError
        If a step cannot be part of an ONNX graph, or `path` does not end in ``.onnx``.
    RuntimeError
        If the file gives other probabilities than `estimator`. Nothing is written then.

    Examples
    --------
    >>> import json, tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from skfer import FacialExpressionClassifier, GrayscaleResizer, export_onnx
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(60, classes=["happy", "sad"], random_state=0)
    >>> pipeline = make_pipeline(
    ...     GrayscaleResizer(24), FacialExpressionClassifier("mini_xception", epochs=1)
    ... ).fit(faces.images, faces.labels)
    >>> import onnxruntime
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_onnx(pipeline, f"{folder}/expressions.onnx")
    ...     session = onnxruntime.InferenceSession(path)
    >>> json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    ['happy', 'sad']
    >>> session.run(None, {"images": faces.images[:5, ..., None]})[0].shape
    (5, 2)
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":  # a file of skfer.save would be lost
        raise ValueError(f"path={str(path)!r} must end in .onnx.")
    if not path.parent.is_dir():
        raise ValueError(f"path={str(path)!r}: there is no folder {str(path.parent)!r}.")
    require_onnx("export_onnx", "onnx", "tf2onnx")
    import tensorflow as tf

    from skfer._inference._tf2onnx import convert_to_onnx

    resizer, classifier = _steps(estimator)
    function = tf.function(_from_pixels(resizer, classifier))
    shape = classifier.image_shape_ if resizer is None else (None, None, None)
    spec = tf.TensorSpec((None, *shape), tf.uint8, name=_INPUT)
    model = convert_to_onnx(function, spec, _AXES)
    _describe(model, classifier)
    with partial_file(path) as draft:
        draft.write_bytes(model.SerializeToString())
        session = create_session(str(draft), 1)
        _check(lambda images: session.run(None, {_INPUT: images})[0], resizer, classifier)
    return path


def _steps(estimator: Any) -> tuple[ImageResizer | GrayscaleResizer | None, Any]:
    """Return the resizer, if there is one, and the classifier."""
    steps = flat_steps(estimator)
    *before, classifier = steps or [None]
    if not isinstance(classifier, FacialExpressionClassifier):
        raise ValueError(
            f"estimator is or ends in a {type(classifier).__name__}; export_onnx takes a fitted "
            "FacialExpressionClassifier, or a Pipeline that ends in one."
        )
    check_is_fitted(classifier, "network_")
    if before and isinstance(before[0], FaceCropper):
        del before[0]
    resizer = before.pop() if before else None
    if before or not isinstance(resizer, ImageResizer | GrayscaleResizer | None):
        other = before[0] if before else resizer
        raise ValueError(
            f"The step {type(other).__name__} can't be part of an ONNX graph; before the "
            "classifier, export_onnx knows a FaceCropper and an ImageResizer or GrayscaleResizer. "
            "Export the classifier alone, and do the other steps before it."
        )
    if resizer is not None and resizer.equalize not in (None, "none", "brighten"):
        raise ValueError(
            f"The resizer has equalize={resizer.equalize!r}, which can't be part of an ONNX graph. "
            "Export the classifier alone, and resize and equalise before it."
        )
    return resizer, classifier


def _from_pixels(
    resizer: Any, classifier: FacialExpressionClassifier
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return the function from uint8 images to probabilities."""
    import tensorflow as tf

    from skfer._inference._keras import prediction_function

    network = prediction_function(classifier.network_, classifier.test_time_augmentation)
    low, high = classifier.pixel_range_.low, classifier.pixel_range_.high
    temperature = classifier._temperature()
    factor = np.float32(high - low) / np.float32(255)
    resized = None if resizer is None else _resizing(resizer, classifier)
    expected = classifier._expected_prior()
    if expected is not None:
        even = np.full((1, len(expected)), 1 / len(expected), np.float32)
        prior_ratios = apply_class_prior(even, classifier.class_prior_, expected)

    def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.cast(images, tf.float32) if resized is None else resized(images)
        if (low, high) != (0.0, 255.0):
            pixels = pixels * factor + np.float32(low)
        proba = network(pixels)
        if temperature != 1:
            proba = tf.nn.softmax(tf.math.log(proba) / temperature)
        if expected is not None:
            proba = proba * prior_ratios
            proba = proba / tf.reduce_sum(proba, axis=1, keepdims=True)
        return {_OUTPUT: proba}

    return probabilities


def _resizing(
    resizer: Any, classifier: FacialExpressionClassifier
) -> Callable[[tf.Tensor], tf.Tensor]:
    from skfer.persistence._resizing import resize_function

    height, width, channels = classifier.image_shape_
    return resize_function((height, width), channels, brighten=resizer.equalize == "brighten")


def _describe(model: Any, classifier: FacialExpressionClassifier) -> None:
    import onnx

    model.producer_name, model.producer_version = "skfer", skfer.__version__
    model.doc_string = "Facial expressions: probabilities of the classes in the metadata."
    model.graph.name = classifier.network_.name
    properties = {
        "classes": json.dumps(classifier.classes_.tolist()),
        "image_shape": json.dumps(classifier.image_shape_),
        "test_time_augmentation": classifier.test_time_augmentation or "none",
        "skfer_version": skfer.__version__,
    }
    onnx.helper.set_model_props(model, properties)


def _check(
    read: Callable[[np.ndarray], np.ndarray], resizer: Any, classifier: FacialExpressionClassifier
) -> None:
    """Raise an error if the file and the estimator give different probabilities."""
    if classifier.backend != "keras":
        classifier = copy.copy(classifier).set_params(backend="keras")
    rng = np.random.default_rng(0)
    height, width, channels = classifier.image_shape_

    def noise(n: int, *shape: int) -> np.ndarray:
        return rng.integers(0, 256, (n, *shape), dtype=np.uint8)

    for n in (1, 3):
        images = noise(n, height, width, channels)
        _compare(read(images), classifier.predict_proba(images), images)
    if resizer is None:
        return
    other = noise(2, height, width, 4 - channels)  # RGB for a gray network, gray for an RGB one
    _compare(read(other), classifier.predict_proba(resizer.transform(other)), other)
    resized = _resizing(resizer, classifier)
    for share_of_height, share_of_width in _CHECKED_SIZES:
        size = max(1, round(share_of_height * height)), max(1, round(share_of_width * width))
        images = noise(1, *size, 3)
        pixels = resized(images).numpy().astype(np.uint8)
        _compare(read(images), classifier.predict_proba(pixels), images)
        worst = np.abs(pixels.astype(int) - resizer.transform(images)).max()
        if worst > 1:
            raise RuntimeError(
                f"Images of shape {images.shape[1:]} are resized differently in the ONNX graph "
                f"and by {type(resizer).__name__}, by up to {worst} gray levels. Nothing was "
                "written."
            )


def _compare(proba: np.ndarray, expected: np.ndarray, images: np.ndarray) -> None:
    worst = np.abs(proba - expected).max() if proba.shape == expected.shape else np.inf
    if not worst <= _TOLERANCE:
        raise RuntimeError(
            f"The ONNX graph gives other probabilities than the classifier, for images of shape "
            f"{images.shape}: they differ by up to {worst:.2g}, and {_TOLERANCE:g} is allowed. "
            "Nothing was written."
        )
