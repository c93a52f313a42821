"""`grad_cam`: where a feature map speaks for a class."""

from __future__ import annotations

from typing import Any

from sklearn.utils import Bunch

from skfer.inspection._maps._seen_images import network_of, seen_images


def grad_cam(estimator: Any, X: Any, *, target: Any = None, layer: str | None = None) -> Bunch:
    """Where the network sees what speaks for a class.

    The channels of a feature map, weighed by the mean gradient of the class's score with respect
    to each, added up; what speaks against the class is left out [1]_. The map is as coarse as the
    layer, and is enlarged bilinearly.

    Parameters
    ----------
    estimator : FacialExpressionClassifier, or Pipeline that ends in one
        Fitted. One inside an `AbstainingClassifier`, a `FrozenEstimator` or a search is found.
    X : batch of n images
        As the estimator takes them.
    target : label or array-like of shape (n,), default=None
        The class whose score is followed, for all images or for each. None is the class
        predicted for each image.
    layer : str, default=None
        Name of the layer whose feature map is taken; `layer_table` lists them. None is the last
        feature map before it is pooled. Earlier ones are finer and know less of the class.

    Returns
    -------
    Bunch
        `maps`, `images`, `target` and `proba`, as `saliency` returns them.

    Raises
    ------
    TypeError
        If no network answers.
    ValueError
        If `target` is unknown, there is no such layer, or the network has no feature map.

    See Also
    --------
    saliency : Pixel by pixel.
    layer_table : The layers of a network.

    Notes
    -----
    The score of a class is its logit less the mean of all logits, which is all that the
    probabilities of a softmax tell. Where it falls with all the channels that are active, the map
    is zero everywhere.

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
    seen = seen_images(estimator, X)
    classifier = network_of(seen, "grad_cam")
    from skfer.inspection._maps._gradients import class_activation, graph_of
    from skfer.networks._feature_maps import feature_map_layer

    chosen = feature_map_layer(classifier.network_, layer)
    proba = seen.proba()
    codes = seen.codes(target, proba)
    graph = graph_of(
        classifier, ("grad_cam", chosen), lambda network: class_activation(network, chosen)
    )
    maps = graph(classifier._on_fitted_scale(seen.images), codes)
    return seen.explained(maps, codes, proba)
