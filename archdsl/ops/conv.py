"""Convolutions: conv, dwconv (one filter per channel), deconv (transposed)."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from archdsl.axes import KINDS
from archdsl.diagnostics import Proposal
from archdsl.ops.base import (
    ALL_ONE,
    MAX_SIZE,
    ONES,
    PER_SIDE,
    ZEROS,
    Example,
    Init,
    Look,
    Natural,
    Number,
    Op,
    OpError,
    Param,
    PerAxis,
    Positive,
    Reads,
    Sugar,
    Weighted,
    Window,
    divisors,
    need_axes,
    need_windows,
    sliding,
)
from archdsl.shapes import (
    Dim,
    Inexpressible,
    Pads,
    Shape,
    at,
    format_shape,
    no_pads,
    numel,
    plus,
    same_pads,
    times,
    window,
)

MAX_FIXED = 1_000_000
"""The most values of a fixed weight; each is a Python object in memory."""
Padding: TypeAlias = Literal["same", "valid"] | Natural | Annotated[tuple[Natural, ...], PER_SIDE]
"""A word, one number for all sides, or one for each: those before all axes, then those after them."""
Epsilon: TypeAlias = Annotated[Number, Field(gt=0)]
Numbers: TypeAlias = (
    tuple[Number, ...]
    | tuple[tuple[Number, ...], ...]
    | tuple[tuple[tuple[Number, ...], ...], ...]
    | tuple[tuple[tuple[tuple[Number, ...], ...], ...], ...]
    | tuple[tuple[tuple[tuple[tuple[Number, ...], ...], ...], ...], ...]
)


def explicit_pads(
    padding: Padding, shape: Shape, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Pads:
    """Return the padding in pixels.

    `same` with a stride depends on the size, so it raises `Inexpressible` for a symbolic size.
    """
    if padding == "valid":
        return no_pads(len(kernel))
    if isinstance(padding, int):
        return Pads((padding,) * (2 * len(kernel)))
    if isinstance(padding, tuple):
        return Pads(padding)
    sides = []
    for size, taps, step, apart in zip(shape[1:], kernel, stride, dilation, strict=True):
        if isinstance(size, Dim) and step > 1:
            raise Inexpressible(size)
        sides.append(same_pads(at(size), taps, step, apart))
    return Pads.of(*zip(*sides, strict=True))


def reach_of(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Return the size of a dilated window along each axis."""
    return tuple(apart * (taps - 1) + 1 for taps, apart in zip(kernel, dilation, strict=True))


class Conv(Weighted):
    """Convolution (cross-correlation, as in every framework), along all axes of its input.

    Shape: `C x S -> out x S'`; by default an odd kernel k is padded by `dilation*(k//2)`, which keeps the size at
        stride 1, and an even kernel is not padded.
    Parameters: `weight` (out, C/groups, K), `bias` (out); with `table`, `weight` (connections, K); with `gain`,
        also `gain` (out, 1, ..., 1). `standardized` computes with (w - mean) / sqrt(var + eps) of each filter, and
        `gain=g` with that times g / sqrt(C/groups * K) times the learned gain.
    MACs: out * S' * C/groups * K; with `table`, connections * S' * K.
    Errors: E0401 a vector, E0402 a window larger than its input, E0403 groups, E0404 a table or fixed weight
        that does not fit, or filters that cannot be standardized.
    Source: LeCun et al. 1998; groups: Krizhevsky et al. 2012; dilation: Yu and Koltun 2016; standardized: Qiao et
        al. 2019, arXiv 1903.10520; `gain`: Brock et al. 2021, arXiv 2101.08692.
    """

    name: ClassVar[str] = "conv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("3x224x224", "7x7 conv 64 /2")
    further: ClassVar[tuple[Example, ...]] = (
        Example("12x5000", "15 conv 64 /2"),
        Example("1x96x96x96", "3x3x3 conv 64 /1x2x2"),
        Example("3x224x224", "3x3 conv 64 standardized gain=1.7"),
    )
    elsewhere: ClassVar[str] = "convolution convolutional"
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "table": ("groups", "weight", "standardize", "gain"),
        "weight": ("standardize", "gain"),
    }
    positional: ClassVar[tuple[str, ...]] = ("out",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {
        "bias": ("bias", True),
        "nobias": ("bias", False),
        "valid": ("pad", "valid"),
        "same": ("pad", "same"),
        "standardized": ("standardize", 1e-6),
    }
    per_axis: ClassVar[tuple[str, ...]] = ("kernel", "stride", "dilation")
    per_side: ClassVar[tuple[str, ...]] = ("pad",)

    out: Positive = Field(description="number of filters")
    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis = Field(ALL_ONE, description="step of the window")
    pad: Padding | None = Field(
        None,
        description="padding in pixels, one number or those before all axes, then those after; `same` as TensorFlow",
    )
    dilation: PerAxis = Field(ALL_ONE, description="distance between the taps of the kernel")
    groups: Positive = Field(1, description="independent groups of channels")
    bias: bool | Number | tuple[Number, ...] = Field(
        True, description="learned (true), none (false), or fixed numbers; none by default if a norm follows"
    )
    weight: Numbers | None = Field(None, description="fixed values: the filter is not trained")
    table: tuple[tuple[Natural, ...], ...] | None = Field(None, description="input maps of each filter (LeNet-5's C3)")
    standardize: Epsilon | None = Field(
        None, description="computes with standardized filters; the number is added to their variance"
    )
    gain: Number | None = Field(None, description="factor of standardized filters, which also have a learned gain")

    def pads(self, shape: Shape) -> Pads:
        """Return the padding in pixels for an input of this shape."""
        if self.pad is not None:
            return explicit_pads(self.pad, shape, self.kernel, self.stride, self.dilation)
        sides = [apart * (k // 2) if k % 2 else 0 for k, apart in zip(self.kernel, self.dilation, strict=True)]
        return Pads.of(sides, sides)

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
        pads = self.pads(shape)
        axes = zip(shape[1:], self.kernel, self.stride, self.dilation, pads.begins, pads.ends, strict=True)
        output = (self.out, *(window(*axis) for axis in axes))
        need_windows(self, shape, output, reach_of(self.kernel, self.dilation), pads.sums)
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
        self._check_standardized(channels)
        if isinstance(self.bias, tuple) and len(self.bias) != self.out:
            raise OpError("E0404", f"{len(self.bias)} fixed biases for {self.out} filters", field="bias")

    def _check_standardized(self, channels: int) -> None:
        if self.standardize is None:
            if self.gain is not None:
                help_ = f"add the word: `standardized gain={self.gain:g}`"
                raise OpError("E0404", "`gain` is a factor of standardized filters", field="gain", help=help_)
            return
        fixed = "weight" if self.weight is not None else "table" if self.table is not None else ""
        if fixed or not isinstance(self.bias, bool):
            fixed = fixed or "a fixed bias"
            raise OpError("E0404", f"`standardize` cannot be combined with {fixed}", field="standardize")
        if channels // self.groups * prod(self.kernel) == 1:
            raise OpError(
                "E0404",
                "a filter with a single value cannot be standardized: it would be 0",
                field="standardize",
                help="use a larger kernel or fewer groups, or do not standardize this filter",
            )

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
        """Return the fixed weight, row by row, of shape (out, C/groups, *kernel).

        A single kernel is repeated for every filter and channel. Raises E0404 for any other shape.
        """
        shape = (self.out, channels // self.groups, *self.kernel)
        nested: Any = self.weight
        written = _nested_shape(nested)
        if written is None or written != shape[len(shape) - len(written) :] or len(written) < len(self.kernel):
            problem = "the rows of the fixed weight have different lengths; its shape"
            if written is not None:
                problem = f"the shape of the fixed weight is {' x '.join(map(str, written))}; it"
            raise OpError(
                "E0404",
                f"{problem} must be {' x '.join(map(str, shape))}",
                field="weight",
                help=f"or give only its last axes, {' x '.join(map(str, self.kernel))}: the same kernel everywhere",
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
        fan_out = prod(self.kernel) * self.out // self.groups
        if self.table is not None:
            weight = Param("weight", (sum(map(len, self.table)), *self.kernel), Init("kaiming", fan_out))
        else:
            shape = (self.out, channels // self.groups, *self.kernel)
            if self.weight is not None:
                weight = Param("weight", shape, Init("data", value=self.fixed_weight(channels)), trained=False)
            else:
                weight = Param("weight", shape, Init("kaiming", fan_out))
        gain = (Param("gain", (self.out, *[1] * (len(weight.shape) - 1)), ONES),) if self.gain is not None else ()
        return (weight, *bias_param(self.bias, self.out), *gain)

    def gain_factor(self, inputs: Sequence[Shape]) -> float:
        """Return the factor of standardized filters: `gain` divided by the root of the number of their values, or 1."""
        values = at(inputs[0][0]) // self.groups * prod(self.kernel)
        return 1.0 if self.gain is None else self.gain * float(values**-0.5)

    def padding(self, inputs: Sequence[Shape]) -> Pads:
        return self.pads(inputs[0])

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        pad = {"pad": tuple(self.pads(inputs[0]))} if self.pad is None else {}
        return super().resolved(inputs) | {"stride": self.stride} | pad

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        per_place = self.out * at(inputs[0][0]) // self.groups
        if self.table is not None:
            per_place = sum(map(len, self.table))
        return per_place * prod(self.kernel) * numel(output[1:])

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

    Shape: `C x S -> C*multiplier x S'`, padded as in `conv`.
    Parameters: `weight` (C*multiplier, 1, K), `bias` (C*multiplier), `gain` as in `conv`.
    MACs: C*multiplier * S' * K.
    Errors: as `conv`.
    Source: Howard et al. 2017 (MobileNets), arXiv 1704.04861.
    """

    name: ClassVar[str] = "dwconv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("32x112x112", "3x3 dwconv /2")
    elsewhere: ClassVar[str] = "depthwiseconv depthwise separableconv"
    hint: ClassVar[str] = "it keeps the number of channels; a `conv` with `kernel=1` after it changes them"
    parametric: ClassVar[bool] = True
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight": ("standardize", "gain")}
    flags: ClassVar[dict[str, tuple[str, Any]]] = Conv.flags
    per_axis: ClassVar[tuple[str, ...]] = Conv.per_axis
    per_side: ClassVar[tuple[str, ...]] = Conv.per_side

    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis = Field(ALL_ONE, description="step of the window")
    pad: Padding | None = Field(
        None,
        description="padding in pixels, one number or those before all axes, then those after; `same` as TensorFlow",
    )
    dilation: PerAxis = Field(ALL_ONE, description="distance between the taps of the kernel")
    multiplier: Positive = Field(1, description="filters per channel")
    bias: bool | Number | tuple[Number, ...] = Field(True, description="as in `conv`")
    weight: Numbers | None = Field(None, description="fixed values: the filter is not trained")
    standardize: Epsilon | None = Field(None, description="as in `conv`")
    gain: Number | None = Field(None, description="as in `conv`")

    def settle(self, inputs: Sequence[Shape]) -> Op:
        need_axes(self, inputs[0])
        settled = super().settle(inputs)
        channels = at(inputs[0][0])
        if channels * self.multiplier > MAX_SIZE:
            raise OpError("E0403", f"{channels} channels times {self.multiplier} is too large", field="multiplier")
        return Conv(
            out=channels * self.multiplier,
            groups=channels,
            **{k: v for k, v in settled.__dict__.items() if k != "multiplier"},
        )


class ChannelConv(Weighted):
    """Convolution along the channels with one filter, the same at each pixel, padded with zeros so that C is kept.

    Shape: unchanged.
    Parameters: `weight` (1, 1, size), `bias` (1).
    MACs: C * S * size.
    Errors: E0404 an even size.
    Source: Wang et al. 2020 (ECA-Net), arXiv 1910.03151, section 3.2.
    """

    name: ClassVar[str] = "channelconv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("64x1x1", "channelconv 5 nobias sigmoid")
    label: ClassVar[str] = "channel conv"
    label_values: ClassVar[bool] = True
    hint: ClassVar[str] = "its size is the number of neighbouring channels: `channelconv 5`"
    positional: ClassVar[tuple[str, ...]] = ("size",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"bias": ("bias", True), "nobias": ("bias", False)}

    size: Positive = Field(description="number of channels that an output reads, an odd number")
    bias: bool = Field(True, description="learned bias; none by default if a norm follows")

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.size % 2 == 0:
            raise OpError(
                "E0404",
                f"`channelconv` needs an odd number of channels, not {self.size}: an output is in the middle of them",
                field="size",
                help=f"write `channelconv {self.size + 1}`, or `channelconv {self.size - 1}`",
                shape=inputs[0],
            )
        return inputs[0]

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        return (Param("weight", (1, 1, self.size), Init("kaiming", self.size)), *bias_param(self.bias, 1))

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return numel(output) * self.size


class Deconv(Weighted):
    """Transposed convolution: the gradient of a convolution with respect to its input, used to upsample.

    Shape: `C x S -> out x stride*S` by default; with `pad` p, `(S-1)*stride - 2p + dilation*(k-1) + extra + 1`. An
        even kernel with stride 1 is not cropped: `4x4 deconv` turns 1 x 1 into 4 x 4.
    Parameters: `weight` (C, out/groups, K), `bias` (out).
    MACs: C * S * out/groups * K.
    Errors: E0401 a vector, E0402 nothing left after cropping, E0403 groups, E0406 `extra` too large.
    Source: Dumoulin and Visin 2016, arXiv 1603.07285, chapter 4.
    """

    name: ClassVar[str] = "deconv"
    look: ClassVar[Look] = "conv"
    example: ClassVar[Example] = Example("64x28x28", "2x2 deconv 32 /2")
    elsewhere: ClassVar[str] = "convtranspose transposedconv upconv"
    positional: ClassVar[tuple[str, ...]] = ("out",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"bias": ("bias", True), "nobias": ("bias", False)}
    per_axis: ClassVar[tuple[str, ...]] = ("kernel", "stride", "dilation")

    out: Positive = Field(description="number of filters")
    kernel: PerAxis = Field(description="size of the window, one for all axes or one for each")
    stride: PerAxis = Field(ALL_ONE, description="factor by which the size grows")
    pad: Annotated[int, Field(ge=0, le=MAX_SIZE)] | None = Field(None, description="pixels cropped on each side")
    extra: Natural | None = Field(None, description="pixels added at the end of each axis (output padding)")
    dilation: PerAxis = Field(ALL_ONE, description="distance between the taps of the kernel")
    groups: Positive = Field(1, description="independent groups of channels")
    bias: bool = Field(True, description="learned bias; none by default if a norm follows")

    def crops(self) -> tuple[tuple[int, int], ...]:
        """Return, for each axis, the pixels cropped on each side and those added at the end."""
        out = []
        for kernel, stride, dilation in zip(self.kernel, self.stride, self.dilation, strict=True):
            surplus = dilation * (kernel - 1) + 1 - stride
            if self.pad is None and self.extra is None and surplus % 2 and max(stride, dilation) == 1:
                out.append((0, 0))  # no crop of both sides keeps the size
                continue
            pad = self.pad if self.pad is not None else max(0, (surplus + 1) // 2)
            extra = self.extra if self.extra is not None else (0 if self.pad is not None else 2 * pad - surplus)
            out.append((pad, extra))
        return tuple(out)

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        (shape,) = inputs
        need_axes(self, shape)
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
                raise self._too_much(axis, extra)
            grow = self.dilation[axis] * (self.kernel[axis] - 1) + 1 - 2 * pad + extra - self.stride[axis]
            sizes.append(plus(times(shape[axis + 1], self.stride[axis]), grow))
        if min(map(at, sizes)) < 1:
            help_ = "`pad` crops each side of the output: write a smaller one, or leave it out"
            raise OpError("E0402", f"cropping leaves nothing of {format_shape(shape)}", field="pad", help=help_)
        return (self.out, *sizes)

    def _too_much(self, axis: int, extra: int) -> OpError:
        most = min(map(max, self.stride, self.dilation)) - 1
        where = f" along the {KINDS[len(self.stride)].sizes[axis]}" if len(set(self.stride)) > 1 else ""
        if most:
            help_: str = Proposal(f"write `extra={most}` or less", str(most))
        elif self.pad is None:
            help_ = "leave it out: the output is then stride times as large as the input, on each axis"
        else:
            help_ = "leave out `extra` and `pad`: the output is then stride times as large as the input, on each axis"
        what = f"`extra` is {extra}; it must be less than the stride{where}, {self.stride[axis]}"
        return OpError("E0406", what, field="extra", help=help_)

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        shape = (at(inputs[0][0]), self.out // self.groups, *self.kernel)
        return (
            Param("weight", shape, Init("kaiming", prod(self.kernel) * self.out // self.groups)),
            *bias_param(self.bias, self.out),
        )

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        crops = set(self.crops())
        crop = dict(zip(("pad", "extra"), *crops, strict=True)) if len(crops) == 1 else {}
        return super().resolved(inputs) | {"stride": self.stride} | crop

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return numel(inputs[0]) * self.out // self.groups * prod(self.kernel)

    def window(self, inputs: Sequence[Shape]) -> Window:
        """The pixels n with ``n * stride`` under the flipped kernel; with a dilation, also those between them."""
        axes = zip(reach_of(self.kernel, self.dilation), self.stride, self.crops(), strict=True)
        return tuple(Reads(1, stride, pad - reach + stride, pad) for reach, stride, (pad, _) in axes)
