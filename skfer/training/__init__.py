"""What happens to a network while it is fitted: batches, augmentation, precision, seeds."""

from skfer.training._augmentation import Augmentation
from skfer.training._batch_norm import settling_within_an_epoch
from skfer.training._batches import evaluation_batches, training_batches
from skfer.training._memory import build_state, no_graphs_left_behind
from skfer.training._precision import computing_in, precision_policy
from skfer.training._random import isolated_random_state
from skfer.training._settings import fit_callbacks, new_optimizer
from skfer.training._tracing import one_trace_a_fit

__all__ = [
    "Augmentation",
    "build_state",
    "computing_in",
    "evaluation_batches",
    "fit_callbacks",
    "isolated_random_state",
    "new_optimizer",
    "no_graphs_left_behind",
    "one_trace_a_fit",
    "precision_policy",
    "settling_within_an_epoch",
    "training_batches",
]
