"""Documentation page with the figures of ``peers.py``."""

from __future__ import annotations

from _markdown import table, versions_line, wrap
from _peer_protocol import PHOTO_SIDES

_PHOTOS = ("photo", *(f"photo_{side}" for side in PHOTO_SIDES))
_HEAD = """\
# Comparison with other packages

This page shows how accurate and fast skfer is compared with packages that run offline, and
which packages could not be compared.

`python benchmarks/peers.py --data fer2013.npz --table docs/peers.md` measured {images:,} faces of
FER2013's PublicTest and one photo in one run, with the systems in alternation; times are medians of
{rounds} rounds. All figures are in `benchmarks/results/peers.json`.

- *Accuracy* is that of the network on the whole image, which is a face.
- *One face* is the fastest call for such an image, *public call* the documented one.
- *Photo* is the time from the file of a square photo to the label, with face detection.
- *First label* is a new process until the label of the photo of 512 pixels, with imports, and its
  peak memory until then.

The systems of skfer are `load_pretrained("fer2013")` with the detector YuNet; with Haar (`haar`);
with `test_time_augmentation` (`flip`, `ten`), `backend="onnx-int8"` (`int8`) and `size="small"`
(`small`). fer's default network is quantised; `fer hdf5` is its other one, and 22.5.1 an older
release."""


def systems_table(result: dict) -> str:
    """Return the table of the systems that ran."""
    rows = []
    for name, row in result["systems"].items():
        if "error" in row:
            continue
        photos = [row[f"{photo}_seconds"] for photo in _PHOTOS if f"{photo}_seconds" in row]
        imported = row["import_seconds"]
        rows.append(
            [
                name if row["version"] in name else f"{name} {row['version']}",
                f"{row['accuracy']:.3f}",
                f"{1000 * row['one_face_seconds']:.2f}",
                f"{1000 * row['own_call_seconds']:.2f}",
                f"{row['faces_a_second']:.0f}",
                ", ".join(f"{1000 * seconds:.0f}" for seconds in photos) or "-",
                f"{row['ready_seconds']:.1f}",
                f"{row['ready_processor_seconds']:.1f}",
                f"{row['ready_megabytes']:.0f}",
                "-" if imported is None else f"{imported:.2f}",
                f"{row['peak_megabytes']:.0f}",
                f"{row['disk_megabytes']:.1f}",
            ]
        )
    head = ["system", "accuracy", "one face, ms", "public call, ms", "faces per second"]
    head += ["photo of 512, 1,366, 4,032 pixels, ms", "first label, wall s", "CPU s", "MB"]
    head += ["import, s", "peak memory, MB", "on disk, MB"]
    return table(head, rows)


def ratios_table(result: dict) -> str:
    """Return the table of the ratios of skfer to the default of the newest fer."""
    names = ["one_face", "own_call", "faces_a_second", *_PHOTOS, "ready", "ready_processor"]
    rows = [
        [name, f"{ratios['fer']['accuracy_points']:+.1f}"]
        + [f"{ratios['fer'][ratio]:.2f}" for ratio in names]
        for name, ratios in result["ratios_to_fer"].items()
        if "fer" in ratios
    ]
    head = ["system", "accuracy, points", "one face", "public call", "faces per second"]
    head += ["photo of 512", "1,366", "4,032 pixels", "first label, wall", "CPU"]
    return table(head, rows)


def failures(result: dict) -> list[str]:
    return [
        f"{name} {row['version']}: {row['error']}".replace("  ", " ")
        for name, row in result["systems"].items()
        if "error" in row
    ]


def page(result: dict) -> str:
    """Return the page as Markdown."""
    own_calls = [
        f"- {name}: {row['own_call_accuracy']:.3f} of {row['own_call_images']} faces"
        for name, row in result["systems"].items()
        if name.startswith("fer") and "error" not in row
    ]
    imports = [
        f"- {row['installed']}, `{row['statement']}`: {row['outcome']}"
        for row in result["fer_imports"]
    ]
    return wrap(
        "\n\n".join(
            [
                _HEAD.format(images=result["images"], rounds=result["rounds"]),
                systems_table(result),
                "Comparison with `fer`. A ratio above 1, or a difference of accuracies above 0, "
                "means that skfer is better:",
                ratios_table(result),
                "fer's public call enlarges the given box by 10 pixels. Its accuracy:",
                "\n".join(own_calls),
                "Results of fer's documented imports:",
                "\n".join(imports),
                "These packages could not be measured: they need a download of weights, or PyTorch,"
                " which was not installed.",
                "\n".join(f"- {failure}" for failure in failures(result)),
                versions_line(result["versions"]),
            ]
        )
    )
