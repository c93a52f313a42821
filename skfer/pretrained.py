"""`load_pretrained`: fitted Pipelines with weights of the package."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skfer._inference import OnnxNetwork
from skfer.estimators._classifier import FacialExpressionClassifier
from skfer.preprocessing import FaceCropper, GrayscaleResizer
from skfer.weights import WeightsRecord, list_weights, read_model, read_record

SIZES = ("base", "small")


def list_pretrained() -> list[dict[str, Any]]:
    """Return the models that `load_pretrained` can load.

    Returns
    -------
    list of dict
        `name`, `classes`, `network`, `n_weights`, `accuracy` (by data and rule), `data`,
        `licence` (of the data) and `recipe` of each.

    Raises
    ------
    ValueError
        If a file of the weights is damaged.

    Examples
    --------
    >>> from skfer import list_pretrained
    >>> [(model["name"], len(model["classes"])) for model in list_pretrained()]
    [('fer2013', 7), ('fer2013-small', 7), ('ferplus', 8), ('ferplus-small', 8)]
    """
    shown = ("name", "classes", "network", "n_weights", "accuracy", "data", "licence", "recipe")
    return [{key: getattr(read_record(name), key) for key in shown} for name in list_weights()]


def load_pretrained(name: str = "fer2013", size: str = "base") -> Pipeline:
    """Return a fitted Pipeline with weights of the package.

    Parameters
    ----------
    name : {"fer2013", "ferplus"}, default="fer2013"
        "fer2013" has the seven labels of FER2013. "ferplus" also has contempt and was trained on
        the votes of ten annotators for each image.
    size : {"base", "small"}, default="base"
        Size of the network. "base" is the more accurate. "small" has a quarter of its weights and
        arithmetic, for many faces on a small processor. ``load_pretrained("fer2013-small")``
        means the same.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``cropper``, ``resizer`` and ``classifier``, for photos: paths, bytes or
        arrays. The resizer makes dark faces brighter. Parameters of prediction can be changed, such
        as ``set_params(classifier__test_time_augmentation="flip")``. ``fit`` starts from these
        weights, and resets the temperature that was fitted for them.

    Raises
    ------
    ValueError
        If there are no such weights or sizes, or the file of the weights was changed.

    See Also
    --------
    list_pretrained : Names and accuracy of the models.

    References
    ----------
    Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three
    machine learning contests. ICONIP (FER2013).

    Barsoum, E. et al. (2016). Training deep networks for facial expression recognition with
    crowd-sourced label distribution. ICMI (FER+).

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from skfer import load_pretrained
    >>> load_pretrained("fer2013").predict([astronaut()]).tolist()
    ['happy']
    >>> load_pretrained("fer2013", size="small").predict([astronaut()]).tolist()
    ['happy']
    """
    if size not in SIZES:
        raise ValueError(f"size={size!r} must be one of {list(SIZES)}.")
    suffix = "" if size == "base" or name.endswith(f"-{size}") else f"-{size}"
    record = read_record(f"{name}{suffix}")
    return Pipeline(
        [
            ("cropper", FaceCropper("auto", **record.preprocessing["cropper"])),
            ("resizer", GrayscaleResizer(**record.preprocessing["resizer"])),
            ("classifier", _classifier(record)),
        ]
    )


def _classifier(record: WeightsRecord) -> FacialExpressionClassifier:
    classifier = FacialExpressionClassifier(
        record.network, weights=record.name, **record.parameters
    )
    classifier.classes_ = np.array(record.classes)
    classifier.class_prior_ = np.array(record.class_prior)
    classifier.temperature_ = record.temperature
    network = OnnxNetwork(read_model(record), record.name)
    classifier._use_stored_network(network, record.image_shape)
    return classifier
