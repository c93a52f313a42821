"""What is measured of probabilities (calibration, the cost of abstention) and of affect."""

from skfer.metrics._affect import concordance_correlation, sign_agreement
from skfer.metrics._calibration import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from skfer.metrics._coverage import (
    SelectiveScore,
    coverage_curve,
    selective_score,
    threshold_for_accuracy,
    threshold_for_coverage,
)
from skfer.metrics._temperature import apply_temperature, fit_temperature

__all__ = [
    "ReliabilityCurve",
    "SelectiveScore",
    "apply_temperature",
    "concordance_correlation",
    "coverage_curve",
    "expected_calibration_error",
    "fit_temperature",
    "reliability_curve",
    "selective_score",
    "sign_agreement",
    "threshold_for_accuracy",
    "threshold_for_coverage",
]
