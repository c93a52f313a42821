"""Which layers a fit trains when, and from which rate.

`settings` is the estimator that is fitted, whose parameters are read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from skfer.training import new_optimizer

# Fine-tuning keeps to a rate that doesn't undo what the layers know.
_FINE_TUNE_SHARE = 0.1


class Phase(NamedTuple):
    """Epochs that train the same layers from the same rate.

    `layers` is "all" that are trainable as the network is, "head", or "fine" for those that
    `fine_tune_from` names, with batch normalisation frozen; "same" goes on with layers and
    optimiser of the training before.
    """

    epochs: int
    learning_rate: float | None = None
    layers: str = "all"


def phases_of_fit(settings: Any) -> list[Phase]:
    """What a fit trains when: all at once, or the head first and then deeper layers."""
    if settings.schedule is not None and settings.reduce_lr:
        raise ValueError(
            f"schedule={settings.schedule!r} and reduce_lr both set the rate: choose one of them."
        )
    if settings.frozen_epochs > settings.epochs:
        raise ValueError(
            f"frozen_epochs={settings.frozen_epochs} is more than epochs={settings.epochs}, which "
            "counts the epochs of both phases."
        )
    fine_tunes = settings.frozen_epochs > 0 or settings.fine_tune_from is not None
    if settings.fine_tune_learning_rate is not None and not fine_tunes:
        raise ValueError(
            f"fine_tune_learning_rate={settings.fine_tune_learning_rate!r} is the rate of a "
            "fine-tuning, of which there is none: set frozen_epochs or fine_tune_from, or "
            "use learning_rate."
        )
    phases = []
    if settings.frozen_epochs:
        phases.append(Phase(settings.frozen_epochs, settings.learning_rate, "head"))
    if settings.epochs > settings.frozen_epochs:
        layers = "fine" if fine_tunes else "all"
        phases.append(Phase(settings.epochs - settings.frozen_epochs, _last_rate(settings), layers))
    return phases


def phases_of_partial_fit(settings: Any, first: bool) -> list[Phase]:
    """One epoch that goes on with what was trained before; it knows no schedule of phases."""
    if settings.schedule is not None:
        raise ValueError(
            f"schedule={settings.schedule!r} spans a whole fit, of which partial_fit doesn't "
            "know the length: use fit, or schedule=None."
        )
    if not first:
        return [Phase(1, settings.learning_rate, "same")]
    return [Phase(1, _last_rate(settings), "all" if settings.fine_tune_from is None else "fine")]


def _last_rate(settings: Any) -> float | None:
    """Rate of fine-tuning, or of the whole fit if no head is trained before."""
    if settings.fine_tune_learning_rate is not None:
        return settings.fine_tune_learning_rate
    if not settings.frozen_epochs:
        return settings.learning_rate
    rate = new_optimizer(settings.optimizer, settings.learning_rate).learning_rate
    return _FINE_TUNE_SHARE * float(rate)
