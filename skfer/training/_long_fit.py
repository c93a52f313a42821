"""`LongFit`: the estimated time and the progress of a fit that takes long."""

from __future__ import annotations

import time
from typing import Any

import keras

# Seconds from which on a fit is reported.
_LONG = 60
# The first steps trace the graph. An estimate needs some seconds of steps after them.
_UNTIMED_STEPS = 2
_SECONDS_TIMED = 3
# A step that trains the head alone takes about a third of one that trains all layers.
_HEAD_COST = 1 / 3
_SHOWN = ("loss", "accuracy", "concordance", "val_loss", "val_accuracy", "val_concordance")


class LongFit(keras.callbacks.Callback):
    """Report a fit that will take longer than a minute.

    The estimated time is printed once, as soon as it is known. With `lines`, each epoch from then
    on prints its figures and the time left. One object follows all phases of a fit.

    Parameters
    ----------
    n_images : int
        Images of an epoch.
    head : list of bool
        Whether the head alone is trained, for each epoch of the fit.
    done : int, default=0
        Epochs of the fit that an interrupted fit has done before.
    lines : bool, default=True
        Whether to print a line for each epoch.

    Examples
    --------
    >>> from skfer.training import LongFit
    >>> report = LongFit(n_images=2000, head=[True, False, False])
    """

    def __init__(self, n_images: int, head: list[bool], *, done: int = 0, lines: bool = True):
        super().__init__()
        self._n_images = n_images
        self._costs = [_HEAD_COST if frozen else 1.0 for frozen in head]
        self._done = done
        self._lines = lines
        self._announced = False
        self._started = time.perf_counter()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Expect the graph to be traced in the first epoch of the phase."""
        self._traced = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start to time the epoch."""
        self._epoch_started = self._timed_from = time.perf_counter()
        self._first_timed = self._last_batch = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Estimate the time of the fit during its first epoch."""
        now = time.perf_counter()
        self._last_batch = batch
        if batch < _UNTIMED_STEPS:
            self._timed_from, self._first_timed = now, batch
        elif not self._announced and now - self._timed_from >= _SECONDS_TIMED:
            self._announce(self._left(self._seconds_of_epoch(now)) - (now - self._epoch_started))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the figures of the epoch, if the fit takes long."""
        seconds = self._seconds_of_epoch(time.perf_counter())
        left = self._left(seconds) - seconds
        if not self._announced:
            self._announce(left)
        self._done += 1
        self._traced = True
        if not (self._announced and self._lines):
            return
        figures = [f"{name} {logs[name]:.3f}" for name in _SHOWN if logs and name in logs]
        remaining = [f"{_duration(left)} left"] if self._done < len(self._costs) else []
        line = ", ".join([*figures, *remaining])
        print(f"epoch {self._done}/{len(self._costs)}: {line}", flush=True)

    def _seconds_of_epoch(self, now: float) -> float:
        """Return the seconds of an epoch like this one, without those of tracing."""
        steps = self._last_batch - self._first_timed
        if self._traced or not steps:
            return now - self._epoch_started if self._traced else 0.0
        return (now - self._timed_from) / steps * self.params["steps"]

    def _left(self, seconds: float) -> float:
        """Return the seconds from the start of this epoch on, which takes so many."""
        rest = self._costs[self._done :] or [1.0]
        return seconds * sum(rest) / rest[0]

    def _announce(self, left: float) -> None:
        total = time.perf_counter() - self._started + left
        if total < _LONG:
            return
        self._announced = True
        print(
            f"Fitting {self._n_images:,} images for {len(self._costs)} epochs takes about "
            f"{_duration(total)}; verbose=0 is silent.",
            flush=True,
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
