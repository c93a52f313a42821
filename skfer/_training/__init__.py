"""Training of a network: data, augmentation, callbacks, checkpoints, and the fit itself.

The names below are imported on first use, as they import TensorFlow.
"""

from typing import Any

from skfer._utils import lazy_names
from skfer.networks._keras_settings import import_keras

# Values of the parameters `schedule`, `vote_mode` and `distribution` of the estimators.
SCHEDULES = ("cosine", "one_cycle")
VOTE_MODES = ("majority", "probabilistic", "cross_entropy", "multi_target")
DISTRIBUTIONS = ("mirrored",)
# Seconds from which on a fit is reported. It is here because tests set it without TensorFlow.
LONG_FIT = 60

_NAMES = {
    "_augmentation": ("Augmentation",),
    "_callbacks": ("EpochTasks",),
    "_checkpoint": ("CheckpointFile", "fit_fingerprint"),
    "_data": ("Examples", "TargetTransform", "oversampled_rows", "vote_targets"),
    "_distribution": ("PickledStrategy",),
    "_fit": ("FitResult", "fit_network"),
    "_losses": ("Concordance", "concordance_loss", "multi_target_loss"),
    "_phases": ("FineTuning", "FitSettings", "count_epochs", "plan_partial_fit", "plan_phases"),
    "_tensorflow": ("isolated_random_state", "prepare_tensorflow", "release_graphs"),
}
_lazy = lazy_names(
    {name: f"skfer._training.{module}" for module, names in _NAMES.items() for name in names}
)


def __getattr__(name: str) -> Any:
    if not name.startswith("__"):
        import_keras()
    return _lazy(name)
