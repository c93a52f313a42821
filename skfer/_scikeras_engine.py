"""The call to scikeras, whose `BaseWrapper` runs the fit of a compiled network.

The only module that imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scikeras.wrappers import BaseWrapper

from skfer.training import (
    Examples,
    evaluation_batches,
    settling_within_an_epoch,
    training_batches,
)


class ScikerasEngine(BaseWrapper):
    """scikeras, fed by the input pipeline instead of by Keras's own array adapter.

    Not its `KerasClassifier`, which would number the codes of this call anew and so shift them
    where a class is missing.
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
            *examples.batches_of(),
            batch_size=self.batch_size,
            first_epoch=initial_epoch,
            **batches,
        )
        if validation is not None:
            kwargs["validation_data"] = evaluation_batches(
                *validation.batches_of(),
                batch_size=self.batch_size,
                devices=batches["devices"],
            )
        with settling_within_an_epoch(self.model_, steps):
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
