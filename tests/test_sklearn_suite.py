"""scikit-learn's own checks, on every estimator.

They feed flat rows of a few numbers, which are strips one pixel high here. The same properties
are tested on images in each estimator's own test file.
"""

import numpy as np
import pytest
from _utils import tiny_network
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfer
from skfer.networks import register_network

# By name, as a function's repr is another in every process and part of the ids of the tests.
register_network("tiny_network", tiny_network)

# A strip is lower than any face: the cropper rightly says so.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")


class FaceCropperIntoOneArray(skfer.FaceCropper):
    """The cropper with a dense result, which crops of one size allow.

    Passes every check: what `FaceCropper` fails is due to the form of its result alone.
    """

    def transform(self, X):
        return np.stack(super().transform(X))


_RAGGED = (
    "compares results with assert_allclose, which can't take an array whose elements are arrays; "
    "passed by FaceCropperIntoOneArray, and by test_face_cropper.py on photos"
)

_MINIBATCHES = (
    "minibatches differ where an image is repeated instead of weighted, as for SGDClassifier; "
    "test_classifier.py shows that weight zero leaves an image out"
)

# Estimator class -> {check: why it can't pass}. An entry that passes after all is an error.
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
# The suite's rows are no faces: mirrored, they are other rows.
_SETTINGS |= {"augment": None, "random_state": 0}

# Every estimator of the package belongs here.
ESTIMATORS = [
    skfer.FaceCropper(),
    FaceCropperIntoOneArray(),
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
    # The suite's targets have no scale of their own.
    skfer.FacialAffectRegressor("tiny_network", target_range=None, **_SETTINGS),
    # One of three classes always has more than 0.3: the suite expects the most probable class, not
    # abstention, which test_abstaining.py tests.
    skfer.AbstainingClassifier(LogisticRegression(), threshold=0.3),
    # The suite has few samples, which suffice for this confidence only.
    skfer.ConformalClassifier(LogisticRegression(), confidence=0.5, random_state=0),
]


@pytest.mark.slow
@parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS.get(type(estimator), {}),
)
def test_estimator(estimator, check):
    check(estimator)
