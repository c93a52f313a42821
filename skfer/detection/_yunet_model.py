"""Where YuNet's file comes from: OpenCV's collection of models, once, into the user's cache."""

from __future__ import annotations

import threading
from pathlib import Path

from skfer._documentation import page
from skfer._extras import import_extra

MODEL_NAME = "face_detection_yunet_2026may.onnx"
MODEL_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
# One commit of https://github.com/opencv/opencv_zoo: what lies there doesn't change.
_MODEL_URL = (
    "https://github.com/opencv/opencv_zoo/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/"
    f"models/face_detection_yunet/{MODEL_NAME}"
)

# Threads that need the file at the same time download it once.
_fetching = threading.Lock()


def fetched_model() -> Path:
    """The file in the cache, downloaded if it isn't there or has another checksum.

    Raises
    ------
    FileNotFoundError
        If it can't be downloaded; it says where the file may be put by hand.
    ImportError
        If pooch is not installed.
    """
    pooch = import_extra(
        "pooch", "YuNetDetector(model=None)", "yunet", "give the path of the file as model"
    )
    folder = Path(pooch.os_cache("skfer"))
    try:
        with _fetching:
            return Path(
                pooch.retrieve(
                    _MODEL_URL,
                    known_hash=f"sha256:{MODEL_SHA256}",
                    fname=MODEL_NAME,
                    path=folder,
                )
            )
    except (OSError, ValueError) as error:  # no network, a full disk; another checksum
        raise FileNotFoundError(
            f"YuNet's model is not in {str(folder)!r} and can't be fetched from {_MODEL_URL} "
            f"({type(error).__name__}). Without a network: put the file {MODEL_NAME!r} (SHA-256 "
            f"{MODEL_SHA256[:12]}...) into that folder, or give its path, "
            f"YuNetDetector(model='.../yunet.onnx'). See {page('faq')}"
        ) from error
