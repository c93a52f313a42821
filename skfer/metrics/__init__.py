"""Metrics of probabilities, abstention, prediction sets and affect."""

from skfer.metrics._affect import concordance_correlation, sign_agreement
from skfer.metrics._calibration import (
    ReliabilityCurve,
    apply_class_prior,
    apply_temperature,
    estimate_class_prior,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
)
from skfer.metrics._selective import (
    PredictionSetScore,
    SelectiveScore,
    coverage_curve,
    prediction_set_score,
    selective_score,
    threshold_for_accuracy,
    threshold_for_coverage,
)

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
