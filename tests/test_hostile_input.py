import csv
import gzip
import io
import os
import resource
import shutil
import struct
import subprocess
import zipfile
import zlib
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from _videos import picture, write_clip
from _web import BrightnessReader
from PIL import Image

from skfer import GrayscaleResizer
from skfer._images._batch import read_image
from skfer._images._limits import MAX_PIXELS
from skfer._video_file import VideoFile
from skfer.datasets import load_fer2013, load_ferplus, load_image_folder, load_image_table
from skfer.detection import YuNetDetector
from skfer.recognition import escape_formula, image_files, map_text, unescape_formula
from skfer.video._face_tables import read_rows, row_writer
from skfer.web import create_app

STATIC = Path(__file__, "../../skfer/web/static").resolve()


def make_png(width, height):
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def patch_image(form, old, new):
    file = io.BytesIO()
    Image.new("RGB", (31, 17)).save(file, form)
    assert old in file.getvalue()
    return file.getvalue().replace(old, new)


BOMBS = {
    "png": make_png(60_000, 60_000),
    "bmp": patch_image("BMP", struct.pack("<ii", 31, 17), struct.pack("<ii", 50_000, -50_000)),
    "gif": patch_image("GIF", struct.pack("<HH", 31, 17), struct.pack("<HH", 60_000, 60_000)),
    "ppm": b"P6\n# a comment\n60000 60000\n255\n" + bytes(100),
    "tiff": patch_image(
        "TIFF", struct.pack("<HHII", 256, 4, 1, 31), struct.pack("<HHII", 256, 4, 1, 10**7)
    ),
    "webp": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + b"\xff\xff\xff\x0f" + bytes(100),
}
# A JPEG segment that declares 8 x 8 pixels.
DECOY = b"\xff\xc0\0\x11\x08\0\x08\0\x08\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"


@pytest.mark.parametrize("kind", BOMBS)
def test_decompression_bombs(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"X\[0\].* pixels|X\[0\].*bomb"):
        GrayscaleResizer(48).fit_transform([BOMBS[kind]])


@pytest.mark.parametrize("length", [2**30, 2**31 - 1, 2**32 - 1])
def test_png_with_a_huge_chunk(encoded, length, monkeypatch):
    png = encoded(".png")
    start = png.index(b"IDAT") - 4
    bomb = png[:start] + struct.pack(">I", length) + png[start + 4 :]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"X\[0\] can't be decoded as an image"):
        read_image(bomb, 0)
    with pytest.raises(ValueError, match="its end is missing"):
        read_image(png[:-12], 0)


def test_sizes_of_ambiguous_headers(monkeypatch):
    file = io.BytesIO()
    Image.new("RGB", (512, 512)).save(file, "TIFF")
    data = file.getvalue()
    [start] = struct.unpack("<I", data[4:8])
    [count] = struct.unpack("<H", data[start : start + 2])
    tags = [data[start + 2 + 12 * tag :][:12] for tag in range(count)]
    monkeypatch.setenv("SKFER_MAX_PIXELS", "10000")
    for small in (struct.pack("<HHIHH", 256, 3, 1, 8, 0), struct.pack("<HHIi", 256, 9, 1, 8)):
        for widths in ([small, tags[0]], [tags[0], small]):
            header = data[:4] + struct.pack("<I", len(data)) + data[8:]
            entries = b"".join([*widths, *tags[1:]])
            ambiguous = header + struct.pack("<H", count + 1) + entries + bytes(4)
            try:
                assert read_image(ambiguous, 0).shape == (512, 8, 3)  # the size that was checked
            except ValueError as error:
                assert "512 x 512 pixels" in str(error)  # noqa: PT017


@pytest.mark.parametrize("marker", [b"\xff\x01", b"\xff\xd0", b"\xff\xd7\xff\xd0"])
@pytest.mark.parametrize("decoy", [DECOY, b"\0\x02" + DECOY, b"\xff\xe0\0\x15" + DECOY])
def test_decoy_sizes_in_jpeg(monkeypatch, encoded, marker, decoy):
    photo = encoded(".jpg")  # 512 x 512
    monkeypatch.setenv("SKFER_MAX_PIXELS", "10000")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"X\[0\]"):
        read_image(photo[:2] + marker + decoy + photo[2:], 0)


def test_size_of_pbm(monkeypatch):
    monkeypatch.setenv("SKFER_MAX_PIXELS", "10000")
    with pytest.raises(ValueError, match="512 x 512 pixels"):
        read_image(b"P4\n#c\r512 512\n8 8\n" + bytes(512 * 64), 0)


def test_size_of_avif(monkeypatch):
    file = io.BytesIO()
    Image.new("L", (1200, 1000), 90).save(file, "AVIF", speed=10)
    size = b"ispe" + bytes(4)
    valid = file.getvalue()
    small = valid.replace(size + struct.pack(">II", 1200, 1000), size + struct.pack(">II", 64, 64))
    assert small != valid
    monkeypatch.setenv("SKFER_MAX_PIXELS", "1300000")
    assert read_image(valid, 0).shape[:2] == (1000, 1200)
    monkeypatch.setenv("SKFER_MAX_PIXELS", "1000000")
    with pytest.raises(ValueError, match=r"X\[0\] has a frame of 1200 x 1000 pixels"):
        read_image(small, 0)


def box(kind, *contents):
    content = b"".join(contents)
    return struct.pack(">I", len(content) + 8) + kind + content


def table(kind, *numbers):
    return box(kind, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))


def track_of_avif(n_frames):
    """A track that declares frames of one byte each."""
    size = struct.pack(">HH", 64, 64)
    frames = box(b"av01", bytes(6), b"\0\1", bytes(16), size, bytes(50))
    tables = (
        box(b"stsd", bytes(4), struct.pack(">I", 1), frames),
        table(b"stts", 1, n_frames, 1),
        table(b"stsc", 1, 1, n_frames, 1),
        table(b"stsz", 1, n_frames),
        table(b"stco", 1, 48),
    )
    header = table(b"mdhd", 0, 0, 1000, n_frames, 0)
    kind = box(b"hdlr", bytes(8), b"vide", bytes(13))
    media = box(b"mdia", header, kind, box(b"minf", box(b"stbl", *tables)))
    return box(b"moov", table(b"mvhd", 0, 0, 1000, n_frames, *[0] * 20), box(b"trak", media))


def test_avif_with_the_tables_of_a_film():
    file = io.BytesIO()
    Image.new("L", (64, 48), 90).save(file, "AVIF", speed=10)
    photo = file.getvalue() + track_of_avif(20_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_image(photo, 0).shape[:2] == (48, 64)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_large_tiff_tiles():
    def tags(*pairs):
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in pairs)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(pairs)) + entries + bytes(4)

    sides = ((256, 64), (257, 64))
    kind_of_gray = ((258, 8), (259, 8), (262, 1), (277, 1))
    for side, message in ((40_000, "64 x 64 pixels in tiles of 40000 x 40000"), (64, "damaged")):
        tiles = ((322, side), (323, side), (324, 200), (325, 3000))
        with pytest.raises(ValueError, match=message):
            read_image(tags(*sides, *kind_of_gray, *tiles) + bytes(8192), 0)
    data = tags(*sides, *kind_of_gray, (322, 16), (323, 16)) + bytes(8192)
    for inf_nan_text in ((11, 1, 0x7F800000), (11, 1, 0x7FC00000), (2, 4, 0x636261)):
        wrong = struct.pack("<HHII", 322, *inf_nan_text)
        with pytest.raises(ValueError, match=r"X\[0\] can't be decoded as an image: its TIFF"):
            read_image(data.replace(struct.pack("<HHII", 322, 4, 1, 16), wrong), 0)


@pytest.mark.parametrize(
    "data", [b"P6" + b" " * 60 + b"x", b"P6" + b" " * 3_000_000, b"P6 #" + b"a" * 3_000_000]
)
def test_long_headers(data):
    with pytest.raises(ValueError, match=r"X\[0\] can't be decoded"):
        read_image(data, 0)


def test_many_comments_rows_and_segments(encoded):
    comments = b"#\n" * 300_000
    pixels = [b"P3\n2 1\n255\n%s1 2 3 #\r4 5 6" % comments, b"P1\n2 1\n%s0 1" % comments]
    rows = b"\1\5\0\0" * 10_000  # a pixel, and the end of the row
    palette = b"".join(bytes([level] * 3 + [0]) for level in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, 10_000, 10_000, 1, 8, 1, len(rows), 0, 0, 256, 0)
    bmp = b"BM" + struct.pack("<IHHI", 1078 + len(rows), 0, 0, 1078) + header + palette + rows
    exif = b"\xff\xe1\0\x12Exif\0\0MM\0*\0\0\0\x08"
    photo = encoded(".jpg")
    assert read_image(pixels[0], 0).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert read_image(pixels[1], 0).tolist() == [[255, 0]]
    image = read_image(bmp + b"\0\1", 0)
    assert image.shape == (10_000, 10_000)
    assert image.max() == image[:, 0].min() == 5
    with pytest.raises(ValueError, match=r"X\[0\].*more than 100 EXIF segments"):
        read_image(photo[:2] + exif * 100_000 + photo[2:], 0)


@pytest.mark.parametrize(
    ("suffix", "segment", "first", "message"),
    [
        (".jpg", b"\xff\xfe\0\2", b"\xff\xdb", "too many segments"),
        (".jpg", b"\xff\xfe\0\2", b"\xff\xd9", "more than 10,000 segments"),
        (".png", b"\0\0\0\0abCdx\x06\xe9\xb3", b"IDAT", "too many segments"),
        (".png", b"\0\0\0\0abCdx\x06\xe9\xb3", b"IEND", "too many segments"),
        (".gif", b"!\xfe\0", b",\0\0\0\0", "too many segments"),
    ],
)
def test_empty_segments(encoded, suffix, segment, first, message):
    photo = encoded(suffix)
    at = photo.index(first) - (4 if suffix == ".png" else 0)
    few = photo[:at] + 50 * segment + photo[at:]
    assert np.array_equal(read_image(few, 0), read_image(photo, 0))
    with pytest.raises(ValueError, match=rf"X\[0\].*{message}"):
        read_image(photo[:at] + 250_000 * segment + photo[at:], 0)


@pytest.mark.parametrize("code", [0x110000, 0xD800])
def test_invalid_unicode_in_npz(tmp_path, code):
    usage = np.full((1, 8), code, np.uint32).view("U8").ravel()
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 48, 48), np.uint8), target=[0], usage=usage)
    with pytest.raises(ValueError, match="not Unicode"):
        load_fer2013(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "content",
    [b"Usage,neutral", gzip.compress(b"Usage\n" * 1000, mtime=0)[:-9]],
    ids=["not gzip", "truncated"],
)
def test_invalid_gzip(tmp_path, content):
    np.savez(tmp_path / "fer2013.npz", images=np.zeros((1, 48, 48), np.uint8), target=[0])
    votes = tmp_path / "fer2013new.csv.gz"
    votes.write_bytes(content)
    with pytest.raises(ValueError, match=r"fer2013new\.csv\.gz', line"):
        load_ferplus(votes, fer2013=tmp_path / "fer2013.npz")


def test_invalid_header_in_npz(tmp_path):
    header = npy((3,), b"abc").replace(b"}", b"}(", 1)
    path = tmp_path / "fer2013.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header)
    with pytest.raises(ValueError, match=r"fer2013\.npz' can't be read"):
        load_fer2013(path)


@pytest.mark.parametrize("read", [lambda path: read_image(path, 0), load_fer2013])
@pytest.mark.parametrize("name", ["a.npz", "a.csv", "a.csv.gz", "a.png"])
def test_pipes(tmp_path, read, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\..*(a pipe|is not a form)"):
        read(tmp_path / name)


def test_links_to_themselves(tmp_path, encoded):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "a.png").write_bytes(encoded(".png"))
    loop = tmp_path / "happy" / "loop.png"
    loop.symlink_to("loop.png")
    assert [file.name for file in load_image_folder(tmp_path).paths] == ["a.png"]
    assert [file.name for file in image_files(tmp_path / "happy")] == ["a.png", "loop.png"]
    with pytest.raises(ValueError, match=r"loop\.png.*Too many levels"):
        read_image(loop, 0)
    (tmp_path / "table.csv").write_text("image,label\nhappy/loop.png,happy\n")
    with pytest.raises(ValueError, match=r"loop\.png"):
        load_image_table(tmp_path / "table.csv", image="image", label="label")


def test_pipe_instead_of_a_detector(tmp_path):
    os.mkfifo(tmp_path / "yunet.onnx")
    with pytest.raises(FileNotFoundError, match="a pipe"):
        YuNetDetector(tmp_path / "yunet.onnx").detect(np.zeros((64, 64, 3), np.uint8))


def test_deep_folders(tmp_path):
    folder, parts = tmp_path / "happy", ["a"] * 1500
    folder.mkdir()
    parent = os.open(folder, os.O_RDONLY)
    for part in parts:
        os.mkdir(part, dir_fd=parent)
        child = os.open(part, os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = child
    os.close(parent)
    try:
        for load in (load_image_folder, partial(image_files, recursive=True)):
            with pytest.raises(ValueError, match="more than 100 folders deep"):
                load(tmp_path)
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)  # the clean-up of pytest is recursive


def test_unreadable_folders(tmp_path, monkeypatch):
    (tmp_path / "happy" / "closed").mkdir(parents=True)

    def iterdir(path, _iterdir=Path.iterdir):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return _iterdir(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for load in (
        lambda: load_image_folder(tmp_path),
        lambda: image_files(tmp_path / "happy/closed"),
    ):
        with pytest.raises(ValueError, match=r"closed' can't be read: Permission denied"):
            load()


def test_links_into_a_closed_folder(tmp_path, monkeypatch):
    def stat(path, *, follow_symlinks=True, _stat=os.stat, **options):
        if follow_symlinks and "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return _stat(path, follow_symlinks=follow_symlinks, **options)

    for name in ("closed.png", "closed.txt"):
        (tmp_path / name).symlink_to("elsewhere")
    monkeypatch.setattr(os, "stat", stat)
    assert image_files(tmp_path, recursive=True) == [tmp_path / "closed.png"]
    with pytest.raises(ValueError, match=r"closed\.png'\) can't be read: Permission denied"):
        read_image(tmp_path / "closed.png", 0)


def test_invalid_max_pixels(encoded, monkeypatch):
    monkeypatch.setenv("SKFER_MAX_PIXELS", "many")
    with pytest.raises(ValueError, match=f"'many'.*such as {MAX_PIXELS}"):
        read_image(encoded(".png"), 0)


def test_devices_and_large_files(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="it is a device"):
        read_image("/dev/zero", 0)
    monkeypatch.setattr("skfer._images._limits._MIN_FILE_LIMIT", 1000)
    monkeypatch.setenv("SKFER_MAX_PIXELS", "100")
    large = tmp_path / "large.png"
    large.write_bytes(bytes(1001))
    with pytest.raises(ValueError, match=r"large\.png'\) has more than .* MB"):
        read_image(large, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF"])
def test_max_pixels(form, astronaut, monkeypatch):
    file = io.BytesIO()
    Image.fromarray(astronaut[:200]).save(file, form)
    monkeypatch.setenv("SKFER_MAX_PIXELS", str(200 * 512))
    assert read_image(file.getvalue(), 0).shape == (200, 512, 3)
    monkeypatch.setenv("SKFER_MAX_PIXELS", str(200 * 512 - 1))
    message = r"X\[0\] has 512 x 200 pixels .* at most 0\.102399 million.*SKFER_MAX_PIXELS"
    for photo in (file.getvalue(), Image.fromarray(astronaut[:200])):
        with pytest.raises(ValueError, match=message):
            read_image(photo, 0)


def test_links_out_of_a_folder(tmp_path, encoded):
    (tmp_path / "secret.png").write_bytes(encoded(".png"))
    folder = tmp_path / "photos" / "happy"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(".png"))
    os.mkfifo(folder / "pipe.png")
    assert [path.name for path in load_image_folder(folder.parent).paths] == ["a.png"]
    (folder / "b.png").symlink_to(folder / "a.png")
    assert len(image_files(folder)) == 2
    (folder / "c.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match=r"c\.png' is a link to .*secret\.png"):
        load_image_folder(folder.parent)
    with pytest.warns(UserWarning, match=r"c\.png' is a link to .*secret\.png"):
        files = image_files(folder)
    assert [file.name for file in files] == ["a.png", "b.png"]


def test_long_lines(tmp_path):
    bomb = tmp_path / "fer2013.csv.gz"
    with gzip.open(bomb, "wt") as file:
        file.write("emotion,pixels\n0," + "0 " * 40_000)
    with pytest.raises(ValueError, match="line 2: it is longer than"):
        load_fer2013(bomb)
    votes = tmp_path / "fer2013new.csv"
    votes.write_text("x" * 100_000)
    np.savez(tmp_path / "fer2013.npz", images=np.zeros((1, 48, 48), np.uint8), target=[0])
    with pytest.raises(ValueError, match="it is longer than"):
        load_ferplus(votes)


def test_long_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("skfer.datasets._files._MAX_LINES", 3)
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n" + f"0,{PIXELS}\n" * 3)
    with pytest.raises(ValueError, match="line 4: a table may have 3 lines"):
        load_fer2013(tmp_path / "fer2013.csv")


PIXELS = "0 " * 2303 + "0"


@pytest.mark.parametrize(
    ("header", "row", "load"),
    [
        ("emotion,pixels", f"0,{PIXELS}", load_fer2013),
        ("path,label", "aa,bb", lambda path: load_image_table(path, image="path", label="label")),
        ("path,label", ",", lambda path: load_image_table(path, image="path", label="label")),
        ("path,label", "", lambda path: load_image_table(path, image="path", label="label")),
    ],
)
def test_compressed_tables(tmp_path, monkeypatch, header, row, load):
    monkeypatch.setattr("skfer.datasets._files._ANY_RATIO", 100_000)
    monkeypatch.setattr("skfer.datasets._files._MAX_LINES", 30_000)
    bomb = tmp_path / "fer2013.csv.gz"
    text = f"{header}\n" + f"{row}\n" * (300_000 // (len(row) + 1))
    bomb.write_bytes(gzip.compress(text.encode()))
    assert bomb.stat().st_size < 2000
    with pytest.raises(ValueError, match=r"fer2013\.csv\.gz', line .*(unpacks to|30,000 lines)"):
        load(bomb)


def test_compressed_arrays(tmp_path, monkeypatch):
    path = tmp_path / "fer2013.npz"
    np.savez_compressed(path, images=np.zeros((20_000, 48, 48), np.uint8), target=[0])
    with pytest.raises(ValueError, match=r"fer2013\.npz.*it unpacks to"):
        load_fer2013(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy((10**9, 48, 48), bytes(100)))
    with pytest.raises(ValueError, match=r"declares .*2,304,000,000,000 bytes"):
        load_fer2013(path)
    monkeypatch.setattr("skfer.datasets._files._MAX_BYTES", 10_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", npy((9, 48, 48), bytes(9 * 48 * 48)))
    with pytest.raises(ValueError, match="it unpacks to"):
        load_fer2013(path)


def npy(shape, content=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + content


def test_formulas_are_escaped_and_unescaped():
    for word in ["=1+1", "+1", "-1", "@SUM(1)", " =1", "\uff1d1", "'=1", "''-1"]:
        assert escape_formula(word) == f"'{word}"
        assert unescape_formula(escape_formula(word)) == word
    for value in ["party.jpg", "a=b", "'quoted'", "", -1, -0.5, None]:
        assert escape_formula(value) == value
        assert unescape_formula(value) == value


def test_control_characters_are_escaped():
    for word in ["\n=1+1", "\r=1", "\t=1", "a\x1b[2J", "a\u202eb"]:
        table = map_text(pd.DataFrame({"word": [word]}), escape_formula)
        (cell,) = next(csv.reader(table.to_csv(index=False).splitlines()[1:]))
        assert cell == "".join(c if c in "=1+a[2Jb" else f"\\u{ord(c):04x}" for c in word)


def test_escaped_tables():
    images = {"image": ["=cmd()", "b.jpg"], "confidence": [-1.5, 2]}
    table = pd.DataFrame({**images, "=sum": [0.1, 0.9]})
    escaped = map_text(table, escape_formula).to_csv(index=False)
    header, *rows = csv.reader(escaped.splitlines())
    assert header == ["image", "confidence", "'=sum"]
    assert rows == [["'=cmd()", "-1.5", "0.1"], ["b.jpg", "2.0", "0.9"]]


def test_escaped_rows_of_a_video_are_read_back(tmp_path):
    path = tmp_path / "rows.csv"
    sink = row_writer(path, ["=sum", "sad"])
    sink.write([(0, 0.0, 0, 1, 2, 3, 4, -0.5, True, "=sum", 0.9, 0.9, 0.1)])
    sink.close()
    assert '"' not in path.read_text()
    assert "'=sum" in path.read_text().splitlines()[0]
    read = read_rows(path)
    assert read["expression"].tolist() == ["=sum"]
    assert read["=sum"].tolist() == [0.9]
    assert read["confidence"].tolist() == [-0.5]


def test_escaped_csv_of_the_page():
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    face = """{id: 0, box: {x: -1, y: 0, width: 2, height: 2}, confidence: -0.5, expression: "@sad",
        probability: 1, probabilities: {"@sad": 1}}"""
    code = f"""
        import {{ asCsv }} from {str((STATIC / "csv.js").as_uri())!r};
        const records = [{{source: "=cmd|'/c calc'!A0", time: null, model: "m", faces: [{face}]}}];
        process.stdout.write(asCsv(records, ["@sad"]));
    """
    command = [node, "--input-type=module", "--eval", code]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    header, row = csv.reader(io.StringIO(process.stdout, newline=""))
    assert header[-1] == "'@sad"
    assert row[0] == "'=cmd|'/c calc'!A0"
    cells = dict(zip(header, row, strict=True))
    assert (cells["x"], cells["confidence"], cells["expression"]) == ("-1", "-0.5", "'@sad")


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {other}\n"],
)
def test_playlists(playlist, tmp_path):
    other = write_clip(tmp_path / "other.mp4", [picture()] * 3)
    path = tmp_path / "talk.mp4"
    path.write_text(playlist.format(other=other.name))
    with pytest.raises(ValueError, match=r"talk\.mp4' can't be read as a video: it is not a video"):
        VideoFile(path)


def test_video_with_an_unknown_codec(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", [picture()] * 3)
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(ValueError, match="has an unknown video codec"):
        VideoFile(clip)
    client = create_app(BrightnessReader()).test_client()
    response = client.post("/api/v1/video", data=clip.read_bytes())
    assert response.status_code == 422
    assert "has an unknown video codec" in response.json["error"]["message"]


def test_video_with_an_invalid_title(tmp_path):
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        file.metadata["title"] = "Gesichter"
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width = picture().shape[:2]
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(picture(), format="rgb24")))
        file.mux(stream.encode(None))
    assert b"Gesichter" in clip.read_bytes()
    clip.write_bytes(clip.read_bytes().replace(b"Gesichter", b"\xffesichter"))
    assert len(list(VideoFile(clip))) == 1
    client = create_app(BrightnessReader()).test_client()
    assert client.post("/api/v1/video", data=clip.read_bytes()).status_code == 200
