"""The lookup tables of DICOM files (PS3.3 C.11.1.1 and C.11.2.1.1), which map stored or measured values to others."""

from __future__ import annotations

from typing import Any

import numpy as np

from archdsl.runtime.images.pixels import Array, Unusable

_WORDS = 1 << 16
_BITS = range(1, 17)


def looked_up(values: Array, item: Any, name: str, little: bool, signed: bool) -> tuple[Array, tuple[float, float]]:
    """Return the values mapped by the table in an item of a sequence, float32, and the range of its depth.

    Values beyond the table have its first or last entry. `little`: the file is little-endian. `signed`: values may be
    negative. Raises Unusable for a table that does not fit its descriptor. pydicom's `apply_voi` and
    `apply_modality_lut` read neither packed tables nor, with the depth of the entries, indices of more bits.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % _WORDS or _WORDS
    if signed and first >= _WORDS // 2:  # written unsigned, as implicit transfer syntaxes often have it
        first -= _WORDS
    entries = _entries(item.LUTData, count, bits, little)
    if bits not in _BITS or entries is None:
        raise Unusable(f"its {name} does not have the {count:,} entries of {bits} bits that its descriptor states")
    if int(entries.max()) >= 2**bits:
        raise Unusable(f"its {name} has the entry {int(entries.max()):,}, which needs more than its {bits} bits")
    at = (np.rint(values).astype(np.int64) - first).clip(0, count - 1)
    return entries[at].astype(np.float32), (0.0, float(2**bits - 1))


def _entries(data: Any, count: int, bits: int, little: bool) -> Array | None:
    """The entries, of which those of 8 bits may be packed two in a word; None if they are too few."""
    order = "<" if little else ">"
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")
    else:
        words = np.atleast_1d(np.asarray(data, np.int64)).astype(np.uint16)
    if len(words) >= count:
        return words[:count]
    packed = words.astype("<u2").view(np.uint8)
    return packed[:count] if bits <= 8 and len(packed) >= count else None
