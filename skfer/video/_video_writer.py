"""`VideoWriter`: pictures with time stamps to an H.264 file that browsers play."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from skfer._video_file import import_av

# Fine enough for every frame rate; players know it from MPEG.
_TIME_BASE = Fraction(1, 90_000)


class VideoWriter:
    """Write an MP4 file: H.264 with 4:2:0 colour, its index in front, without sound.

    H.264 needs even sides: of an odd one the last row or column is left out.

    Parameters
    ----------
    path : str or os.PathLike
    rate : Fraction
        Frames a second, on average; each frame is shown at its own time.
    """

    def __init__(self, path: str | os.PathLike, rate: Fraction):
        self._av = import_av("recognize_video")
        self._file = self._av.open(
            os.fspath(path), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream: Any = None
        self._rate = rate
        self._last = -1

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Add an RGB picture that is shown from `seconds` on."""
        if self._stream is None:
            self._stream = self._new_stream(picture)
        size = self._stream.width, self._stream.height
        picture = picture[: size[1], : size[0]]
        if picture.shape[1::-1] != size:  # some files change their size on the way
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.time_base = _TIME_BASE
        frame.pts = self._last = max(self._last + 1, round(seconds / _TIME_BASE))
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is still in the encoder, and the index."""
        try:
            if self._stream is not None:
                self._file.mux(self._stream.encode(None))
        finally:
            self._file.close()

    def _new_stream(self, picture: np.ndarray) -> Any:
        height, width = picture.shape[:2]
        if min(height, width) < 2:
            raise ValueError(f"A video of {width} x {height} pixels can't be written as H.264.")
        options = {"preset": "veryfast", "crf": "20"}
        stream = self._file.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        return stream
