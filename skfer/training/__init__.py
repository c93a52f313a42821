"""What happens to a network while it is fitted: batches, augmentation, precision, seeds."""

from skfer.training._augmentation import Augmentation
from skfer.training._batch_norm import settle_within_an_epoch
from skfer.training._batches import evaluation_batches, training_batches
from skfer.training._precision import precision_policy, set_precision
from skfer.training._random import isolated_random_state
from skfer.training._tracing import one_trace_a_fit

__all__ = [
    "Augmentation",
    "evaluation_batches",
    "isolated_random_state",
    "one_trace_a_fit",
    "precision_policy",
    "set_precision",
    "settle_within_an_epoch",
    "training_batches",
]
