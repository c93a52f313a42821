"""Calls to each package in the comparison.

``_peer.py`` uses them inside the environment of each package, so that imports are in `load`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _peer_protocol import BATCH, System, to_rgb


class Skfer(System):
    """This package, with weights of a size; `parameters` are set in the Pipeline."""

    distributions = ("skfer",)
    module = "skfer"

    def __init__(self, size: str = "base", **parameters: Any):
        self.size = size
        self.parameters = parameters

    def load(self):
        from skfer import load_pretrained

        self.pipeline = load_pretrained("fer2013", self.size).set_params(**self.parameters)
        self.classifier = self.pipeline["classifier"]
        self.faces_only = self.pipeline[1:]  # without detection

    def batch(self, faces):
        return self.classifier.predict(faces[..., None]).tolist()

    def own(self, face):
        return str(self.faces_only.predict([face])[0])

    def photo(self, path):
        return str(self.pipeline.predict([path])[0])


class Fer(System):
    """fer with its hdf5 network, or with the quantised default network of newer releases."""

    distributions = ("fer",)
    module = "fer.fer"

    def __init__(self, **parameters: Any):
        self.parameters = parameters

    def load(self):
        import cv2
        from fer.fer import FER

        self.cv2, self.fer = cv2, FER(**self.parameters)
        self.names = [name for _, name in sorted(FER._get_labels().items())]

    def batch(self, faces):
        labels = []
        for start in range(0, len(faces), BATCH):
            part = np.array(
                [self.cv2.resize(face, (64, 64)) for face in faces[start : start + BATCH]],
                dtype=np.float32,
            )
            scores = self.fer._classify_emotions((part / 255 - 0.5) * 2)
            labels += [self.names[best] for best in np.asarray(scores).argmax(axis=1)]
        return labels

    def own(self, face):
        height, width = face.shape
        bgr = to_rgb(face)
        return self._best(self.fer.detect_emotions(bgr, face_rectangles=[(0, 0, width, height)]))

    def photo(self, path):
        return self._best(self.fer.detect_emotions(self.cv2.imread(path)))

    @staticmethod
    def _best(faces):
        if not faces:
            return "no face"
        emotions = faces[0]["emotions"]
        return max(emotions, key=emotions.get)


class OldFer(Fer):
    """Last release whose documented import works, if moviepy is older than 2."""

    module = "fer"

    def load(self):
        from fer import FER  # noqa: F401  (the documented import)

        super().load()


class Facex(System):
    distributions = ("facex",)
    module = "facex"

    def load(self):
        import cv2
        import facex

        assets = Path(facex.__file__).parent / "assets"
        self.cv2 = cv2
        self.classifier = facex.EmotionClassifier(str(assets / "model_optimized.tflite"))

    def one(self, face):
        emotions = self.classifier.detect_emotion(face)
        return max(emotions, key=emotions.get)

    def photo(self, path):
        faces = self.classifier.predict(self.cv2.imread(path))
        emotions = faces[0]["emot"] if faces else {"no face": 1}
        return max(emotions, key=emotions.get)


class DeepFace(System):
    distributions = ("deepface",)
    module = "deepface.DeepFace"

    def load(self):
        from deepface import DeepFace

        self.analyze = DeepFace.analyze
        self.own(np.full((48, 48), 128, np.uint8))

    def own(self, face):
        bgr = to_rgb(face)
        return self._best(self.analyze(bgr, actions=["emotion"], detector_backend="skip"))

    def photo(self, path):
        return self._best(self.analyze(path, actions=["emotion"]))

    @staticmethod
    def _best(faces):
        return faces[0]["dominant_emotion"]


class EmotiEffLib(System):
    distributions = ("emotiefflib",)
    module = "emotiefflib.facial_analysis"
    finds_faces = False

    def load(self):
        from emotiefflib.facial_analysis import EmotiEffLibRecognizer

        self.recognizer = EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")

    def batch(self, faces):
        labels = []
        for start in range(0, len(faces), BATCH):
            rgb = [to_rgb(face) for face in faces[start : start + BATCH]]
            labels += list(self.recognizer.predict_emotions(rgb, logits=True)[0])
        return labels


class HSEmotionOnnx(System):
    distributions = ("hsemotion-onnx",)
    module = "hsemotion_onnx.facial_emotions"
    finds_faces = False

    def load(self):
        import urllib.request  # noqa: F401  (hsemotion_onnx does not import it)

        from hsemotion_onnx.facial_emotions import HSEmotionRecognizer

        self.recognizer = HSEmotionRecognizer(model_name="enet_b0_8_best_vgaf")

    def one(self, face):
        return self.recognizer.predict_emotions(to_rgb(face))[0]


class HSEmotion(HSEmotionOnnx):
    distributions = ("hsemotion",)
    module = "hsemotion.facial_emotions"

    def load(self):
        from hsemotion.facial_emotions import HSEmotionRecognizer

        self.recognizer = HSEmotionRecognizer(model_name="enet_b0_8_best_vgaf", device="cpu")


class Erml(System):
    distributions = ("erml",)
    module = "erml"

    def load(self):
        from erml import EmotionDetector

        self.detector = EmotionDetector()

    def own(self, face):
        return self._best(self.detector.analyze(to_rgb(face)))

    def photo(self, path):
        return self._best(self.detector.analyze(path))

    @staticmethod
    def _best(faces):
        return faces[0].emotion if faces else "no face"


class Rmn(System):
    distributions = ("rmn",)
    module = "rmn"

    def load(self):
        from rmn import RMN

        self.rmn = RMN()

    def own(self, face):
        return self.rmn.detect_emotion_for_single_face_image(to_rgb(face))[0]

    def photo(self, path):
        import cv2

        faces = self.rmn.detect_emotion_for_single_frame(cv2.imread(path))
        return faces[0]["emo_label"] if faces else "no face"


class PyFeat(System):
    """Imported and built only, because it takes files and not faces."""

    distributions = ("py-feat",)
    module = "feat"

    def load(self):
        from feat import Detectorv2

        self.detector = Detectorv2()


SYSTEMS: dict[str, Callable[[], System]] = {
    "skfer": Skfer,  # with YuNet if its file is installed
    "skfer haar": lambda: Skfer(cropper__detector="haar"),
    "skfer flip": lambda: Skfer(classifier__test_time_augmentation="flip"),
    "skfer ten": lambda: Skfer(classifier__test_time_augmentation="ten"),
    "skfer int8": lambda: Skfer(classifier__backend="onnx-int8"),
    "skfer small": lambda: Skfer("small"),
    "skfer small int8": lambda: Skfer("small", classifier__backend="onnx-int8"),
    "fer": Fer,
    "fer hdf5": lambda: Fer(use_tflite=False),
    "fer 22.5.1": OldFer,
    "facex": Facex,
    "deepface": DeepFace,
    "emotiefflib": EmotiEffLib,
    "hsemotion-onnx": HSEmotionOnnx,
    "hsemotion": HSEmotion,
    "erml": Erml,
    "rmn": Rmn,
    "py-feat": PyFeat,
}
