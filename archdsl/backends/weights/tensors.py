"""Tensors by name, whose arrays are computed or read when they are accessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_type

Array: TypeAlias = npt.NDArray[Any]


class Broken(Exception):
    """A file that is not a valid weights file; the message says why."""


def cast(values: Array, dtype: str) -> Array:
    """Return the values as `dtype`, without a copy if they already are. Those too large for it become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: its shape, its dtype (`float32` or `int64`), and `make`, which returns its array.

    `stored` is the type of its numbers in the file, if that is known.
    """

    shape: tuple[int, ...]
    dtype: str
    make: Callable[[], Array]
    stored: str = ""

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class Weights(Mapping[str, Array]):
    """Tensors by name. `weights[key]` returns a new array each time; `entries[key]` has its shape without the array.

    `source` names the origin (`random, seed 0`, or `sha256:...` of the file); `notes` are diagnostics. Both may need
    all the values, and are computed on first access. `facts` are metadata of compiled files that come with the weights:
    their licence, labels and preprocessing.
    """

    def __init__(
        self,
        entries: Mapping[str, TensorEntry],
        source: str | Callable[[], str],
        notes: tuple[Diagnostic, ...] | Callable[[], tuple[Diagnostic, ...]] = (),
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.entries, self.facts = entries, facts
        self._source, self._notes = source, notes

    @cached_property
    def source(self) -> str:
        return self._source if isinstance(self._source, str) else self._source()

    @cached_property
    def notes(self) -> tuple[Diagnostic, ...]:
        return self._notes if isinstance(self._notes, tuple) else self._notes()

    @property
    def nbytes(self) -> int:
        return sum(entry.nbytes for entry in self.entries.values())

    def __getitem__(self, key: str) -> Array:
        return self.entries[key].make()

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __reduce__(self) -> tuple[Callable[..., Weights], tuple[Any, ...]]:
        """Copies and pickles contain the values, not the file that they are read from."""
        return _restored, (dict(self), self.source, self.notes, dict(self.facts))

    def __repr__(self) -> str:
        return f"<Weights {len(self)} tensors, {self.nbytes:,} bytes>"


def _restored(arrays: Mapping[str, Array], *more: Any) -> Weights:
    return Weights(as_weights(arrays).entries, *more)


def as_weights(tensors: Mapping[str, Any], source: str = "given") -> Weights:
    """Return arrays or torch tensors by name, such as a `state_dict()`, as `Weights`; `Weights` stay as they are.

    Floats become float32, integers int64. Raises E0004 (status 2) for a value of another type, a tensor that is not
    dense, real and in memory, or a key that is not a string.
    """
    if isinstance(tensors, Weights):
        return tensors
    return Weights({key: _entry(key, value) for key, value in tensors.items()}, source)


def _entry(key: object, value: Any) -> TensorEntry:
    check_type("weights", key, "tensors under their names", str)
    if hasattr(value, "detach"):
        odd = value.is_complex() or value.is_quantized or value.is_nested or value.is_meta
        if odd or str(value.layout) != "torch.strided":
            check_type(f"weights[{key!r:.60}]", value, "a dense tensor of real numbers, which has data")
        real = value.is_floating_point()
        return TensorEntry(tuple(value.shape), "float32" if real else "int64", partial(_from_torch, value, real))
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        check_type(f"weights[{key!r:.60}]", value, "an array, or a torch tensor")
    dtype = "float32" if array.dtype.kind == "f" else "int64"
    return TensorEntry(array.shape, dtype, partial(cast, array, dtype))


def _from_torch(tensor: Any, real: bool) -> Array:
    plain = tensor.detach().cpu().resolve_neg()
    array: Array = (plain.float() if real else plain.long()).numpy()
    return array
