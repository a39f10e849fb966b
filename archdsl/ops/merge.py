"""Several inputs become one: elementwise (add, sub, mul, div, maximum, minimum), and concat."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from archdsl.axes import axes_of, kind_of, listed
from archdsl.ops.base import POINT, Example, Free, Look, OpError, Window
from archdsl.shapes import Dim, Shape, Size, at, concrete, format_shape


class Merge(Free):
    """Base of the ops that read several nodes.

    `infer` compares sizes at their defaults: the elaborator turns sizes that are equal only for some input sizes into
    constraints.
    """

    mixed: ClassVar[str] = "E0405"
    """The code of the error for inputs with different numbers of axes."""
    arity: ClassVar[tuple[int, int | None]] = (2, None)
    look: ClassVar[Look] = "merge"

    @abstractmethod
    def joined(self, inputs: Sequence[Shape]) -> list[tuple[Size, Size]]:
        """Return the pairs of sizes that must be equal."""

    def _same_rank(self, inputs: Sequence[Shape]) -> None:
        kinds = {axes_of(shape): kind_of(shape) for shape in inputs}
        if len(kinds) > 1:
            raise OpError(
                self.mixed,
                f"`{self.name}` cannot join {listed([kind.noun for kind in kinds.values()])}",
                help="no op adds axes, and only `flatten` removes them: join vectors, or change an `input`",
            )


def _simplest(sizes: Sequence[Size]) -> Size:
    """Return the one with the simplest form, of sizes known to be equal."""
    return min(sizes, key=lambda s: 0 if isinstance(s, int) else s.q + (s.m - 1) * 1000 + 1)


class Elementwise(Merge):
    """Base of the merges that compute each output value from the values at its place in the inputs.

    Without broadcasting, the inputs have equal shapes. With it, one input has the full shape, which is the output's;
    on each axis, the channels too, the others have the same size or 1 (at every size of the network's input).
    """

    ordered: ClassVar[bool] = False
    """True: the first input has the full shape."""
    mixed: ClassVar[str] = "E0405"

    @property
    def spreads(self) -> bool:
        """Whether the op broadcasts."""
        return True

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return float(len(inputs))

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        self._same_rank(inputs)
        full = self.full(inputs)
        if full is None or (not self.spreads and len(set(map(concrete, inputs))) > 1):
            raise self._differ(inputs)
        return tuple(
            _simplest([size, *(s for s in self._bound(sizes) if at(s) == at(size))])
            for size, *sizes in zip(full, *inputs, strict=True)
        )

    def joined(self, inputs: Sequence[Shape]) -> list[tuple[Size, Size]]:
        full = self.full(inputs) or inputs[0]
        return [(size, s) for size, *sizes in zip(full, *inputs, strict=True) for s in self._bound(sizes)]

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        """An input that is broadcast has the same value at all pixels, so it does not move with them."""
        axes = list(zip(*inputs, strict=True))[1:]
        return None if any(1 in sizes and len({*sizes}) > 1 for sizes in axes) else POINT

    def full(self, inputs: Sequence[Shape]) -> Shape | None:
        """Return the input to whose shape the others can be broadcast, at the default size; None if there is none."""
        largest = _largest(inputs)
        whole = [shape for shape in (inputs[:1] if self.ordered else inputs) if concrete(shape) == largest]
        return max(whole, key=lambda shape: sum(isinstance(size, Dim) for size in shape), default=None)

    def _bound(self, sizes: Sequence[Size]) -> list[Size]:
        """Return the sizes of the inputs along an axis that must be that of the full shape."""
        return [size for size in sizes if not (self.spreads and size == 1)]

    def _differ(self, inputs: Sequence[Shape]) -> OpError:
        """The error for shapes that do not fit."""
        kind, largest = kind_of(inputs[0]), _largest(inputs)
        message = f"the {_count(inputs)} inputs of `{self.name}` have different shapes"
        if not self.spreads:
            help_ = f"{_changer(inputs)}; `concat` joins {'channels' if kind.sizes else 'them'} instead"
            if self.full(inputs) is not None:
                help_ = f"`{self.name} broadcast` repeats an input along the axes on which its size is 1"
            return OpError("E0412", message, help=help_)
        if largest is None:
            forms = f" ({kind.gate}, {kind.plane}, ...)" if kind.sizes else ""
            return OpError(
                "E0413", message, help=f"use equal shapes, or an input that has size 1 on the axes that differ{forms}"
            )
        shape = f"full shape, {format_shape(largest, batch='N')}"
        if self.ordered:
            return OpError(
                "E0413",
                f"the first input of `{self.name}` does not have the {shape}",
                help=f"the first input of `{self.name}` is not broadcast: write the larger input first",
            )
        return OpError(
            "E0413",
            f"no input of `{self.name}` has the {shape}",
            help="list an input of this shape too, along which the others are repeated",
        )


class _Optional(Elementwise):
    """Base of the elementwise merges that broadcast only with the word `broadcast`."""

    flags: ClassVar[dict[str, tuple[str, Any]]] = {"broadcast": ("broadcast", True)}
    mixed: ClassVar[str] = "E0412"

    broadcast: bool = Field(False, description="repeat an input along the axes on which its size is 1")

    @property
    def spreads(self) -> bool:
        return self.broadcast


class Add(_Optional):
    """Elementwise sum of two or more inputs.

    Shape: that of the inputs, which are all equal; with `broadcast`, that of the input with the full shape.
    Parameters: none.
    MACs: 0.
    Errors: E0412 inputs of different shapes or axes, E0413 shapes that cannot be broadcast.
    Source: He et al. 2015 (residual learning), arXiv 1512.03385.
    """

    name: ClassVar[str] = "add"
    example: ClassVar[Example] = Example("{a: 64x56x56, b: 64x56x56}", "add <- a, b")
    further: ClassVar[tuple[Example, ...]] = (Example("{a: 64x56x56, b: 64x1x1}", "add broadcast <- a, b"),)
    elsewhere: ClassVar[str] = "plus eltwise"
    sign: ClassVar[str] = "+"


class Sub(_Optional):
    """Elementwise difference: the first input minus the second.

    Shape: that of the inputs, which are equal; with `broadcast`, that of the first.
    Parameters: none.
    MACs: 0.
    Errors: E0412 inputs of different shapes or axes, E0413 shapes that cannot be broadcast.
    Source: Koch et al. 2015 (siamese networks).
    """

    name: ClassVar[str] = "sub"
    example: ClassVar[Example] = Example("{a: 64x56x56, b: 64x56x56}", "sub <- a, b")
    elsewhere: ClassVar[str] = "subtract minus"
    sign: ClassVar[str] = "\u2212"
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    ordered: ClassVar[bool] = True


class Mul(Elementwise):
    """Elementwise product of two or more inputs. A gate is broadcast: `C x 1 x 1`, `1 x H x W`, `C x 1 x W`, ...

    Shape: that of the input with the full shape; on each axis, the others have its size or 1.
    Parameters: none.
    MACs: 0.
    Errors: E0405 inputs with different axes, E0413 shapes that cannot be broadcast.
    Source: Hu et al. 2017 (squeeze and excitation), arXiv 1709.01507.
    """

    name: ClassVar[str] = "mul"
    example: ClassVar[Example] = Example("64x56x56", "mul <- input, gate", before="  gate: gap\n")
    elsewhere: ClassVar[str] = "multiply product times"
    sign: ClassVar[str] = "\u00d7"


class Div(Elementwise):
    """Elementwise quotient: the first input divided by the second, which may be broadcast.

    Shape: that of the first input; on each axis, the second has its size or 1.
    Parameters: none.
    MACs: 0.
    Errors: E0405 inputs with different axes, E0413 shapes that cannot be broadcast.
    Source: Woo et al. 2023 (global response normalisation), arXiv 2301.00808.
    """

    name: ClassVar[str] = "div"
    example: ClassVar[Example] = Example("64x56x56", "div <- input, size", before="  size: l2 space\n")
    elsewhere: ClassVar[str] = "divide"
    sign: ClassVar[str] = "\u00f7"
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    ordered: ClassVar[bool] = True


class _Extreme(_Optional):
    """Base of the elementwise maximum and minimum, which round nothing."""

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0


class Maximum(_Extreme):
    """Elementwise maximum of two or more inputs.

    Shape: that of the inputs, which are all equal; with `broadcast`, that of the input with the full shape.
    Parameters: none.
    MACs: 0.
    Errors: E0412 inputs of different shapes or axes, E0413 shapes that cannot be broadcast.
    Source: Goodfellow et al. 2013 (maxout), arXiv 1302.4389.
    """

    name: ClassVar[str] = "maximum"
    example: ClassVar[Example] = Example("{a: 64x56x56, b: 64x56x56}", "maximum <- a, b")
    elsewhere: ClassVar[str] = "maxout"
    sign: ClassVar[str] = "max"


class Minimum(_Extreme):
    """Elementwise minimum of two or more inputs.

    Shape: that of the inputs, which are all equal; with `broadcast`, that of the input with the full shape.
    Parameters: none.
    MACs: 0.
    Errors: E0412 inputs of different shapes or axes, E0413 shapes that cannot be broadcast.
    Source: numpy.minimum.
    """

    name: ClassVar[str] = "minimum"
    example: ClassVar[Example] = Example("{a: 64x56x56, b: 64x56x56}", "minimum <- a, b")
    elsewhere: ClassVar[str] = "min"
    sign: ClassVar[str] = "min"


class Concat(Merge):
    """Concatenation of the channels of all inputs, in the order in which they are written.

    Shape: `Ci x S -> sum(Ci) x S`; vectors likewise.
    Parameters: none.
    MACs: 0.
    Errors: E0405 inputs with different sizes or axes.
    Source: Szegedy et al. 2014 (Inception), arXiv 1409.4842; Huang et al. 2016 (DenseNet), arXiv 1608.06993.
    """

    name: ClassVar[str] = "concat"
    example: ClassVar[Example] = Example("{a: 64x28x28, b: 128x28x28}", "concat <- a, b")
    elsewhere: ClassVar[str] = "cat concatenate"

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        self._same_rank(inputs)
        sizes = kind_of(inputs[0]).sizes
        if len({tuple(map(at, shape[1:])) for shape in inputs}) > 1:
            raise OpError(
                "E0405",
                f"the {_count(inputs)} inputs of `concat` have different {' or '.join(f'{s}s' for s in sizes)}",
                help="`concat` joins channels: give all branches the same strides, and paddings that keep the size",
            )
        rest = (_simplest(sizes) for sizes in zip(*(shape[1:] for shape in inputs), strict=True))
        return (sum(at(shape[0]) for shape in inputs), *rest)

    def joined(self, inputs: Sequence[Shape]) -> list[tuple[Size, Size]]:
        return [pair for other in inputs[1:] for pair in zip(inputs[0][1:], other[1:], strict=True)]


def _largest(inputs: Sequence[Shape]) -> tuple[int, ...] | None:
    """Return the largest size of each axis at the default size; None if an input has another size that is not 1."""
    axes = list(zip(*map(concrete, inputs), strict=True))
    return None if any({*sizes} - {1, max(sizes)} for sizes in axes) else tuple(map(max, axes))


def _changer(inputs: Sequence[Shape]) -> str:
    """What makes the shapes of the inputs equal."""
    if not axes_of(inputs[0]):
        return "an `fc` changes the number of values"
    return f"a `{kind_of(inputs[0]).window(1)} conv` changes the channels, a stride or `upsample` the size"


def _count(inputs: Sequence[Shape]) -> str:
    return "two" if len(inputs) == 2 else str(len(inputs))
