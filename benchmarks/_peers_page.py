"""What ``peers.py`` measured, in Markdown."""

from __future__ import annotations


def table(result: dict) -> str:
    """The systems that ran, in Markdown."""
    lines = [
        "| system | accuracy | one face, ms | own call, ms | faces a second | photo, ms |"
        " ready, s | import, s | peak memory, MB | on disk, MB |",
        "|---|" + "---:|" * 9,
    ]
    for name, found in result["systems"].items():
        if "error" in found:
            continue
        photo = f"{1000 * found['photo_seconds']:.0f}" if "photo_seconds" in found else "-"
        imported = found["import_seconds"]
        lines.append(
            f"| {name} {found['version']} | {found['accuracy']:.3f} "
            f"| {1000 * found['one_face_seconds']:.2f} | {1000 * found['own_call_seconds']:.2f} "
            f"| {found['faces_a_second']:.0f} | {photo} | {found['ready_seconds']:.1f} "
            f"| {'-' if imported is None else f'{imported:.2f}'} "
            f"| {found['peak_megabytes']:.0f} | {found['disk_megabytes']:.1f} |"
        )
    return "\n".join(lines)


def failures(result: dict) -> list[str]:
    return [
        f"{name} {found['version']}: {found['error']}".replace("  ", " ")
        for name, found in result["systems"].items()
        if "error" in found
    ]


def page(result: dict) -> str:
    """The whole result as a page of the documentation."""
    lines = [
        "# skfer beside its peers",
        "",
        f"Measured by `python benchmarks/peers.py` on {result['images']} faces of FER2013's "
        "PublicTest and one photo, in one run, the systems in turns.",
        "Accuracy is that of the network with its own scaling on the whole crop. *One face* is an "
        "aligned face by the quickest call there is, *own call* the same by the package's public "
        "call, *photo* a photo of 512 x 512 pixels to a label, *ready* a new process to its first "
        "label.",
        "",
        table(result),
        "",
        "skfer against fer; above 1, or above 0 points, skfer is ahead:",
        "",
        "| system | against | accuracy, points | one face | one face to fer's own call | own call "
        "| faces a second | photo | ready |",
        "|---|---|" + "---:|" * 7,
    ]
    lines += [
        f"| {name} | {other} | {found['accuracy_points']:+.1f} | {found['one_face']:.2f} "
        f"| {found['one_face_to_own_call']:.2f} | {found['own_call']:.2f} "
        f"| {found['faces_a_second']:.2f} | {found['photo']:.2f} | {found['ready']:.2f} |"
        for name, others in result["ratios_to_fer"].items()
        for other, found in others.items()
    ]
    for name, found in result["systems"].items():
        for call, beside in found.get("beside_keras", {}).items():
            lines += [
                "",
                f"{name}: {beside['ratio']:.2f} times the faces a second of `keras.Model.predict` "
                f"with a batch size of {call.rsplit('_', 1)[1]}, the same network in float32.",
            ]
    lines += ["", "fer's own call, which is told the box of the face, widens it by 10 pixels:", ""]
    lines += [
        f"- {name}: {found['own_call_accuracy']:.3f} on {found['own_call_images']} of the faces"
        for name, found in result["systems"].items()
        if name.startswith("fer") and "error" not in found
    ]
    lines += ["", "What fer's documented imports do:", ""]
    lines += [
        f"- {found['installed']}, `{found['statement']}`: {found['outcome']}"
        for found in result["fer_imports"]
    ]
    lines += ["", "What could not run on a machine without access to the network, and why:", ""]
    lines += [f"- {failure}" for failure in failures(result)]
    used = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    return "\n".join([*lines, "", f"With {used}.", ""])
