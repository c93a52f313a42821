import base64
import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from _utils import store_turned
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from skfer import GrayscaleResizer
from skfer._images._batch import image_name, image_sequence, read_image, rows_to_images
from skfer._images._dense import dense_images

SIDES = st.integers(1, 12)
FINITE = st.floats(-1e6, 1e6, width=32)


@st.composite
def images(draw):
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    shape = (draw(SIDES), draw(SIDES), *channels)
    if draw(st.booleans()):
        return draw(hnp.arrays(np.uint8, shape))
    return draw(hnp.arrays(draw(st.sampled_from([np.float32, np.float64])), shape, elements=FINITE))


def encoded(image, extension=".png"):
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(extension, image)
    assert ok
    return data.tobytes()


def encode_with_pillow(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@given(st.lists(images(), min_size=1, max_size=6))
def test_ragged_images(batch):
    out = image_sequence(batch)
    assert len(out) == len(batch)
    for image, original in zip(out, batch, strict=True):
        assert image.shape == original.shape
        assert image.dtype == (np.uint8 if original.dtype == np.uint8 else np.float32)
        np.testing.assert_array_equal(image, original.astype(image.dtype))


@given(images(), st.integers(1, 4))
def test_channel_axis_of_dense_images(image, n):
    batch = np.stack([image] * n)
    assume(batch.ndim == 4 or batch.shape[-1] not in (1, 3, 4))  # the shape of one colour image
    out = image_sequence(batch)
    assert out.shape == (n, *image.shape[:2], image.shape[2] if image.ndim == 3 else 1)
    np.testing.assert_array_equal(out.ravel(), batch.astype(out.dtype).ravel())


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 32)), elements=FINITE))
def test_short_float_rows(rows):
    images = rows_to_images(rows)
    assert images.shape == (len(rows), 1, rows.shape[1], 1)
    np.testing.assert_array_equal(images[:, 0, :, 0], rows.astype(np.float32))


@given(st.binary(min_size=1, max_size=200))
def test_invalid_bytes(data):
    with pytest.raises(ValueError, match=r"X\[0\]"):
        read_image(data, 0)


def test_square_float_rows():
    rows = np.random.default_rng(0).random((3, 4096))
    faces = rows_to_images(rows)
    assert faces.shape == (3, 64, 64, 1)
    np.testing.assert_array_equal(faces[1].ravel(), rows[1].astype(np.float32))
    assert GrayscaleResizer(48).fit_transform(rows).shape == (3, 48, 48, 1)


def test_files_are_read_when_they_are_used(tmp_path, photo_files):
    batch = image_sequence([photo_files[0], tmp_path / "missing.png"])
    assert len(batch) == 2
    assert batch[0].shape == (512, 512, 3)
    with pytest.raises(ValueError, match=r"X\[1\].*missing.png.*No such file"):
        batch[1]


@pytest.mark.parametrize(
    "make_batch",
    [
        list,
        tuple,
        lambda paths: [str(path) for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array(paths, dtype=object),
        lambda paths: pd.Series(paths, index=[7, 5, 3, 1]),
        lambda paths: pd.Series([str(path) for path in paths]),
        lambda paths: pd.DataFrame({"path": [str(path) for path in paths]})["path"],
        lambda paths: [path.read_bytes() for path in paths],
        lambda paths: [bytearray(path.read_bytes()) for path in paths],
    ],
)
def test_batches_of_paths_and_bytes(photo_files, make_batch):
    out = image_sequence(make_batch(photo_files))
    assert [image.shape for image in out] == [
        (512, 512, 3),
        (300, 350, 3),
        (250, 250),
        (256, 256, 3),
    ]


MODES = (
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"),
    *("I", "I;16", "I;16B", "F", "La", "RGBa"),
)
# Modes that each file format can store.
FORMAT_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I", "I;16", "I;16B", "F"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB", "I"),
}


def make_picture(astronaut, mode):
    picture = Image.fromarray(np.ascontiguousarray(astronaut[:64, 180:260]))
    gray = np.asarray(picture.convert("L"))
    if mode in ("I", "I;16", "I;16B"):
        kind = {"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode]
        return Image.frombytes(mode, picture.size, (gray.astype(kind) * 257).astype(kind).tobytes())
    if mode == "F":
        return Image.fromarray(gray.astype(np.float32))
    if mode == "LAB":
        return ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    steps = {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("P", "PA")}
    for step in steps.get(mode, (mode,)):
        picture = picture.convert(step)
    return picture


@pytest.mark.parametrize("mode", MODES)
def test_pillow_modes(astronaut, mode):
    image = make_picture(astronaut, mode)
    assert image.mode == mode
    colour = np.asarray(Image.fromarray(np.ascontiguousarray(astronaut[:64, 180:260])))
    gray = np.asarray(Image.fromarray(colour).convert("L"))
    [pixels] = image_sequence([image])
    expected = colour if pixels.ndim == 3 else gray
    assert pixels.dtype == np.uint8
    lossy = {"1": 0.3, "P": 0.9, "PA": 0.9}
    assert np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] > lossy.get(mode, 0.999)
    for form in (form for form, modes in FORMAT_MODES.items() if mode in modes):
        options = {"lossless": True} if form == "WEBP" else {}
        read = read_image(encode_with_pillow(image, form, **options), 0)
        np.testing.assert_array_equal(read, pixels, err_msg=form)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))], ids=["none", "one", "all"])
def test_palettes(astronaut, transparency):
    image = make_picture(astronaut, "P")
    options = {} if transparency is None else {"transparency": transparency}
    data = encode_with_pillow(image, "PNG", **options)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(data, 0), expected)
    np.testing.assert_array_equal(read_image(Image.open(io.BytesIO(data)), 0), expected)


@pytest.mark.parametrize(
    "name", ["a face, " * 700 + "a b.png", "/nowhere/" * 300 + "face.png", "12 34.png"]
)
def test_long_paths_are_shortened_in_errors(name):
    with pytest.raises(ValueError, match=r"^X\[0\] \('.*'\) can't be read") as caught:
        read_image(name, 0)
    assert len(str(caught.value)) < 200
    assert str(caught.value).count(name[-9:]) == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form, orientation):
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24, :32] = 255  # bright at the top left
    upright[24:, 32:, 0] = 255  # red at the bottom right
    stored, exif = store_turned(upright, orientation)
    data = encode_with_pillow(stored, form, exif=exif.tobytes())
    opened = Image.open(io.BytesIO(data))
    for image in (data, opened, Image.open(io.BytesIO(data)).convert("RGB")):
        pixels = read_image(image, 0)
        assert pixels.shape == (48, 64, 3)
        assert np.abs(pixels.astype(int) - upright).mean() < 8
    if form not in ("JPEG", "WEBP", "AVIF", "HEIF"):
        np.testing.assert_array_equal(read_image(data, 0), upright)


def pgm(values, levels, magic=b"P5"):
    height, width = values.shape[:2]
    return b"%b\n%d %d\n%d\n" % (magic, width, height, levels) + values.astype(">u2").tobytes()


@pytest.mark.parametrize("levels", [1023, 4095, 65535])
def test_high_bit_depths(astronaut, levels):
    colour = np.ascontiguousarray(astronaut[:64, 180:260])
    gray = np.asarray(Image.fromarray(colour).convert("L"))
    deep, deep_gray = (
        np.rint(image * (levels / 255)).astype(np.uint16) for image in (colour, gray)
    )
    files = {
        "pgm": (pgm(deep_gray, levels), gray),
        "ppm": (pgm(deep, levels, b"P6"), colour),
        "png": (encoded(deep_gray), gray),
        "colour png": (encoded(deep), colour),
        "tiff": (encoded(deep_gray, ".tiff"), gray),
        "pillow": (Image.fromarray(deep_gray), gray),
    }
    for name, (image, expected) in files.items():
        difference = np.abs(read_image(image, 0).astype(int) - expected)
        assert difference.max() <= 1, name


def test_dark_images_of_16_bits(astronaut):
    dark = np.arange(400, dtype=np.uint16).reshape(20, 20)
    assert read_image(pgm(dark, 65535), 0).max() == 1
    tiff = encoded(astronaut[:40, :50].astype(np.uint16) * 16, ".tiff")
    with pytest.raises(ValueError, match=r"X\[0\] has 16 bits a channel.*black.*Scale it"):
        read_image(tiff, 0)


def test_cmyk_jpeg(astronaut):
    image = read_image(encode_with_pillow(Image.fromarray(astronaut).convert("CMYK"), "JPEG"), 0)
    assert image.shape == (512, 512, 3)
    assert np.abs(image.astype(int) - astronaut).mean() < 9


def test_bool_arrays():
    np.testing.assert_array_equal(
        read_image(np.array([[True, False]]), 0), np.array([[255, 0]], np.uint8)
    )


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_avif_bit_depths(astronaut, depth):
    colour = np.ascontiguousarray(astronaut[:64, 180:260])
    kind = np.uint8 if depth == 8 else np.uint16
    deep = np.rint(colour[..., ::-1] * ((2**depth - 1) / 255)).astype(kind)
    flags = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 95]
    try:
        _, data = cv2.imencode(".avif", deep, flags)
    except cv2.error:
        pytest.skip("this OpenCV writes no AVIF")
    assert np.abs(read_image(data.tobytes(), 0).astype(int) - colour).mean() < 6


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("ending", [".tiff", ".pfm"])
def test_float_files(astronaut, ending, scale):
    gray = astronaut[..., 0]
    floats = gray.astype(np.float32) * np.float32(scale / 255)
    np.testing.assert_array_equal(read_image(encoded(floats, ending), 0), gray)
    np.testing.assert_array_equal(read_image(Image.fromarray(floats), 0), gray)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (
            Image.fromarray(np.linspace(-9, 500, 64, dtype=np.float32).reshape(8, 8)),
            "from -9 to 500",
        ),
        (Image.fromarray(np.full((8, 8), np.nan, np.float32)), "NaN"),
        (Image.fromarray(np.full((8, 8), -1, np.int32)), "pixels from -1 to -1"),
        (Image.fromarray(np.full((8, 8), 70000, np.int32)), "pixels from 70000"),
        (encoded(np.zeros((8, 8, 3), np.float32), ".tiff"), "TIFF header .*rare kind"),
    ],
)
def test_pixels_of_unknown_scale(image, problem):
    with pytest.raises(ValueError, match=rf"^X\[0\] .*{problem}"):
        read_image(image, 0)


def test_heic(monkeypatch, astronaut):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encode_with_pillow(Image.fromarray(astronaut), "HEIF", quality=95)
    assert np.abs(read_image(data, 0).astype(int) - astronaut).mean() < 5
    with pytest.raises(ValueError, match=r"X\[0\] can't be decoded"):
        read_image(data[: len(data) // 2], 0)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match=r"X\[0\] is HEIC.*pip install .skfer\[heif\]"):
        read_image(data, 0)


NOISE = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
PNG_TEXT = base64.b64encode(encoded(NOISE)).decode()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PNG_TEXT, "base64 text: .*base64.b64decode"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAD/" + PNG_TEXT, "base64 text: .*base64.b64decode"),
        (base64.encodebytes(bytes(200)).decode(), "base64 text: .*base64.b64decode"),
        ("data:image/jpeg;base64," + PNG_TEXT, "a data URL: .*base64.b64decode"),
        (" ".join(["70"] * 2304), "fer2013.csv, which skfer.datasets.load_fer2013 reads"),
        ("https://example.org/face.jpg", "an address: download it"),
    ],
)
def test_text_instead_of_an_image(text, problem):
    for item in (text, np.str_(text), text.encode()):
        with pytest.raises(ValueError, match=rf"^X\[1\] .*{problem}") as caught:
            list(image_sequence([np.zeros((4, 4), np.uint8), item]))
        assert len(str(caught.value)) < 600
    with pytest.raises(ValueError, match=r"X is .*" + problem) as caught:
        GrayscaleResizer().fit_transform(text)
    assert len(str(caught.value)) < 600


def test_folder_instead_of_images(tmp_path):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(ValueError, match=r"X is .*: a folder: .*image_files"):
            GrayscaleResizer().fit_transform(folder)


def test_words_instead_of_an_image():
    with pytest.raises(ValueError, match="It is not a JPEG, PNG") as caught:
        read_image(b"this is not a photo " * 10, 0)
    assert "base64" not in str(caught.value)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_truncated_files(tmp_path, astronaut, extension, part):
    data = encoded(astronaut[:100, :100], extension)
    files = [tmp_path / f"{number}{extension}" for number in range(20)]
    for file in files:
        file.write_bytes(data)
    files[13].write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ValueError, match=rf"X\[13\] \('.*13{extension}'\)"):
        GrayscaleResizer().fit_transform(files)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.png", r"\('.*none.png'\) can't be read: No such file"),
        ("folder", r"\('.*folder'\) can't be read: it is a folder"),
        ("empty.png", r"\('.*empty.png'\) is empty"),
        ("notes.png", r"\('.*notes.png'\) can't be decoded"),
    ],
)
def test_invalid_files(tmp_path, name, problem):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(ValueError, match=rf"^X\[1\] {problem}"):
        list(image_sequence([np.zeros((4, 4), np.uint8), tmp_path / name]))


@pytest.mark.parametrize(
    ("invalid", "problem"),
    [
        ("a\0.png", r"\('a.*png'\) can't be read: embedded null"),
        (b"", "is empty"),
        (b"data", "can't be decoded"),
        (None, "is None; an image is"),
        (float("nan"), "is of type float; an image is"),
        ({"image": np.zeros((4, 4), np.uint8)}, "is of type dict; an image is"),
        (np.zeros((2, 2, 2, 2)), r"has shape \(2, 2, 2, 2\)"),
        (np.zeros((4, 4, 4), np.uint8), r"has shape \(4, 4, 4\)"),
        (np.zeros((0, 4)), "has no pixels"),
        (np.full((2, 2), np.nan), "NaN or infinity"),
        (np.full((2, 2), np.inf, np.float32), "NaN or infinity"),
        (np.full((2, 2), 1j), "Complex data not supported"),
        (np.full((2, 2), "a"), "pixels are uint8 or floating point"),
    ],
)
def test_invalid_images(invalid, problem):
    valid = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=rf"^X\[2\].*{problem}"):
        list(image_sequence([valid, valid, invalid, valid]))


@pytest.mark.parametrize(
    ("X", "problem"),
    [
        ("face.png", "X is one image .*Wrap a single image in a list"),
        (Path("face.png"), "X is one image .*Wrap a single image in a list"),
        (b"png", r"X is one image \(3 bytes\).*Wrap a single image in a list"),
        (np.zeros((48, 48, 3), np.uint8), "one colour image.*Wrap a single image"),
        (np.zeros((48, 48, 4), np.uint8), "one colour image.*Wrap a single image"),
        (
            np.zeros((48, 48, 1), np.uint8),
            "one gray image, where a batch is expected.*Wrap a single",
        ),
        (Image.new("L", (48, 40)), "one image .of Pillow, 48 x 40, mode L.*Wrap a single"),
        (np.zeros((2, 1, 48, 48)), r"channels first.*X\.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 3, 20, 30)), r"channels first.*X\.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 4, 20, 30)), r"channels first.*X\.transpose\(0, 2, 3, 1\).*\[\.\.\., :3\]"),
        ([np.zeros((3, 20, 30))], r"X\[0\].*channels first.*image\.transpose\(1, 2, 0\)"),
        (np.zeros((2, 8, 8, 2)), r"2 channels.*X\[\.\.\., :1\] keeps gray"),
        ([np.zeros((8, 8, 2))], r"2 channels.*image\[\.\.\., :1\] keeps gray"),
        (np.zeros((2, 8, 8, 7)), r"7 channels; an image has 1 \(gray\) or 3"),
        ("data:image/png;base64,iVBORw0KGgo=", "X is 'data:.* data URL.*base64.b64decode"),
        (np.zeros((48, 48), np.uint8), "flat rows of pixels, or one gray image.*Wrap a single"),
        (np.zeros((9, 2304), np.uint8), r"np.asarray\(X\).reshape\(-1, 48, 48\)"),
        (np.zeros((9, 1000)), "rows of 1000 values"),
        (np.zeros((9, 100)), "rows of 100 values"),
        (np.zeros((48, 48)), "rows of 48 values.*Wrap a single image"),
        (np.zeros((480, 640)), "rows of 640 values.*Wrap a single image"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"4 channels.*X\[..., :3\]"),
        (np.zeros((2, 2, 8, 8, 3)), r"shape \(2, 2, 8, 8, 3\)"),
        (np.zeros((0, 8, 8)), "at least 1 is required"),
        (np.zeros((2, 0, 8)), "no pixels"),
        ([], "at least 1 is required"),
        (pd.Series([], dtype=object), "at least 1 is required"),
        ([1.0, 2.0], "one-dimensional"),
        (None, "X is None, .*give a list"),
        (5, "X is of type int, .*give a list"),
        ({"a.png", "b.png"}, "X is of type set, .*give a list"),
        ({"a.png": "sad"}, "X is of type dict, .*give a list"),
        ((path for path in ["a.png"]), "X is of type generator, .*give a list"),
        (np.full((2, 8, 8), None), "dtype object"),
        (np.stack([np.zeros((8, 8)), np.full((8, 8), np.nan)]), r"X\[1\] holds NaN"),
    ],
)
def test_invalid_batches(X, problem):
    with pytest.raises(ValueError, match=problem):
        GrayscaleResizer().fit_transform(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_object_arrays_of_equal_images(dtype, shape):
    batch = list(np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(dtype))
    out = image_sequence(np.array(batch, dtype=object))
    np.testing.assert_array_equal(out, dense_images(image_sequence(batch)))
    assert out.dtype == np.float32  # an object array does not keep uint8


PIXELS = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)


@pytest.mark.parametrize(
    ("floats", "suggested", "convert"),
    [
        (PIXELS / 255, r"by \(X\[1\] \* 255\)\.round\(\)", lambda x: (x * 255).round()),
        (PIXELS.astype(float), r"by X\[1\]\.round\(\)\.astype", np.round),
        (
            PIXELS / 127.5 - 1,
            r"by \(\(X\[1\] \+ 1\) \* 127\.5\)\.round\(\)",
            lambda x: ((x + 1) * 127.5).round(),
        ),
        (
            np.linspace(-300, 1, 400).reshape(20, 20),
            r"Scale X\[1\], with values from -300 to 1, to 0 to 255",
            None,
        ),
    ],
    ids=["[0, 1]", "[0, 255]", "[-1, 1]", "unknown"],
)
def test_batches_of_uint8_and_floats_are_refused(floats, suggested, convert):
    for step in (GrayscaleResizer(8).fit_transform, lambda X: dense_images(image_sequence(X))):
        with pytest.raises(
            ValueError, match=rf"X\[0\] is uint8 and X\[1\] is float32.*{suggested}"
        ):
            step([PIXELS, floats])
    if convert is not None:
        np.testing.assert_array_equal(convert(floats).astype("uint8"), PIXELS)


def test_nested_lists():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    resizer = GrayscaleResizer(8)
    expected = resizer.fit_transform(pixels.astype(np.float32))
    for lists in (pixels.tolist(), [image.tolist() for image in pixels], [*pixels.tolist()]):
        np.testing.assert_array_equal(resizer.fit_transform(lists), expected)
    ragged = [pixels[0, :, :, 0].tolist(), pixels[1, :10].tolist()]
    assert [image.shape for image in image_sequence(ragged)] == [(20, 30), (10, 30, 3)]
    assert resizer.fit_transform(ragged).shape == (2, 8, 8, 1)
    column = np.empty(2, object)
    column[:] = ragged
    assert resizer.fit_transform(pd.Series(column)).shape == (2, 8, 8, 1)


def test_list_of_images_in_a_batch():
    images = [np.zeros((4, 5), np.uint8), [np.zeros((4, 5, 3)), np.zeros((6, 7, 3))]]
    with pytest.raises(ValueError, match=r"X\[1\] is of type list, not an image"):
        list(image_sequence(images))


def test_names_of_images_in_errors():
    assert image_name(image_sequence(["a.png", "b.png"]), 1) == "X[1] ('b.png')"
    assert image_name(image_sequence([np.zeros((2, 2))]), 0) == "X[0]"
    assert image_name(image_sequence(np.zeros((2, 2, 2))), 1) == "X[1]"


def test_dense_images_of_equal_shapes():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 1), np.uint8)
    mixed = [pixels[0], pixels[1, ..., 0], pixels[2]]
    for batch in (list(pixels), tuple(pixels), pd.Series(list(pixels)), mixed):
        dense = dense_images(image_sequence(batch))
        assert dense.dtype == np.uint8
        np.testing.assert_array_equal(dense, pixels)


@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 3)])
def test_dense_images_of_other_shapes(shape):
    ragged = image_sequence([np.zeros((4, 5), np.uint8), np.zeros(shape, np.uint8)])
    with pytest.raises(ValueError, match=r"X\[0\] is 4x5x1 uint8 and X\[1\] is .*ImageResizer"):
        dense_images(ragged)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV"])
def test_conversion_in_bands(mode, astronaut, monkeypatch):
    image = Image.fromarray(astronaut[:100, 60:260])
    image = image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
    expected = read_image(image, 0)
    monkeypatch.setattr("skfer._images._decoding._BAND_PIXELS", 7 * 200 + 1)
    np.testing.assert_array_equal(read_image(image, 0), expected)
