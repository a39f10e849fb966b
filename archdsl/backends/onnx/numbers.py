"""The elements of an initializer, computed when its bytes are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from archdsl.backends.onnx.records import Constant, Derived, Dtype, Initializer, Stored
from archdsl.backends.weights import Array
from archdsl.backends.weights.evaluate import evaluate
from archdsl.diagnostics import error

_LARGEST: Mapping[Dtype, float] = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}


@dataclass
class Numbers:
    """Computes initializers from weights. `beyond` names those with finite values too large for their type."""

    name: str
    weights: Mapping[str, Array]
    beyond: list[str] = field(default_factory=list)

    def of(self, item: Initializer) -> Array:
        """Return the elements of an initializer; bfloat16 values as their 16 bits.

        Raises E0603 if the weights lack its tensor or have it in another shape.
        """
        array = self._constant(item) if isinstance(item, Constant) else self._tensor(item)
        if item.dtype not in _LARGEST:
            return array
        rounded = _halved(array, item.dtype)
        finite = np.isfinite(array)
        if bool((np.abs(array, where=finite, out=np.zeros_like(array)) > _LARGEST[item.dtype]).any()):
            self.beyond.append(item.name)
        return rounded

    def _constant(self, item: Constant) -> Array:
        numbers = np.array(item.values, _working_type(item.dtype))
        return np.full(item.shape, numbers[0]) if numbers.size == 1 else numbers.reshape(item.shape)

    def _tensor(self, item: Stored | Derived) -> Array:
        dtype = _working_type(item.dtype)
        key = item.name if isinstance(item, Stored) else item.key
        if key not in self.weights:
            raise error("E0603", f"the weights do not fit `{self.name}`: `{key}` is missing")
        array = np.asarray(self.weights[key])
        if array.dtype != dtype:
            array = array.astype(dtype)
        expected = item.shape if isinstance(item, Stored) else item.stored
        if array.shape != expected:
            raise error("E0603", f"the weights do not fit `{self.name}`: `{key}` is {array.shape}, not {expected}")
        if isinstance(item, Stored):
            return array
        if item.recipe is not None:
            return evaluate(item.recipe, self.weights, item.shape)
        if item.rows is not None:
            dense = np.zeros((item.shape[0] * item.shape[1], *item.shape[2:]), dtype)
            dense[list(item.rows)] = array
            return dense.reshape(item.shape)
        return (array if item.factor == 1.0 else array * dtype.type(item.factor)).reshape(item.shape)


def _working_type(dtype: Dtype) -> np.dtype[np.generic]:
    """Return the type in which elements are computed, before they are rounded to half precision."""
    return np.dtype("int64" if dtype == "int64" else "float32")


def _halved(numbers: Array, dtype: Dtype) -> Array:
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return numbers.astype(np.float16)
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # to nearest, ties to even
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(numbers), quiet, rounded).astype(np.uint16).reshape(numbers.shape)
