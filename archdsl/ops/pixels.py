"""Ops that move pixels into channels and back: pixelshuffle, pixelunshuffle."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from archdsl.axes import axes_of, kind_of
from archdsl.ops.base import Exact, Example, Look, OpError, Positive, Reads, Window, need_axes
from archdsl.shapes import Shape, Size, at, floordiv, times


class _Pixels(Exact):
    """Base of the two ops, one of which undoes the other."""

    look: ClassVar[Look] = "other"
    label_values: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("scale",)

    scale: Positive = Field(description="factor of the sizes, the same on all axes")


class PixelShuffle(_Pixels):
    """Turns channels into pixels: channel `c*r^n + (i*r + j)` is the pixel (i, j) of each r x r square of channel c.

    Shape: `C*r^n x S -> C x r*S` on n axes; r is `scale`.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0403 channels that r^n does not divide.
    Source: Shi et al. 2016 (ESPCN), arXiv 1609.05158, section 3.2.
    """

    name: ClassVar[str] = "pixelshuffle"
    example: ClassVar[Example] = Example("64x28x28", "pixelshuffle 2")
    further: ClassVar[tuple[Example, ...]] = (Example("64x8x8x8", "pixelshuffle 2"),)
    elsewhere: ClassVar[str] = "subpixelconv subpixelupsample"
    label: ClassVar[str] = "pixel shuffle"

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        channels, *sizes = inputs[0]
        parts: int = self.scale ** axes_of(inputs[0])
        output = (max(at(channels) // parts, 1), *(times(size, self.scale) for size in sizes))
        if at(channels) % parts:
            raise OpError(
                "E0403",
                f"{at(channels)} channels cannot be divided into squares of {parts} pixels",
                field="scale",
                help=f"the number of channels must be a multiple of {parts}: put `conv {parts * 4} kernel=3` before it",
                shape=output,
            )
        return output

    def window(self, inputs: Sequence[Shape]) -> Window:
        return (Reads(per=self.scale),) * axes_of(inputs[0])


class PixelUnshuffle(_Pixels):
    """Turns pixels into channels: pixel (i, j) of each r x r square of channel c is channel `c*r^n + (i*r + j)`.

    Shape: `C x S -> C*r^n x S/r` on n axes; r is `scale`.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector, E0428 a size that r does not divide.
    Source: Shi et al. 2016 (ESPCN), arXiv 1609.05158, section 3.2: the inverse of its shuffle.
    """

    name: ClassVar[str] = "pixelunshuffle"
    example: ClassVar[Example] = Example("3x224x224", "pixelunshuffle 4")
    label: ClassVar[str] = "pixel unshuffle"

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        channels, *sizes = inputs[0]
        kind = kind_of(inputs[0])
        for size, noun in zip(sizes, kind.sizes, strict=True):
            if at(size) % self.scale:
                raise OpError(
                    "E0428",
                    f"the {noun} {at(size)} is not a multiple of {self.scale}",
                    field="scale",
                    label=f"squares of {self.scale} {kind.point}s on each axis",
                    help=f"use an input whose {noun} here is a multiple of {self.scale}, or `pad` it before this node",
                )
        return (at(channels) * self.scale ** len(sizes), *(floordiv(size, self.scale) for size in sizes))

    def multiples(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        return tuple((size, self.scale) for size in inputs[0][1:])

    def window(self, inputs: Sequence[Shape]) -> Window:
        return (Reads(step=self.scale, last=self.scale - 1),) * axes_of(inputs[0])
