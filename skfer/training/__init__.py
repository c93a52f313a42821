"""What happens to a network while it is fitted: batches, augmentation, precision, seeds."""

from skfer.training._augmentation import Augmentation
from skfer.training._batch_norm import settling_within_an_epoch
from skfer.training._batches import (
    PickedImages,
    epoch_order,
    evaluation_batches,
    steps_an_epoch,
    training_batches,
)
from skfer.training._callbacks import BestEpoch, StopEarly, fit_callbacks
from skfer.training._checkpoint import (
    CheckpointFile,
    Progress,
    SaveCheckpoint,
    SavedFit,
)
from skfer.training._concordance import Concordance, concordance_loss
from skfer.training._examples import Examples
from skfer.training._fingerprint import fingerprint
from skfer.training._long_fit import LongFit
from skfer.training._memory import build_state, no_graphs_left_behind
from skfer.training._optimizer import has_own_schedule, new_optimizer
from skfer.training._oversampling import oversampled
from skfer.training._precision import computing_in, precision_policy
from skfer.training._process import prepare_tensorflow
from skfer.training._random import isolated_random_state
from skfer.training._schedules import SCHEDULES
from skfer.training._targets import (
    VOTE_MODES,
    TargetRule,
    as_shares,
    best_accepted,
    vote_targets,
)
from skfer.training._tracing import one_trace_a_fit
from skfer.training._views import VIEWS, averaged_over_views
from skfer.training._weight_average import WeightAverage

__all__ = [
    "SCHEDULES",
    "VIEWS",
    "VOTE_MODES",
    "Augmentation",
    "BestEpoch",
    "CheckpointFile",
    "Concordance",
    "Examples",
    "LongFit",
    "PickedImages",
    "Progress",
    "SaveCheckpoint",
    "SavedFit",
    "StopEarly",
    "TargetRule",
    "WeightAverage",
    "as_shares",
    "averaged_over_views",
    "best_accepted",
    "build_state",
    "computing_in",
    "concordance_loss",
    "epoch_order",
    "evaluation_batches",
    "fingerprint",
    "fit_callbacks",
    "has_own_schedule",
    "isolated_random_state",
    "new_optimizer",
    "no_graphs_left_behind",
    "one_trace_a_fit",
    "oversampled",
    "precision_policy",
    "prepare_tensorflow",
    "settling_within_an_epoch",
    "steps_an_epoch",
    "training_batches",
    "vote_targets",
]
