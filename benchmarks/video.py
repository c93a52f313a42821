"""Measure frames per second of a video, and whether memory grows with its length.

    python benchmarks/video.py --video clip.mp4 --yunet face_detection_yunet.onnx

The video is recognised with a table and an annotated file, and then the same video repeated 20
times, each in its own process, with Haar and, if its file is given, with YuNet. Frames per second
and peak memory are written to ``benchmarks/results/video.json``. Other work on the machine changes
the times, but not the memory: ``--no-times`` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _results
import av

from skfer.detection import YuNetDetector
from skfer.recognition import FaceReader
from skfer.video import recognize_video

WANTED_RATE, WANTED_GROWTH = 25.0, 50.0


def repeated(clip: str, times: int, path: Path) -> None:
    """Repeat the packets of the clip without decoding them."""
    with av.open(str(path), "w") as written:
        stream = None
        for turn in range(times):
            with av.open(clip) as read:
                video = read.streams.video[0]
                if stream is None:
                    stream = written.add_stream_from_template(video)
                for packet in read.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts += turn * video.duration
                    packet.dts += turn * video.duration
                    packet.stream = stream
                    written.mux(packet)


def measure(clip: str, yunet: str | None) -> dict:
    """Recognise the video in this process, whose peak memory is then that of the video."""
    reader = FaceReader(detector=YuNetDetector(yunet) if yunet else "haar")
    reader.read(first_frame(clip))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start, cpu = time.perf_counter(), time.process_time()
        report = recognize_video(clip, reader, output=folder / "o.mp4", csv=folder / "o.csv")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        ids = report.faces["face_id"].dropna().unique().tolist()
    return {
        "frames": report.n_frames,
        "faces": len(ids),
        "frames a second": round(report.n_frames / seconds, 1),
        "CPU milliseconds a frame": round(1000 * cpu / report.n_frames, 1),
        "peak memory in MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def first_frame(clip: str) -> list:
    """Return the first frame; a call on it does all work that happens only once."""
    with av.open(clip) as read:
        return [next(read.decode(video=0)).to_ndarray(format="rgb24")]


def in_own_process(clip: str, yunet: str | None) -> dict:
    arguments = [sys.executable, __file__, "--video", clip, "--measure"]
    arguments += ["--yunet", yunet] if yunet else []
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(clip: str, times: int, yunet: str | None) -> dict:
    """Recognise the video once and repeated, each in its own process."""
    once = in_own_process(clip, yunet)
    with tempfile.TemporaryDirectory() as name:
        long = Path(name, "long.mp4")
        repeated(clip, times, long)
        often = in_own_process(str(long), yunet)
    return {"once": once, f"{times} times": often}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--video", required=True)
    parser.add_argument("--yunet", help="the file of YuNet; without, only Haar is measured")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--no-times", action="store_true", help="leave out times and rates")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.video, arguments.yunet)))
        return
    detectors = {"haar": None} | ({"yunet": arguments.yunet} if arguments.yunet else {})
    results = {}
    for name, yunet in detectors.items():
        results[name] = compare(arguments.video, arguments.times, yunet)
        once, often = results[name].values()
        growth = often["peak memory in MB"] - once["peak memory in MB"]
        print(f"{name}, once: {once}\n{arguments.times} times: {often}")
        print(f"{once['frames a second']} frames a second (wanted >= {WANTED_RATE:.0f})")
        print(f"memory grows by {growth:+.1f} MB (wanted within {WANTED_GROWTH:.0f})", flush=True)
        if arguments.no_times:
            for run in (once, often):
                del run["frames a second"], run["CPU milliseconds a frame"]
    _results.write("video", {"detectors": results, "versions": _results.versions()})


if __name__ == "__main__":
    main()
