"""Normalisations: bn (batch), gn (group), instancenorm, ln (layer, over the channels), lrn (local response)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archdsl.ops.base import (
    ONES,
    POINT,
    ZEROS,
    Example,
    Free,
    Look,
    Number,
    OpError,
    Param,
    Positive,
    Window,
    divisors,
    need_axes,
    whole,
)
from archdsl.shapes import Shape, Size, at, numel

Epsilon = Annotated[float, Field(gt=0, lt=1)]


class Norm(Free):
    """Base of the norms that subtract a mean and divide by a standard deviation: ``(x - mean) / std * weight + bias``.

    The rounding error of a value is relative to its terms, ``x / std * weight``, ``mean / std * weight`` and ``bias``,
    so `verify` adds it to them. An error added to the weights would be the same for a whole channel; one added to the
    inputs would miss what the subtraction loses, as the norm removes an offset of its input.
    """

    role: ClassVar[Literal["", "norm", "act"]] = "norm"
    look: ClassVar[Look] = "norm"

    def groups_of(self, channels: int) -> int | None:
        """Return the number of channel groups with a common mean over all pixels.

        None: each pixel has its own mean, or the means are tensors.
        """
        return None

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return POINT if self.groups_of(at(inputs[0][0])) is None else whole(inputs[0])


def two_pixels(shape: Shape) -> tuple[tuple[Size, int], ...]:
    """Return `Op.least` of a norm over single channels: the first axis with two pixels or more must keep two.

    It leaves out legal sizes, such as 1 x 16 beside 16 x 16: a `FreeSize` cannot say that either axis is enough.
    """
    return next((((size, 2),) for size in shape[1:] if at(size) > 1), ())


def scale_and_shift(channels: int) -> tuple[Param, ...]:
    """Return the learned tensors of a norm."""
    return Param("weight", (channels,), ONES), Param("bias", (channels,), ZEROS)


class Bn(Norm):
    """Batch normalisation: per channel, with the batch's statistics in training and running statistics at inference.

    Shape: unchanged. The input may be a vector.
    Parameters: `weight` and `bias` (C) if `affine`; buffers `running_mean`, `running_var` (C), `num_batches_tracked`.
    MACs: 0 (it can be folded into the convolution before it).
    Errors: none of its own.
    Source: Ioffe and Szegedy 2015, arXiv 1502.03167.
    """

    name: ClassVar[str] = "bn"
    example: ClassVar[Example] = Example("64x56x56", "bn eps=0.001")
    elsewhere: ClassVar[str] = "batchnorm batchnormalization"
    parametric: ClassVar[bool] = True

    eps: Epsilon = Field(1e-5, description="added to the variance; 1e-3 in Inception and in TensorFlow's networks")
    momentum: Annotated[float, Field(ge=0, le=1)] = Field(0.1, description="weight of the new batch in the statistics")
    affine: bool = Field(True, description="learned scale and shift")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 4.0

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        channels = at(inputs[0][0])
        return (
            *(scale_and_shift(channels) if self.affine else ()),
            Param("running_mean", (channels,), ZEROS, trained=False),
            Param("running_var", (channels,), ONES, trained=False),
            Param("num_batches_tracked", (), ZEROS, trained=False, dtype="int64"),
        )


class Gn(Norm):
    """Group normalisation: per sample, over the pixels and channels of each group.

    Shape: unchanged. The input may be a vector.
    Parameters: `weight`, `bias` (C) if `affine`.
    MACs: 0.
    Errors: E0403 groups that do not divide the channels, E0417 a group of one value.
    Source: Wu and He 2018, arXiv 1803.08494.
    """

    name: ClassVar[str] = "gn"
    example: ClassVar[Example] = Example("64x56x56", "gn 32")
    elsewhere: ClassVar[str] = "groupnorm groupnormalization"
    label: ClassVar[str] = "group norm"
    float32: ClassVar[bool] = True
    parametric: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("groups",)

    groups: Positive = Field(32, description="groups of channels")
    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: bool = Field(True, description="learned scale and shift")

    def groups_of(self, channels: int) -> int | None:
        return self.groups

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return numel(inputs[0]) / self.groups + 8

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        channels = at(inputs[0][0])
        if channels % self.groups:
            raise OpError(
                "E0403",
                f"{channels} channels cannot be divided into {self.groups} groups",
                field="groups",
                help=divisors(channels),
                shape=inputs[0],
            )
        if numel(inputs[0]) == self.groups:
            raise OpError(
                "E0417",
                f"each of the {self.groups} groups has one value, so the output would always be 0",
                field="groups",
                help="use fewer groups, or no norm here",
                shape=inputs[0],
            )
        return inputs[0]

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        return two_pixels(inputs[0]) if at(inputs[0][0]) == self.groups else ()

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        return scale_and_shift(at(inputs[0][0])) if self.affine else ()


class InstanceNorm(Norm):
    """Instance normalisation: per sample and channel, over the pixels.

    Shape: `C x S`, unchanged, of two pixels or more.
    Parameters: `weight`, `bias` (C) if `affine`.
    MACs: 0.
    Errors: E0401 a vector, E0417 one value per channel.
    Source: Ulyanov et al. 2016, arXiv 1607.08022.
    """

    name: ClassVar[str] = "instancenorm"
    example: ClassVar[Example] = Example("64x56x56", "instancenorm affine=true")
    elsewhere: ClassVar[str] = "instancenormalization"
    label: ClassVar[str] = "instance norm"
    float32: ClassVar[bool] = True
    parametric: ClassVar[bool] = True

    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: bool = Field(False, description="learned scale and shift")

    def groups_of(self, channels: int) -> int | None:
        return channels

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return numel(inputs[0]) / at(inputs[0][0]) + 8

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
        if numel(shape[1:]) == 1:
            raise OpError(
                "E0417",
                "`instancenorm` of one value per channel would always be 0",
                help="use a larger input, or no norm here",
                shape=shape,
            )
        return shape

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        return two_pixels(inputs[0])

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        return scale_and_shift(at(inputs[0][0])) if self.affine else ()


class Ln(Norm):
    """Layer normalisation over the channels, at each pixel.

    Shape: unchanged. The input may be a vector.
    Parameters: `weight`, `bias` (C) if `affine`.
    MACs: 0.
    Errors: E0417 one channel.
    Source: Ba et al. 2016, arXiv 1607.06450; per pixel: Liu et al. 2022 (ConvNeXt), arXiv 2201.03545.
    """

    name: ClassVar[str] = "ln"
    example: ClassVar[Example] = Example("96x56x56")
    elsewhere: ClassVar[str] = "layernorm layernormalization"
    label: ClassVar[str] = "layer norm"
    parametric: ClassVar[bool] = True

    eps: Epsilon = Field(1e-5, description="added to the variance")
    affine: bool = Field(True, description="learned scale and shift")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return at(inputs[0][0]) + 8.0

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        if at(inputs[0][0]) == 1:
            raise OpError("E0417", "`ln` of a single channel would always be 0", shape=inputs[0])
        return inputs[0]

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        return scale_and_shift(at(inputs[0][0])) if self.affine else ()


class Lrn(Free):
    """Local response normalisation across channels: ``x / (k + alpha/size * sum(x^2 of size channels))**beta``.

    Shape: `C x S`, unchanged.
    Parameters: none.
    MACs: 0.
    Errors: E0401 a vector.
    Source: Krizhevsky et al. 2012, section 3.3. The paper does not divide alpha by the size: its 1e-4 is 5e-4 here,
        as in Caffe, PyTorch and ONNX.
    """

    name: ClassVar[str] = "lrn"
    look: ClassVar[Look] = "norm"
    example: ClassVar[Example] = Example("96x27x27", "lrn size=5")
    elsewhere: ClassVar[str] = "localresponsenorm localresponsenormalization"
    label: ClassVar[str] = "LRN"
    float32: ClassVar[bool] = True
    role: ClassVar[Literal["", "norm", "act"]] = "norm"
    positional: ClassVar[tuple[str, ...]] = ("size",)

    size: Positive = Field(5, description="channels in the sum")
    alpha: Number = Field(1e-4, description="divided by the size")
    beta: Number = Field(0.75, description="exponent")
    k: Number = Field(1.0, description="constant in the sum; 2 in the AlexNet paper")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return self.size + 8.0

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        need_axes(self, inputs[0])
        return inputs[0]
