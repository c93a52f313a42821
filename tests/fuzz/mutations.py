"""Random changes of files, which a seed reproduces on every machine."""

import re

# Lengths and sizes at which integers overflow, become negative or exceed memory.
_EDGES = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_WORDS = (b"-1", b"0", b"256", b"1e9", b"9" * 20, b"nan", b'"', b"", b"\0", b",", b"\n")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutate(data, rng, others):
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 8]))):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        changed = bytearray(change(changed, rng, others))
    return bytes(changed)


def mutate_text(data, rng, others):
    if rng.random() < 0.5:
        return mutate(data, rng, others)
    numbers = list(_NUMBER.finditer(data))
    if not numbers:
        return mutate(data, rng, others)
    # Most numbers are pixels. Half of the changes are in the first and last numbers, which are not.
    number = numbers[int(rng.integers(len(numbers)))]
    if rng.random() < 0.5:
        number = numbers[int(rng.integers(-4, 4)) % len(numbers)]
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    return data[: number.start()] + word + data[number.end() :]


def _offset(data, rng):
    end = max(1, len(data) if rng.random() < 0.5 else min(len(data), 200))
    return int(rng.integers(end))


def _flip_bit(data, rng, _):
    if data:
        data[_offset(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _set_byte(data, rng, _):
    if data:
        data[_offset(data, rng)] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    return data


def _set_number(data, rng, _):
    width = int(rng.choice([2, 4]))
    value = _EDGES[int(rng.integers(len(_EDGES)))] % (1 << 8 * width)
    order = "big" if rng.random() < 0.5 else "little"
    start = _offset(data, rng)
    data[start : start + width] = value.to_bytes(width, order)
    return data


def _cut(data, rng, _):
    return data[: _offset(data, rng)]


def _delete(data, rng, _):
    start = _offset(data, rng)
    del data[start : start + int(rng.integers(1, 64))]
    return data


def _repeat(data, rng, _):
    start, length = _offset(data, rng), int(rng.integers(1, 512))
    data[start:start] = data[start : start + length] * int(rng.choice([1, 2, 50]))
    return data


def _noise(data, rng, _):
    start = _offset(data, rng)
    data[start : start + int(rng.integers(1, 64))] = rng.bytes(int(rng.integers(1, 64)))
    return data


def _splice(data, rng, others):
    other = others[int(rng.integers(len(others)))]
    return data[: _offset(data, rng)] + other[_offset(bytearray(other), rng) :]


_CHANGES = (
    *(_flip_bit, _flip_bit, _set_byte, _set_number, _set_number),
    *(_cut, _delete, _repeat, _noise, _splice),
)
