"""Classes whose objects a model file may hold."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from skfer._images._pixel_range import PixelRange

# What any estimator may have learnt of its input, and how its output is wrapped.
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
# Attributes that are made anew, or are of no use elsewhere.
LEFT_OUT = {
    *("_backend", "_feature_backend", "_inspecting", "_average", "_built_with"),
    *("_metadata_request", "_sklearn_version", "_callback_fit_ctx", "callbacks_"),
}
# Parameters that name a place of the machine where the model was made, to be written to.
PLACES = {"memory", "checkpoint_dir"}


class Kind(NamedTuple):
    """A class, and what it keeps when it is fitted.

    Attributes
    ----------
    module : str
        Where it is imported from.
    attributes : dict or None
        Type of each fitted attribute. None is for scikit-learn's, whose names are its own affair:
        plain data under any name that the class doesn't use itself.
    """

    module: str
    attributes: dict[str, Any] | None = {}


KINDS = {
    "AbstainingClassifier": Kind("skfer", {"estimator_": object}),
    "ConformalClassifier": Kind(
        "skfer",
        {
            "estimator_": object,
            "classes_": np.ndarray,
            "scores_": np.ndarray,
            "codes_": np.ndarray,
            "_calibrated_by": str,
        },
    ),
    "ExpressionEmbedder": Kind("skfer", {"estimator_": object}),
    "FaceCropper": Kind("skfer"),
    "FacialAffectRegressor": Kind(
        "skfer",
        {
            **_OF_NETWORKS,
            "n_outputs_": int,
            "target_range_": np.ndarray,
            "_one_column": bool,
        },
    ),
    "FacialExpressionClassifier": Kind(
        "skfer",
        {
            **_OF_NETWORKS,
            "classes_": np.ndarray,
            "class_prior_": np.ndarray,
            "temperature_": float,
        },
    ),
    "GrayscaleResizer": Kind("skfer"),
    "HOGDescriptor": Kind("skfer", {"image_shape_": tuple, "_n_features_out": int}),
    "ImageResizer": Kind("skfer"),
    "LBPDescriptor": Kind("skfer", {"image_shape_": tuple, "_n_features_out": int}),
    "HaarDetector": Kind("skfer.detection"),
    "MTCNNDetector": Kind("skfer.detection"),
    "YuNetDetector": Kind("skfer.detection"),
    "FrozenEstimator": Kind("sklearn.frozen"),
    "Pipeline": Kind("sklearn.pipeline"),
    "FeatureUnion": Kind("sklearn.pipeline"),
    "LinearSVC": Kind("sklearn.svm", None),
    "LogisticRegression": Kind("sklearn.linear_model", None),
    "PCA": Kind("sklearn.decomposition", None),
    "StandardScaler": Kind("sklearn.preprocessing", None),
}
# Their members have names of their own, which an error gives.
GROUPS = (FeatureUnion, Pipeline)


def class_of(name: Any) -> type:
    """Return the class of a name in a file.

    Raises
    ------
    ValueError
        If it is none of `KINDS`.
    """
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"it holds an object of the class {name!r}; known are {', '.join(KINDS)}")
    return getattr(importlib.import_module(KINDS[name].module), name)


def kind_of(estimator: Any) -> str | None:
    """Return the name of the class of an object, if it is one of `KINDS` and no subclass."""
    name = type(estimator).__name__
    return name if name in KINDS and type(estimator) is class_of(name) else None


def may_have(cls: type, name: str, value: Any) -> bool:
    """Return whether a fitted object of a class may have an attribute."""
    types = KINDS[cls.__name__].attributes
    if name in _COMMON:
        return isinstance(value, _COMMON[name])
    if types is None:
        return name.isidentifier() and not name.startswith("__") and not hasattr(cls, name)
    return name in types and isinstance(value, types[name])
