from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from skfer._image_size import image_size


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize(("width", "height"), [(31, 17), (300, 2)])
def test_size_is_that_of_the_decoded_image(ending, width, height):
    data = cv2.imencode(ending, np.full((height, width, 3), 90, np.uint8))[1].tobytes()
    assert image_size(data) == (width, height)


@pytest.mark.parametrize(
    "settings",
    [
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),  # lossless
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 40]),
    ],
)
def test_size_of_rarer_kinds(settings, astronaut):
    ending, flags = settings
    assert image_size(cv2.imencode(ending, astronaut[:200], flags)[1].tobytes()) == (512, 200)


def test_size_of_a_webp_with_alpha(astronaut):
    image = np.dstack([astronaut, np.full((512, 512), 100, np.uint8)])
    assert image_size(cv2.imencode(".webp", image)[1].tobytes()) == (512, 512)


def test_size_of_a_jpeg_is_not_that_of_its_thumbnail(encoded):
    photo = encoded(".jpg")
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert image_size(photo[:2] + segment + photo[2:]) == (512, 512)


def test_size_of_a_bmp_that_begins_at_its_top():
    header = b"BM" + bytes(12) + struct.pack("<Iii", 40, 640, -480)
    assert image_size(header) == (640, 480)


@pytest.mark.parametrize(
    "data", [b"", b"hello, I am no image", b"%PDF-1.7", b"GIF89a", b"RIFF....WAVE"]
)
def test_what_is_no_such_image_has_no_size(data):
    assert image_size(data) is None


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("length", [4, 12, 20])
def test_a_header_that_breaks_off_is_an_error_or_no_image(encoded, ending, length):
    try:
        size = image_size(encoded(ending)[:length])
    except ValueError:
        return
    assert size is None


def test_a_jpeg_of_endless_scans_is_refused(encoded):
    with pytest.raises(ValueError, match="more than 100 scans"):
        image_size(encoded(".jpg")[:-2] + b"\xff\xda\x00\x08\x01" * 200)


def test_a_film_behind_a_photo_is_no_scan(encoded):
    film = np.random.default_rng(0).bytes(100_000).replace(b"\0", b"\xff\xda")
    assert film.count(b"\xff\xda") > 100
    assert image_size(encoded(".jpg") + film) == (512, 512)
