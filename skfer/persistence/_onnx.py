"""`export_onnx`: write a classifier or a Pipeline as an ONNX file."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

import skfer
from skfer._inference._keras import prediction_function
from skfer._inference._onnx import create_session, require_onnx
from skfer._inference._tf2onnx import convert_to_onnx
from skfer._pipelines import flat_steps
from skfer._storage import partial_file
from skfer.estimators._classifier import FacialExpressionClassifier
from skfer.metrics import apply_class_prior
from skfer.networks._keras_settings import standard_keras
from skfer.preprocessing import FaceCropper, GrayscaleResizer, ImageResizer

_TOLERANCE = 1e-5
_INPUT, _OUTPUT = "images", "probabilities"
_AXES = ("batch", "height", "width", "channels")
# Weights of red, green and blue in gray (ITU-R BT.601), in fixed point as in OpenCV.
_GRAY_WEIGHTS = (9798.0, 19235.0, 3735.0)
_GRAY_ONE = 32768.0
# 1 in the fixed-point format of OpenCV's bilinear weights.
_LINEAR_ONE = 2048.0
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
    single precision, and a pixel whose mean ends in exactly .5 may differ by one gray level of 255.
    This is rare; if the sides of the image and of the network have a large common factor, such as
    160 and 48, it is about 1 pixel in 300.

    Parameters
    ----------
    estimator : FacialExpressionClassifier or Pipeline
        Fitted. The steps of a Pipeline are a `FaceCropper`, which is left out; an `ImageResizer` or
        `GrayscaleResizer` without equalisation; the classifier. The first two may be missing
        or "passthrough". Of a search, a `FrozenEstimator`, an `AbstainingClassifier` or a
        `ConformalClassifier`, the inner estimator is written, which has the same probabilities.
    path : str or path
        The file. An existing file is replaced in one step.

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
        If a step cannot be part of an ONNX graph.
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
    require_onnx("export_onnx", "onnx", "tf2onnx")
    resizer, classifier = _steps(estimator)
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"path={str(path)!r}: there is no folder {str(path.parent)!r}.")
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
    if resizer is not None and resizer.equalize not in (None, "none"):
        raise ValueError(
            f"The resizer has equalize={resizer.equalize!r}, which can't be part of an ONNX graph. "
            "Export the classifier alone, and resize and equalise before it."
        )
    return resizer, classifier


def _from_pixels(
    resizer: Any, classifier: FacialExpressionClassifier
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return the function from uint8 images to probabilities."""
    network = prediction_function(classifier.network_, classifier.test_time_augmentation)
    low, high = classifier.pixel_range_.low, classifier.pixel_range_.high
    temperature = classifier._temperature()
    factor = np.float32(high - low) / np.float32(255)
    resized = None if resizer is None else _resizing(classifier)
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


def _resizing(classifier: FacialExpressionClassifier) -> Callable[[tf.Tensor], tf.Tensor]:
    height, width, channels = classifier.image_shape_
    return _resize_function((height, width), channels)


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
    resized = _resizing(classifier)
    for share_of_height, share_of_width in _CHECKED_SIZES:
        size = max(1, round(share_of_height * height)), max(1, round(share_of_width * width))
        images = noise(1, *size, 3)
        pixels = resized(tf.constant(images)).numpy().astype(np.uint8)
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


def _resize_function(size: tuple[int, int], channels: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a TensorFlow function that converts and resizes images as `ImageResizer` does.

    It repeats OpenCV's arithmetic with its rounding: the mean over areas if an image shrinks,
    fixed-point bilinear weights if it grows. Sums are exact. OpenCV computes means over areas in
    single precision, and may round a mean that ends in exactly .5 to the other side.
    """

    def resize(images: tf.Tensor) -> tf.Tensor:
        planes = tf.transpose(_in_color(images, channels), (0, 3, 1, 2))
        shape = tf.shape(planes)
        shrinks = tf.logical_and(shape[2] >= size[0], shape[3] >= size[1])
        planes = tf.cond(shrinks, lambda: _area(planes, size), lambda: _linear(planes, size))
        planes = tf.ensure_shape(planes, (None, channels, *size))
        return tf.cast(tf.transpose(planes, (0, 2, 3, 1)), tf.float32)

    return resize


def _in_color(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Return gray or RGB images as integers in float64, in which all sums are exact."""
    # Channels 0, 1, 2 of a colour image, 0, 0, 0 of a gray one.
    indices = tf.minimum([0, 1, 2], tf.shape(images)[3] - 1)
    colors = tf.cast(tf.gather(images, indices, axis=3), tf.float64)
    if channels == 3:
        return colors
    red, green, blue = (weight * colors[..., k : k + 1] for k, weight in enumerate(_GRAY_WEIGHTS))
    return tf.floor((red + green + blue) / _GRAY_ONE + 0.5)


def _area(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return each pixel as the mean of the area it covers (cv2.INTER_AREA)."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    rows, columns = _overlaps(height, size[0]), _overlaps(width, size[1])
    sums = tf.matmul(tf.matmul(rows, planes), columns, transpose_b=True)
    tall, wide = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    means = tf.round(sums / (tall * wide))
    # For integer factors, OpenCV multiplies the sum of the pixels by the reciprocal of their number
    # in single precision. For 2 in both directions, it rounds halves up.
    sums = sums / (size[0] * size[1])
    factors = tf.stack([tall / size[0], wide / size[1]])
    share = tf.cast(1 / tf.reduce_prod(factors), tf.float32)
    of_whole = tf.cast(tf.round(tf.cast(sums, tf.float32) * share), tf.float64)
    of_two = tf.floor(sums / 4 + 0.5)
    whole = tf.reduce_all(tf.equal(factors, tf.floor(factors)))
    two = tf.reduce_all(tf.equal(factors, 2.0))
    return tf.where(two, of_two, tf.where(whole, of_whole, means))


def _overlaps(old: tf.Tensor, new: int) -> tf.Tensor:
    """Return how much of each old pixel each new one covers, ``(new, old)``, in 1 / new pixels."""
    old_side = tf.cast(old, tf.float64)
    first = tf.range(new, dtype=tf.float64)[:, tf.newaxis] * old_side
    covered = tf.cast(tf.range(old), tf.float64) * float(new)
    ends = tf.minimum(first + old_side, covered + float(new))
    return tf.maximum(ends - tf.maximum(first, covered), 0.0)


def _linear(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return each pixel from the four around it (cv2.INTER_LINEAR; INTER_AREA if a side grows)."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    # ImageResizer uses INTER_AREA if one side shrinks, which has bilinear weights if the other
    # grows.
    area = tf.logical_or(height > size[0], width > size[1])
    left, share = _neighbours(width, size[1], area)
    outside = tf.logical_or(left < 0, left >= width - 1)
    share = tf.where(outside, tf.zeros_like(share), share)
    columns = sum(tf.gather(planes, at, axis=3) * of for at, of in _taps(left, share, width))
    columns = tf.floor(columns / 16)
    above, share = _neighbours(height, size[0], area)
    rows = sum(
        tf.floor(tf.gather(columns, at, axis=2) * of[:, tf.newaxis] / 65536)
        for at, of in _taps(above, share, height)
    )
    return tf.floor((rows + 2) / 4)


def _neighbours(old: tf.Tensor, new: int, area: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the old pixel before each new one, and the share of the next one, in [0, 1)."""
    index = tf.range(new, dtype=tf.float64)
    shrunk = float(new) / tf.cast(old, tf.float64)
    scale = 1 / shrunk
    centre = tf.cast((index + 0.5) * scale - 0.5, tf.float32)
    first = tf.where(area, tf.floor(index * scale), tf.cast(tf.floor(centre), tf.float64))
    beyond = tf.cast((index + 1) - (first + 1) * shrunk, tf.float32)
    covered = tf.where(beyond <= 0, tf.zeros_like(beyond), beyond - tf.floor(beyond))
    share = tf.where(area, covered, centre - tf.floor(centre))
    return tf.cast(first, tf.int32), share


def _taps(first: tf.Tensor, share: tf.Tensor, old: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return indices and fixed-point weights of the two old pixels of each new one."""
    weights = [tf.round(part * _LINEAR_ONE) for part in (1 - share, share)]
    return [
        (tf.clip_by_value(first + step, 0, old - 1), tf.cast(weight, tf.float64))
        for step, weight in enumerate(weights)
    ]
