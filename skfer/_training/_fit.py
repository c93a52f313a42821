"""One fit of a network: its phases, optimizer, callbacks and checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scikeras.wrappers import BaseWrapper
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from skfer._training._augmentation import Augmentation
from skfer._training._callbacks import (
    BestEpoch,
    EarlyStopping,
    LongFitReport,
    WeightAverage,
    reduce_lr_callback,
)
from skfer._training._checkpoint import Checkpoint, CheckpointFile, Progress, SaveCheckpoint
from skfer._training._data import (
    Examples,
    TargetTransform,
    steps_per_epoch,
    training_batches,
    validation_batches,
)
from skfer._training._distribution import (
    AverageStatistics,
    CopyWeights,
    count_devices,
    distributed_copy,
    resolve_strategy,
)
from skfer._training._optimizer import build_optimizer, has_schedule
from skfer._training._tensorflow import (
    build_optimizer_state,
    dtype_policy,
    ignore_retracing_warnings,
    short_fit_momentum,
    use_dtype_policy,
)
from skfer.networks._layers import (
    freeze_base,
    freeze_batch_norm,
    freeze_below,
    set_trainable,
)

# Default rate of fine-tuning as a share of `learning_rate`.
_FINE_TUNE_SHARE = 0.1
# Number of epochs without improvement before `early_stopping=True` stops the fit.
_DEFAULT_PATIENCE = 5
# Default share of the epochs of a fit from trained weights that train only the head.
_HEAD_SHARE = 1 / 3


class _Length(NamedTuple):
    """Number of images that a fit with `epochs=None` uses, and limits of its epochs."""

    images: int
    fewest: int
    most: int


# Chosen with benchmarks/defaults.py.
_FROM_SCRATCH = _Length(images=28_000, fewest=12, most=80)
_FROM_WEIGHTS = _Length(images=2_000, fewest=5, most=30)
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
        """Return the values of a dict.

        Raises
        ------
        ValueError
            If there is no such entry or a value is not valid.
        """
        fine_tune = dict(fine_tune or {})
        unknown = [key for key in fine_tune if key not in cls._fields]
        if unknown:
            raise ValueError(
                f"fine_tune has no entry {unknown[0]!r}; it may hold any of {list(cls._fields)}."
            )
        validate_parameter_constraints(_FINE_TUNE_CONSTRAINTS, fine_tune, caller_name="fine_tune")
        return cls(**fine_tune)


_FINE_TUNE_CONSTRAINTS = {
    "frozen_epochs": [Interval(Integral, 0, None, closed="left"), None],
    "first_layer": [str, Interval(Integral, 1, None, closed="left"), None],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
}


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of a fit: parameters of an estimator, and what it derives from them.

    Parameters
    ----------
    epochs, batch_size, learning_rate, optimizer, schedule, augment, early_stopping, reduce_lr
        Parameters of the estimator.
    weight_average, mixed_precision, distribution, verbose
        Parameters of the estimator.
    fine_tuning : FineTuning
    loss : str or callable
        Loss for targets of `target_transform`.
    metrics : callable
        Returns new metrics.
    target_transform : TargetTransform or None
        Transformation of training targets.
    seed : int
    pixel_limits : tuple of float
        Lowest and highest value of a pixel.
    default_network : bool
        Whether the network is the default one with random weights.
    from_weights : bool
        Whether the network starts from trained weights.
    initially_trainable : list of bool
        Layers of the network that are trainable as it was built.
    rebuild : callable
        Builds the network for a number of outputs if Keras cannot from its config.
    """

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
    metrics: Callable[[], list[Any]]
    target_transform: TargetTransform | None
    seed: int
    pixel_limits: tuple[float, float]
    default_network: bool
    from_weights: bool
    initially_trainable: list[bool]
    rebuild: Callable[[int], keras.Model]


@dataclass
class FitResult:
    """Result of a fit, or of all fits of a network that was trained further.

    Attributes
    ----------
    history : dict of str to list of float
        Metrics of every epoch; NaN in epochs in which a metric was not measured.
    n_epochs : int
        Number of epochs.
    fine_tune_epoch : int or None
        Number of epochs before the last fine-tuning.
    average : dict or None
        State of the averaged weights.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    n_epochs: int = 0
    fine_tune_epoch: int | None = None
    average: dict | None = None

    def history_with(self, history: dict[str, list[float]], n_epochs: int) -> dict[str, list]:
        """Return the history with that of further epochs."""
        return {
            name: [
                *self.history.get(name, [math.nan] * self.n_epochs),
                *history.get(name, [math.nan] * n_epochs),
            ]
            for name in {**self.history, **history}
        }


class Phase(NamedTuple):
    """Epochs of a fit that train the same layers from the same learning rate.

    Attributes
    ----------
    epochs : int
    learning_rate : float or None
    layers : {"all", "head", "fine", "same"}
        "all" are the layers that are trainable as the network was built, "fine" those from
        `first_layer` on with batch normalisation frozen, "same" those of the fit before, with
        its optimizer.
    schedule : str or None
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
    return max(min(max(epochs, length.fewest), length.most), frozen_epochs or 0)


def plan_phases(settings: FitSettings, n_images: int) -> list[Phase]:
    """Return the phases of a fit: all layers at once, or the head first and then deeper layers.

    Raises
    ------
    ValueError
        If parameters contradict each other.
    """
    schedule = settings.schedule
    if schedule == "auto":
        own = settings.reduce_lr or has_schedule(settings.optimizer)
        schedule = None if own else "cosine"
    elif schedule is not None and settings.reduce_lr:
        raise ValueError(
            f"schedule={schedule!r} and reduce_lr both set the rate: choose one of them."
        )
    fine_tuning = settings.fine_tuning
    frozen_epochs = fine_tuning.frozen_epochs
    epochs = count_epochs(n_images, settings.epochs, settings.from_weights, frozen_epochs)
    if frozen_epochs is None:
        frozen_epochs = int(_HEAD_SHARE * epochs) if settings.from_weights else 0
    if frozen_epochs > epochs:
        raise ValueError(
            f"fine_tune has frozen_epochs={frozen_epochs}, more than epochs={epochs}, which counts "
            "the epochs of both phases."
        )
    fine_tunes = _trains_head_first(settings) or fine_tuning.first_layer is not None
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
        rate = _last_rate(settings)
        default_rate = settings.default_network and settings.optimizer == "adam"
        if rate is None and default_rate and schedule == "cosine":
            rate = _DEFAULT_NETWORK_RATE
        layers = "fine" if fine_tunes else "all"
        phases.append(Phase(epochs - frozen_epochs, rate, layers, schedule))
    return phases


def plan_partial_fit(settings: FitSettings, first: bool) -> list[Phase]:
    """Return the single phase of a call of `partial_fit`.

    Raises
    ------
    ValueError
        If `schedule` is set, which needs the length of the whole fit.
    """
    if settings.schedule not in (None, "auto"):
        raise ValueError(
            f"schedule={settings.schedule!r} spans a whole fit, of which partial_fit doesn't "
            "know the length: use fit, or schedule=None."
        )
    layers = "same"
    if first:
        fine = settings.fine_tuning.first_layer is not None or _head_first_by_default(settings)
        layers = "fine" if fine else "all"
    return [Phase(1, _last_rate(settings), layers)]


def _head_first_by_default(settings: FitSettings) -> bool:
    """Return whether the head is trained first because the network has trained weights."""
    return settings.fine_tuning.frozen_epochs is None and settings.from_weights


def _trains_head_first(settings: FitSettings) -> bool:
    return bool(settings.fine_tuning.frozen_epochs) or _head_first_by_default(settings)


def _last_rate(settings: FitSettings) -> float | None:
    """Return the rate of fine-tuning, or of the whole fit without one."""
    if settings.fine_tuning.learning_rate is not None:
        return settings.fine_tuning.learning_rate
    if not _trains_head_first(settings):
        return settings.learning_rate
    rate = build_optimizer(settings.optimizer, settings.learning_rate).learning_rate
    return _FINE_TUNE_SHARE * float(rate)


def fit_network(
    network: keras.Model,
    examples: Examples,
    validation: Examples | None,
    settings: FitSettings,
    phases: Sequence[Phase],
    *,
    rows: np.ndarray | None = None,
    before: FitResult | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_file: CheckpointFile | None = None,
    monitor: keras.callbacks.Callback | None = None,
) -> FitResult:
    """Train a network in place.

    Parameters
    ----------
    network : keras.Model
        Scaling layer and body.
    examples : Examples
        Training examples, with weights of mean 1.
    validation : Examples or None
    settings : FitSettings
    phases : sequence of Phase
    rows : ndarray of int or None, default=None
        Rows of `examples` in an epoch, some of them repeated; None is each once.
    before : FitResult or None, default=None
        Result of the fits before; None for a new network.
    callbacks : sequence of keras.callbacks.Callback, default=()
        Callbacks of the user.
    checkpoint_file : CheckpointFile or None, default=None
        Read at the start, written after every epoch, and removed at the end.
    monitor : keras.callbacks.Callback or None, default=None
        Last callback, with an attribute `history`, which is set to the history so far at the
        start of each phase.

    Returns
    -------
    FitResult
        Of all epochs, those of `before` included.
    """
    before = FitResult() if before is None else before
    n_images = len(examples.images if rows is None else rows)
    transform = settings.target_transform
    if validation is not None and transform is not None:
        validation = transform.one_hot(validation)
    n_validation = None if validation is None else len(validation.images)
    strategy = resolve_strategy(settings.distribution)
    devices = count_devices(
        strategy,
        batch_size=settings.batch_size,
        n_train=n_images,
        n_validation=n_validation,
    )
    compiler = _Compiler(settings, examples.targets, devices, n_images)
    batches = {
        "seed": settings.seed,
        "devices": devices,
        "rows": rows,
        "augmentation": Augmentation.from_parameter(settings.augment),
        "pixel_range": settings.pixel_limits,
        "target_transform": transform,
    }

    checkpoint = None if checkpoint_file is None else checkpoint_file.read()
    first, epoch, history = 0, before.n_epochs, {}
    if checkpoint is not None and checkpoint_file is not None:
        first, epoch, history = _resume(checkpoint, checkpoint_file, len(phases))
    report = None
    if settings.verbose:
        report = LongFitReport(
            n_images,
            [phase.layers == "head" for phase in phases for _ in range(phase.epochs)],
            done=epoch - before.n_epochs,
            lines=settings.verbose == "auto",  # at a higher verbosity Keras prints each epoch
        )
    average, best, fine_tune_epoch = before.average, None, before.fine_tune_epoch
    for number in range(first, len(phases)):
        phase = phases[number]
        _choose_layers(network.layers[-1], phase, settings)
        compiler.compile(network, phase)
        phase_start = epoch if checkpoint is None else checkpoint.progress.phase_start
        if phase.layers == "fine":
            fine_tune_epoch = phase_start
        n_epochs = phase_start + phase.epochs - epoch
        if checkpoint is not None:
            average = checkpoint.average
        own = _own_callbacks(settings, validation is not None, average, best)
        if checkpoint is not None and checkpoint_file is not None:
            try:
                checkpoint.check(network, own, phase.epochs)
            except ValueError as error:
                raise checkpoint_file.error(error) from error
            checkpoint.restore(network)
            n_epochs = 0 if checkpoint.progress.stopped else n_epochs
        phase_callbacks = [*own, *callbacks]
        if strategy is not None:
            phase_callbacks = [AverageStatistics(), *own, CopyWeights(network), *callbacks]
        if monitor is not None:
            monitor.history = before.history_with(history, epoch - before.n_epochs)
            phase_callbacks.append(monitor)
        if report is not None:
            phase_callbacks.append(report)
        if checkpoint_file is not None:
            progress = Progress(number, phase_start, epoch, history=history)
            phase_callbacks.append(SaveCheckpoint(checkpoint_file, progress, own, checkpoint))
        with distributed_copy(
            network,
            strategy,
            rebuild=settings.rebuild,
            metrics=settings.metrics,
            targets=compiler.targets,
            seed=settings.seed,
        ) as trained:
            measured = _run_scikeras(
                trained,
                examples,
                validation,
                settings,
                policy=compiler.policy,
                batches=batches,
                callbacks=phase_callbacks,
                first_epoch=epoch,
                n_epochs=n_epochs,
            )
        for name, values in measured.items():
            history.setdefault(name, []).extend(values)
        epoch += len(measured.get("loss", []))
        for callback in own:
            if isinstance(callback, EarlyStopping):
                best = callback.best_so_far
        # With early stopping, the next phase starts from the best weights.
        average = own[0].state if settings.weight_average is not None and best is None else None
        checkpoint = None
    if checkpoint_file is not None:
        checkpoint_file.remove()
    return FitResult(
        before.history_with(history, epoch - before.n_epochs), epoch, fine_tune_epoch, average
    )


def _run_scikeras(
    network: keras.Model,
    examples: Examples,
    validation: Examples | None,
    settings: FitSettings,
    *,
    policy: str,
    batches: dict[str, Any],
    callbacks: list[keras.callbacks.Callback],
    first_epoch: int,
    n_epochs: int,
) -> dict[str, list[float]]:
    """Train a compiled network for some epochs, and return their history."""
    engine = _ScikerasFit(
        model=lambda: network,
        loss=network.loss,
        epochs=n_epochs,
        batch_size=settings.batch_size,
        callbacks=callbacks,
        shuffle=False,  # the batches are shuffled
        verbose=0 if settings.verbose == "auto" else int(settings.verbose),
    )
    with use_dtype_policy(network.layers[-1], policy), ignore_retracing_warnings():
        engine.fit(
            # For the checks of scikeras: the images may exceed the memory.
            np.zeros((len(examples.targets), 1), np.float32),
            examples.targets,
            initial_epoch=first_epoch,
            examples=examples,
            validation=validation,
            batches=batches,
        )
    return {name: [float(v) for v in values] for name, values in engine.history_.items()}


class _ScikerasFit(BaseWrapper):
    """scikeras's fit with the batches of `_data` instead of Keras's array adapter.

    scikeras (0.13) would seed TensorFlow for the whole process, change the class weights of the
    caller and renumber the labels of each call; none of this is used.
    """

    def _fit_keras_model(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        warm_start: bool,
        epochs: int,
        initial_epoch: int,
        *,
        examples: Examples,
        validation: Examples | None,
        batches: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        dataset, steps = training_batches(
            examples, batch_size=self.batch_size, first_epoch=initial_epoch, **batches
        )
        if validation is not None:
            kwargs["validation_data"] = validation_batches(
                validation, batch_size=self.batch_size, devices=batches["devices"]
            )
        with short_fit_momentum(self.model_, steps):
            super()._fit_keras_model(
                dataset,
                None,
                sample_weight=None,
                warm_start=warm_start,
                epochs=epochs,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps,
                **kwargs,
            )


class _Compiler:
    """Compiles a network for a phase, or keeps its optimizer where the fit continues."""

    def __init__(self, settings: FitSettings, targets: np.ndarray, devices: int, n_images: int):
        self.policy = dtype_policy(settings.mixed_precision)
        transform = settings.target_transform
        if transform is not None:
            targets = transform.one_hot(Examples(None, None, targets[:1])).targets
        self.targets = targets
        self._settings = settings
        self._steps = steps_per_epoch(n_images, settings.batch_size, devices)
        optimizer = settings.optimizer
        if not isinstance(optimizer, str):
            optimizer = (type(optimizer), optimizer.get_config())
        self._requested = optimizer, self.policy

    def compile(self, network: keras.Model, phase: Phase) -> None:
        """Compile with a new optimizer, unless the phase continues with the one of the network.

        A `learning_rate`, `optimizer` or `mixed_precision` that was changed since is used.
        """
        settings = self._settings
        requested = self._requested, settings.learning_rate
        before = getattr(network, "_skfer_requested", requested)
        network._skfer_requested = requested
        if phase.layers == "same" and network.compiled and before[0] == requested[0]:
            if before != requested and settings.learning_rate is not None:
                network.optimizer.learning_rate = settings.learning_rate
            if network.loss != settings.loss:  # the targets are probabilities now, or no longer
                network.compile(network.optimizer, settings.loss, metrics=settings.metrics())
                build_optimizer_state(network, self.targets)
            return
        optimizer = build_optimizer(
            settings.optimizer,
            phase.learning_rate,
            self.policy,
            schedule=phase.schedule,
            steps=phase.epochs * self._steps,
        )
        network.compile(optimizer, settings.loss, metrics=settings.metrics())
        build_optimizer_state(network, self.targets)


def _resume(checkpoint: Checkpoint, file: CheckpointFile, n_phases: int) -> tuple:
    """Return the phase, epochs and history of a checkpoint."""
    progress = checkpoint.progress
    if progress.phase >= n_phases:
        raise file.error(ValueError(f"phase {progress.phase} of {n_phases}"))
    return progress.phase, progress.epochs, progress.history


def _choose_layers(body: keras.Model, phase: Phase, settings: FitSettings) -> None:
    if phase.layers == "all":
        set_trainable(body, settings.initially_trainable)
    elif phase.layers == "head":
        freeze_base(body)
    elif phase.layers == "fine":
        freeze_below(body, settings.fine_tuning.first_layer)
        freeze_batch_norm(body)


def _own_callbacks(
    settings: FitSettings, validates: bool, average: dict | None, best: BestEpoch | None
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that the parameters ask for.

    `partial_fit` sees a part of the data and does not validate.
    """
    callbacks: list[keras.callbacks.Callback] = []
    if settings.weight_average is not None:
        # First, so that the others see the averaged weights at the end of an epoch.
        callbacks.append(WeightAverage(settings.weight_average, average))
    if validates and settings.reduce_lr:
        callbacks.append(reduce_lr_callback(settings.reduce_lr, "val_loss"))
    if validates and settings.early_stopping:
        patience = settings.early_stopping
        if isinstance(patience, bool | np.bool_):
            patience = _DEFAULT_PATIENCE
        callbacks.append(EarlyStopping("val_loss", int(patience), best))
    return callbacks
