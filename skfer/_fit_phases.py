"""Which layers a fit trains when, for how many epochs and at which rate.

`settings` is the estimator that is fitted, whose parameters are read.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from skfer.training import has_own_schedule, new_optimizer

# Fine-tuning keeps to a rate that doesn't undo what the layers know.
_FINE_TUNE_SHARE = 0.1
# Share of the epochs of a fit from trained weights that train the head alone.
_HEAD_SHARE = 1 / 3


class _Length(NamedTuple):
    """Images that a fit with `epochs=None` sees, and limits to its epochs."""

    images: int
    fewest: int
    most: int


# benchmarks/defaults.py measures both.
_FROM_SCRATCH = _Length(images=28_000, fewest=12, most=80)
_FROM_WEIGHTS = _Length(images=2_000, fewest=5, most=30)
# Highest rate at which Adam trains the default network, along a cosine. Its few weights and batch
# normalisation allow more than Adam's own 0.001, and the fit is short.
_DEFAULT_NETWORK_RATE = 0.008


class Phase(NamedTuple):
    """Epochs that train the same layers from the same rate.

    `layers` is "all" that are trainable as the network is, "head", or "fine" for those that
    `fine_tune_from` names, with batch normalisation frozen; "same" goes on with layers and
    optimiser of the training before.
    """

    epochs: int
    learning_rate: float | None = None
    layers: str = "all"
    schedule: str | None = None


def epochs_of_fit(settings: Any, n_images: int) -> int:
    """Return the number of epochs of a fit on so many images."""
    if settings.epochs is not None:
        return settings.epochs
    length = _FROM_SCRATCH if settings.weights is None else _FROM_WEIGHTS
    epochs = math.ceil(length.images / max(n_images, 1))
    return max(min(max(epochs, length.fewest), length.most), settings.frozen_epochs or 0)


def phases_of_fit(settings: Any, n_images: int) -> list[Phase]:
    """Return the phases of a fit: all layers at once, or the head first and then deeper layers."""
    schedule = _schedule(settings)
    epochs = epochs_of_fit(settings, n_images)
    frozen_epochs = settings.frozen_epochs
    if frozen_epochs is None:
        frozen_epochs = 0 if settings.weights is None else int(_HEAD_SHARE * epochs)
    if frozen_epochs > epochs:
        raise ValueError(
            f"frozen_epochs={frozen_epochs} is more than epochs={epochs}, which "
            "counts the epochs of both phases."
        )
    fine_tunes = _fine_tunes(settings)
    if settings.fine_tune_learning_rate is not None and not fine_tunes:
        raise ValueError(
            f"fine_tune_learning_rate={settings.fine_tune_learning_rate!r} is the rate of a "
            "fine-tuning, of which there is none: set frozen_epochs or fine_tune_from, or "
            "use learning_rate."
        )
    phases = []
    if frozen_epochs:
        phases.append(Phase(frozen_epochs, settings.learning_rate, "head", schedule))
    if epochs > frozen_epochs:
        layers = "fine" if fine_tunes else "all"
        rate = _last_rate(settings)
        default_network = settings.network is None and settings.weights is None
        by_default = default_network and settings.optimizer == "adam" and schedule == "cosine"
        if rate is None and by_default:
            rate = _DEFAULT_NETWORK_RATE
        phases.append(Phase(epochs - frozen_epochs, rate, layers, schedule))
    return phases


def phases_of_partial_fit(settings: Any, first: bool) -> list[Phase]:
    """One epoch that goes on with what was trained before; it knows no schedule of phases."""
    if settings.schedule not in (None, "auto"):
        raise ValueError(
            f"schedule={settings.schedule!r} spans a whole fit, of which partial_fit doesn't "
            "know the length: use fit, or schedule=None."
        )
    if not first:
        return [Phase(1, _last_rate(settings), "same")]
    fine_tunes = settings.fine_tune_from is not None or _from_weights(settings)
    return [Phase(1, _last_rate(settings), "fine" if fine_tunes else "all")]


def _last_rate(settings: Any) -> float | None:
    """Return the rate of fine-tuning, or of the whole fit if there is none."""
    if settings.fine_tune_learning_rate is not None:
        return settings.fine_tune_learning_rate
    after_a_head = settings.frozen_epochs or _from_weights(settings)
    if not after_a_head:
        return settings.learning_rate
    rate = new_optimizer(settings.optimizer, settings.learning_rate).learning_rate
    return _FINE_TUNE_SHARE * float(rate)


def _schedule(settings: Any) -> str | None:
    """Return the course of the rate over each phase of a whole fit."""
    if settings.schedule == "auto":
        own = settings.reduce_lr or has_own_schedule(settings.optimizer)
        return None if own else "cosine"
    if settings.schedule is not None and settings.reduce_lr:
        raise ValueError(
            f"schedule={settings.schedule!r} and reduce_lr both set the rate: choose one of them."
        )
    return settings.schedule


def _fine_tunes(settings: Any) -> bool:
    return (
        bool(settings.frozen_epochs)
        or settings.fine_tune_from is not None
        or _from_weights(settings)
    )


def _from_weights(settings: Any) -> bool:
    """Return whether a fit from trained weights chooses its phases itself."""
    return settings.frozen_epochs is None and settings.weights is not None
