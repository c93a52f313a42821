"""What is measured of probabilities (calibration, abstention, sets of labels) and of affect."""

from skfer.metrics._affect import concordance_correlation, sign_agreement
from skfer.metrics._calibration import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from skfer.metrics._class_prior import apply_class_prior, estimate_class_prior
from skfer.metrics._coverage import (
    SelectiveScore,
    coverage_curve,
    selective_score,
    threshold_for_accuracy,
    threshold_for_coverage,
)
from skfer.metrics._prediction_sets import PredictionSetScore, prediction_set_score
from skfer.metrics._temperature import apply_temperature, fit_temperature

__all__ = [
    "PredictionSetScore",
    "ReliabilityCurve",
    "SelectiveScore",
    "apply_class_prior",
    "apply_temperature",
    "concordance_correlation",
    "coverage_curve",
    "estimate_class_prior",
    "expected_calibration_error",
    "fit_temperature",
    "prediction_set_score",
    "reliability_curve",
    "selective_score",
    "sign_agreement",
    "threshold_for_accuracy",
    "threshold_for_coverage",
]
