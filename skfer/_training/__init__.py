"""Training of a network: data, augmentation, callbacks, checkpoints, and the fit itself."""

from skfer._training._checkpoint import CheckpointFile, fit_fingerprint
from skfer._training._data import Examples
from skfer._training._fit import FitResult, fit_network
from skfer._training._phases import (
    SCHEDULES,
    FineTuning,
    FitSettings,
    count_epochs,
    plan_partial_fit,
    plan_phases,
)
from skfer._training._tensorflow import isolated_random_state, prepare_tensorflow, release_graphs

__all__ = [
    "SCHEDULES",
    "CheckpointFile",
    "Examples",
    "FineTuning",
    "FitResult",
    "FitSettings",
    "count_epochs",
    "fit_fingerprint",
    "fit_network",
    "isolated_random_state",
    "plan_partial_fit",
    "plan_phases",
    "prepare_tensorflow",
    "release_graphs",
]
