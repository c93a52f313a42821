"""Gradient maps: saliency and Grad-CAM, and the images that all maps are computed on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from skfer._base import as_images
from skfer._images._dense import dense_images
from skfer._pipelines import flat_steps, join_steps
from skfer._utils import check_int, shorten
from skfer.preprocessing import FaceCropper, GrayscaleResizer, ImageResizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Images that share one draw of noise. The number is fixed: the maps must not depend on memory.
_NOISE_BLOCK = 64
# Smallest probability whose logarithm is finite in single precision.
_MIN_PROBA = 1e-37


class PreparedImages(NamedTuple):
    """Images after cropping and resizing, and the classifier that predicts from them."""

    images: np.ndarray
    classifier: Any

    def predict_proba(self, images: np.ndarray | None = None) -> np.ndarray:
        """Return the class probabilities of these images, or of modified ones."""
        return self.classifier.predict_proba(self.images if images is None else images)

    def class_indices(self, target: Any, proba: np.ndarray) -> np.ndarray:
        """Return the column of the target class for each image; None is the predicted class."""
        if target is None:
            return proba.argmax(axis=1)
        labels, classes = np.asarray(target), np.asarray(self.classifier.classes_).tolist()
        if labels.ndim == 0:
            labels = np.full(len(self.images), target, labels.dtype)
        if labels.shape != (len(self.images),):
            raise ValueError(
                f"target has the shape {labels.shape} for {len(self.images)} images: give one "
                "class, one for each image, or None for the predicted classes."
            )
        columns = {name: column for column, name in enumerate(classes)}
        for label in labels.tolist():
            if label not in columns:
                raise ValueError(
                    f"target={shorten(label)} is none of the classes {shorten(classes)}."
                )
        return np.array([columns[label] for label in labels.tolist()])

    def result(self, maps: np.ndarray, indices: np.ndarray, proba: np.ndarray) -> Bunch:
        """Return the Bunch that the functions for maps return."""
        return Bunch(
            maps=maps,
            images=self.images,
            target=np.asarray(self.classifier.classes_)[indices],
            proba=proba[np.arange(len(indices)), indices],
        )


def prepare_images(estimator: Any, X: Any) -> PreparedImages:
    """Run images through the croppers and resizers of a Pipeline and return the rest of it."""
    steps = flat_steps(estimator)
    _check_classifier(steps[-1])
    n_steps = max(
        (
            number
            for number, step in enumerate(steps, start=1)
            if isinstance(step, FaceCropper | GrayscaleResizer | ImageResizer)
        ),
        default=0,
    )
    for step in steps[:n_steps]:
        X = step.transform(X)
    return PreparedImages(dense_images(as_images(X)), join_steps(steps[n_steps:]))


def _check_classifier(estimator: Any) -> None:
    if not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator is of type {type(estimator).__name__}; it must be a fitted classifier or "
            "Pipeline, such as skfer.load_pretrained() returns."
        )
    check_is_fitted(estimator)
    if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba: use a classifier that has it, or "
            "wrap it in a CalibratedClassifierCV."
        )


def _network_classifier(prepared: PreparedImages, caller: str) -> Any:
    """Return the classifier if it is a network; raise a TypeError otherwise."""
    from skfer.estimators._base import NetworkEstimator

    classifier = prepared.classifier
    if isinstance(classifier, NetworkEstimator):
        return classifier
    last = classifier[-1] if isinstance(classifier, Pipeline) else classifier
    raise TypeError(
        f"{caller} needs the gradients of a network, but the classifier is a "
        f"{type(last).__name__}. It takes a FacialExpressionClassifier, or a Pipeline of croppers, "
        "resizers and a FacialExpressionClassifier. occlusion_sensitivity and region_importance "
        "take any classifier."
    )


def saliency(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    smooth: int = 0,
    noise: float = 0.15,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """Compute the sensitivity of a class score to each pixel.

    The map is the absolute gradient of the score with respect to the pixels, the largest over the
    channels [1]_. With `smooth`, it is the mean gradient over noisy copies of the image [2]_.

    Parameters
    ----------
    estimator : FacialExpressionClassifier, or Pipeline that ends in one
        Fitted. It may be inside an `AbstainingClassifier`, a `FrozenEstimator` or a search.
    X : batch of n images
    target : label or array-like of shape (n,), default=None
        The class whose score is differentiated, for all images or for each. None is the class
        predicted for each image.
    smooth : int, default=0
        Number of noisy copies of each image; 0 is the plain gradient. 25 to 50 are usual.
    noise : float, default=0.15
        Standard deviation of the noise, as a fraction of the pixel range fitted on.
    random_state : int, RandomState instance or None, default=0
        Seed of the noise.

    Returns
    -------
    Bunch
        With the attributes

        maps : ndarray of shape (n, H, W), float32
            Maps of the images that the network gets, after cropper and resizer.
        images : ndarray of shape (n, H, W, channels)
            Those images.
        target : ndarray of shape (n,)
            The class of each map.
        proba : ndarray of shape (n,)
            Its probability.

    Raises
    ------
    TypeError
        If the classifier is not a network.
    ValueError
        If `target` is unknown or a parameter is invalid.

    Notes
    -----
    The score of a class is its logit minus the mean of all logits. This is all that the
    probabilities of a softmax determine. Test-time augmentation is not used.

    References
    ----------
    .. [1] Simonyan, K., Vedaldi, A. & Zisserman, A. (2014). Deep inside convolutional networks:
       visualising image classification models and saliency maps. ICLR workshop.
    .. [2] Smilkov, D. et al. (2017). SmoothGrad: removing noise by adding noise.
       arXiv:1706.03825.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import saliency
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> result = saliency(load_pretrained(), faces.images, target="happy")
    >>> result.maps.shape, result.images.shape
    ((3, 48, 48), (3, 48, 48, 1))
    """
    check_int("smooth", smooth, 0)
    if not isinstance(noise, Real) or noise < 0:
        raise ValueError(f"noise={noise!r} must be a number of at least 0.")
    prepared = prepare_images(estimator, X)
    classifier = _network_classifier(prepared, "saliency")
    proba = prepared.predict_proba()
    indices = prepared.class_indices(target, proba)
    gradient = _cached_function(classifier, "saliency", _pixel_gradient)
    pixels = classifier._scaled_images(prepared.images)
    if smooth:
        deviation = noise * (classifier.pixel_range_.high - classifier.pixel_range_.low)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        gradients = np.zeros(pixels.shape, np.float32)
        for start in range(0, len(pixels), _NOISE_BLOCK):
            block = slice(start, start + _NOISE_BLOCK)
            for _ in range(smooth):
                draw = rng.standard_normal(pixels[block].shape, dtype=np.float32)
                gradients[block] += gradient(
                    pixels[block] + draw * np.float32(deviation), indices[block]
                )
        gradients /= smooth
    else:
        gradients = gradient(pixels, indices)
    return prepared.result(np.abs(gradients).max(axis=-1), indices, proba)


def grad_cam(estimator: Any, X: Any, *, target: Any = None, layer: str | None = None) -> Bunch:
    """Compute maps of the evidence for a class by Grad-CAM.

    The channels of a feature map are weighted by the mean gradient of the class score with respect
    to each channel, and summed; negative evidence is set to zero [1]_. The map has the resolution
    of the layer and is enlarged bilinearly.

    Parameters
    ----------
    estimator, X, target
        As in `saliency`.
    layer : str, default=None
        Name of the layer whose feature map is used; `layer_table` lists them. None is the last
        feature map before pooling. Earlier layers are finer and less specific to the class.

    Returns
    -------
    Bunch
        `maps`, `images`, `target` and `proba`, as `saliency` returns them.

    Raises
    ------
    TypeError
        If the classifier is not a network.
    ValueError
        If `target` or `layer` is unknown, or the network has no feature map.

    Notes
    -----
    The score is that of `saliency`. If it decreases with all active channels, the map is zero.

    References
    ----------
    .. [1] Selvaraju, R. R. et al. (2017). Grad-CAM: visual explanations from deep networks via
       gradient-based localization. ICCV.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> grad_cam(load_pretrained(), faces.images).maps.shape
    (3, 48, 48)
    """
    prepared = prepare_images(estimator, X)
    classifier = _network_classifier(prepared, "grad_cam")
    from skfer.networks._layers import feature_map_layer

    feature_layer = feature_map_layer(classifier.network_, layer)
    proba = prepared.predict_proba()
    indices = prepared.class_indices(target, proba)
    activation = _cached_function(
        classifier,
        ("grad_cam", feature_layer),
        lambda network: _class_activation(network, feature_layer),
    )
    maps = activation(classifier._scaled_images(prepared.images), indices)
    return prepared.result(maps, indices, proba)


def _pixel_gradient(network: keras.Model) -> Callable:
    """Return a function for the gradient of the class score with respect to the pixels."""
    import tensorflow as tf

    def gradient(pixels: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            score = _class_score(network(pixels, training=False), indices)
        return tape.gradient(score, pixels, unconnected_gradients="zero")

    return gradient


def _class_activation(network: keras.Model, layer: keras.Layer) -> Callable:
    """Return a function for the Grad-CAM of a layer, at the size of the images."""
    import tensorflow as tf

    from skfer.networks._layers import run_with_feature_map

    def activation(pixels: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            channels, outputs = run_with_feature_map(network, layer, pixels)
            score = _class_score(outputs, indices)
        gradient = tape.gradient(score, channels, unconnected_gradients="zero")
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        coarse = tf.nn.relu(tf.reduce_sum(weights * channels, axis=-1, keepdims=True))
        return tf.image.resize(coarse, pixels.shape[1:3])[..., 0]

    return activation


def _class_score(proba: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return the logit of a class minus the mean of all logits."""
    import tensorflow as tf

    log_proba = tf.math.log(tf.maximum(proba, _MIN_PROBA))
    return tf.gather(log_proba, indices, batch_dims=1) - tf.reduce_mean(log_proba, axis=1)


def _cached_function(
    classifier: Any, key: Any, build: Callable[[keras.Model], Callable]
) -> TracedFunction:
    """Return the traced function of a fitted classifier, created at its first use."""
    functions = classifier._inspecting
    if key not in functions:
        # Two threads may both create one; setdefault keeps the first.
        functions.setdefault(key, TracedFunction(classifier.network_, build(classifier.network_)))
    return functions[key]


class TracedFunction:
    """Function of images and class indices, traced once for each dtype."""

    def __init__(self, network: keras.Model, function: Callable):
        self._shape = network.input_shape
        self._function = function
        self._graphs: dict[np.dtype, tuple[Any, int]] = {}
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Run the function on batches that fit into memory."""
        import tensorflow as tf

        graph, batch_size = self._graph(images.dtype)
        indices = indices.astype(np.int32)
        batches = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
        return np.concatenate(
            [graph(tf.constant(images[b]), tf.constant(indices[b])).numpy() for b in batches]
        )

    def _graph(self, dtype: np.dtype) -> tuple[Any, int]:
        import tensorflow as tf

        from skfer._inference._keras import largest_batch
        from skfer.networks._keras_settings import standard_keras

        def function(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
            return self._function(tf.cast(images, tf.float32), indices)

        with standard_keras(), self._lock:
            if dtype not in self._graphs:
                # A concrete function, for the reasons given in `KerasBackend`.
                graph = tf.function(function).get_concrete_function(
                    tf.TensorSpec(self._shape, dtype), tf.TensorSpec([None], tf.int32)
                )
                self._graphs[dtype] = graph, largest_batch(graph, keeps_all=True)
            return self._graphs[dtype]
