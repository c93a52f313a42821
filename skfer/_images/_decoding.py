"""Decoding of encoded images and Pillow images to 8 bits, upright, gray or RGB.

Pillow reads the header of every file, where files that would unpack to gigabytes are refused, and
decodes most of them. OpenCV decodes JPEG and WebP to the same pixels, in half the time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import re
from typing import Any

import cv2
import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from skfer._images._limits import TooManyPixelsError, check_n_pixels, max_pixels
from skfer._images._pixel_range import PixelRange
from skfer._utils import import_extra, page, shorten

# In coded pixels, 0xff is followed by a stuffed zero, a restart marker (0xd0 to 0xd7) or a fill
# byte. Any other byte begins a segment.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SCAN, _END = 0xDA, 0xD9
# A progressive JPEG has about ten. Each takes a pass over the whole image, for a few bytes.
_MAX_SCANS = 100
_MAX_SEGMENTS = 10_000
# Tables, the number of lines, application data and comments may stand between two scans.
_BETWEEN_SCANS = {_SCAN, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE}


def jpeg_defect(data: bytes) -> str | None:
    """Return a defect of a JPEG, as the end of "it is a JPEG that ..."; None if there is none.

    Decoders fill missing parts with gray or noise, without an error. This function reads only the
    markers: it detects truncated files, and nearly always overwritten pixels, in which 0xff is
    rarely legal. Data after the image, such as the video of a motion photo, are ignored.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    position, scans, segments = 2, 0, 0
    while marker := _MARKER.search(data, position):
        kind, position = data[marker.end() - 1], marker.end()
        segments += 1
        if kind == _END:
            return None
        if scans and kind not in _BETWEEN_SCANS:
            return f"is damaged near byte {position}"
        scans += kind == _SCAN
        if scans > _MAX_SCANS:
            return f"has more than {_MAX_SCANS} scans"
        if segments > _MAX_SEGMENTS:
            return f"has more than {_MAX_SEGMENTS:,} segments"
        # Skipped by its length: a thumbnail inside has markers of its own.
        position += int.from_bytes(data[position : position + 2], "big")
    return "is truncated: its end is missing"


# First bytes of a file, and its reader. `Image.open` would try every plugin that the process has
# registered, with its own limit on pixels.
_KINDS: tuple[tuple[re.Pattern[bytes], str, Any], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG", JpegImagePlugin.JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", PngImagePlugin.PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP", WebPImagePlugin.WebPImageFile),
    (re.compile(rb"BM"), "BMP", BmpImagePlugin.BmpImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF", TiffImagePlugin.TiffImageFile),
    (re.compile(rb"GIF8[79]a"), "GIF", GifImagePlugin.GifImageFile),
    (re.compile(rb"P[1-6][\s#]"), "Netpbm", PpmImagePlugin.PpmImageFile),
    (re.compile(rb"Pf\s"), "PFM", PpmImagePlugin.PpmImageFile),
    (
        re.compile(rb"....ftyp(?:avi[fs]|(?:mif1|msf1).{4,40}avi[fs])", re.DOTALL),
        "AVIF",
        AvifImagePlugin.AvifImageFile,
    ),
)
_NETPBM_HEADER = 4096
_NETPBM_COMMENT = re.compile(rb"#[^\r\n]*")
_EXIF, _MAX_EXIF = b"Exif\0\0", 100
# A PNG of 300 MB in chunks of 8 kB needs 110,000, a JPEG some hundred.
_MAX_READS = 200_000
_HEIC = re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_VIDEO = re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL)
# Text in place of an image.
_DATA_URL = re.compile(r"\s*data:[\w.+-]*/?[\w.+-]*[;,]")
_URL = re.compile(r"\s*(?:https?|ftp|s3|gs|file)://", re.IGNORECASE)
_PIXELS = re.compile(r"\s*\d{1,3}(?:[\s,]+\d{1,3}){15,}")
_BASE64 = re.compile(r"\s*[A-Za-z0-9+/_\-\r\n]{64,}={0,2}\s*")

_BY_OPENCV = ("JPEG", "WEBP")
_EIGHT_BIT_COLOR = {"RGB", "RGBA", "RGBX"}
# EXIF orientation: a quarter turn clockwise or counter-clockwise, or half a turn; then a mirror.
_TURNS = {
    3: cv2.ROTATE_180,
    5: cv2.ROTATE_90_CLOCKWISE,
    6: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_MIRRORS = {2: 1, 4: 0, 5: 1, 7: 1}  # as `cv2.flip` numbers them: 1 swaps left and right
# Levels of cameras with 8, 10 and 12 bits, which many programs store in 16 as they are.
_FEWER_LEVELS = (255, 1023, 4095)
_SIXTEEN_BITS = 65535
_BAND_PIXELS = 4_000_000
# Most pixels of a tile of a TIFF, which is decoded whole, unless the image has as many.
_MAX_TILE_PIXELS = 2**24
_TILE_SIDES = TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH
# Limits of the process that reads the frames of an AVIF image sequence.
_FRAME_MEMORY, _FRAME_SECONDS = 500_000_000, 20.0


def decode(data: bytes, where: str, pixel_limit: int | None = None) -> np.ndarray:
    """Return the pixels of an encoded image, upright by its EXIF orientation.

    `pixel_limit` is a further limit on the size in the header, besides `max_pixels`.
    """
    if not data:
        raise ValueError(f"{where} is empty: it holds no image.")
    with open_image(data, where) as image:
        width, height = image.size
        if pixel_limit is not None and width * height > pixel_limit:
            raise TooManyPixelsError(
                f"{where} has {width} x {height} pixels; at most {pixel_limit / 1e6:g} million are "
                "taken. Make it smaller."
            )
        if defect := jpeg_defect(data):
            raise ValueError(f"{where} is a JPEG that {defect}.")
        if image.format == "PNG" and b"IEND" not in data:
            raise ValueError(f"{where} is a PNG that is truncated: its end is missing.")
        if image.format == "AVIF":
            _check_frame_sizes(data, where, pixel_limit or max_pixels())
        by_opencv = image.format in _BY_OPENCV and image.mode in ("L", *_EIGHT_BIT_COLOR)
        # Pillow fills the ends of rows byte by byte: 140 s for a BMP of 1 kB with 150 M pixels.
        if by_opencv or any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ())):
            return _turned(_decoded_by_opencv(data, where), _orientation(image))
        if image.format == "PNG" and image.mode in _EIGHT_BIT_COLOR and "16" in _raw_mode(image):
            pixels = _decoded_by_opencv(data, where, cv2.IMREAD_ANYDEPTH)  # Pillow keeps 8 bits
            _load(image, where)  # the orientation may follow the pixels
            return _turned(_from_sixteen_bits(pixels), _orientation(image))
        return decode_pillow(image, where)


def is_encoded(start: bytes) -> bool:
    """Return whether these are the first bytes of a supported image file."""
    return any(beginning.match(start) for beginning in (_HEIC, *(kind[0] for kind in _KINDS)))


class _BoundedFile(io.BytesIO):
    """File in memory with a limit on the number of reads.

    The plugins of Pillow read every segment or chunk of a file in Python, so that the time to open
    a file of many empty ones is proportional to the number of reads.
    """

    n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.n_reads += 1
        if self.n_reads > _MAX_READS:
            raise ValueError("it has too many segments")
        return super().read(size)


def open_image(data: bytes, where: str) -> Image.Image:
    """Open an encoded image and read its header."""
    start = data[:64]
    kinds = ((kind, plugin) for beginning, kind, plugin in _KINDS if beginning.match(start))
    kind, plugin = next(kinds, (None, None))
    if plugin is None and _HEIC.match(start):
        kind, plugin = "HEIC", _heic_plugin(where)
    if plugin is None:
        raise ValueError(
            f"{where} can't be decoded as an image{_what_else(data)}. "
            f"See {page('guide/own_photos')}"
        )
    try:
        if plugin is PpmImagePlugin.PpmImageFile:  # it would read megabytes of blanks one by one
            plugin(io.BytesIO(data[:_NETPBM_HEADER]))
            if start[1:2] in b"123":  # it removes each comment by a copy of the rest
                data = _NETPBM_COMMENT.sub(b"", data)
        if kind == "JPEG" and data.count(_EXIF) > _MAX_EXIF:
            raise ValueError(f"it has more than {_MAX_EXIF} EXIF segments")  # joined by copies
        image = plugin(_BoundedFile(data))
        tags = getattr(image, "tag_v2", {})
        tile = [int(np.ravel(tags.get(tag, 0))[0]) for tag in _TILE_SIDES]
    except MemoryError:
        raise
    except Exception as error:  # plugins raise any error on a wrong header
        raise ValueError(
            f"{where} can't be decoded as an image: its {kind} header is damaged, truncated or "
            f"of a rare kind ({_short_text(error)})."
        ) from error
    check_n_pixels(image.width, image.height, where)
    if math.prod(tile) > max(_MAX_TILE_PIXELS, 2 * image.width * image.height):
        raise ValueError(
            f"{where} can't be decoded as an image: it has {image.width} x {image.height} pixels "
            f"in tiles of {tile[0]} x {tile[1]}."
        )
    return image


def decode_pillow(image: Image.Image, where: str) -> np.ndarray:
    """Return the pixels of an image of Pillow, equal to those of its file."""
    check_n_pixels(image.width, image.height, where)
    # Read first: the file may be closed when the pixels are loaded.
    levels, sixteen = _levels(image), "16" in _raw_mode(image)
    _load(image, where)
    mode = image.mode
    if mode == "RGB" and sixteen:
        _refuse_black(image, where)
    if mode in ("1", "L"):
        pixels = np.asarray(image.convert("L"))
    elif mode in ("LA", "La"):
        pixels = np.asarray(image.getchannel(0))
    elif mode in ("P", "PA"):
        # By way of alpha: straight to RGB, Pillow warns of palettes with transparent colours.
        pixels = _converted(image, "RGBA")[..., :3]
        colors = np.reshape(np.array(image.getpalette("RGB"), np.uint8), (-1, 3))
        is_gray = (colors == colors[:, :1]).all()  # as in every GIF of a gray image
        pixels = np.ascontiguousarray(pixels[..., 0] if is_gray else pixels)
    elif mode == "RGBa":
        pixels = np.asarray(image.convert("RGBA").convert("RGB"))
    elif mode == "F":
        pixels = _from_floats(np.asarray(image), where)
    elif mode.startswith("I"):
        pixels = _from_integers(image, levels, where)
    else:
        pixels = _converted(image, "RGB")
    return _turned(pixels, _orientation(image))


def _converted(image: Image.Image, mode: str) -> np.ndarray:
    """Convert the mode in bands, because Pillow copies the image."""
    rows = max(1, _BAND_PIXELS // image.width)
    if image.height <= rows:
        return np.asarray(image if image.mode == mode else image.convert(mode))
    pixels = np.empty((image.height, image.width, len(mode)), np.uint8)
    for top in range(0, image.height, rows):
        below = min(top + rows, image.height)
        pixels[top:below] = np.asarray(image.crop((0, top, image.width, below)).convert(mode))
    return pixels


def describe_text(text: str) -> str | None:
    """Describe a text in place of an image; None if it is of no known kind."""
    head = text[:4096]
    if _DATA_URL.match(head):
        return "a data URL: decode what follows its comma with base64.b64decode"
    if _URL.match(head):
        return "an address: download it, and give the path or the bytes"
    if _PIXELS.match(head):
        return (
            "text with the pixels of an image, as in fer2013.csv, which "
            "skfer.datasets.load_fer2013 reads; one such text becomes an image by "
            "np.array(text.split(), np.uint8).reshape(48, 48)"
        )
    if _BASE64.fullmatch(head) and ("/" not in head[1:4] or len(text) > 1024):
        return "base64 text: decode it with base64.b64decode"
    return None


def _decoded_by_opencv(data: bytes, where: str, depth: int = 0) -> np.ndarray:
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION | depth
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{where} can't be decoded as an image: {error.err}.") from error
    if image is None:
        raise ValueError(f"{where} can't be decoded as an image: it is damaged.")
    if image.ndim == 3:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)  # in place, to save memory
    return image


def _check_frame_sizes(data: bytes, where: str, pixel_limit: int) -> None:
    """Refuse an AVIF with a frame of more than `pixel_limit` pixels, whatever its header declares.

    Pillow can't limit the frame: libavif decodes up to 16,384 x 16,384 pixels and then scales them
    to the size of the container. FFmpeg's parser of AV1 reads the size of a frame and does not
    decode it. Without PyAV only libavif's limit holds.
    """
    if importlib.util.find_spec("av") is None:
        return
    from skfer._worker import Worker, WorkerError

    try:
        if b"moov" in data:  # a sequence, which may declare millions of frames in a few bytes
            with Worker(_FRAME_MEMORY) as worker:
                width, height = worker.call(_largest_frame, data, seconds=_FRAME_SECONDS)
        else:
            width, height = _largest_frame(data)
    except WorkerError as error:
        raise ValueError(f"{where} can't be decoded as an image: {error}") from error
    if width * height > pixel_limit:
        raise TooManyPixelsError(
            f"{where} has a frame of {width} x {height} pixels, more than its header declares; at "
            f"most {pixel_limit / 1e6:g} million are decoded."
        )


def _largest_frame(data: bytes) -> tuple[int, int]:
    """Return the size of the largest frame of an AVIF; zeros if FFmpeg does not read it."""
    import av

    sizes = []
    # An empty list of decoders keeps FFmpeg from decoding a frame when it opens the file.
    options = {"codec_whitelist": "none"}
    try:
        with av.open(io.BytesIO(data), format="mov", options=options) as container:
            for packet in container.demux():
                parser: Any = av.CodecContext.create("av1", "r")
                if parser.name == "av1":  # FFmpeg's own, which only parses on a processor
                    with contextlib.suppress(NotImplementedError, av.FFmpegError):
                        parser.decode(packet)
                    sizes.append((parser.width, parser.height))
    except MemoryError:
        raise
    except Exception:  # a kind that FFmpeg does not read: Pillow may
        pass
    return max(sizes, key=math.prod, default=(0, 0))


def _heic_plugin(where: str) -> Any:
    try:
        module = import_extra("pillow_heif", "Reading it", "heif", "save it as JPEG or PNG first")
        return module.HeifImageFile
    except ImportError as error:
        raise ValueError(f"{where} is HEIC. {error}") from error


def _load(image: Image.Image, where: str) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as in `open_image`
        raise ValueError(
            f"{where} can't be decoded as an image: it is damaged or truncated "
            f"({_short_text(error)})."
        ) from error


def _raw_mode(image: Image.Image) -> str:
    """Return the storage format of the samples of a file, such as ``"RGB;16B"``."""
    tile = getattr(image, "tile", None)
    return str(tile[0][-1]) if tile else ""


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata
        return 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in _TURNS:
        pixels = cv2.rotate(pixels, _TURNS[orientation])
    if orientation in _MIRRORS:
        pixels = cv2.flip(pixels, _MIRRORS[orientation])
    return pixels


def _levels(image: Image.Image) -> int | None:
    """Return the declared value of white of an image of more than 8 bits."""
    if image.format == "PPM":
        return _SIXTEEN_BITS  # Pillow scales the maximum of the file to it
    tags = getattr(image, "tag_v2", {})
    bits = np.ravel(tags.get(TiffImagePlugin.BITSPERSAMPLE, 16))[0]
    signed = int(np.ravel(tags.get(TiffImagePlugin.SAMPLEFORMAT, 1))[0] == 2)
    if not isinstance(bits, np.integer) or not 8 < bits <= 16 or (bits == 16 and not signed):
        return None
    return int(2 ** (bits - signed) - 1)


def _from_integers(image: Image.Image, levels: int | None, where: str) -> np.ndarray:
    """Convert the modes I and I;16 to 8 bits."""
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _SIXTEEN_BITS:
        raise ValueError(
            f"{where} has pixels from {low} to {high}; whole numbers are read from 0 to "
            f"{_SIXTEEN_BITS}. Convert it to 8 bits first."
        )
    values = values.astype(np.uint16)
    tags = getattr(image, "tag_v2", {})
    # White is zero; Pillow does not invert these modes.
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        values = (levels or _SIXTEEN_BITS) - values
    return _from_sixteen_bits(values, levels)


def _from_sixteen_bits(values: np.ndarray, levels: int | None = None) -> np.ndarray:
    """Convert 16 bits to 8; also 12, 10 or 8 used bits, which would give a black image."""
    if values.dtype == np.uint8:
        return values
    if levels is None:
        high = int(values.max())
        levels = next((fewer for fewer in _FEWER_LEVELS if high <= fewer), _SIXTEEN_BITS)
    if levels == _SIXTEEN_BITS:
        return (values >> 8).astype(np.uint8)  # as OpenCV and Pillow do it
    return np.rint(values * np.float32(255 / levels)).astype(np.uint8)


def _refuse_black(image: Image.Image, where: str) -> None:
    """Refuse 16-bit colour with values only in the lower bits, which Pillow discards."""
    high = int(np.asarray(image).max())
    if 0 < high < _SIXTEEN_BITS // _FEWER_LEVELS[-1]:
        raise ValueError(
            f"{where} has 16 bits a channel, but only the lower 12 are used: it would be black. "
            "Scale it to 8 bits first."
        )


def _from_floats(values: np.ndarray, where: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(f"{where} holds NaN or infinity; pixels must be finite.")
    scale = PixelRange.from_images(values)
    if (scale.low, scale.high) not in ((0.0, 1.0), (0.0, 255.0)):
        raise ValueError(
            f"{where} has floating-point pixels from {scale.low:g} to {scale.high:g}, which are "
            "neither on [0, 1] nor on [0, 255]. Convert it to 8 bits first."
        )
    return scale.to_uint8(values)


def _what_else(data: bytes) -> str:
    """Return the end of an error that says what a file is if it is not an image."""
    if _VIDEO.match(data[:16]):
        return ": it is a video, which skfer.video and the command skfer video read"
    if data.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer, not the image; git lfs pull fetches it"
    text = describe_text(data[:4096].decode("latin-1"))
    if text is not None:
        return f": it is {text}"
    if data.lstrip()[:1] in (b"<", b"{"):
        return f". It is text, {shorten(data[:40].decode('latin-1'))}"
    return ". It is not a JPEG, PNG, WebP, BMP, TIFF, GIF, Netpbm, AVIF or HEIC"


def _short_text(error: Exception) -> str:
    return shorten(str(error))[1:-1] if str(error) else type(error).__name__
