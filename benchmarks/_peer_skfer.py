"""Calls to skfer in the comparison."""

from __future__ import annotations

import statistics
from typing import Any

from _peer_protocol import System, seconds_of


class Skfer(System):
    """This package; `parameters` are set in the Pipeline."""

    distributions = ("skfer",)
    module = "skfer"

    def __init__(self, **parameters: Any):
        self.parameters = parameters
        self.pipeline_file: str | None = None

    def load(self):
        if self.pipeline_file is None:
            from skfer import load_pretrained

            pipeline = load_pretrained("fer2013")
        else:
            import joblib

            pipeline = joblib.load(self.pipeline_file)
        missing = sorted(set(self.parameters) - set(pipeline.get_params()))
        if missing:
            raise RuntimeError(f"this version has no parameter {missing[0]}")
        self.pipeline = pipeline.set_params(**self.parameters)
        self.classifier = pipeline["classifier"]
        self.faces_only = pipeline[1:]  # without the search for faces

    def batch(self, faces):
        return self.classifier.predict(faces[..., None]).tolist()

    def own(self, face):
        return str(self.faces_only.predict([face])[0])

    def photo(self, path):
        return str(self.pipeline.predict([path])[0])

    def extras(self, faces):
        """Compare with `keras.Model.predict` of the same network, in alternation."""
        other = self.classifier.backend == "onnx-int8"  # no equal precision to compare at
        if other or self.classifier.test_time_augmentation is not None:
            return {}
        network, images = self.classifier.network_, faces[..., None]
        found = {}
        for batch_size in (32, 256):
            pairs = [
                (
                    seconds_of(lambda: self.classifier.predict_proba(images)),
                    seconds_of(lambda b=batch_size: network.predict(images, b, verbose=0)),
                )
                for _ in range(4)
            ][1:]
            found[f"keras_predict_batch_{batch_size}"] = {
                "keras_faces_a_second": round(len(faces) / statistics.median(b for _, b in pairs)),
                "ratio": round(statistics.median(b / a for a, b in pairs), 2),
            }
        return {"beside_keras": found}
