"""The estimator checks of scikit-learn.

Their data are rows of a few numbers, which the estimators take as images one pixel high. The test
files of the estimators check the same properties with images.
"""

import numpy as np
import pytest
from _utils import tiny_network
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfer
from skfer.networks import register_network

# The ids of the tests contain the repr of a function, which would differ between processes.
register_network("tiny_network", tiny_network)

# Images one pixel high contain no face.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")


class DenseFaceCropper(skfer.FaceCropper):
    """FaceCropper that returns one array, which passes the checks that FaceCropper fails."""

    def transform(self, X):
        return np.stack(super().transform(X))


_RAGGED = (
    "compares results with assert_allclose, which can't compare arrays of arrays; "
    "DenseFaceCropper passes, and test_face_cropper.py checks photos"
)

_MINIBATCHES = (
    "repeated and weighted images are in different minibatches, as for SGDClassifier; "
    "test_classifier.py checks that a weight of zero removes an image"
)

# {estimator class: {check: reason}}. A check that passes unexpectedly is an error.
EXPECTED_FAILED_CHECKS = {
    skfer.FaceCropper: dict.fromkeys(
        (
            "check_estimators_pickle",
            "check_fit_idempotent",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_pipeline_consistency",
            "check_transformer_data_not_an_array",
            "check_transformer_general",
        ),
        _RAGGED,
    ),
    skfer.FacialExpressionClassifier: {
        "check_sample_weight_equivalence_on_dense_data": _MINIBATCHES
    },
    skfer.FacialAffectRegressor: {"check_sample_weight_equivalence_on_dense_data": _MINIBATCHES},
}

_SETTINGS = {"epochs": 20, "batch_size": 16, "learning_rate": 2e-2, "schedule": None}
# Mirroring would change the rows, which are not faces.
_SETTINGS |= {"augment": None, "random_state": 0}

# All estimators of the package.
ESTIMATORS = [
    skfer.FaceCropper(),
    DenseFaceCropper(),
    skfer.GrayscaleResizer(),
    skfer.ImageResizer(color="rgb"),
    skfer.HOGDescriptor(),
    skfer.LBPDescriptor(),
    skfer.ExpressionEmbedder(
        skfer.FacialExpressionClassifier(
            "tiny_network", **_SETTINGS | {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3}
        )
    ),
    skfer.FacialExpressionClassifier("tiny_network", **_SETTINGS),
    # The targets of the checks have no known range.
    skfer.FacialAffectRegressor("tiny_network", target_range=None, **_SETTINGS),
    # No abstention, which the checks do not expect: one of three classes always has more than 0.3.
    skfer.AbstainingClassifier(LogisticRegression(), threshold=0.3),
    # The checks have too few samples for a higher confidence.
    skfer.ConformalClassifier(LogisticRegression(), confidence=0.5, random_state=0),
]


@pytest.mark.slow
@parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS.get(type(estimator), {}),
)
def test_estimator(estimator, check):
    check(estimator)
