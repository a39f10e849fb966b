"""Several inputs become one: add, mul, concat."""

from collections.abc import Sequence
from typing import ClassVar

from archdsl.axes import axes_of, kind_of, listed
from archdsl.ops.base import POINT, Example, Free, Look, OpError, Window
from archdsl.shapes import Dim, Inexpressible, Shape, Size, at


class Merge(Free):
    """Base of the ops that read several nodes.

    `infer` compares sizes at their defaults: the elaborator turns sizes that are equal only for some input sizes into
    constraints.
    """

    mixed: ClassVar[str] = "E0405"
    """The code of the error for inputs with different numbers of axes."""
    arity: ClassVar[tuple[int, int | None]] = (2, None)
    look: ClassVar[Look] = "merge"

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return float(len(inputs))

    def joined(self, inputs: Sequence[Shape]) -> list[tuple[Size, Size]]:
        """Return the pairs of sizes that must be equal."""
        first = inputs[0]
        return [pair for other in inputs[1:] for pair in zip(first, other, strict=True)]

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


class Add(Merge):
    """Elementwise sum, without broadcasting.

    Shape: that of the inputs, which are all equal.
    Parameters: none.
    MACs: 0.
    Errors: E0412 inputs of different shapes or axes.
    Source: He et al. 2015 (residual learning), arXiv 1512.03385.
    """

    name: ClassVar[str] = "add"
    example: ClassVar[Example] = Example("{a: 64x56x56, b: 64x56x56}", "add <- a, b")
    elsewhere: ClassVar[str] = "sum plus eltwise"
    sign: ClassVar[str] = "+"
    mixed: ClassVar[str] = "E0412"

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        self._same_rank(inputs)
        if len({tuple(map(at, shape)) for shape in inputs}) > 1:
            raise OpError(
                "E0412",
                f"the {_count(inputs)} inputs of `add` have different shapes",
                help=f"{_changer(inputs)}; `concat` joins {'channels' if axes_of(inputs[0]) else 'them'} instead",
            )
        return tuple(_simplest(sizes) for sizes in zip(*inputs, strict=True))


class Mul(Merge):
    """Elementwise product. An input of one pixel, a gate, is broadcast over all pixels.

    Shape: that of the largest input.
    Parameters: none.
    MACs: 0.
    Errors: E0405 inputs with different axes, E0413 inputs of different shapes that are not gates.
    Source: Hu et al. 2017 (squeeze and excitation), arXiv 1709.01507.
    """

    name: ClassVar[str] = "mul"
    example: ClassVar[Example] = Example("64x56x56", "mul <- input, gate", before="  gate: gap\n")
    elsewhere: ClassVar[str] = "multiply product times"
    sign: ClassVar[str] = "\u00d7"

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        self._same_rank(inputs)
        if len({at(shape[0]) for shape in inputs}) > 1 or len({tuple(map(at, s)) for s in inputs if not _gate(s)}) > 1:
            self._pin_gates(inputs)
            kind = kind_of(inputs[0])
            gate = f", or a gate of {kind.gate} with as many channels as the {kind.bare}"
            raise OpError(
                "E0413",
                f"the {_count(inputs)} inputs of `mul` have different shapes",
                help="use equal shapes" + (gate if kind.sizes else ""),
            )
        images = [shape for shape in inputs if not _gate(shape)] or [inputs[0]]
        return tuple(_simplest(sizes) for sizes in zip(*images, strict=True))

    def _pin_gates(self, inputs: Sequence[Shape]) -> None:
        """Raise `Inexpressible` for an input that is a gate at the default size only, which must be fixed then."""
        settled = [tuple(map(at, shape)) for shape in inputs]
        if len({s[0] for s in settled}) > 1 or len({s for s in settled if not _gate(s)}) > 1:
            return
        for shape, sizes in zip(inputs, settled, strict=True):
            for size in shape if _gate(sizes) else ():
                if isinstance(size, Dim):
                    raise Inexpressible(size)

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        """A gate that is broadcast has the same value at all pixels, so it does not move with them."""
        return None if len(set(map(_gate, inputs))) > 1 else POINT

    def joined(self, inputs: Sequence[Shape]) -> list[tuple[Size, Size]]:
        images = [shape for shape in inputs if not _gate(shape)]
        return super().joined(images) if images else []


class Concat(Merge):
    """Concatenation of the channels of all inputs.

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


def _gate(shape: Shape) -> bool:
    return axes_of(shape) > 0 and set(shape[1:]) == {1}


def _changer(inputs: Sequence[Shape]) -> str:
    """What makes the shapes of the inputs equal."""
    if not axes_of(inputs[0]):
        return "an `fc` changes the number of values"
    return f"a `{kind_of(inputs[0]).window(1)} conv` changes the channels, a stride or `upsample` the size"


def _count(inputs: Sequence[Shape]) -> str:
    return "two" if len(inputs) == 2 else str(len(inputs))
