import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import skfer
from skfer import GrayscaleResizer
from skfer._images._dense import empty_images
from skfer._storage import partial_file

ROOT = Path(__file__).resolve().parent.parent


def run_python(code, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_save_on_a_full_disk(full_disk):
    path = skfer.save(GrayscaleResizer(48), full_disk / "faces.skfer")
    with pytest.raises(OSError, match=r"faces\.skfer' can't be written: No space left") as error:
        skfer.save(skfer.load_pretrained("fer2013"), path)
    assert error.value.errno == errno.ENOSPC
    assert [file.name for file in full_disk.iterdir()] == ["faces.skfer"]
    assert skfer.load(path).size == 48


@pytest.mark.slow
def test_file_size_limit(tmp_path):
    code = """
        import resource, signal, sys
        import skfer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        model = skfer.load_pretrained("fer2013")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            skfer.save(model, "faces.skfer")
        except OSError as error:
            print(error)
    """
    process = run_python(code, cwd=tmp_path)
    assert "'faces.skfer' can't be written: File too large." in process.stdout, process.stderr
    assert not any(tmp_path.iterdir())


def test_error_of_a_full_disk(tmp_path):
    def write():
        with partial_file(tmp_path / "rows.csv") as part, part.open("w") as file:
            file.write("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"rows\.csv' can't be written: No space left on device\."):
        write()
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_save(tmp_path):
    path = skfer.save(GrayscaleResizer(48), tmp_path / "faces.skfer")
    before = path.read_bytes()
    code = """
        import os, signal
        import skfer
        from skfer.persistence import _model_file

        write = _model_file.add_array
        def killed(archive, name, array):
            if name == "020.npy":
                os.kill(os.getpid(), signal.SIGKILL)
            write(archive, name, array)
        _model_file.add_array = killed
        skfer.save(skfer.load_pretrained("fer2013"), "faces.skfer")
    """
    process = run_python(code, cwd=tmp_path)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert skfer.load(path).size == 48


def test_exit_after_an_unreadable_file_in_threads(tmp_path):
    # Threads that were inside OpenCV at the end of the interpreter aborted the process.
    code = """
        import numpy as np
        from skfer import FaceCropper

        scenes = [np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)] * 4
        FaceCropper(n_jobs=4).transform([b"", *scenes])
    """
    process = run_python(code, cwd=tmp_path)
    assert process.returncode == 1
    assert process.stderr.endswith("X[0] is empty: it holds no image.\n")


def test_arrays_too_large_for_memory_and_disk(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=8_000_000_000))
    batch = [np.zeros((4, 4, 3), np.uint8)] * 3000
    with pytest.raises(OSError, match=r"12\.6 GB with images of shape \(3000, 2048, 2048, 1\)"):
        GrayscaleResizer(2048).transform(batch)
    with pytest.raises(OSError, match=r"4,000,000,000\.0 GB with images of shape"):
        empty_images((1_000_000, 1_000_000, 1_000_000, 1), np.float32)


def test_partial_file_is_renamed_when_complete(tmp_path):
    target = tmp_path / "rows.csv"
    with partial_file(target) as part:
        part.write_text("half")
        assert not target.exists()
        assert part.suffix == ".csv"
    assert target.read_text() == "half"
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert target.stat().st_mode == ordinary.stat().st_mode


def test_partial_file_with_the_longest_name(tmp_path):
    longest = tmp_path / f"{'x' * 251}.csv"
    with partial_file(longest) as part:
        part.write_text("all")
    assert longest.read_text() == "all"


def test_partial_file_in_a_missing_folder(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"missing.* can't be written"),
        partial_file(tmp_path / "missing" / "rows.csv"),
    ):
        pass


def test_partial_file_replaces_no_pipe_device_or_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "stdout.csv").symlink_to("/proc/self/fd/1")
    for name in ("pipe.csv", "stdout.csv"):
        before = (tmp_path / name).lstat()
        with pytest.raises(OSError, match="a device or a pipe"), partial_file(tmp_path / name):
            pass
        assert (tmp_path / name).lstat() == before
    with pytest.raises(IsADirectoryError, match="is a folder"), partial_file(tmp_path):
        pass


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_partial_file_is_deleted_after_a_failure(tmp_path, failure):
    target = tmp_path / "rows.csv"
    target.write_text("old")

    def write():
        with partial_file(target) as part:
            part.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert target.read_text() == "old"
