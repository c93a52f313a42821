"""Files of results, and the versions that they depend on."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
_PACKAGES = ("skfer", "tensorflow", "keras", "scikit-learn", "scikeras", "numpy", "opencv-python")


def versions() -> dict[str, str]:
    """Versions that a figure depends on."""
    return {package: version(package) for package in _PACKAGES} | {
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "processor": _processor(),
    }


def format_versions(versions: dict[str, str]) -> str:
    """Format versions as the last line of a report."""
    return "  " + ", ".join(f"{name} {value}" for name, value in versions.items())


def read(name: str) -> dict | None:
    """Read a result; None if there is none."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def write(name: str, result: dict) -> None:
    """Write a result and print its path."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


def update(name: str, part: str, figures: dict) -> None:
    """Replace one part of a result. Each part states the versions that it was measured with."""
    result = read(name) or {}
    write(name, result | {part: figures | {"versions": versions()}})


def plain(parameters: dict) -> dict:
    """Convert parameters to JSON values: an optimizer to its settings, a path to its name."""
    return {name: _plain_value(value) for name, value in parameters.items()}


def _plain_value(value: object) -> object:
    import keras  # not above: benchmarks of predictions measure processes without TensorFlow

    if isinstance(value, keras.optimizers.Optimizer):
        return keras.optimizers.serialize(value)
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def _processor() -> str:
    """Vector instructions of the processor, which determine the speed of each precision."""
    flags = Path("/proc/cpuinfo")
    known = flags.read_text().split() if flags.exists() else []
    wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in known]
    return f"{platform.machine()} {' '.join(wide)}".strip()
