"""Phases of a fit: settings, number of epochs, trained layers and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skfer._training._data import TargetTransform

# Share of the steps over which the rate rises linearly; it falls along half a cosine after it.
_RISE = {"cosine": 0.05, "one_cycle": 0.3}
# Start of the rise, as a share of the highest rate.
_START = 0.04
# Default rate of fine-tuning as a share of `learning_rate`.
_FINE_TUNE_SHARE = 0.1
# Default share of the epochs of a fit from trained weights that train only the head.
_HEAD_SHARE = 1 / 3


class _Length(NamedTuple):
    """Number of images that a fit with `epochs=None` uses, and limits of its epochs."""

    images: int
    min_epochs: int
    max_epochs: int


# Chosen with benchmarks/defaults.py.
_FROM_SCRATCH = _Length(images=28_000, min_epochs=12, max_epochs=80)
_FROM_WEIGHTS = _Length(images=2_000, min_epochs=5, max_epochs=30)
# Highest rate of Adam for the default network with a cosine schedule. Its few weights and batch
# normalisation allow more than Adam's own 0.001, and the fit is short.
_DEFAULT_NETWORK_RATE = 0.008


class FineTuning(NamedTuple):
    """Values of the `fine_tune` parameter of an estimator; None is the default of each."""

    frozen_epochs: int | None = None
    first_layer: str | int | None = None
    learning_rate: float | None = None

    @classmethod
    def from_parameter(cls, fine_tune: Mapping | None) -> FineTuning:
        """Return the validated values of a dict."""
        values = dict(fine_tune or {})
        unknown = [key for key in values if key not in cls._fields]
        if unknown:
            raise ValueError(
                f"fine_tune has no entry {unknown[0]!r}; it may hold any of {list(cls._fields)}."
            )
        validate_parameter_constraints(_FINE_TUNE_CONSTRAINTS, values, caller_name="fine_tune")
        return cls(**values)


_FINE_TUNE_CONSTRAINTS = {
    "frozen_epochs": [Interval(Integral, 0, None, closed="left"), None],
    "first_layer": [str, Interval(Integral, 1, None, closed="left"), None],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
}


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of a fit: parameters of an estimator, and what it derives from them."""

    epochs: int | None
    batch_size: int
    learning_rate: float | None
    optimizer: str | keras.optimizers.Optimizer
    schedule: str | None
    augment: str | dict | None
    early_stopping: bool | int
    reduce_lr: bool | dict
    weight_average: float | None
    fine_tuning: FineTuning
    mixed_precision: str | None
    distribution: str | tf.distribute.Strategy | Callable | None
    verbose: int | str
    loss: Any
    metrics: Callable[[], list[Any]]  # returns new metrics
    target_transform: TargetTransform | None
    seed: int
    pixel_limits: tuple[float, float]
    default_network: bool  # whether the network is the default one with random weights
    from_weights: bool  # whether the network starts from trained weights
    initially_trainable: list[bool]  # layers that are trainable as the network was built
    # Builds the network for a number of outputs if Keras cannot from its config.
    rebuild: Callable[[int], keras.Model]

    @property
    def reduces_lr(self) -> bool:
        """True if plateaus reduce the rate; an empty dict is Keras's settings."""
        return isinstance(self.reduce_lr, dict) or bool(self.reduce_lr)

    @property
    def head_first_by_default(self) -> bool:
        """True if the head is trained first because the network has trained weights."""
        return self.fine_tuning.frozen_epochs is None and self.from_weights

    @property
    def head_first(self) -> bool:
        """True if the head is trained first."""
        return bool(self.fine_tuning.frozen_epochs) or self.head_first_by_default

    @property
    def last_rate(self) -> float | None:
        """Rate of fine-tuning, or of the whole fit without one."""
        if self.fine_tuning.learning_rate is not None:
            return self.fine_tuning.learning_rate
        if not self.head_first:
            return self.learning_rate
        rate = build_optimizer(self.optimizer, self.learning_rate).learning_rate
        return _FINE_TUNE_SHARE * float(rate)


class Phase(NamedTuple):
    """Epochs of a fit that train the same layers from the same learning rate.

    `layers` is "all" for the layers that are trainable as the network was built, "head", "fine"
    for those from `first_layer` on with batch normalisation frozen, or "same" for those of the fit
    before, with its optimizer.
    """

    epochs: int
    learning_rate: float | None = None
    layers: str = "all"
    schedule: str | None = None


def count_epochs(
    n_images: int, epochs: int | None, from_weights: bool, frozen_epochs: int | None
) -> int:
    """Return the number of epochs of a fit on so many images."""
    if epochs is not None:
        return epochs
    length = _FROM_WEIGHTS if from_weights else _FROM_SCRATCH
    epochs = math.ceil(length.images / max(n_images, 1))
    return max(min(max(epochs, length.min_epochs), length.max_epochs), frozen_epochs or 0)


def plan_phases(settings: FitSettings, n_images: int) -> list[Phase]:
    """Return the phases of a fit: all layers at once, or the head first and then deeper layers."""
    schedule, fine_tuning = _schedule(settings), settings.fine_tuning
    frozen_epochs = fine_tuning.frozen_epochs
    epochs = count_epochs(n_images, settings.epochs, settings.from_weights, frozen_epochs)
    if frozen_epochs is None:
        frozen_epochs = int(_HEAD_SHARE * epochs) if settings.from_weights else 0
    if frozen_epochs > epochs:
        raise ValueError(
            f"fine_tune has frozen_epochs={frozen_epochs}, more than epochs={epochs}, which counts "
            "the epochs of both phases."
        )
    fine_tunes = settings.head_first or fine_tuning.first_layer is not None
    if fine_tuning.learning_rate is not None and not fine_tunes:
        raise ValueError(
            f"fine_tune has learning_rate={fine_tuning.learning_rate!r}, but no layers are "
            "fine-tuned: add frozen_epochs or first_layer to it, or set the parameter "
            "learning_rate."
        )
    phases = []
    if frozen_epochs:
        phases.append(Phase(frozen_epochs, settings.learning_rate, "head", schedule))
    if epochs > frozen_epochs:
        rate = settings.last_rate
        default_rate = settings.default_network and settings.optimizer == "adam"
        if rate is None and default_rate and schedule == "cosine":
            rate = _DEFAULT_NETWORK_RATE
        layers = "fine" if fine_tunes else "all"
        phases.append(Phase(epochs - frozen_epochs, rate, layers, schedule))
    return phases


def plan_partial_fit(settings: FitSettings, first: bool) -> list[Phase]:
    """Return the single phase of a call of `partial_fit`."""
    if settings.schedule not in (None, "auto"):
        raise ValueError(
            f"schedule={settings.schedule!r} needs the length of the whole fit, which partial_fit "
            "doesn't know: use fit, or schedule=None."
        )
    layers = "same"
    if first:
        fine = settings.fine_tuning.first_layer is not None or settings.head_first_by_default
        layers = "fine" if fine else "all"
    return [Phase(1, settings.last_rate, layers)]


def _schedule(settings: FitSettings) -> str | None:
    if settings.schedule == "auto":
        other = settings.reduces_lr or has_schedule(settings.optimizer)
        return None if other else "cosine"
    if settings.schedule is not None and settings.reduces_lr:
        raise ValueError(
            f"schedule={settings.schedule!r} and reduce_lr both set the rate: choose one of them."
        )
    return settings.schedule


def build_optimizer(
    optimizer: str | keras.optimizers.Optimizer,
    learning_rate: float | None,
    policy: str = "float32",
    *,
    schedule: str | None = None,
    steps: int = 1,
) -> keras.optimizers.Optimizer:
    """Return a new optimizer with the settings of `optimizer` or of that name.

    A schedule rises over 5 % ("cosine", Loshchilov & Hutter 2017) or 30 % ("one_cycle", Smith 2018)
    of the steps and falls to 0 along a cosine. In float16, where gradients underflow, the loss is
    scaled.
    """
    if isinstance(optimizer, str):
        built = keras.optimizers.get(optimizer)
    else:
        built = type(optimizer).from_config(optimizer.get_config())
    if (learning_rate is not None or schedule is not None) and has_schedule(built):
        raise ValueError(
            f"optimizer={built.name!r} has a rate with a schedule of its own: give it a number, "
            "and use learning_rate, schedule and fine_tune for changes of the rate."
        )
    if learning_rate is not None:
        built.learning_rate = learning_rate
    if schedule is not None:
        highest, rise = float(built.learning_rate), max(1, round(_RISE[schedule] * steps))
        built.learning_rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=_START * highest,
            warmup_target=highest,
            warmup_steps=rise,
            decay_steps=max(1, steps - rise),
        )
    return keras.optimizers.LossScaleOptimizer(built) if policy == "mixed_float16" else built


def has_schedule(optimizer: str | keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate of an optimizer is a schedule."""
    # Keras (3.15) shows the current rate as `learning_rate`, and no schedule.
    rate = getattr(optimizer, "_learning_rate", None)
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
