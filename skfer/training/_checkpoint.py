"""The state of a fit on disk, so that one that was killed goes on from its last epoch."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from skfer._array_files import read_npz
from skfer.training._weight_average import WeightAverage

# What Keras's own callbacks remember from epoch to epoch.
_MEMORY = {
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
}


class Progress(NamedTuple):
    """How far a fit has come; what stands in a checkpoint beside the arrays.

    Attributes
    ----------
    phase : int
        Number of the phase, from 0.
    phase_start : int
        Epochs that were done when the phase began.
    epochs : int
        Epochs that are done.
    stopped : bool
        Whether a callback has ended the phase.
    history : dict of str to list of float
        Of the phase, as Keras keeps it.
    callbacks : list of dict
        What each callback remembers.

    Examples
    --------
    >>> from skfer.training import Progress
    >>> Progress(phase=0, phase_start=0, epochs=3)._replace(epochs=4).epochs
    4
    """

    phase: int
    phase_start: int
    epochs: int
    stopped: bool = False
    history: dict[str, list[float]] = {}
    callbacks: list[dict[str, Any]] = []


class SavedFit(NamedTuple):
    """What a checkpoint holds.

    Attributes
    ----------
    progress : Progress
    arrays : dict of str to list of ndarray of shape (...)
        The variables of the network and of the optimiser, and what callbacks keep.

    Examples
    --------
    >>> from skfer.training import Progress, SavedFit
    >>> saved = SavedFit(Progress(0, 0, 3), {"network": [], "optimizer": []})
    >>> saved.average is None
    True
    """

    progress: Progress
    arrays: dict[str, list[np.ndarray]]

    @property
    def average(self) -> dict | None:
        """State of the running average of the weights, if there was one."""
        if not {"own", "average", "age"} <= set(self.arrays):
            return None
        own, average, age = (self.arrays[name] for name in ("own", "average", "age"))
        return {"own": own, "average": average, "steps": age[0]}

    def check(
        self,
        network: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        phase_epochs: int,
    ) -> None:
        """Check that a fit can continue from this state.

        Parameters
        ----------
        network : keras.Model
            Built and compiled as the network that was saved.
        callbacks : sequence of keras.callbacks.Callback
            Those of the fit.
        phase_epochs : int
            Number of epochs of the phase.

        Raises
        ------
        ValueError
            If arrays are missing, have other shapes or hold NaN or infinity, or the progress is
            not one of this fit.
        """
        weights = [weight.shape for weight in network.weights]
        expected = {
            "network": [variable.shape for variable in network.variables],
            "optimizer": [variable.shape for variable in network.optimizer.variables],
        }
        for place, callback in enumerate(callbacks):
            if isinstance(callback, WeightAverage):
                expected |= {"own": weights, "average": weights, "age": [()]}
            elif f"best{place}" in self.arrays:
                expected[f"best{place}"] = weights
        for name, shapes in expected.items():
            arrays = self.arrays.get(name, [])
            if len(arrays) != len(shapes):
                raise ValueError(f"{len(arrays)} arrays of {name!r}, {len(shapes)} are expected")
            for place, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
                what = f"{name}.{place:05}"
                if array.shape != tuple(shape) or array.dtype.kind not in "biuf":
                    raise ValueError(
                        f"{what!r} is {array.shape} of {array.dtype}, {tuple(shape)} is expected"
                    )
                if not np.isfinite(array).all():
                    raise ValueError(f"{what!r} holds NaN or infinity")
        progress = self.progress
        done = progress.epochs - progress.phase_start
        if not 0 <= done <= phase_epochs or any(
            len(values) > progress.epochs for values in progress.history.values()
        ):
            raise ValueError(f"{done} of {phase_epochs} epochs of a phase are done")
        known = [_remembered(callback) for callback in callbacks]
        if [set(memory) for memory in progress.callbacks] != known:
            raise ValueError("the callbacks are others")

    def put_into(self, network: keras.Model) -> None:
        """Restore the weights and the optimizer state of a network.

        Parameters
        ----------
        network : keras.Model
            Built and compiled as the network that was saved; see `check`.
        """
        for name, owner in (("network", network), ("optimizer", network.optimizer)):
            for variable, array in zip(owner.variables, self.arrays[name], strict=True):
                variable.assign(array)


class CheckpointFile:
    """One file for one fit, replaced as a whole after every epoch.

    Parameters
    ----------
    folder : path
        Made if it is missing.
    fingerprint : str
        Of the data and the settings: another fit has another file beside this one.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skfer.training import CheckpointFile, Progress
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = CheckpointFile(folder, "0123456789abcdef")
    ...     file.write(Progress(0, 0, epochs=3), {"network": [np.zeros(2)]})
    ...     file.read().progress.epochs
    3
    """

    def __init__(self, folder: str | os.PathLike, fingerprint: str):
        self.path = Path(folder) / f"fit-{fingerprint}.npz"
        self._drafts = f".fit-{fingerprint}-"

    def read(self) -> SavedFit | None:
        """What was saved last.

        Returns
        -------
        SavedFit or None
            None if nothing was.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            # Arrays are stored as they are: together they can't be larger than the file.
            stored = read_npz(self.path, self.path.stat().st_size)
            progress = _read_progress(str(stored.pop("progress", "missing")))
        except (ValueError, RecursionError) as error:
            raise self.damage(error) from error
        arrays: dict[str, list[np.ndarray]] = {}
        for key in sorted(stored):
            arrays.setdefault(key.rsplit(".", 1)[0], []).append(stored[key])
        return SavedFit(progress, arrays)

    def damage(self, error: Exception) -> ValueError:
        """Return the error for a file that can't be used.

        Parameters
        ----------
        error : Exception
            The reason.

        Returns
        -------
        ValueError
        """
        return ValueError(
            f"The checkpoint {str(self.path)!r} can't be used ({error}). Delete it to train "
            "from the start."
        )

    def write(self, progress: Progress, arrays: dict[str, Sequence[np.ndarray]]) -> None:
        """Replace the file; whoever is killed here leaves the file of the epoch before.

        Parameters
        ----------
        progress : Progress
        arrays : dict of str to sequence of ndarray of shape (...)
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Zero-filled, so that the names sort in this order.
        numbered: dict[str, Any] = {
            f"{name}.{place:05}": array
            for name, group in arrays.items()
            for place, array in enumerate(group)
        }
        with _locked(self.path.parent):
            handle, draft = tempfile.mkstemp(dir=self.path.parent, prefix=self._drafts)
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(file, progress=json.dumps(progress._asdict()), **numbered)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, self.path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise

    def remove(self) -> None:
        """Remove the file and drafts of killed writes: the fit is done."""
        if not self.path.parent.exists():
            return
        with _locked(self.path.parent) as alone:
            self.path.unlink(missing_ok=True)
            # Under the lock nobody writes: a draft that is there was left by a killed process.
            for draft in self.path.parent.glob(f"{self._drafts}*") if alone else ():
                draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; False where the system or its file system has none.

    Two equal fits may share a checkpoint. The lock ends with its process, however that ends.
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
    """Write a checkpoint after every epoch; the last of a fit's callbacks.

    Parameters
    ----------
    file : CheckpointFile
    progress : Progress
        Where this training begins.
    others : list of keras.callbacks.Callback
        The callbacks of the fit, whose memory is kept too.
    saved : SavedFit or None
        Where this training goes on, if it was interrupted.

    Examples
    --------
    >>> import tempfile
    >>> import keras
    >>> import numpy as np
    >>> from skfer.training import CheckpointFile, Progress, SaveCheckpoint
    >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    >>> network.compile("sgd", "sparse_categorical_crossentropy")
    >>> inputs, codes = np.zeros((4, 3)), np.zeros(4, int)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = CheckpointFile(folder, "0123456789abcdef")
    ...     saving = SaveCheckpoint(file, Progress(0, 0, 0), others=[], saved=None)
    ...     _ = network.fit(inputs, codes, callbacks=[saving], verbose=0)
    ...     file.read().progress.epochs
    1
    """

    def __init__(
        self,
        file: CheckpointFile,
        progress: Progress,
        others: Sequence[keras.callbacks.Callback],
        saved: SavedFit | None,
    ):
        super().__init__()
        self._file = file
        self._progress = progress
        self._others = others
        self._saved = saved

    def on_train_begin(self, logs: dict | None = None) -> None:
        # Here, because the other callbacks forget everything in their own on_train_begin.
        if self._saved is None:
            return
        memories = self._saved.progress.callbacks
        for place, (callback, memory) in enumerate(zip(self._others, memories, strict=True)):
            callback.__dict__.update(memory)
            best = self._saved.arrays.get(f"best{place}")
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
            callbacks=[_memory(callback) for callback in self._others],
        )
        self._file.write(self._progress, self._arrays())

    def _arrays(self) -> dict[str, Sequence[np.ndarray]]:
        arrays: dict[str, Sequence[np.ndarray]] = {
            "network": [variable.numpy() for variable in self.model.variables],
            "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
        }
        for place, callback in enumerate(self._others):
            if isinstance(callback, WeightAverage):
                state = callback.state
                arrays |= {"own": state["own"], "average": state["average"]}
                arrays["age"] = [np.array(state["steps"])]
            elif isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights:
                arrays[f"best{place}"] = callback.best_weights
        return arrays


def _read_progress(text: str) -> Progress:
    """Parse the progress of a fit; nothing but numbers in known places is accepted."""
    values = json.loads(text)
    if not isinstance(values, dict) or set(values) != set(Progress._fields):
        raise ValueError("the progress is damaged")
    progress = Progress(**values)
    counts = (progress.phase, progress.phase_start, progress.epochs)
    curves, memories = progress.history, progress.callbacks
    if not (
        all(type(count) is int and 0 <= count < 2**31 for count in counts)
        and isinstance(progress.stopped, bool)
        and isinstance(curves, dict)
        and all(isinstance(curve, list) for curve in curves.values())
        and all(_is_number(value) for curve in curves.values() for value in curve)
        and isinstance(memories, list)
        and all(isinstance(memory, dict) for memory in memories)
        and all(value is None or _is_number(value) for m in memories for value in m.values())
    ):
        raise ValueError("the progress is damaged")
    return progress


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**53)


def _remembered(callback: keras.callbacks.Callback) -> set[str]:
    """Return the attributes of a callback that a checkpoint holds."""
    return {name for kind in _MEMORY if isinstance(callback, kind) for name in _MEMORY[kind]}


def _memory(callback: keras.callbacks.Callback) -> dict[str, Any]:
    return {name: _plain(getattr(callback, name)) for name in _remembered(callback)}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
