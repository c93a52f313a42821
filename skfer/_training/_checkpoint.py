"""Checkpoints: the state of a fit on disk, from which an interrupted fit continues."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import keras
import numpy as np

from skfer._storage import partial_file, read_npz
from skfer._training._callbacks import WeightAverage

# State of Keras's callbacks between epochs.
_CALLBACK_STATE = {
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
}


class Progress(NamedTuple):
    """Progress of a fit: the part of a checkpoint beside the arrays."""

    phase: int  # number of the phase, from 0
    phase_start: int  # epochs done before the phase
    epochs: int  # epochs done
    stopped: bool = False  # whether a callback has ended the phase
    history: dict[str, list[float]] = {}  # of this fit
    callbacks: list[dict[str, Any]] = []  # state of each callback


class Checkpoint(NamedTuple):
    """Content of a checkpoint."""

    progress: Progress
    # Variables of the network and the optimizer, and arrays of callbacks.
    arrays: dict[str, list[np.ndarray]]
    path: Path

    @property
    def average(self) -> dict | None:
        """State of the averaged weights; None without an average."""
        if not {"own", "average", "age"} <= set(self.arrays):
            return None
        own, average, age = (self.arrays[name] for name in ("own", "average", "age"))
        return {"own": own, "average": average, "steps": age[0]}

    def check(
        self, network: keras.Model, callbacks: Sequence[keras.callbacks.Callback], phase_epochs: int
    ) -> None:
        """Raise an error if a fit of this network with these callbacks cannot continue from here.

        The message says which arrays are missing, have other shapes or are not finite.
        """
        weights = [weight.shape for weight in network.weights]
        expected = {
            "network": [variable.shape for variable in network.variables],
            "optimizer": [variable.shape for variable in network.optimizer.variables],
        }
        for index, callback in enumerate(callbacks):
            if isinstance(callback, WeightAverage):
                expected |= {"own": weights, "average": weights, "age": [()]}
            elif f"best{index}" in self.arrays:
                expected[f"best{index}"] = weights
        for name, shapes in expected.items():
            arrays = self.arrays.get(name, [])
            if len(arrays) != len(shapes):
                raise ValueError(f"{len(arrays)} arrays of {name!r}, {len(shapes)} are expected")
            for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
                what = f"{name}.{index:05}"
                if array.shape != tuple(shape) or array.dtype.kind not in "biuf":
                    raise ValueError(
                        f"{what!r} is {array.shape} of {array.dtype}, {tuple(shape)} is expected"
                    )
                if not np.isfinite(array).all():
                    raise ValueError(f"{what!r} holds NaN or infinity")
        progress = self.progress
        done = progress.epochs - progress.phase_start
        if not 0 <= done <= phase_epochs:
            raise ValueError(f"{done} of {phase_epochs} epochs of a phase are done")
        if any(len(values) > progress.epochs for values in progress.history.values()):
            raise ValueError(f"its history has more than {progress.epochs} epochs")
        known = [_state_names(callback) for callback in callbacks]
        if [set(state) for state in progress.callbacks] != known:
            raise ValueError("the callbacks are others")

    def restore(
        self, network: keras.Model, callbacks: Sequence[keras.callbacks.Callback], phase_epochs: int
    ) -> None:
        """Check the checkpoint, and restore the weights and the optimizer state of a network."""
        try:
            self.check(network, callbacks, phase_epochs)
        except ValueError as error:
            raise self.error(error) from error
        for name, owner in (("network", network), ("optimizer", network.optimizer)):
            for variable, array in zip(owner.variables, self.arrays[name], strict=True):
                variable.assign(array)

    def error(self, reason: object) -> ValueError:
        """Return the error for a checkpoint that cannot be used."""
        return _unusable(self.path, reason)


class CheckpointFile:
    """File with the state of one fit, replaced as a whole after every epoch."""

    def __init__(self, folder: str | os.PathLike, fingerprint: str):
        self.path = Path(folder) / f"fit-{fingerprint}.npz"

    def read(self) -> Checkpoint | None:
        """Return the last checkpoint; None if there is none."""
        if not self.path.exists():
            return None
        try:
            # Arrays are not compressed: together they are not larger than the file.
            stored = read_npz(self.path, self.path.stat().st_size)
            progress = _parse_progress(str(stored.pop("progress", "missing")))
        except (ValueError, RecursionError) as error:
            raise _unusable(self.path, error) from error
        arrays: dict[str, list[np.ndarray]] = {}
        for key in sorted(stored):
            arrays.setdefault(key.rsplit(".", 1)[0], []).append(stored[key])
        return Checkpoint(progress, arrays, self.path)

    def write(self, progress: Progress, arrays: dict[str, Sequence[np.ndarray]]) -> None:
        """Replace the file. A process that is killed here leaves the previous file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Padded with zeros, so that the names sort in this order.
        numbered: dict[str, Any] = {
            f"{name}.{index:05}": array
            for name, group in arrays.items()
            for index, array in enumerate(group)
        }
        with (
            _locked(self.path.parent),
            partial_file(self.path) as draft,
            draft.open("r+b") as file,
        ):
            np.savez(file, progress=json.dumps(progress._asdict()), **numbered)
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the file, and the drafts of processes that were killed."""
        if not self.path.parent.exists():
            return
        with _locked(self.path.parent) as alone:
            self.path.unlink(missing_ok=True)
            # Nobody else writes under the lock.
            for draft in self.path.parent.glob(f".{self.path.stem}.*") if alone else ():
                draft.unlink(missing_ok=True)


def _unusable(path: Path, reason: object) -> ValueError:
    return ValueError(
        f"The checkpoint {str(path)!r} can't be used ({reason}). Delete it to train from the start."
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder; False if the system or its file system has no locks.

    Two equal fits may share a checkpoint. The lock ends with its process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)


class SaveCheckpoint(keras.callbacks.Callback):
    """Write a checkpoint after every epoch; the last callback of a fit.

    `progress` is that at the start, `callbacks` those whose state is saved, `checkpoint` the one
    that the fit continues from.
    """

    def __init__(
        self,
        file: CheckpointFile,
        progress: Progress,
        callbacks: Sequence[keras.callbacks.Callback],
        checkpoint: Checkpoint | None,
    ):
        super().__init__()
        self._file = file
        self._progress = progress
        self._callbacks = callbacks
        self._checkpoint = checkpoint

    def on_train_begin(self, logs: dict | None = None) -> None:
        # The other callbacks reset their state in their on_train_begin, which was called before.
        if self._checkpoint is None:
            return
        states = self._checkpoint.progress.callbacks
        for index, (callback, state) in enumerate(zip(self._callbacks, states, strict=True)):
            callback.__dict__.update(state)
            best = self._checkpoint.arrays.get(f"best{index}")
            if best is not None:
                callback.best_weights = best

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        history = {name: list(values) for name, values in self._progress.history.items()}
        for name, value in (logs or {}).items():
            history.setdefault(name, []).append(float(value))
        self._progress = self._progress._replace(
            epochs=epoch + 1,
            stopped=bool(self.model.stop_training),
            history=history,
            callbacks=[_state(callback) for callback in self._callbacks],
        )
        self._file.write(self._progress, self._arrays())

    def _arrays(self) -> dict[str, Sequence[np.ndarray]]:
        arrays: dict[str, Sequence[np.ndarray]] = {
            "network": [variable.numpy() for variable in self.model.variables],
            "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
        }
        for index, callback in enumerate(self._callbacks):
            if isinstance(callback, WeightAverage):
                state = callback.state
                arrays |= {"own": state["own"], "average": state["average"]}
                arrays["age"] = [np.array(state["steps"])]
            elif isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights:
                arrays[f"best{index}"] = callback.best_weights
        return arrays


def _parse_progress(text: str) -> Progress:
    """Return the progress from JSON; only numbers of known entries are accepted."""
    values = json.loads(text)
    if not isinstance(values, dict) or set(values) != set(Progress._fields):
        raise ValueError("the progress is damaged")
    progress = Progress(**values)
    counts = (progress.phase, progress.phase_start, progress.epochs)
    curves, states = progress.history, progress.callbacks
    if not (
        all(type(count) is int and 0 <= count < 2**31 for count in counts)
        and isinstance(progress.stopped, bool)
        and isinstance(curves, dict)
        and all(isinstance(curve, list) for curve in curves.values())
        and all(_is_number(value) for curve in curves.values() for value in curve)
        and isinstance(states, list)
        and all(isinstance(state, dict) for state in states)
        and all(value is None or _is_number(value) for s in states for value in s.values())
    ):
        raise ValueError("the progress is damaged")
    return progress


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**53)


def _state_names(callback: keras.callbacks.Callback) -> set[str]:
    """Return the attributes of a callback that a checkpoint holds."""
    known = (names for kind, names in _CALLBACK_STATE.items() if isinstance(callback, kind))
    return {name for names in known for name in names}


def _state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    values = {name: getattr(callback, name) for name in _state_names(callback)}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def fit_fingerprint(network: keras.Model, settings: dict[str, Any], *data: Any) -> str:
    """Return 16 characters that identify a fit by its network, parameters and data."""
    plain = {
        name: value.get_config() if isinstance(value, keras.optimizers.Optimizer) else value
        for name, value in settings.items()
    }
    layers = [_without_names(layer) for layer in network.layers]
    return joblib.hash([layers, network.get_weights(), plain, data])[:16]


def _without_names(layer: keras.Layer) -> Any:
    """Return the class and config of a layer without its name, which Keras may number."""
    if isinstance(layer, keras.Model):
        return [_without_names(inner) for inner in layer.layers]
    config = {name: value for name, value in layer.get_config().items() if name != "name"}
    return type(layer).__name__, config
