"""Read and write safetensors files: a length, a JSON header, then the bytes of the tensors.

Reading maps the file and writing streams it, so neither needs memory for all tensors.
(Format: https://huggingface.co/docs/safetensors.)
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from archdsl.backends.weights.dtypes import DTYPES, SAFETENSORS_DTYPES, as_array, is_real
from archdsl.backends.weights.tensors import Array, Broken, TensorEntry, Weights
from archdsl.files.atomic import WrittenFile, atomic_write
from archdsl.version import __version__

MAX_HEADER = 1 << 22
"""Headers of real files have some hundred kilobytes."""


class _Slot(NamedTuple):
    begin: int
    end: int
    dtype: str
    shape: tuple[int, ...]


def read(path: Path) -> dict[str, TensorEntry]:
    """Return the tensors of the file, floats as float32 and integers as int64, converted when accessed.

    Raises `Broken` for an invalid file, OSError if it cannot be read.
    """
    size = os.stat(path).st_size
    if size < 8:
        raise Broken(f"it has {size} bytes; a safetensors file has at least 8")
    slots, start = _header(path, size)
    _check_layout(slots, size - start)
    data = np.memmap(path, np.uint8, "c")  # copy on write: torch accepts no read-only array
    return {
        key: TensorEntry(
            slot.shape, "float32" if is_real(slot.dtype) else "int64", partial(_values, data, start, slot), slot.dtype
        )
        for key, slot in slots.items()
    }


def _header(path: Path, size: int) -> tuple[dict[str, _Slot], int]:
    with open(path, "rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if head[:4] == b"PK\x03\x04":
            raise Broken("it is a zip file, as `torch.save` and `numpy.savez` write: rename it to end in .pth or .npz")
        if length > MAX_HEADER:
            raise Broken(f"its header claims {length:,} bytes; the maximum is {MAX_HEADER:,}")
        if 8 + length > size:
            raise Broken(f"its header claims {length:,} bytes, the file has {size:,}: it is truncated")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as failure:
        raise Broken("its header is not JSON") from failure
    if not isinstance(header, dict):
        raise Broken("its header is not a mapping")
    header.pop("__metadata__", None)
    return {key: _slot(key, value) for key, value in header.items()}, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key")
    return mapping


def _slot(key: str, value: Any) -> _Slot:
    def bad(why: str) -> NoReturn:
        raise Broken(f"tensor `{key[:100]}`: {why}")

    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        bad("its keys must be dtype, shape and data_offsets")
    shape, offsets = value["shape"], value["data_offsets"]
    if not _counts(shape) or len(shape) > 8:
        bad("its shape is not a list of sizes")
    if not _counts(offsets) or len(offsets) != 2:
        bad("its data_offsets are not two positions")
    dtype = value["dtype"]
    if not isinstance(dtype, str) or dtype not in SAFETENSORS_DTYPES:
        bad(f"its dtype is {str(dtype)[:40]}, not one of {', '.join(SAFETENSORS_DTYPES)}")
    stored = SAFETENSORS_DTYPES[dtype]
    if offsets[1] - offsets[0] != prod(shape) * np.dtype(DTYPES[stored]).itemsize:
        bad("its data_offsets do not match its shape and dtype")
    return _Slot(offsets[0], offsets[1], stored, tuple(shape))


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in value)


def _check_layout(slots: Mapping[str, _Slot], room: int) -> None:
    """Raises `Broken` if the tensors overlap or leave gaps: each byte must belong to one tensor."""
    at = 0
    for key, slot in sorted(slots.items(), key=lambda item: (item[1].begin, item[1].end)):
        if slot.begin != at:
            raise Broken(f"tensor `{key[:100]}` begins at {slot.begin:,}, the previous one ends at {at:,}")
        at = slot.end
    if at != room:
        raise Broken(f"its tensors need {at:,} bytes, the file has {room:,}")


def _values(data: Array, start: int, slot: _Slot) -> Array:
    raw = data[start + slot.begin : start + slot.end].view(DTYPES[slot.dtype]).reshape(slot.shape)
    return as_array(raw, slot.dtype)


def metadata(path: Path) -> dict[str, str]:
    """Return the file's `__metadata__`; empty if it has none or is not a safetensors file."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= MAX_HEADER else {}
        return {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def save(
    weights: Weights,
    path: str | os.PathLike[str],
    meta: Mapping[str, str] | None = None,
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
) -> WrittenFile:
    """Write the tensors as safetensors, one by one, with `meta` (the spec's name and hash) and their source.

    Raises E07xx as `archdsl.files.atomic_write`.
    """
    dtypes: dict[str, Literal["I64", "F32"]] = {
        key: "I64" if entry.dtype == "int64" else "F32" for key, entry in weights.entries.items()
    }
    order = sorted(weights, key=lambda key: dtypes[key] != "I64")  # int64 first keeps every tensor aligned
    facts = {"producer": "archdsl", "version": __version__, "weights": weights.source, **(meta or {})}
    header: dict[str, Any] = {"__metadata__": facts}
    at = 0
    for key in order:
        entry = weights.entries[key]
        header[key] = {"dtype": dtypes[key], "shape": entry.shape, "data_offsets": (at, at + entry.nbytes)}
        at += entry.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path, inputs=inputs, force=force, replaceable=_mine, required_bytes=8 + len(text) + at) as output:
        output.write(len(text).to_bytes(8, "little") + text)
        for key in order:
            output.write(bytes_of(weights[key]))
    assert output.written is not None
    return output.written


def bytes_of(array: Array) -> memoryview:
    """Return the values in little-endian order, without a copy if they already are."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data


def _mine(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode) and metadata(path).get("producer") == "archdsl"
