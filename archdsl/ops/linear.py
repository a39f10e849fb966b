"""Fully connected: fc (also at every pixel), and LeNet-5's radial basis functions."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator, Field

from archdsl.axes import axes_of, kind_of
from archdsl.ops.base import (
    Example,
    Init,
    Look,
    Number,
    Op,
    OpError,
    Param,
    PerAxis,
    Positive,
    Score,
    Weighted,
    need_axes,
)
from archdsl.ops.conv import bias_param
from archdsl.shapes import Shape, at, format_shape, numel


class Fc(Weighted):
    """Fully connected layer. Its input is flattened first, by a separate node; with kernel 1 it runs at every pixel.

    Shape: `features -> out`; with kernel 1 (`1x1 fc` on an image), `C x S -> out x S`.
    Parameters: `weight` (out, features), `bias` (out).
    MACs: features * out; with kernel 1, C * out * S.
    Errors: E0401 kernel 1 on a vector, E0408 a kernel other than 1.
    Source: Rosenblatt 1958.
    """

    name: ClassVar[str] = "fc"
    look: ClassVar[Look] = "fc"
    example: ClassVar[Example] = Example("512x7x7", "fc 4096")
    elsewhere: ClassVar[str] = "linear dense fullyconnected innerproduct gemm"
    positional: ClassVar[tuple[str, ...]] = ("out",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"bias": ("bias", True), "nobias": ("bias", False)}
    per_axis: ClassVar[tuple[str, ...]] = ("kernel",)

    out: Positive = Field(description="width: number of neurons")
    kernel: PerAxis | None = Field(None, description="1: the same layer at every pixel")
    bias: bool = Field(True, description="learned bias; none by default if a norm follows")

    def settle(self, inputs: Sequence[Shape]) -> Op:
        self._need_points()
        return super().settle(inputs)

    def _need_points(self) -> None:
        if self.kernel is not None and set(self.kernel) != {1}:
            raise OpError(
                "E0408",
                "an `fc` can only have a window of 1 on each axis (the same layer at every pixel)",
                field="kernel",
                help="use a `conv`, which has a window"
                + (f"; `{self.kernel[0]} * fc {self.out}` repeats the node" if not self.kernel[1:] else ""),
            )

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        if self.kernel is None:
            assert not axes_of(shape), "fc without its flatten"
            return (self.out,)
        self._need_points()
        need_axes(self, shape)
        return (self.out, *shape[1:])

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        features = at(inputs[0][0])
        return (Param("weight", (self.out, features), Init("uniform", features)), *bias_param(self.bias, self.out))

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return at(inputs[0][0]) * numel(output)


def _from_picture(value: Any) -> Any:
    """Turn pictures drawn side by side, with spaces between them, into one row of numbers each."""
    if not isinstance(value, str):
        return value
    lines = [line.split() for line in value.splitlines() if line.strip()]
    if set("".join(map("".join, lines))) - set("#."):
        raise ValueError("a picture consists of `#`, which is 1, and `.`, which is -1")
    if len({tuple(map(len, line)) for line in lines}) != 1:
        raise ValueError("all lines of a picture must have the same length")
    return tuple(tuple(1 if c == "#" else -1 for c in "".join(picture)) for picture in zip(*lines, strict=True))


Rows: TypeAlias = Annotated[
    tuple[tuple[Number, ...], ...],
    BeforeValidator(_from_picture, json_schema_input_type=str | tuple[tuple[float, ...], ...]),
]


class Rbf(Weighted):
    """Radial basis functions, LeNet-5's output: ``y_i = sum_j (x_j - w_ij)^2``, the squared distance to each centre.

    Shape: `features -> out`.
    Parameters: `weight` (out, features): learned, or a buffer if `centers` fixes it.
    MACs: features * out.
    Errors: E0401 an input with axes, E0404 centres of the wrong shape.
    Source: LeCun et al. 1998, section II.B, equation 7.
    """

    name: ClassVar[str] = "rbf"
    look: ClassVar[Look] = "fc"
    example: ClassVar[Example] = Example("84", "rbf 10")
    label: ClassVar[str] = "RBF"
    score: ClassVar[Score] = "distances"
    float32: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("out",)
    drawn: ClassVar[frozenset[str]] = frozenset(("centers",))

    out: Positive = Field(description="number of centres")
    centers: Rows | None = Field(
        None, description="fixed values, one row per centre; or a picture of each, side by side, `#` for 1, `.` for -1"
    )

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        if axes_of(shape):
            raise OpError(
                "E0401",
                f"`rbf` needs a vector, but its input is {kind_of(shape).noun} of {format_shape(shape)}",
                help="put `flatten` before it",
            )
        features = at(shape[0])
        if self.centers is not None:
            sizes = {len(row) for row in self.centers}
            if len(self.centers) != self.out or sizes != {features}:
                raise OpError(
                    "E0404",
                    f"`centers` must have {self.out} rows of {features} numbers",
                    field="centers",
                    label=f"{len(self.centers)} rows of {', '.join(map(str, sorted(sizes)))}",
                )
        return (self.out,)

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        features = at(inputs[0][0])
        if self.centers is None:
            return (Param("weight", (self.out, features), Init("uniform", features)),)
        flat = tuple(float(v) for row in self.centers for v in row)
        return (Param("weight", (self.out, features), Init("data", value=flat), trained=False),)

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return at(inputs[0][0]) * self.out
