"""One fit of a network: its phases one after another, its callbacks and its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from skfer._distribution import (
    BringWeightsBack,
    SameStatistics,
    device_count,
    spread_out,
    strategy_of,
)
from skfer._fit_phases import Phase
from skfer._scikeras_engine import ScikerasEngine
from skfer._scikit_callbacks import EpochTasks, FitTask
from skfer.networks._anatomy import (
    freeze_base,
    freeze_batch_norm,
    freeze_below,
    train_layers,
)
from skfer.training import (
    Augmentation,
    BestEpoch,
    CheckpointFile,
    Examples,
    LongFit,
    Progress,
    SaveCheckpoint,
    SavedFit,
    StopEarly,
    WeightAverage,
    as_shares,
    build_state,
    computing_in,
    fit_callbacks,
    new_optimizer,
    one_trace_a_fit,
    precision_policy,
    steps_an_epoch,
)

if TYPE_CHECKING:
    from skfer._keras_estimator import KerasEstimator


class NetworkFit:
    """Trains a network by the parameters of its estimator, of which nothing is changed.

    Parameters
    ----------
    settings : KerasEstimator
        Its parameters are read.
    network : keras.Model
        Scaling layer and body.
    examples : Examples
    validation : Examples or None
    seed : int
    epoch : int
        How many the network has been trained already.
    rows : ndarray of int or None, default=None
        Places of the images of an epoch; None is each once.
    average : dict or None, default=None
        `average` of the training that this one goes on with.
    callbacks : sequence of keras.callbacks.Callback, default=()
        Of the user.
    checkpoint : CheckpointFile or None, default=None
        Read first, written after every epoch, and removed when the fit is done.
    task : FitTask or None, default=None
        The fit as scikit-learn's callbacks know it: they are told of every epoch.

    Attributes
    ----------
    epoch : int
        How many the network has been trained now.
    history : dict of str to list of float
        Of all epochs of this fit, those before an interruption too.
    fine_tune_epoch : int or None
        Epochs trained when fine-tuning began.
    average : dict or None
        What a running average of the weights needs to go on.
    """

    def __init__(
        self,
        settings: KerasEstimator,
        network: keras.Model,
        examples: Examples,
        validation: Examples | None,
        *,
        seed: int,
        epoch: int,
        rows: np.ndarray | None = None,
        average: dict | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: CheckpointFile | None = None,
        task: FitTask | None = None,
    ):
        self._settings = settings
        self._network = network
        self._seed = seed
        self._rows = rows
        self._checkpoint = checkpoint
        self._given_callbacks = list(callbacks)
        self._best: BestEpoch | None = None
        self._task = task
        self._policy = precision_policy(settings.mixed_precision)
        self._strategy = strategy_of(settings.distribution)
        self._devices = device_count(
            self._strategy,
            batch_size=settings.batch_size,
            training=len(examples.images if rows is None else rows),
            validation=None if validation is None else len(validation.images),
        )
        self._augmentation = Augmentation.of(settings.augment)
        mixes = self._augmentation is not None and self._augmentation.mixup > 0
        self._n_images = len(examples.images if rows is None else rows)
        self._long_fit: LongFit | None = None
        self._rule = settings._target_rule(examples.targets, network.output_shape[-1], mixes)
        self._examples = examples
        self._validation = None if validation is None else self._with_shares(validation)
        self.epoch = epoch
        self.history: dict[str, list[float]] = {}
        self.fine_tune_epoch: int | None = None
        self.average = average

    def run(self, phases: list[Phase]) -> None:
        """Train phase after phase, from where the checkpoint stands."""
        saved = None if self._checkpoint is None else self._checkpoint.read()
        first, before = 0, self.epoch
        if saved is not None and self._checkpoint is not None:
            if saved.progress.phase >= len(phases):
                error = ValueError(f"phase {saved.progress.phase} of {len(phases)}")
                raise self._checkpoint.damage(error)
            first, self.epoch = saved.progress.phase, saved.progress.epochs
            self.history = saved.progress.history
        if self._settings.verbose:
            head = [phase.layers == "head" for phase in phases for _ in range(phase.epochs)]
            # At a higher verbosity Keras writes of each epoch itself.
            lines = self._settings.verbose == "auto"
            done = self.epoch - before
            self._long_fit = LongFit(self._n_images, head, done=done, lines=lines)
        for number in range(first, len(phases)):
            self._train(number, phases[number], saved if number == first else None)
        if self._checkpoint is not None:
            self._checkpoint.remove()

    def _train(self, number: int, phase: Phase, saved: SavedFit | None) -> None:
        network, settings = self._network, self._settings
        self._choose_layers(phase)
        self._compile(phase)
        begun = self.epoch if saved is None else saved.progress.phase_start
        if phase.layers == "fine":
            self.fine_tune_epoch = begun
        to_go = begun + phase.epochs - self.epoch
        own = self._callbacks(saved)
        if saved is not None and self._checkpoint is not None:
            try:
                saved.check(network, own, phase.epochs)
            except ValueError as error:
                raise self._checkpoint.damage(error) from error
        callbacks = own + self._given_callbacks
        if self._strategy is not None:
            callbacks = [SameStatistics(), *own, BringWeightsBack(network), *self._given_callbacks]
        if self._task is not None:
            history = joined_histories(
                settings.history_, settings.n_iter_, self.history, self.epoch - settings.n_iter_
            )
            callbacks.append(EpochTasks(settings, self._task, history))
        if self._long_fit is not None:
            callbacks.append(self._long_fit)
        if saved is not None:
            saved.put_into(network)
            to_go = 0 if saved.progress.stopped else to_go
        if self._checkpoint is not None:
            progress = Progress(number, begun, self.epoch, history=self.history)
            callbacks.append(SaveCheckpoint(self._checkpoint, progress, own, saved))
        with self._spread_out() as trained:
            engine = self._run(trained, to_go, callbacks)
        for name, values in engine.history_.items():
            self.history.setdefault(name, []).extend(float(value) for value in values)
        self.epoch += len(engine.history_.get("loss", []))
        for callback in own:
            if isinstance(callback, StopEarly):
                self._best = callback.best_epoch_so_far
        # Early stopping has brought back the best weights: what comes next begins with those.
        goes_on = settings.weight_average is not None and self._best is None
        self.average = own[0].state if goes_on else None

    def _run(
        self, network: keras.Model, epochs: int, callbacks: list[keras.callbacks.Callback]
    ) -> ScikerasEngine:
        settings = self._settings
        engine = ScikerasEngine(
            model=lambda: network,
            loss=network.loss,
            epochs=epochs,
            batch_size=settings.batch_size,
            callbacks=callbacks,
            shuffle=False,  # the batches come shuffled
            verbose=0 if settings.verbose == "auto" else int(settings.verbose),
        )
        with computing_in(network.layers[-1], self._policy), one_trace_a_fit():
            engine.fit(
                # What scikeras checks: the images have been, and may be more than memory.
                np.zeros((len(self._examples.targets), 1), np.float32),
                self._examples.targets,
                initial_epoch=self.epoch,
                examples=self._examples,
                validation=self._validation,
                batches={
                    "seed": self._seed,
                    "devices": self._devices,
                    "rows": self._rows,
                    "augmentation": self._augmentation,
                    "pixel_range": (settings.pixel_range_.low, settings.pixel_range_.high),
                    "target_rule": self._rule,
                },
            )
        return engine

    def _spread_out(self) -> AbstractContextManager[keras.Model]:
        return spread_out(
            self._network,
            self._strategy,
            rebuilt=self._settings._rebuilt,
            metrics=self._settings._metrics,
            targets=self._with_shares(self._examples).targets,
            seed=self._seed,
        )

    def _choose_layers(self, phase: Phase) -> None:
        body = self._network.layers[-1]
        if phase.layers == "all":
            train_layers(body, self._settings._trained_at_first)
        elif phase.layers == "head":
            freeze_base(body)
        elif phase.layers == "fine":
            freeze_below(body, self._settings.fine_tune_from)
            freeze_batch_norm(body)

    def _compile(self, phase: Phase) -> None:
        """Give the network a new optimiser, unless it goes on with the one it has.

        A `learning_rate`, `optimizer` or `mixed_precision` that was set since counts.
        """
        network, settings = self._network, self._settings
        loss = settings._loss(self._rule)
        asked = _Asked.of(settings, self._policy)
        before, network._skfer_asked = getattr(network, "_skfer_asked", asked), asked
        goes_on = before._replace(learning_rate=asked.learning_rate) == asked
        if phase.layers == "same" and network.compiled and goes_on:
            if before != asked and asked.learning_rate is not None:
                network.optimizer.learning_rate = asked.learning_rate
            if network.loss != loss:  # targets are shares now, or no longer
                network.compile(network.optimizer, loss, metrics=settings._metrics())
                build_state(network, self._with_shares(self._examples).targets[:1])
            return
        optimizer = new_optimizer(
            settings.optimizer,
            phase.learning_rate,
            self._policy,
            schedule=phase.schedule,
            steps=phase.epochs * steps_an_epoch(self._n_images, settings.batch_size, self._devices),
        )
        network.compile(optimizer, loss, metrics=settings._metrics())
        build_state(network, self._with_shares(self._examples).targets[:1])

    def _callbacks(self, saved: SavedFit | None) -> list[keras.callbacks.Callback]:
        settings = self._settings
        # A part of the data alone, in partial_fit, says nothing of when to stop.
        watches = self._validation is not None
        callbacks = fit_callbacks(
            "val_loss",
            reduce_lr=watches and settings.reduce_lr,
            early_stopping=watches and settings.early_stopping,
            patience=settings.patience,
            best=self._best,
        )
        if settings.weight_average is None:
            return callbacks
        state = self.average if saved is None else saved.average
        # First, so that the others see the averaged weights at the end of an epoch.
        return [WeightAverage(settings.weight_average, state), *callbacks]

    def _with_shares(self, examples: Examples) -> Examples:
        """Targets in the form the loss takes, for what doesn't go through the target rule."""
        if self._rule is None:
            return examples
        return examples._replace(targets=as_shares(examples.targets, self._rule.n_outputs))


class _Asked(NamedTuple):
    """Parameters that the optimiser of a network was made by."""

    optimizer: Any
    policy: str
    learning_rate: float | None

    @classmethod
    def of(cls, settings: KerasEstimator, policy: str) -> _Asked:
        optimizer = settings.optimizer
        if not isinstance(optimizer, str):
            optimizer = (type(optimizer), optimizer.get_config())
        return cls(optimizer, policy, settings.learning_rate)


def joined_histories(
    before: dict[str, list[float]], n_before: int, now: dict[str, list[float]], n_now: int
) -> dict[str, list[float]]:
    """Join two histories, with NaN where one of them lacks a figure."""
    return {
        name: [
            *before.get(name, [math.nan] * n_before),
            *now.get(name, [math.nan] * n_now),
        ]
        for name in {**before, **now}
    }
