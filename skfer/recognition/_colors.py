"""A colour for each expression, the same in pictures, videos and charts."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colours, which people who don't see red and green alike can tell apart; gray
# for the face at rest, and a violet for the eighth.
_OF_EXPRESSION = {
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happy": "#f0e442",
    "neutral": "#b0b0b0",
    "sad": "#0072b2",
    "surprise": "#56b4e9",
    "contempt": "#8a63d2",
}
_OTHERS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#b0b0b0")
# The label of abstention, which is no class.
_UNSURE = "#e0e0e0"


def color_of(label: Any, classes: list[Any]) -> str:
    """The colour of a class, as ``"#rrggbb"``; of one without a name of its own, by its place.

    Classes may come as the names of their columns: 3 is the class "3".
    """
    name, names = str(label), [str(other) for other in classes]
    if name in _OF_EXPRESSION:
        return _OF_EXPRESSION[name]
    if name not in names:
        return _UNSURE
    return _OTHERS[names.index(name) % len(_OTHERS)]


def rgb(color: str) -> tuple[int, int, int]:
    """``"#rrggbb"`` as three numbers from 0 to 255."""
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
