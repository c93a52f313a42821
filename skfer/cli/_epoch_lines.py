"""`EpochLines`: a line on standard error after each epoch."""

from __future__ import annotations

from typing import Any

import click
import keras


class EpochLines(keras.callbacks.Callback):
    """Say how the fit goes."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch's figures."""
        shown = ("loss", "accuracy", "val_loss", "val_accuracy")
        figures = [f"{name} {logs[name]:.3f}" for name in shown if logs and name in logs]
        click.echo(f"epoch {epoch + 1}/{self.params['epochs']}: {', '.join(figures)}", err=True)
