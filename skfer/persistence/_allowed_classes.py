"""Classes whose objects a model file may hold, and their fitted attributes."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np

from skfer._images._pixel_range import PixelRange

# Attributes of any estimator.
_COMMON: dict[str, Any] = {
    "n_features_in_": int,
    "feature_names_in_": np.ndarray,
    "_sklearn_output_config": dict,
}
_OF_NETWORKS = {
    "image_shape_": tuple,
    "pixel_range_": PixelRange,
    "history_": dict,
    "n_iter_": int,
    "fine_tune_epoch_": int | None,
    "_seed": int,
    "_trained_at_first": list,
}
# Attributes that are created when a file is read, or that another process cannot use.
NOT_SAVED = {
    "_backends", "_inspecting", "_average", "_built_with",
    "_metadata_request", "_sklearn_version", "_callback_fit_ctx", "callbacks_",
}  # fmt: skip


class AllowedClass(NamedTuple):
    """Module of a class, and the type of each fitted attribute.

    None stands for a class of scikit-learn: plain data under any name that the class does not use.
    """

    module: str
    attributes: dict[str, Any] | None = {}


ALLOWED = {
    "AbstainingClassifier": AllowedClass("skfer", {"estimator_": object}),
    "ConformalClassifier": AllowedClass(
        "skfer",
        {
            "estimator_": object,
            "classes_": np.ndarray,
            "scores_": np.ndarray,
            "codes_": np.ndarray,
            "_calibrated_by": str,
        },
    ),
    "ExpressionEmbedder": AllowedClass("skfer", {"estimator_": object}),
    "FaceCropper": AllowedClass("skfer"),
    "FacialAffectRegressor": AllowedClass(
        "skfer",
        {**_OF_NETWORKS, "n_outputs_": int, "target_range_": np.ndarray, "_one_column": bool},
    ),
    "FacialExpressionClassifier": AllowedClass(
        "skfer",
        {
            **_OF_NETWORKS,
            "classes_": np.ndarray,
            "class_prior_": np.ndarray,
            "n_samples_seen_": int,
            "temperature_": float,
        },
    ),
    "GrayscaleResizer": AllowedClass("skfer"),
    "HOGDescriptor": AllowedClass("skfer", {"image_shape_": tuple, "_n_features_out": int}),
    "ImageResizer": AllowedClass("skfer"),
    "LBPDescriptor": AllowedClass("skfer", {"image_shape_": tuple, "_n_features_out": int}),
    "HaarDetector": AllowedClass("skfer.detection"),
    "MTCNNDetector": AllowedClass("skfer.detection"),
    "YuNetDetector": AllowedClass("skfer.detection"),
    "FrozenEstimator": AllowedClass("sklearn.frozen"),
    "Pipeline": AllowedClass("sklearn.pipeline"),
    "FeatureUnion": AllowedClass("sklearn.pipeline"),
    "LinearSVC": AllowedClass("sklearn.svm", None),
    "LogisticRegression": AllowedClass("sklearn.linear_model", None),
    "PCA": AllowedClass("sklearn.decomposition", None),
    "StandardScaler": AllowedClass("sklearn.preprocessing", None),
}


def import_class(name: Any) -> type:
    """Return the class that a file names, if it is allowed."""
    if not isinstance(name, str) or name not in ALLOWED:
        raise ValueError(
            f"it holds an object of the class {name!r}; known are {', '.join(ALLOWED)}"
        )
    return getattr(importlib.import_module(ALLOWED[name].module), name)


def class_name(estimator: Any) -> str | None:
    """Return the name of the class of an object; None if it is not allowed or a subclass."""
    name = type(estimator).__name__
    return name if name in ALLOWED and type(estimator) is import_class(name) else None


def is_allowed_attribute(cls: type, name: str, value: Any) -> bool:
    """Return whether a fitted object of a class may have an attribute."""
    types = ALLOWED[cls.__name__].attributes
    if name in _COMMON:
        return isinstance(value, _COMMON[name])
    if types is None:
        return name.isidentifier() and not name.startswith("__") and not hasattr(cls, name)
    return name in types and isinstance(value, types[name])
