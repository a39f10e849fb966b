"""Reductions over the channels or over space: mean, max, sum, l2."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from archdsl.ops.base import POINT, Example, Free, Look, Window, need_axes, whole
from archdsl.shapes import Shape, numel


class Reduction(Free):
    """Base of the reductions: one value for all channels of a pixel, or for all pixels of a channel."""

    look: ClassVar[Look] = "pool"
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"channels": ("over", "channels"), "space": ("over", "space")}

    over: Literal["channels", "space"] = Field(description="what is reduced: `channels` or `space`")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        if self.over == "channels":
            return (1, *shape[1:])
        need_axes(self, shape)
        return (shape[0], *(1 for _ in shape[1:]))

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return numel(inputs[0]) / numel(output) + 1

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return POINT if self.over == "channels" else whole(inputs[0])


class Mean(Reduction):
    """The mean over the channels or over space; `mean space` is `gap`.

    Shape: `C x S -> 1 x S`, or `C x S -> C x 1` with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 `space` of a vector.
    Source: Woo et al. 2018 (CBAM), arXiv 1807.06521, section 3.
    """

    name: ClassVar[str] = "mean"
    example: ClassVar[Example] = Example("64x56x56", "mean channels")
    elsewhere: ClassVar[str] = "reducemean"
    float32: ClassVar[bool] = True


class Max(Reduction):
    """The largest value over the channels or over space; `max space` is `gmp`.

    Shape: `C x S -> 1 x S`, or `C x S -> C x 1` with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 `space` of a vector.
    Source: Woo et al. 2018 (CBAM), arXiv 1807.06521, section 3.
    """

    name: ClassVar[str] = "max"
    example: ClassVar[Example] = Example("64x56x56", "max channels")
    elsewhere: ClassVar[str] = "reducemax amax"
    of_several: ClassVar[str] = "maximum"

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0


class Sum(Reduction):
    """The sum over the channels or over space.

    Shape: `C x S -> 1 x S`, or `C x S -> C x 1` with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 `space` of a vector.
    Source: Cao et al. 2019 (global context), arXiv 1904.11492.
    """

    name: ClassVar[str] = "sum"
    example: ClassVar[Example] = Example("64x56x56", "sum space")
    elsewhere: ClassVar[str] = "reducesum"
    of_several: ClassVar[str] = "add"
    float32: ClassVar[bool] = True


class L2(Reduction):
    """The square root of the sum of squares over the channels or over space.

    Shape: `C x S -> 1 x S`, or `C x S -> C x 1` with 1 on each axis.
    Parameters: none.
    MACs: 0.
    Errors: E0401 `space` of a vector.
    Source: Woo et al. 2023 (global response normalisation), arXiv 2301.00808.
    """

    name: ClassVar[str] = "l2"
    example: ClassVar[Example] = Example("64x56x56", "l2 space")
    elsewhere: ClassVar[str] = "reducel2 l2norm"
    label: ClassVar[str] = "L2 norm"
    float32: ClassVar[bool] = True
