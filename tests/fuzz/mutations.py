"""Files made wrong, by a seeded generator: the same number is the same wrong file everywhere."""

import re

# Lengths and sizes at which sums overflow, signs turn and room runs out.
_EDGES = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_WORDS = (b"-1", b"0", b"256", b"1e9", b"9" * 20, b"nan", b'"', b"", b"\0", b",", b"\n")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutated(data, rng, others):
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 8]))):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        changed = bytearray(change(changed, rng, others))
    return bytes(changed)


def mutated_text(data, rng, others):
    if rng.random() < 0.5:
        return mutated(data, rng, others)
    numbers = list(_NUMBER.finditer(data))
    if not numbers:
        return mutated(data, rng, others)
    # Most numbers are pixels; every other time one of the first or last, which are not.
    place = int(rng.integers(len(numbers)))
    if rng.random() < 0.5:
        place = int(rng.integers(-4, 4)) % len(numbers)
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    return data[: numbers[place].start()] + word + data[numbers[place].end() :]


def _place(data, rng):
    end = max(1, len(data) if rng.random() < 0.5 else min(len(data), 200))
    return int(rng.integers(end))


def _flip_bit(data, rng, _):
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _set_byte(data, rng, _):
    if data:
        data[_place(data, rng)] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    return data


def _set_number(data, rng, _):
    width = int(rng.choice([2, 4]))
    value = _EDGES[int(rng.integers(len(_EDGES)))] % (1 << 8 * width)
    order = "big" if rng.random() < 0.5 else "little"
    at = _place(data, rng)
    data[at : at + width] = value.to_bytes(width, "big" if order == "big" else "little")
    return data


def _cut(data, rng, _):
    return data[: _place(data, rng)]


def _leave_out(data, rng, _):
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 64))]
    return data


def _repeat(data, rng, _):
    at, length = _place(data, rng), int(rng.integers(1, 512))
    data[at:at] = data[at : at + length] * int(rng.choice([1, 2, 50]))
    return data


def _noise(data, rng, _):
    at = _place(data, rng)
    data[at : at + int(rng.integers(1, 64))] = rng.bytes(int(rng.integers(1, 64)))
    return data


def _splice(data, rng, others):
    other = others[int(rng.integers(len(others)))]
    return data[: _place(data, rng)] + other[_place(bytearray(other), rng) :]


_CHANGES = (
    *(_flip_bit, _flip_bit, _set_byte, _set_number, _set_number),
    *(_cut, _leave_out, _repeat, _noise, _splice),
)
