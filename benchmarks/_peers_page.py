"""Documentation page with the figures of ``peers.py``."""

from __future__ import annotations

from _peer_protocol import PHOTO_SIDES

PHOTOS = ("photo_seconds", *(f"photo_{side}_seconds" for side in PHOTO_SIDES))


def table(result: dict) -> str:
    """Return the table of the systems that ran."""
    lines = [
        "| system | accuracy | one face, ms | public call, ms | faces per second "
        "| photo of 512, 1,366, 4,032 pixels, ms | first label, wall s | CPU s | MB | import, s "
        "| peak memory, MB | on disk, MB |",
        "|---|" + "---:|" * 11,
    ]
    for name, row in result["systems"].items():
        if "error" in row:
            continue
        photos = [row[name] for name in PHOTOS if name in row]
        photo = ", ".join(f"{1000 * seconds:.0f}" for seconds in photos) or "-"
        imported = row["import_seconds"]
        lines.append(
            f"| {name} {row['version']} | {row['accuracy']:.3f} "
            f"| {1000 * row['one_face_seconds']:.2f} | {1000 * row['own_call_seconds']:.2f} "
            f"| {row['faces_a_second']:.0f} | {photo} | {row['ready_seconds']:.1f} "
            f"| {row['ready_processor_seconds']:.1f} | {row['ready_megabytes']:.0f} "
            f"| {'-' if imported is None else f'{imported:.2f}'} "
            f"| {row['peak_megabytes']:.0f} | {row['disk_megabytes']:.1f} |"
        )
    return "\n".join(lines)


def failures(result: dict) -> list[str]:
    return [
        f"{name} {row['version']}: {row['error']}".replace("  ", " ")
        for name, row in result["systems"].items()
        if "error" in row
    ]


def page(result: dict) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Comparison with other packages",
        "",
        "After this page you know how accurate and fast skfer is compared with packages that run "
        "offline, and which packages could not be compared.",
        "",
        f"`python benchmarks/peers.py` measured {result['images']} faces of FER2013's PublicTest "
        "and one photo, in one run, with the systems in alternation. Accuracy is that of the "
        "network on the whole crop, with its own scaling. *One face* is the fastest call for an "
        "aligned face, *public call* the documented call, *photo* the time from the file of a "
        "square photo to the label, including detection, *first label* a new process including "
        "imports, with its peak memory until then.",
        "",
        table(result),
        "",
        "Ratios of skfer to fer. skfer is better if a ratio is above 1, or the difference of "
        "accuracies above 0:",
        "",
        "| system | compared with | accuracy, points | one face | one face to fer's public call "
        "| public call | faces per second | photo of 512 | 1,366 | 4,032 pixels | first label, "
        "wall | CPU |",
        "|---|---|" + "---:|" * 10,
    ]
    lines += [
        f"| {name} | {other} | {row['accuracy_points']:+.1f} | {row['one_face']:.2f} "
        f"| {row['one_face_to_own_call']:.2f} | {row['own_call']:.2f} "
        f"| {row['faces_a_second']:.2f} | {row['photo']:.2f} "
        + "".join(f"| {row[name.removesuffix('_seconds')]:.2f} " for name in PHOTOS[1:])
        + f"| {row['ready']:.2f} | {row['ready_processor']:.2f} |"
        for name, others in result["ratios_to_fer"].items()
        for other, row in others.items()
    ]
    lines += ["", "fer's public call enlarges the given box by 10 pixels. Its accuracy:", ""]
    lines += [
        f"- {name}: {row['own_call_accuracy']:.3f} on {row['own_call_images']} of the faces"
        for name, row in result["systems"].items()
        if name.startswith("fer") and "error" not in row
    ]
    lines += ["", "Results of fer's documented imports:", ""]
    lines += [
        f"- {row['installed']}, `{row['statement']}`: {row['outcome']}"
        for row in result["fer_imports"]
    ]
    lines += ["", "These packages could not run without access to the network:", ""]
    lines += [f"- {failure}" for failure in failures(result)]
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    return "\n".join([*lines, "", f"Measured with {versions}.", ""])
