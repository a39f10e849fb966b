"""Activations: elementwise functions, and softmax over channels or over space."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from archdsl.ops.base import (
    POINT,
    ErrorOf,
    Example,
    Free,
    Init,
    Look,
    Number,
    OpError,
    Param,
    Positive,
    Score,
    Window,
    divisors,
    need_axes,
    whole,
)
from archdsl.shapes import Shape, at, numel

Above0: TypeAlias = Annotated[Number, Field(gt=0)]


class _Activation(Free):
    """Base of the activations. Each value counts as a series of eight terms by default."""

    role: ClassVar[Literal["", "norm", "act"]] = "act"
    look: ClassVar[Look] = "act"
    example: ClassVar[Example] = Example()
    score: ClassVar[Score] = "scores"

    series: ClassVar[float] = 8.0
    """`terms` of one value."""

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return self.series


class Relu(_Activation):
    """``max(x, 0)``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Nair and Hinton 2010; Krizhevsky et al. 2012, section 3.1.
    """

    name: ClassVar[str] = "relu"
    series: ClassVar[float] = 0.0


class Relu6(_Activation):
    """``min(max(x, 0), 6)``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Krizhevsky 2010; Sandler et al. 2018 (MobileNetV2), arXiv 1801.04381.
    """

    name: ClassVar[str] = "relu6"
    series: ClassVar[float] = 0.0


class Clip(_Activation):
    """``min(max(x, low), high)``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: E0430 a lower limit that is not below the upper one.
    Source: Collobert 2004 (hard tanh, the limits -1 and 1).
    """

    name: ClassVar[str] = "clip"
    example: ClassVar[Example] = Example("64x56x56", "clip -1 1")
    elsewhere: ClassVar[str] = "hardtanh clamp"
    series: ClassVar[float] = 0.0
    positional: ClassVar[tuple[str, ...]] = ("low", "high")

    low: Number = Field(-1.0, description="smallest output")
    high: Number = Field(1.0, description="largest output")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.low >= self.high:
            raise OpError(
                "E0430",
                f"the lower limit {self.low:g} is not below the upper limit {self.high:g}",
                field="low" if "low" in self.model_fields_set else "high",
                help="the first number is the smallest output, the second the largest: `clip -1 1`",
                shape=inputs[0],
            )
        return inputs[0]


class Abs(_Activation):
    """``|x|``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Jarrett et al. 2009.
    """

    name: ClassVar[str] = "abs"
    elsewhere: ClassVar[str] = "absolute absval"
    series: ClassVar[float] = 0.0


class LeakyRelu(_Activation):
    """``x`` above 0, ``slope * x`` below.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Maas et al. 2013.
    """

    name: ClassVar[str] = "leaky_relu"
    example: ClassVar[Example] = Example("64x56x56", "leaky_relu 0.1")
    elsewhere: ClassVar[str] = "leakyrelu lrelu"
    label: ClassVar[str] = "leaky ReLU"
    series: ClassVar[float] = 1.0
    positional: ClassVar[tuple[str, ...]] = ("slope",)

    slope: Number = Field(0.01, description="slope below 0")


class PRelu(_Activation):
    """``x`` above 0, ``weight * x`` below, with a learned weight.

    Shape: unchanged.
    Parameters: `weight` (C), or (1) if `shared`.
    MACs: 0.
    Errors: none.
    Source: He et al. 2015, arXiv 1502.01852.
    """

    name: ClassVar[str] = "prelu"
    series: ClassVar[float] = 1.0
    parametric: ClassVar[bool] = True
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"shared": ("shared", True)}

    shared: bool = Field(False, description="one slope for all channels")

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        return (Param("weight", (1 if self.shared else at(inputs[0][0]),), Init("constant", value=0.25)),)


class Elu(_Activation):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Clevert et al. 2015, arXiv 1511.07289.
    """

    name: ClassVar[str] = "elu"
    example: ClassVar[Example] = Example("64x56x56", "elu 1.0")
    error_of: ClassVar[ErrorOf] = "one"
    positional: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: Number = Field(1.0, description="the output approaches -alpha for large negative inputs")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return self.series * max(1.0, self.alpha) ** 2  # `alpha` multiplies a difference from 1


class Selu(_Activation):
    """``1.0507 * x`` above 0, ``1.0507 * 1.67326 * (exp(x) - 1)`` below, with the constants of the paper.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Klambauer et al. 2017, arXiv 1706.02515.
    """

    name: ClassVar[str] = "selu"
    error_of: ClassVar[ErrorOf] = "one"


class Celu(_Activation):
    """``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Barron 2017, arXiv 1704.07483.
    """

    name: ClassVar[str] = "celu"
    example: ClassVar[Example] = Example("64x56x56", "celu 0.5")
    error_of: ClassVar[ErrorOf] = "one"
    float32: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: Above0 = Field(1.0, description="the output approaches -alpha for large negative inputs")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return self.series * max(1.0, self.alpha) ** 2  # `alpha` multiplies a difference from 1


class Softplus(_Activation):
    """``log(1 + exp(beta * x)) / beta``, and ``x`` itself where ``beta * x`` is above `threshold`.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Dugas et al. 2001.
    """

    name: ClassVar[str] = "softplus"
    error_of: ClassVar[ErrorOf] = "one"
    float32: ClassVar[bool] = True

    beta: Above0 = Field(1.0, description="sharpness of the bend at 0")
    threshold: Annotated[Number, Field(le=80)] = Field(
        20.0, description="where the function continues as a straight line"
    )


class Softsign(_Activation):
    """``x / (1 + |x|)``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Bergstra et al. 2009; Glorot and Bengio 2010.
    """

    name: ClassVar[str] = "softsign"


class Tanh(_Activation):
    """Hyperbolic tangent.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: LeCun et al. 1989.
    """

    name: ClassVar[str] = "tanh"


class ScaledTanh(_Activation):
    """``a * tanh(s * x)``; LeNet-5 has a = 1.7159 and s = 2/3.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: LeCun et al. 1998, appendix A.
    """

    name: ClassVar[str] = "scaled_tanh"

    a: Number = Field(1.7159, description="amplitude")
    s: Number = Field(2 / 3, description="slope at the origin")


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Rumelhart et al. 1986.
    """

    name: ClassVar[str] = "sigmoid"
    error_of: ClassVar[ErrorOf] = "one"


class Silu(_Activation):
    """``x * sigmoid(x)``, also called swish.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Elfwing et al. 2017, arXiv 1702.03118; Ramachandran et al. 2017, arXiv 1710.05941.
    """

    name: ClassVar[str] = "silu"
    elsewhere: ClassVar[str] = "swish"
    error_of: ClassVar[ErrorOf] = "input"


class Mish(_Activation):
    """``x * tanh(log(1 + exp(x)))``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Misra 2019, arXiv 1908.08681.
    """

    name: ClassVar[str] = "mish"
    series: ClassVar[float] = 24.0
    error_of: ClassVar[ErrorOf] = "input"


class Gelu(_Activation):
    """``x * Phi(x)`` with the normal distribution's Phi, exact or as its tanh approximation.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.
    """

    name: ClassVar[str] = "gelu"
    series: ClassVar[float] = 16.0  # erf by a formula with an error of 1.5e-7 (Abramowitz and Stegun 7.1.26)
    error_of: ClassVar[ErrorOf] = "input"

    approximate: bool = Field(False, description="use the tanh approximation")


class HardSwish(_Activation):
    """``x * min(max(x + 3, 0), 6) / 6``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Howard et al. 2019 (MobileNetV3), arXiv 1905.02244, section 5.2.
    """

    name: ClassVar[str] = "hardswish"
    elsewhere: ClassVar[str] = "hswish"
    error_of: ClassVar[ErrorOf] = "input"


class HardSigmoid(_Activation):
    """``min(max(alpha * x + beta, 0), 1)``; by default ``min(max(x + 3, 0), 6) / 6``. Keras has alpha = 0.2.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Howard et al. 2019 (MobileNetV3), arXiv 1905.02244, section 5.2.
    """

    name: ClassVar[str] = "hardsigmoid"
    elsewhere: ClassVar[str] = "hsigmoid"
    error_of: ClassVar[ErrorOf] = "one"

    alpha: Number = Field(1 / 6, description="slope")
    beta: Number = Field(0.5, description="value at 0")


class Softmax(_Activation):
    """``exp(x_c) / sum(exp(x))`` over the channels, at each pixel. `groups` divides the channels into groups, each with
    a softmax of its own. `parts` divides the channels, or those of each group, into equal parts, and the sums are over
    the values at the same place of all parts. With `space`, the sums are over the pixels of each channel.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: E0401 `space` of a vector, E0403 channels that `groups` and `parts` do not divide, E0407 `space` with
        `groups` or `parts`.
    Source: Bridle 1990; parts: Li et al. 2019 (selective kernels), arXiv 1903.06586.
    """

    name: ClassVar[str] = "softmax"
    example: ClassVar[Example] = Example("1000")
    score: ClassVar[Score] = "probabilities"
    further: ClassVar[tuple[Example, ...]] = (Example("64x1x1", "softmax parts=2"), Example("1x28x28", "softmax space"))
    float32: ClassVar[bool] = True
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"space": ("space", True)}
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"space": ("groups", "parts")}

    groups: Positive = Field(1, description="number of groups of channels, each with its own softmax")
    parts: Positive | None = Field(None, description="number of parts of a group of channels that are weighed")
    space: bool = Field(False, description="over the pixels of each channel")

    @property
    def plain(self) -> bool:
        """Whether it is over all channels."""
        return not self.space and self.groups == 1 and self.parts is None

    def parts_of(self, channels: int) -> int:
        """Return how many values of a group are weighed: all, unless `parts` is set."""
        return self.parts or channels // self.groups

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        channels = at(inputs[0][0])
        if self.space:
            for name in self.excludes["space"]:
                if name in self.explicit():
                    raise OpError("E0407", f"a softmax over space cannot have `{name}`", field=name)
            need_axes(self, inputs[0])
        elif channels % (self.groups * (self.parts or 1)):
            name = "parts" if self.parts else "groups"
            product = f"{self.groups} groups of {self.parts} parts" if self.parts else f"{self.groups} groups"
            raise OpError(
                "E0403",
                f"{channels} channels cannot be divided into {product}",
                field=name,
                shape=inputs[0],
                help=divisors(channels),
            )
        return inputs[0]

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        channels = at(inputs[0][0])
        return (numel(inputs[0]) / channels if self.space else self.parts_of(channels)) + 8.0

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        return whole(inputs[0]) if self.space else POINT


class LogSoftmax(_Activation):
    """``x_c - log(sum(exp(x)))`` over the channels, at each pixel.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Bridle 1990: the logarithm of its softmax.
    """

    name: ClassVar[str] = "log_softmax"
    example: ClassVar[Example] = Example("1000")
    elsewhere: ClassVar[str] = "logsoftmax"
    score: ClassVar[Score] = "logits"
    error_of: ClassVar[ErrorOf] = "one"
    float32: ClassVar[bool] = True

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return at(inputs[0][0]) + 8.0
