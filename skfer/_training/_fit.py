"""One fit of a network: the training of its phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scikeras.wrappers import BaseWrapper

from skfer._training._augmentation import Augmentation
from skfer._training._callbacks import (
    BestEpoch,
    EarlyStopping,
    LongFitReport,
    WeightAverage,
    reduce_lr_callback,
)
from skfer._training._checkpoint import CheckpointFile, Progress, SaveCheckpoint
from skfer._training._data import Examples, steps_per_epoch, training_batches, validation_batches
from skfer._training._distribution import (
    AverageStatistics,
    CopyWeights,
    count_devices,
    distributed_copy,
    resolve_strategy,
)
from skfer._training._phases import FitSettings, Phase, build_optimizer, has_schedule
from skfer._training._tensorflow import (
    build_optimizer_state,
    dtype_policy,
    ignore_retracing_warnings,
    short_fit_momentum,
    use_dtype_policy,
)
from skfer.networks._layers import freeze_base, freeze_batch_norm, freeze_below, set_trainable

# Number of epochs without improvement before `early_stopping=True` stops the fit.
_DEFAULT_PATIENCE = 5


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

    history: dict[str, list[float]]
    n_epochs: int
    fine_tune_epoch: int | None
    average: dict | None

    def history_with(self, history: dict[str, list[float]], n_epochs: int) -> dict[str, list]:
        """Return the history with that of further epochs."""
        return {
            name: [
                *self.history.get(name, [math.nan] * self.n_epochs),
                *history.get(name, [math.nan] * n_epochs),
            ]
            for name in {**self.history, **history}
        }


def fit_network(
    network: keras.Model,
    examples: Examples,
    validation: Examples | None,
    settings: FitSettings,
    phases: Sequence[Phase],
    *,
    rows: np.ndarray | None,
    before: FitResult,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoint_file: CheckpointFile | None,
    monitor: keras.callbacks.Callback | None,
) -> FitResult:
    """Train a network in place, and return the result of all epochs, those of `before` included.

    Parameters
    ----------
    network : keras.Model
        Scaling layer and body.
    examples : Examples
        Training examples, with weights of mean 1.
    validation : Examples or None
    settings : FitSettings
    phases : sequence of Phase
    rows : ndarray of int or None
        Rows of `examples` in an epoch, some of them repeated; None is each once.
    before : FitResult
        Result of the fits before.
    callbacks : sequence of keras.callbacks.Callback
        Callbacks of the user.
    checkpoint_file : CheckpointFile or None
        Read at the start, written after every epoch, and removed at the end.
    monitor : keras.callbacks.Callback or None
        Its attribute `history` is set to the history so far at the start of each phase.
    """
    if validation is not None and settings.target_transform is not None:
        validation = settings.target_transform.one_hot(validation)
    strategy = resolve_strategy(settings.distribution)
    trainer = _Trainer(examples, validation, settings, rows, strategy)

    progress = Progress(phase=0, phase_start=before.n_epochs, epochs=before.n_epochs)
    checkpoint = None if checkpoint_file is None else checkpoint_file.read()
    if checkpoint is not None:
        progress = checkpoint.progress
        if progress.phase >= len(phases):
            raise checkpoint.error(f"phase {progress.phase} of {len(phases)}")
    report = _report(settings, phases, trainer.n_images, progress.epochs - before.n_epochs)
    average, best, fine_tune_epoch = before.average, None, before.fine_tune_epoch

    for number, phase in list(enumerate(phases))[progress.phase :]:
        if number > progress.phase:
            progress = progress._replace(phase=number, phase_start=progress.epochs, stopped=False)
        if phase.layers == "fine":
            fine_tune_epoch = progress.phase_start
        _choose_layers(network.layers[-1], phase, settings)
        trainer.compile(network, phase)
        if checkpoint is not None:
            average = checkpoint.average
        managed = _callbacks_of_parameters(settings, validation is not None, average, best)
        if checkpoint is not None:
            checkpoint.restore(network, managed, phase.epochs)
        if monitor is not None:
            monitor.history = before.history_with(
                progress.history, progress.epochs - before.n_epochs
            )
        save = None
        if checkpoint_file is not None:
            save = SaveCheckpoint(checkpoint_file, progress, managed, checkpoint)
        ordered = [
            AverageStatistics() if strategy is not None else None,
            *managed,
            CopyWeights(network) if strategy is not None else None,
            *(*callbacks, monitor, report, save),
        ]
        progress = trainer.train(
            network, phase, progress, [callback for callback in ordered if callback is not None]
        )
        best = next((c.best_so_far for c in managed if isinstance(c, EarlyStopping)), None)
        # With early stopping, the next phase starts from the best weights.
        average = managed[0].state if settings.weight_average is not None and best is None else None
        checkpoint = None

    if checkpoint_file is not None:
        checkpoint_file.remove()
    history = before.history_with(progress.history, progress.epochs - before.n_epochs)
    return FitResult(history, progress.epochs, fine_tune_epoch, average)


def _report(
    settings: FitSettings, phases: Sequence[Phase], n_images: int, done: int
) -> LongFitReport | None:
    if not settings.verbose:
        return None
    head_only = [phase.layers == "head" for phase in phases for _ in range(phase.epochs)]
    # At a higher verbosity, Keras prints each epoch.
    return LongFitReport(n_images, head_only, done=done, lines=settings.verbose == "auto")


def _choose_layers(body: keras.Model, phase: Phase, settings: FitSettings) -> None:
    """Make the layers of a phase trainable."""
    if phase.layers == "all":
        set_trainable(body, settings.initially_trainable)
    elif phase.layers == "head":
        freeze_base(body)
    elif phase.layers == "fine":
        freeze_below(body, settings.fine_tuning.first_layer)
        freeze_batch_norm(body)


def _callbacks_of_parameters(
    settings: FitSettings, validates: bool, average: dict | None, best: BestEpoch | None
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that the parameters ask for, whose state a checkpoint holds."""
    callbacks: list[keras.callbacks.Callback] = []
    if settings.weight_average is not None:
        # First, so that the others see the averaged weights at the end of an epoch.
        callbacks.append(WeightAverage(settings.weight_average, average))
    # `partial_fit` sees a part of the data and does not validate.
    if validates and settings.reduces_lr:
        callbacks.append(reduce_lr_callback(settings.reduce_lr, "val_loss"))
    if validates and settings.early_stopping:
        patience = settings.early_stopping
        if isinstance(patience, bool | np.bool_):
            patience = _DEFAULT_PATIENCE
        callbacks.append(EarlyStopping("val_loss", int(patience), best))
    return callbacks


class _Trainer:
    """Compiles a network and trains it on the same data in every phase."""

    def __init__(
        self,
        examples: Examples,
        validation: Examples | None,
        settings: FitSettings,
        rows: np.ndarray | None,
        strategy: Any,
    ):
        self.n_images = len(examples.images if rows is None else rows)
        self._examples, self._validation = examples, validation
        self._settings, self._strategy = settings, strategy
        devices = count_devices(
            strategy,
            batch_size=settings.batch_size,
            n_train=self.n_images,
            n_validation=None if validation is None else len(validation.images),
        )
        self._steps = steps_per_epoch(self.n_images, settings.batch_size, devices)
        self._policy = dtype_policy(settings.mixed_precision)
        transform = settings.target_transform
        first = Examples(None, None, examples.targets[:1])
        self._targets = (first if transform is None else transform.one_hot(first)).targets
        self._batches = {
            "seed": settings.seed,
            "devices": devices,
            "rows": rows,
            "augmentation": Augmentation.from_parameter(settings.augment),
            "pixel_range": settings.pixel_limits,
            "target_transform": transform,
        }

    def compile(self, network: keras.Model, phase: Phase) -> None:
        """Compile with a new optimizer, unless the phase continues with the one of the network.

        A `learning_rate`, `optimizer` or `mixed_precision` that was changed since is used.
        """
        settings, optimizer = self._settings, self._settings.optimizer
        if not isinstance(optimizer, str):
            optimizer = (type(optimizer), optimizer.get_config())
        requested = (optimizer, self._policy), settings.learning_rate
        before = getattr(network, "_skfer_requested", requested)
        continues = phase.layers == "same" and network.compiled and before[0] == requested[0]
        new_rate = before != requested and settings.learning_rate is not None
        if continues:
            built = network.optimizer
            # The schedule of a finished fit ends at a rate of 0, and a schedule has no rate to set.
            if has_schedule(getattr(built, "inner_optimizer", built)):
                continues = has_schedule(settings.optimizer) and not new_rate
        if continues:
            if new_rate:
                built.learning_rate = settings.learning_rate
        else:
            built = build_optimizer(
                settings.optimizer,
                phase.learning_rate,
                self._policy,
                schedule=phase.schedule,
                steps=phase.epochs * self._steps,
            )
        network._skfer_requested = requested
        # The loss changes if the targets are probabilities now, or no longer.
        if continues and network.loss == settings.loss:
            return
        network.compile(built, settings.loss, metrics=settings.metrics())
        build_optimizer_state(network, self._targets)

    def train(
        self,
        network: keras.Model,
        phase: Phase,
        progress: Progress,
        callbacks: list[keras.callbacks.Callback],
    ) -> Progress:
        """Train a compiled network for the epochs that are left of a phase."""
        settings = self._settings
        epochs = progress.phase_start + phase.epochs - progress.epochs
        with distributed_copy(
            network,
            self._strategy,
            rebuild=settings.rebuild,
            metrics=settings.metrics,
            targets=self._targets,
            seed=settings.seed,
        ) as trained:
            engine = _ScikerasFit(
                model=lambda: trained,
                loss=trained.loss,
                epochs=0 if progress.stopped else epochs,
                batch_size=settings.batch_size,
                callbacks=callbacks,
                shuffle=False,  # the batches are shuffled
                verbose=0 if settings.verbose == "auto" else int(settings.verbose),
            )
            with use_dtype_policy(trained.layers[-1], self._policy), ignore_retracing_warnings():
                engine.fit(
                    # For the checks of scikeras: the images may exceed the memory.
                    np.zeros((len(self._examples.targets), 1), np.float32),
                    self._examples.targets,
                    initial_epoch=progress.epochs,
                    examples=self._examples,
                    validation=self._validation,
                    batches=self._batches,
                )
        history = dict(progress.history)
        for name, values in engine.history_.items():
            history[name] = [*history.get(name, []), *map(float, values)]
        epochs = progress.epochs + len(engine.history_.get("loss", []))
        return progress._replace(epochs=epochs, history=history)


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
