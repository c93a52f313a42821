import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from skfer._images._batch import read_image
from skfer._images._decoding import jpeg_defect

END = b"\xff\xd9"


def jpeg(image, **options):
    settings = [(getattr(cv2, f"IMWRITE_JPEG_{name}"), value) for name, value in options.items()]
    ok, data = cv2.imencode(".jpg", image, [number for setting in settings for number in setting])
    assert ok
    return data.tobytes()


def start_of_scan(data):
    return data.index(b"\xff\xda")


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3])),
    st.integers(0, 100),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1, 3]),
    st.binary(max_size=50),
)
def test_valid_files(seed, shape, quality, progressive, optimize, restart_interval, trailing):
    noise = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    data = jpeg(
        noise,
        QUALITY=quality,
        PROGRESSIVE=int(progressive),
        OPTIMIZE=int(optimize),
        RST_INTERVAL=restart_interval,
    )
    assert jpeg_defect(data + trailing) is None  # motion photos end with a video
    assert jpeg_defect(data[: -len(END)]) is not None


def test_fill_bytes_between_markers(astronaut):
    data = jpeg(astronaut)
    tables = data.index(b"\xff\xdb")
    end = len(data) - len(END)
    filled = data[:tables] + b"\xff\xff" + data[tables:end] + b"\xff" + data[end:]
    np.testing.assert_array_equal(read_image(filled, 0), read_image(data, 0))
    # Fill bytes to the end of the file, in reasonable time.
    assert jpeg_defect(data[: len(data) // 2] + b"\xff" * 10_000_000) is not None


def test_comments_that_contain_markers(astronaut):
    photo = jpeg(astronaut, PROGRESSIVE=1)
    second = photo.index(b"\xff\xda", start_of_scan(photo) + 2)
    comment = b"\xff\xfe" + (2 + len(END)).to_bytes(2, "big") + END
    assert jpeg_defect(photo[:second] + comment + photo[second:]) is None
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    file = io.BytesIO()
    Image.fromarray(astronaut).save(file, "JPEG", exif=exif, progressive=True, comment="\xff\xd9")
    assert read_image(file.getvalue(), 0).shape == (512, 512, 3)


def test_embedded_thumbnails(astronaut):
    thumbnail = jpeg(astronaut[::32, ::32])
    photo = jpeg(astronaut)
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = photo[:2] + segment + photo[2:]
    assert read_image(with_thumbnail, 0).shape == (512, 512, 3)
    with pytest.raises(ValueError, match=r"X\[0\] is a JPEG that is truncated"):
        read_image(with_thumbnail[:-500], 0)


def test_video_after_the_photo(encoded):
    video = np.random.default_rng(0).bytes(100_000).replace(b"\0", b"\xff\xda")
    assert video.count(b"\xff\xda") > 100
    assert read_image(encoded(".jpg") + video, 0).shape == (512, 512, 3)


def test_files_without_a_defect(astronaut):
    assert jpeg_defect(cv2.imencode(".png", astronaut)[1].tobytes()) is None
    assert jpeg_defect(b"") is None
    assert jpeg_defect(jpeg(np.full((512, 512, 3), 128, np.uint8), OPTIMIZE=1)) is None


@pytest.mark.parametrize("progressive", [0, 1])
def test_most_damage_is_found(astronaut, progressive):
    data = jpeg(astronaut, PROGRESSIVE=progressive)
    rng = np.random.default_rng(0)
    first = start_of_scan(data) + 100
    n_found = 0
    for start in rng.integers(first, len(data) - 2000, 100):
        damaged = data[:start] + rng.bytes(1500) + data[start + 1500 :]
        n_found += jpeg_defect(damaged) is not None
    assert n_found >= 90


def test_damaged_files(astronaut, tmp_path, encoded):
    data = jpeg(astronaut)
    middle = len(data) // 2
    path = tmp_path / "face.jpg"
    path.write_bytes(data[:middle] + b"\xff\x01" * 50 + data[middle:])
    with pytest.raises(ValueError, match=r"X\[7\] \('.*face.jpg'\) is a JPEG that is damaged"):
        read_image(path, 7)
    endless = encoded(".jpg")[:-2] + b"\xff\xda\x00\x08\x01" * 200 + END
    with pytest.raises(ValueError, match="is a JPEG that has more than 100 scans"):
        read_image(endless, 0)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data):
    for start in (b"\xff\xd8", b"\xff\xd8\xff\xda\x00\x02"):
        assert isinstance(jpeg_defect(start + data), str | None)
