"""Synthetic videos, whole and damaged, and a detector of the faces in them."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np

from skfer.detection import Detections

SIDE = 32
KEY_EVERY_60 = {"g": "60", "keyint_min": "60", "sc_threshold": "0", "bf": "2", "crf": "12"}


class BrightSquares:
    """Finds bright spots on a dark ground, and counts how often it was asked."""

    calls = 0

    def detect(self, image):
        type(self).calls += 1
        gray = image if image.ndim == 2 else image.min(axis=2)
        _, _, stats, _ = cv2.connectedComponentsWithStats((gray > 150).astype(np.uint8))
        boxes = [row[:4] for row in stats[1:] if row[4] > 300]
        if not boxes:
            return Detections.none()
        return Detections(np.array(boxes), np.full(len(boxes), 0.9)).largest_first()


def picture(*corners, size=(96, 160)):
    """A dark picture with bright squares at those upper left corners, each with a darker band.

    The band's height follows from the place, so that a face that moves looks different.
    """
    drawn = np.full((*size, 3), 40, np.uint8)
    for x, y in corners:
        drawn[y : y + SIDE, x : x + SIDE] = 250
        band = y + 5 * x % 22
        drawn[band : band + 10, x : x + SIDE] = 170
    return drawn


def write_clip(path, pictures, times=None, *, container=None, options=None):
    """A video of those pictures, shown from those seconds on; 25 a second without."""
    times = [place / 25 for place in range(len(pictures))] if times is None else times
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "12", "bf": "2"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for drawn, seconds in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * seconds)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_long(path, n_frames=100, *, codec="libx264", size=(96, 160), options=None):
    """A clip of a square that moves, 25 frames a second, with a key frame every 60."""
    with av.open(str(path), "w", options=options or {}) as file:
        stream = file.add_stream(
            codec, rate=25, options=KEY_EVERY_60 if codec == "libx264" else {"qmin": "2"}
        )
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for place in range(n_frames):
            drawn = picture((4 + place % 100, 20), size=size)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(drawn, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def copied(source, target, *, earlier=0.0, options=None):
    """A copy of the packets, with times that much earlier, as a lossless trim makes it."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options or {}) as file:
        stream = read.streams.video[0]
        copy = file.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is None:
                continue
            packet.pts -= round(earlier / packet.time_base)
            packet.dts -= round(earlier / packet.time_base)
            packet.stream = copy
            file.mux(packet)
    return target


def edited(source, target, duration):
    """A copy whose edit list ends after that many milliseconds."""
    content = bytearray(source.read_bytes())
    place = content.index(b"elst") + 12
    content[place : place + 4] = struct.pack(">I", duration)
    target.write_bytes(content)
    return target


def cut(source, target, share):
    """A copy that breaks off after that share of the bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: round(share * len(content))])
    return target


def hidden_frames(path, n_frames):
    """VP8 whose frames are all decoded and never shown, after the first."""
    seed = path.with_name("seed.webm")
    with av.open(str(seed), "w") as file:
        stream = file.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for place in range(3):
            drawn = picture((20 + 7 * place, 20), size=(480, 640))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(drawn, format="rgb24")))
        file.mux(stream.encode(None))
    with av.open(str(seed)) as read, av.open(str(path), "w") as file:
        stream = read.streams.video[0]
        copy = file.add_stream_from_template(stream)
        first, second, *_ = [bytes(packet) for packet in read.demux(stream) if packet.size]
        unseen = bytes([second[0] & ~0x10]) + second[1:]
        for place in range(n_frames):
            packet = av.Packet(first if place == 0 else unseen)
            packet.stream, packet.time_base = copy, Fraction(1, 1000)
            packet.pts = packet.dts = place // 100  # of no length to speak of
            packet.is_keyframe = place == 0
            file.mux(packet)
    return path


def countless_samples(path, n_samples):
    """An MP4 of 2 kB that declares that many frames."""
    content = bytearray(write_long(path, 3, codec="mpeg4").read_bytes())
    for box, offset, numbers in (
        (b"stsz", 8, (1, n_samples)),
        (b"stts", 8, (1, n_samples, 1)),
        (b"stsc", 8, (1, 1, n_samples, 1)),
    ):
        place = content.index(box) + offset
        content[place : place + 4 * len(numbers)] = struct.pack(f">{len(numbers)}I", *numbers)
    path.write_bytes(content)
    return path


def steady(path, rate, n_frames=3):
    """An AVI of Motion JPEG with that many frames a second."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=rate)
        stream.height, stream.width = 96, 160
        stream.pix_fmt = "yuvj420p"
        for _ in range(n_frames):
            drawn = av.VideoFrame.from_ndarray(picture((20, 20)), format="rgb24")
            file.mux(stream.encode(drawn))
        file.mux(stream.encode(None))
    return path
