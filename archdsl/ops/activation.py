"""Activations: elementwise functions, and softmax over the channels."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from archdsl.ops.base import ErrorOf, Example, Free, Init, Look, Number, Param, Score
from archdsl.shapes import Shape, at


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
    """``min(max(x + 3, 0), 6) / 6``.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Howard et al. 2019 (MobileNetV3), arXiv 1905.02244, section 5.2.
    """

    name: ClassVar[str] = "hardsigmoid"
    elsewhere: ClassVar[str] = "hsigmoid"
    error_of: ClassVar[ErrorOf] = "one"


class Softmax(_Activation):
    """``exp(x_c) / sum(exp(x))`` over the channels, at each pixel.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Bridle 1990.
    """

    name: ClassVar[str] = "softmax"
    example: ClassVar[Example] = Example("1000")
    score: ClassVar[Score] = "probabilities"
    float32: ClassVar[bool] = True

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return at(inputs[0][0]) + 8.0
