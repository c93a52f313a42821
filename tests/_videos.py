"""Synthetic videos, valid and damaged, and a detector of the faces in them."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np

from skfer.detection import Detections

SIDE = 32
KEY_EVERY_60 = {"g": "60", "keyint_min": "60", "sc_threshold": "0", "bf": "2", "crf": "12"}


class BrightSquares:
    """Detector of bright squares on a dark background that counts its calls."""

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
    """Return a dark picture with bright squares at these upper left corners.

    A square has a darker band, whose position depends on the corner: moving faces change.
    """
    pixels = np.full((*size, 3), 40, np.uint8)
    for x, y in corners:
        pixels[y : y + SIDE, x : x + SIDE] = 250
        band = y + 5 * x % 22
        pixels[band : band + 10, x : x + SIDE] = 170
    return pixels


def encode(
    path,
    pictures,
    times=None,
    *,
    codec="libx264",
    rate=25,
    layout="yuv420p",
    container=None,
    options=None,
    settings=None,
):
    """Write a video of RGB or RGBA pictures with these times in seconds, or at this rate."""
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=settings or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = layout
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, ("rgb24", "rgba")[pixels.shape[2] - 3])
            if times is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[index])
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_clip(path, pictures, times=None, *, container=None, options=None):
    """Write an H.264 video, by default with 25 frames a second."""
    times = [index / 25 for index in range(len(pictures))] if times is None else times
    settings = {"crf": "12", "bf": "2"}
    return encode(path, pictures, times, container=container, options=options, settings=settings)


def write_moving_square(path, n_frames=100, *, codec="libx264", size=(96, 160), options=None):
    """Write a video of a moving square, with 25 frames a second and key frames 60 frames apart."""
    pictures = [picture((4 + index % 100, 20), size=size) for index in range(n_frames)]
    settings = KEY_EVERY_60 if codec == "libx264" else {"qmin": "2"}
    return encode(path, pictures, codec=codec, options=options, settings=settings)


def write_avi(path, rate, n_frames=3):
    """Write an AVI of Motion JPEG with this number of frames a second."""
    pictures = [picture((20, 20))] * n_frames
    return encode(path, pictures, codec="mjpeg", rate=rate, layout="yuvj420p")


def copy_packets(source, target, *, earlier=0.0, options=None):
    """Copy the packets of a video with earlier times, like a lossless trim."""
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


def change_edit_list(source, target, duration):
    """Copy a video with an edit list that ends after these milliseconds."""
    content = bytearray(source.read_bytes())
    offset = content.index(b"elst") + 12
    content[offset : offset + 4] = struct.pack(">I", duration)
    target.write_bytes(content)
    return target


def truncate(source, target, share):
    """Copy this share of the bytes of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: round(share * len(content))])
    return target


def write_hidden_frames(path, n_frames):
    """Write a VP8 video whose frames, after the first, are decoded but not shown."""
    seed = path.with_name("seed.webm")
    pictures = [picture((20 + 7 * index, 20), size=(480, 640)) for index in range(3)]
    encode(seed, pictures, codec="libvpx")
    with av.open(str(seed)) as read, av.open(str(path), "w") as file:
        stream = read.streams.video[0]
        copy = file.add_stream_from_template(stream)
        first, second, *_ = [bytes(packet) for packet in read.demux(stream) if packet.size]
        hidden = bytes([second[0] & ~0x10]) + second[1:]
        for index in range(n_frames):
            packet = av.Packet(first if index == 0 else hidden)
            packet.stream, packet.time_base = copy, Fraction(1, 1000)
            packet.pts = packet.dts = index // 100
            packet.is_keyframe = index == 0
            file.mux(packet)
    return path


def write_declared_samples(path, n_samples):
    """Write an MP4 of 2 kB that declares this number of frames."""
    content = bytearray(write_moving_square(path, 3, codec="mpeg4").read_bytes())
    for box, start, numbers in (
        (b"stsz", 8, (1, n_samples)),
        (b"stts", 8, (1, n_samples, 1)),
        (b"stsc", 8, (1, 1, n_samples, 1)),
    ):
        offset = content.index(box) + start
        content[offset : offset + 4 * len(numbers)] = struct.pack(f">{len(numbers)}I", *numbers)
    path.write_bytes(content)
    return path
