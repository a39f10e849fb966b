"""Sizes, shapes, padding, and the only window formula of the project.

A `Size` is an int or a `Dim`: a spatial size that depends on one size of the input, in the closed form
``m * ((S + p) // q) + r``. Nested floors simplify, so any chain of convolutions and pools stays in that form. If a size
does not (see `Inexpressible`), the caller pins the input to its default size. Shapes never contain the batch: an image
is ``(C, H, W)``, a signal ``(C, L)``, a volume ``(C, D, H, W)``, a vector ``(features,)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod
from typing import NamedTuple, TypeAlias


class Symbol(NamedTuple):
    """A free spatial size of the input, `H = 224`."""

    name: str
    default: int


@dataclass(frozen=True, slots=True)
class Dim:
    """``m * ((symbol + p) // q) + r`` with ``0 <= p < q``; built by `dim`, which normalises."""

    symbol: Symbol
    m: int = 1
    p: int = 0
    q: int = 1
    r: int = 0

    def at(self, value: int) -> int:
        return self.m * ((value + self.p) // self.q) + self.r

    @property
    def default(self) -> int:
        return self.at(self.symbol.default)

    def __str__(self) -> str:
        inner = self.symbol.name if not self.p else f"({self.symbol.name} + {self.p})"
        if self.q != 1:
            inner = f"{inner}//{self.q}"
        if self.m != 1:
            inner = f"{self.m}*{inner}" if self.q == 1 else f"{self.m}*({inner})"
        return inner + (f" + {self.r}" if self.r > 0 else f" - {-self.r}" if self.r < 0 else "")


Size: TypeAlias = int | Dim
Shape: TypeAlias = tuple[Size, ...]


UNKNOWN: Shape = ()
"""The shape of a node that has errors or depends on one that has, in the graph of an incomplete network."""


class Inexpressible(Exception):
    """A size that the closed form cannot express; `dim` is the operand whose symbol must be pinned."""

    def __init__(self, dim: Dim) -> None:
        self.dim = dim
        super().__init__(str(dim))


class Pads(tuple[int, ...]):
    """Explicit pixels around a window op's input: those before it on each axis, then those after it."""

    __slots__ = ()

    @classmethod
    def of(cls, begins: Iterable[int], ends: Iterable[int]) -> Pads:
        return cls((*begins, *ends))

    @property
    def begins(self) -> tuple[int, ...]:
        return self[: len(self) // 2]

    @property
    def ends(self) -> tuple[int, ...]:
        return self[len(self) // 2 :]

    @property
    def even(self) -> bool:
        """Whether there is as much before as after, on each axis."""
        return self.begins == self.ends

    @property
    def sums(self) -> tuple[int, ...]:
        """The pixels before and after, for each axis."""
        return tuple(begin + end for begin, end in zip(self.begins, self.ends, strict=True))


def no_pads(axes: int) -> Pads:
    return Pads((0,) * (2 * axes))


LARGEST = 2**40
"""The largest number in a `Dim`: a thousand strides of 2 would make integers of a thousand bits."""


def dim(symbol: Symbol, m: int, p: int, q: int, r: int) -> Dim:
    """Return the normal form of ``m * ((symbol + p) // q) + r``: equal functions have equal normal forms.

    Raises `Inexpressible` if a number exceeds `LARGEST`.
    """
    r += m * (p // q)
    normal = Dim(symbol, m, p % q, q, r)
    if q > LARGEST or m > LARGEST or not -LARGEST < r < LARGEST:
        raise Inexpressible(normal)
    return normal


def plus(size: Size, number: int) -> Size:
    if isinstance(size, int):
        return size + number
    return dim(size.symbol, size.m, size.p, size.q, size.r + number)


def times(size: Size, number: int) -> Size:
    if isinstance(size, int):
        return size * number
    return dim(size.symbol, size.m * number, size.p, size.q, size.r * number)


def floordiv(size: Size, number: int) -> Size:
    """Return ``size // number``. Raises `Inexpressible` if a factor remains inside the floor."""
    if isinstance(size, int):
        return size // number
    shared = gcd(size.m, number)
    m, number, r = size.m // shared, number // shared, size.r // shared
    if number == 1:
        return Dim(size.symbol, m, size.p, size.q, r)
    if m != 1:
        raise Inexpressible(size)
    return dim(size.symbol, 1, size.p + r * size.q, size.q * number, 0)


def at(size: Size, values: Mapping[str, int] | None = None) -> int:
    """Evaluate a size at `values` (by symbol name), or at the symbol's default."""
    if isinstance(size, int):
        return size
    return size.at(values[size.symbol.name]) if values is not None else size.default


def concrete(shape: Shape, values: Mapping[str, int] | None = None) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else at(size, values) for size in shape)


def numel(shape: Iterable[Size]) -> int:
    return prod(at(size) for size in shape)


def format_shape(shape: Shape, symbolic: bool = False, batch: str | None = None, times: str = " x ") -> str:
    """Format as `64 x 56 x 56`, or with `symbolic` as `64 x (H + 3)//4 x (W + 3)//4`; `batch` comes first."""
    sizes = [str(s) if symbolic else str(at(s)) for s in shape]
    return times.join(([batch] if batch else []) + sizes)


def window(
    size: Size,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    pads: int = 0,
    end: int | None = None,
    ceil: bool = False,
) -> Size:
    """Return the number of windows that fit: the size after a convolution or pool along one axis.

    `pads` is the padding before the input, `end` (default `pads`) the padding after it. With `ceil` the last window may
    extend past the end but, as in PyTorch, must start inside the input or the padding before it. The result may be 0
    or negative; the caller rejects that. Source: Dumoulin and Visin 2016, relationship 6 (14 with dilation).
    """
    begin, end = pads, pads if end is None else end
    reach = dilation * (kernel - 1) + 1
    room = begin + end - reach
    if not ceil:
        return plus(floordiv(plus(size, room), stride), 1)
    # ceil(x / s) + 1 = (x + 2s - 1) // s; PyTorch limits it to ceil((size + begin) / s).
    return floordiv(plus(size, min(room + 2 * stride - 1, begin + stride - 1)), stride)


def same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's `same` padding along one axis: the output is ceil(size / stride), an odd pixel goes to the end."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


MAX_PERIOD = 1 << 16
"""The largest number of input sizes after which two sizes are compared again."""


@lru_cache(maxsize=256)
def from_on(small: Size, large: Size) -> tuple[Dim, int] | None:
    """Return the size of the input from which on ``small <= large``, as a lower bound; None: at every size.

    Raises `Inexpressible` if there is none, or none up to the default.
    """
    if isinstance(small, int):
        return (large, small) if isinstance(large, Dim) else None
    if isinstance(large, int) or small.symbol != large.symbol:
        raise Inexpressible(small)
    period = small.q * large.q // gcd(small.q, large.q)
    if period > MAX_PERIOD:
        raise Inexpressible(small)
    gaps = [large.at(s) - small.at(s) for s in range(period)]
    grows = large.at(period) - small.at(period) - gaps[0]
    if grows == 0 and min(gaps) >= 0:
        return None
    if grows <= 0:
        raise Inexpressible(small)
    # The gap of the sizes s, s + period, ... grows, and is large enough from some of them on.
    least = max(s - (gap // grows + 1) * period for s, gap in enumerate(gaps)) + 1
    if least > small.symbol.default:
        raise Inexpressible(small)
    return Dim(small.symbol), least


@lru_cache(maxsize=256)
def agree(a: Size, b: Size) -> tuple[int, int] | None:
    """Return for which inputs S two sizes are equal: `(step, residue)` means ``S % step == residue``, `(1, 0)` always.

    Only the residue class of the default is returned. None: the sizes differ at the default, their slopes differ, or
    only one of them depends on the input.
    """
    if a == b:
        return 1, 0
    if isinstance(a, int) or isinstance(b, int) or a.symbol != b.symbol:
        return None
    default = a.symbol.default
    if a.at(default) != b.at(default) or a.m * b.q != b.m * a.q:
        return None
    period = a.q * b.q // gcd(a.q, b.q)
    if period > MAX_PERIOD:
        return None
    for step in (d for d in range(1, period + 1) if period % d == 0):
        residue = default % step
        if all(a.at(s) == b.at(s) for s in range(residue + step, residue + step + period, step)):
            return step, residue
    return None
