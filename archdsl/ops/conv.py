"""Convolutions: conv, dwconv (one filter per channel), deconv (transposed)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from archdsl.ops.base import (
    MAX_SIZE,
    ZEROS,
    Example,
    Init,
    Look,
    Natural,
    Number,
    Op,
    OpError,
    Pair,
    Param,
    Positive,
    Reads,
    Sugar,
    Weighted,
    Window,
    divisors,
    need_image,
    need_windows,
    sliding,
)
from archdsl.shapes import Dim, Inexpressible, Pads, Shape, at, numel, plus, same_pads, times, window

MAX_FIXED = 1_000_000
"""The most values of a fixed weight; each is a Python object in memory."""
Padding: TypeAlias = Literal["same", "valid"] | Natural | tuple[Natural, Natural, Natural, Natural]
Numbers: TypeAlias = (
    tuple[Number, ...]
    | tuple[tuple[Number, ...], ...]
    | tuple[tuple[tuple[Number, ...], ...], ...]
    | tuple[tuple[tuple[tuple[Number, ...], ...], ...], ...]
)


def explicit_pads(
    padding: Padding, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Pads:
    """Return the padding in pixels.

    `same` with a stride depends on the size, so it raises `Inexpressible` for a symbolic size.
    """
    if padding == "valid":
        return Pads(0, 0, 0, 0)
    if isinstance(padding, int):
        return Pads(padding, padding, padding, padding)
    if isinstance(padding, tuple):
        return Pads(*padding)
    sides = []
    for axis in (0, 1):
        size = shape[axis + 1]
        if isinstance(size, Dim) and stride[axis] > 1:
            raise Inexpressible(size)
        sides.append(same_pads(at(size), kernel[axis], stride[axis], dilation[axis]))
    (top, bottom), (left, right) = sides
    return Pads(top, left, bottom, right)


def reach_of(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of a dilated window."""
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


class Conv(Weighted):
    """2-D convolution (cross-correlation, as in every framework).

    Shape: `C x H x W -> out x H' x W'`; by default an odd kernel is padded by `dilation*(k//2)`, which keeps the size
        at stride 1, and an even kernel is not padded.
    Parameters: `weight` (out, C/groups, kh, kw), `bias` (out); with `table`, `weight` (connections, kh, kw).
    MACs: out * H' * W' * C/groups * kh * kw; with `table`, connections * H' * W' * kh * kw.
    Errors: E0401 a vector, E0402 a window larger than its input, E0403 groups, E0404 a table or fixed weight
        that does not fit.
    Source: LeCun et al. 1998; groups: Krizhevsky et al. 2012; dilation: Yu and Koltun 2016.
    """

    name: ClassVar[str] = "conv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("3x224x224", "7x7 conv 64 /2")
    elsewhere: ClassVar[str] = "conv2d convolution convolution2d convolutional"
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"table": ("groups", "weight")}
    positional: ClassVar[tuple[str, ...]] = ("out",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {
        "bias": ("bias", True),
        "nobias": ("bias", False),
        "valid": ("pad", "valid"),
        "same": ("pad", "same"),
    }

    out: Positive = Field(description="number of filters")
    kernel: Pair = Field(description="height and width of the window")
    stride: Pair = Field((1, 1), description="step of the window")
    pad: Padding | None = Field(
        None, description="padding in pixels; `same` as in TensorFlow; [top, left, bottom, right]"
    )
    dilation: Pair = Field((1, 1), description="distance between the taps of the kernel")
    groups: Positive = Field(1, description="independent groups of channels")
    bias: bool | Number | tuple[Number, ...] = Field(
        True, description="learned (true), none (false), or fixed numbers; none by default if a norm follows"
    )
    weight: Numbers | None = Field(None, description="fixed values: the filter is not trained")
    table: tuple[tuple[Natural, ...], ...] | None = Field(None, description="input maps of each filter (LeNet-5's C3)")

    def pads(self, shape: Shape) -> Pads:
        """Return the padding in pixels for an input of this shape."""
        if self.pad is not None:
            return explicit_pads(self.pad, shape, self.kernel, self.stride, self.dilation)
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        ph = dh * (kh // 2) if kh % 2 else 0
        pw = dw * (kw // 2) if kw % 2 else 0
        return Pads(ph, pw, ph, pw)

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_image(self, shape)
        pads = self.pads(shape)
        height = window(shape[1], self.kernel[0], self.stride[0], self.dilation[0], pads.top, pads.bottom)
        width = window(shape[2], self.kernel[1], self.stride[1], self.dilation[1], pads.left, pads.right)
        output = (self.out, height, width)
        reach = reach_of(self.kernel, self.dilation)
        need_windows(self, shape, output, reach, (pads.top + pads.bottom, pads.left + pads.right))
        try:
            self._check_channels(at(shape[0]))
        except OpError as e:
            e.shape = output
            raise
        return output

    def _check_channels(self, channels: int) -> None:
        for number, what in ((channels, "input channels"), (self.out, "filters")):
            if number % self.groups:
                raise OpError(
                    "E0403",
                    f"{number} {what} cannot be divided into {self.groups} groups",
                    field="groups" if self.groups != 1 else None,
                    label=f"{number} / {self.groups} is not a whole number",
                    help="groups must divide both: " + divisors(channels, self.out),
                )
        if self.table is not None:
            self._check_table(channels)
        if self.weight is not None:
            self.fixed_weight(channels)
        if isinstance(self.bias, tuple) and len(self.bias) != self.out:
            raise OpError("E0404", f"{len(self.bias)} fixed biases for {self.out} filters", field="bias")

    def _check_table(self, channels: int) -> None:
        assert self.table is not None
        if self.groups != 1 or self.weight is not None:
            raise OpError("E0404", "`table` cannot be combined with `groups` or a fixed `weight`", field="table")
        if len(self.table) != self.out:
            raise OpError(
                "E0404",
                f"`table` has {len(self.table)} rows for {self.out} filters",
                field="table",
                help="write one list of input maps per filter",
            )
        for number, row in enumerate(self.table):
            if not row or len(set(row)) != len(row) or max(row) >= channels:
                raise OpError(
                    "E0404",
                    f"row {number} of `table` is {list(row)}; the input has maps 0 to {channels - 1}",
                    field="table",
                    help="each row must name at least one input map, and none twice",
                )

    def fixed_weight(self, channels: int) -> tuple[float, ...]:
        """Return the fixed weight, row by row, of shape (out, C/groups, kh, kw).

        A single kernel (kh, kw) is repeated for every filter and channel. Raises E0404 for any other shape.
        """
        shape = (self.out, channels // self.groups, *self.kernel)
        nested: Any = self.weight
        written = _nested_shape(nested)
        if written is None or written != shape[4 - len(written) :] or len(written) < 2:
            problem = "the rows of the fixed weight have different lengths; its shape"
            if written is not None:
                problem = f"the shape of the fixed weight is {' x '.join(map(str, written))}; it"
            raise OpError(
                "E0404",
                f"{problem} must be {' x '.join(map(str, shape))}",
                field="weight",
                help=f"or give only its last axes, {self.kernel[0]} x {self.kernel[1]}: the same kernel everywhere",
            )
        if numel(shape) > MAX_FIXED:
            raise OpError(
                "E0404",
                f"the fixed weight would have {numel(shape):,} values; at most {MAX_FIXED:,} are allowed",
                field="weight",
            )
        flat = list(_flatten(nested))
        return tuple(float(v) for v in flat) * (numel(shape) // len(flat))

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        channels = at(inputs[0][0])
        kh, kw = self.kernel
        fan_out = kh * kw * self.out // self.groups
        if self.table is not None:
            weight = Param("weight", (sum(map(len, self.table)), kh, kw), Init("kaiming", fan_out))
        else:
            shape = (self.out, channels // self.groups, kh, kw)
            if self.weight is not None:
                weight = Param("weight", shape, Init("data", value=self.fixed_weight(channels)), trained=False)
            else:
                weight = Param("weight", shape, Init("kaiming", fan_out))
        return (weight, *bias_param(self.bias, self.out))

    def padding(self, inputs: Sequence[Shape]) -> Pads:
        return self.pads(inputs[0])

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        pad = {"pad": tuple(self.pads(inputs[0]))} if self.pad is None else {}
        return super().resolved(inputs) | {"stride": self.stride} | pad

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        per_place = self.out * at(inputs[0][0]) // self.groups
        if self.table is not None:
            per_place = sum(map(len, self.table))
        return per_place * self.kernel[0] * self.kernel[1] * at(output[1]) * at(output[2])

    def window(self, inputs: Sequence[Shape]) -> Window:
        return sliding(reach_of(self.kernel, self.dilation), self.stride, self.pads(inputs[0]))


def bias_param(bias: bool | float | tuple[float, ...], out: int) -> tuple[Param, ...]:
    """Return the bias tensor for the value of the field `bias`: learned, none, or fixed."""
    if bias is True:
        return (Param("bias", (out,), ZEROS),)
    if bias is False:
        return ()
    if isinstance(bias, tuple):
        return (Param("bias", (out,), Init("data", value=tuple(float(b) for b in bias)), trained=False),)
    return (Param("bias", (out,), Init("constant", value=float(bias)), trained=False),)


def _nested_shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of nested tuples, or None if they are ragged."""
    if not isinstance(value, tuple):
        return ()
    inner = {_nested_shape(v) for v in value}
    if len(inner) != 1:
        return None
    (rest,) = inner
    return None if rest is None else (len(value), *rest)


def _flatten(value: Any) -> Any:
    if isinstance(value, tuple):
        for item in value:
            yield from _flatten(item)
    else:
        yield value


class DwConv(Sugar):
    """Depthwise convolution: every channel has its own filters. In the graph it becomes a `conv` with groups = C.

    Shape: `C x H x W -> C*multiplier x H' x W'`, padded as in `conv`.
    Parameters: `weight` (C*multiplier, 1, kh, kw), `bias` (C*multiplier).
    MACs: C*multiplier * H' * W' * kh * kw.
    Errors: as `conv`.
    Source: Howard et al. 2017 (MobileNets), arXiv 1704.04861.
    """

    name: ClassVar[str] = "dwconv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("32x112x112", "3x3 dwconv /2")
    elsewhere: ClassVar[str] = "depthwiseconv depthwiseconv2d depthwise separableconv2d"
    hint: ClassVar[str] = "it keeps the number of channels; a `1x1 conv` after it changes them"
    parametric: ClassVar[bool] = True
    flags: ClassVar[dict[str, tuple[str, Any]]] = Conv.flags

    kernel: Pair = Field(description="height and width of the window")
    stride: Pair = Field((1, 1), description="step of the window")
    pad: Padding | None = Field(
        None, description="padding in pixels; `same` as in TensorFlow; [top, left, bottom, right]"
    )
    dilation: Pair = Field((1, 1), description="distance between the taps of the kernel")
    multiplier: Positive = Field(1, description="filters per channel")
    bias: bool | Number | tuple[Number, ...] = Field(True, description="as in `conv`")
    weight: Numbers | None = Field(None, description="fixed values: the filter is not trained")

    def settle(self, inputs: Sequence[Shape]) -> Op:
        need_image(self, inputs[0])
        channels = at(inputs[0][0])
        if channels * self.multiplier > MAX_SIZE:
            raise OpError("E0403", f"{channels} channels times {self.multiplier} is too large", field="multiplier")
        return Conv(
            out=channels * self.multiplier,
            groups=channels,
            **{k: v for k, v in self.__dict__.items() if k != "multiplier"},
        )


class Deconv(Weighted):
    """Transposed convolution: the gradient of a convolution with respect to its input, used to upsample.

    Shape: `C x H x W -> out x stride*H x stride*W` by default; with `pad` p, `(H-1)*stride - 2p + dilation*(k-1) +
        extra + 1`. An even kernel with stride 1 is not cropped: `4x4 deconv` turns 1 x 1 into 4 x 4.
    Parameters: `weight` (C, out/groups, kh, kw), `bias` (out).
    MACs: C * H * W * out/groups * kh * kw.
    Errors: E0401 a vector, E0402 nothing left after cropping, E0403 groups, E0406 `extra` too large.
    Source: Dumoulin and Visin 2016, arXiv 1603.07285, chapter 4.
    """

    name: ClassVar[str] = "deconv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("64x28x28", "2x2 deconv 32 /2")
    elsewhere: ClassVar[str] = "convtranspose convtranspose2d conv2dtranspose transposedconv upconv"
    positional: ClassVar[tuple[str, ...]] = ("out",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"bias": ("bias", True), "nobias": ("bias", False)}

    out: Positive = Field(description="number of filters")
    kernel: Pair = Field(description="height and width of the window")
    stride: Pair = Field((1, 1), description="factor by which the size grows")
    pad: Annotated[int, Field(ge=0, le=MAX_SIZE)] | None = Field(None, description="pixels cropped on each side")
    extra: Natural | None = Field(None, description="rows and columns added at the end (output padding)")
    dilation: Pair = Field((1, 1), description="distance between the taps of the kernel")
    groups: Positive = Field(1, description="independent groups of channels")
    bias: bool = Field(True, description="learned bias; none by default if a norm follows")

    def crops(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return, per axis (height, width), the pixels cropped on each side and those added at the end."""
        out = []
        for kernel, stride, dilation in zip(self.kernel, self.stride, self.dilation, strict=True):
            surplus = dilation * (kernel - 1) + 1 - stride
            if self.pad is None and self.extra is None and surplus % 2 and max(stride, dilation) == 1:
                out.append((0, 0))  # no crop of both sides keeps the size
                continue
            pad = self.pad if self.pad is not None else max(0, (surplus + 1) // 2)
            extra = self.extra if self.extra is not None else (0 if self.pad is not None else 2 * pad - surplus)
            out.append((pad, extra))
        return out[0], out[1]

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_image(self, shape)
        for number, what in ((at(shape[0]), "input channels"), (self.out, "filters")):
            if number % self.groups:
                raise OpError(
                    "E0403",
                    f"{number} {what} cannot be divided into {self.groups} groups",
                    field="groups",
                    help="groups must divide both: " + divisors(at(shape[0]), self.out),
                )
        sizes = []
        for axis, (pad, extra) in enumerate(self.crops()):
            if extra and extra >= max(self.stride[axis], self.dilation[axis]):
                raise OpError(
                    "E0406", f"`extra` is {extra}; it must be less than the stride, {self.stride[axis]}", field="extra"
                )
            grow = self.dilation[axis] * (self.kernel[axis] - 1) + 1 - 2 * pad + extra - self.stride[axis]
            sizes.append(plus(times(shape[axis + 1], self.stride[axis]), grow))
        output = (self.out, sizes[0], sizes[1])
        if min(at(sizes[0]), at(sizes[1])) < 1:
            raise OpError("E0402", "cropping leaves nothing of the image", field="pad")
        return output

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        kh, kw = self.kernel
        shape = (at(inputs[0][0]), self.out // self.groups, kh, kw)
        return (
            Param("weight", shape, Init("kaiming", kh * kw * self.out // self.groups)),
            *bias_param(self.bias, self.out),
        )

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        high, wide = self.crops()
        crop = dict(zip(("pad", "extra"), high, strict=True)) if high == wide else {}
        return super().resolved(inputs) | {"stride": self.stride} | crop

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return numel(inputs[0]) * self.out // self.groups * self.kernel[0] * self.kernel[1]

    def window(self, inputs: Sequence[Shape]) -> Window:
        """The pixels n with ``n * stride`` under the flipped kernel; with a dilation, also those between them."""
        axes = zip(reach_of(self.kernel, self.dilation), self.stride, self.crops(), strict=True)
        high, wide = (Reads(1, stride, pad - reach + stride, pad) for reach, stride, (pad, _) in axes)
        return high, wide
