"""The numbers of an initializer, made when its bytes are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from archdsl.backends.onnx.records import Constant, Derived, Dtype, Initializer, Stored
from archdsl.backends.weights import Array
from archdsl.diagnostics import error

_LARGEST: Mapping[Dtype, float] = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}


@dataclass
class Numbers:
    """`beyond` names the initializers with numbers that were finite and have no place in their type."""

    name: str
    weights: Mapping[str, Array]
    beyond: list[str] = field(default_factory=list)

    def of(self, item: Initializer) -> Array:
        """Raises E0603 where the weights lack the tensor or have it in another shape. bfloat16 comes as its 16 bits."""
        found = self._constant(item) if isinstance(item, Constant) else self._tensor(item)
        if item.dtype not in _LARGEST:
            return found
        made = _halved(found, item.dtype)
        finite = np.isfinite(found)
        if bool((np.abs(found, where=finite, out=np.zeros_like(found)) > _LARGEST[item.dtype]).any()):
            self.beyond.append(item.name)
        return made

    def _constant(self, item: Constant) -> Array:
        numbers = np.array(item.values, _made_in(item.dtype))
        return np.full(item.shape, numbers[0]) if numbers.size == 1 else numbers.reshape(item.shape)

    def _tensor(self, item: Stored | Derived) -> Array:
        dtype = _made_in(item.dtype)
        key = item.name if isinstance(item, Stored) else item.key
        if key not in self.weights:
            raise error("E0603", f"the weights do not fit `{self.name}`: `{key}` is missing")
        found = np.asarray(self.weights[key])
        if found.dtype != dtype:
            found = found.astype(dtype)
        want = item.shape if isinstance(item, Stored) else item.stored
        if found.shape != want:
            raise error("E0603", f"the weights do not fit `{self.name}`: `{key}` is {found.shape}, not {want}")
        if isinstance(item, Stored):
            return found
        if item.rows is not None:
            dense = np.zeros((item.shape[0] * item.shape[1], *item.shape[2:]), dtype)
            dense[list(item.rows)] = found
            return dense.reshape(item.shape)
        return (found if item.factor == 1.0 else found * dtype.type(item.factor)).reshape(item.shape)


def _made_in(dtype: Dtype) -> np.dtype[np.generic]:
    """The type that numbers are worked out in, before they are rounded to half of it."""
    return np.dtype("int64" if dtype == "int64" else "float32")


def _halved(numbers: Array, dtype: Dtype) -> Array:
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return numbers.astype(np.float16)
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # to nearest, ties to even
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(numbers), quiet, rounded).astype(np.uint16).reshape(numbers.shape)
