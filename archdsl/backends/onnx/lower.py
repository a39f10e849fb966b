"""Ops as ONNX nodes: the table `{Op class: function}`. Imports neither onnx nor torch.

Every attribute is written, even if it has its default, so that no runtime can use another default. If some runtime
computes an ONNX op differently from archdsl, other ops with the same result are used instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from archdsl import ops
from archdsl.axes import axes_of
from archdsl.backends.onnx.pools import averaging, avgpool, gap, maxpool, pad_list, subsample
from archdsl.backends.onnx.records import Attribute, Emitter, OnnxLowering
from archdsl.graph import Node
from archdsl.ops.base import Op
from archdsl.shapes import Dim, Pads, Shape, at, no_pads

Lowering: TypeAlias = Callable[[Emitter, Any], None]


def lower(node: Node, inputs: Sequence[str], output: str) -> OnnxLowering:
    """Return the node as ONNX nodes that read the values `inputs` and write the value `output`."""
    emitter = Emitter(node, inputs, output)
    TABLE[type(node.op)](emitter, node.op)
    return emitter.result()


# --- convolutions and fully connected layers ----------------------------------------------------------------


def _conv(e: Emitter, op: ops.Conv) -> None:
    channels = at(e.node.in_shapes[0][0])
    weight = _dense_table(e, op, channels) if op.table is not None else e.param("weight")
    e.last(
        "Conv",
        e.x,
        weight,
        *_bias(e),
        auto_pad="NOTSET",
        dilations=op.dilation,
        group=op.groups,
        kernel_shape=op.kernel,
        pads=tuple(op.pads(e.node.in_shapes[0])),
        strides=op.stride,
    )


def _dense_table(e: Emitter, op: ops.Conv, channels: int) -> str:
    """Return the name of a dense weight: the table's kernels, and zeros for the other pairs of channels."""
    assert op.table is not None
    rows = tuple(number * channels + source for number, row in enumerate(op.table) for source in row)
    return e.derived("kernels", "weight", (op.out, channels, *op.kernel), rows=rows)


def _deconv(e: Emitter, op: ops.Deconv) -> None:
    pads, extras = zip(*op.crops(), strict=True)
    facts: dict[str, Attribute] = {
        "auto_pad": "NOTSET",
        "dilations": op.dilation,
        "group": op.groups,
        "kernel_shape": op.kernel,
        "strides": op.stride,
    }
    if all(extra < stride for extra, stride in zip(extras, op.stride, strict=True)):
        e.last("ConvTranspose", e.x, e.param("weight"), *_bias(e), **facts, pads=(*pads, *pads), output_padding=extras)
        return
    # ONNX Runtime rejects an output padding as large as the stride: crop fewer pixels at the end, then add zeros, then
    # the bias.
    none = (0,) * len(pads)
    fewer = tuple(max(pad - extra, 0) for pad, extra in op.crops())
    short = e.step(
        "cropped", "ConvTranspose", e.x, e.param("weight"), **facts, pads=(*pads, *fewer), output_padding=none
    )
    ends = Pads.of(none, (max(extra - pad, 0) for pad, extra in op.crops()))
    inputs = _pad_inputs(e, short, "ends", pad_list(ends), 0.0)
    if op.bias:
        whole = e.step("whole", "Pad", *inputs, mode="constant")
        e.last("Add", whole, e.derived("offsets", "bias", (op.out, *[1] * len(pads))))
    else:
        e.last("Pad", *inputs, mode="constant")


def _fc(e: Emitter, op: ops.Fc) -> None:
    if op.kernel is None:
        e.last("Gemm", e.x, e.param("weight"), *_bias(e), alpha=1.0, beta=1.0, transA=0, transB=1)
        return
    features = at(e.node.in_shapes[0][0])
    e.last(
        "Conv",
        e.x,
        e.derived("kernels", "weight", (op.out, features, *op.kernel)),
        *_bias(e),
        auto_pad="NOTSET",
        dilations=op.kernel,
        group=1,
        kernel_shape=op.kernel,
        pads=tuple(no_pads(len(op.kernel))),
        strides=op.kernel,
    )


def _rbf(e: Emitter, op: ops.Rbf) -> None:
    """Computes the differences, because x^2 - 2xw + w^2 would cancel near a centre."""
    spread = e.step("spread", "Unsqueeze", e.x, e.ints("middle", [1]))
    difference = e.step("difference", "Sub", spread, e.param("weight"))
    square = e.step("square", "Mul", difference, difference)
    e.last("ReduceSum", square, e.ints("features", [2]), keepdims=0, noop_with_empty_axes=0)


def _bias(e: Emitter) -> tuple[str, ...]:
    return (e.param("bias"),) if e.has("bias") else ()


# --- normalisations -----------------------------------------------------------------------------------------


def _scale_and_shift(e: Emitter, affine: bool) -> tuple[str, str]:
    """Return the names of the learned scale and shift, or of ones and zeros."""
    channels = (at(e.node.shape[0]),)
    if affine:
        return e.param("weight"), e.param("bias")
    return e.floats("ones", 1.0, channels), e.floats("zeros", 0.0, channels)


def _bn(e: Emitter, op: ops.Bn) -> None:
    e.last(
        "BatchNormalization",
        e.x,
        *_scale_and_shift(e, op.affine),
        e.param("running_mean"),
        e.param("running_var"),
        epsilon=op.eps,
        momentum=1.0 - op.momentum,
        training_mode=0,
    )


def _gn(e: Emitter, op: ops.Gn) -> None:
    """Uses instance normalisation: ONNX Runtime's group normalisation is inaccurate if the mean is large."""
    channels = at(e.node.shape[0])
    copied = [0] * (len(e.node.shape) - 2)  # a size of 0 is that of the same axis of the input, the free one too
    apart = [0, op.groups, -1, *copied]
    groups = e.step("groups", "Reshape", e.x, e.ints("grouped", apart), allowzero=0)
    ones, zeros = e.floats("ones", 1.0, (op.groups,)), e.floats("zeros", 0.0, (op.groups,))
    normal = e.step("normal", "InstanceNormalization", groups, ones, zeros, epsilon=op.eps)
    together = [0, channels, -1, *copied][: len(e.node.shape) + 1]
    if not op.affine:
        e.last("Reshape", normal, e.ints("together", together), allowzero=0)
        return
    restored = e.step("restored", "Reshape", normal, e.ints("together", together), allowzero=0)
    shape = (channels,) + (1,) * (len(e.node.shape) - 1)
    scaled = e.step("scaled", "Mul", restored, e.derived("gains", "weight", shape))
    e.last("Add", scaled, e.derived("offsets", "bias", shape))


def _instancenorm(e: Emitter, op: ops.InstanceNorm) -> None:
    e.last("InstanceNormalization", e.x, *_scale_and_shift(e, op.affine), epsilon=op.eps)


def _as_before(e: Emitter) -> str:
    """Return the target of a Reshape back to the input's shape: a constant, or with two free sizes a Shape node."""
    shape: Shape = e.node.in_shapes[0]
    free = [isinstance(size, Dim) for size in shape]
    if sum(free) > 1:
        return e.step("shape", "Shape", e.x, start=0)
    return e.ints("restoring", [0, *(-1 if isinstance(size, Dim) else size for size in shape)])


def _ln(e: Emitter, op: ops.Ln) -> None:
    """Subtracts the mean before the op does so again: ONNX Runtime 1.20 computes the variance as mean(x^2) - mean(x)^2.

    If the mean is 1000 times the standard deviation, the error of that is 0.94, for larger means the result is NaN
    (1.32: 3e-5). With the subtraction it is 5e-7 in both versions, and convnext_tiny takes 3 % longer.
    """
    facts: dict[str, Attribute] = {"axis": -1, "epsilon": op.eps, "stash_type": 1}
    mean = e.step("mean", "ReduceMean", e.x, e.ints("channels", [1]), keepdims=1, noop_with_empty_axes=0)
    centred = e.step("centred", "Sub", e.x, mean)
    learned = _scale_and_shift(e, op.affine)
    if not axes_of(e.node.shape):
        e.last("LayerNormalization", centred, *learned, **facts)
        return
    spatial = range(2, len(e.node.shape) + 1)
    channels_last = e.step("channels_last", "Transpose", centred, perm=(0, *spatial, 1))
    normal = e.step("normal", "LayerNormalization", channels_last, *learned, **facts)
    e.last("Transpose", normal, perm=(0, len(e.node.shape), *range(1, len(e.node.shape))))


def _lrn(e: Emitter, op: ops.Lrn) -> None:
    """Computes the mean over channels as an average pool over the rows of (1, C, pixels).

    ONNX Runtime's own op rejects even sizes, and uses a running sum along the channels: the rounding error of a large
    value stays in the sums that follow (with 1e6 beside 1 the result is NaN). It takes 1.7 times as long.
    """
    channels = at(e.node.shape[0])
    square = e.step("square", "Mul", e.x, e.x)
    rows = e.step("rows", "Reshape", square, e.ints("flat", [0, 1, channels, -1]), allowzero=0)
    ends = e.ints("ends", [0, 0, op.size // 2, 0, 0, 0, (op.size - 1) // 2, 0])
    padded = e.step("padded", "Pad", rows, ends, e.floats("zero", 0.0), mode="constant")
    mean = e.step("mean", "AveragePool", padded, **averaging((op.size, 1), (1, 1)))
    restored = e.step("restored", "Reshape", mean, _as_before(e), allowzero=0)
    scaled = e.step("scaled", "Mul", restored, e.floats("alpha", op.alpha))
    base = e.step("base", "Add", scaled, e.floats("k", op.k))
    e.last("Div", e.x, e.step("power", "Pow", base, e.floats("beta", op.beta)))


# --- activations --------------------------------------------------------------------------------------------


def _plain(op_type: str) -> Lowering:
    """Return the lowering to one ONNX op without attributes."""
    return lambda e, op: e.last(op_type, e.x)


def _relu6(e: Emitter, op: ops.Relu6) -> None:
    e.last("Clip", e.x, e.floats("least", 0.0), e.floats("most", 6.0))


def _leaky_relu(e: Emitter, op: ops.LeakyRelu) -> None:
    e.last("LeakyRelu", e.x, alpha=op.slope)


def _prelu(e: Emitter, op: ops.PRelu) -> None:
    shape = (1,) if op.shared else (at(e.node.shape[0]),) + (1,) * (len(e.node.shape) - 1)
    e.last("PRelu", e.x, e.derived("slopes", "weight", shape))


def _elu(e: Emitter, op: ops.Elu) -> None:
    e.last("Elu", e.x, alpha=op.alpha)


def _scaled_tanh(e: Emitter, op: ops.ScaledTanh) -> None:
    inner = e.step("inner", "Mul", e.x, e.floats("slope", op.s))
    e.last("Mul", e.step("squashed", "Tanh", inner), e.floats("amplitude", op.a))


def _silu(e: Emitter, op: ops.Silu) -> None:
    e.last("Mul", e.x, e.step("gate", "Sigmoid", e.x))


def _gelu(e: Emitter, op: ops.Gelu) -> None:
    e.last("Gelu", e.x, approximate="tanh" if op.approximate else "none")


def _hardsigmoid(e: Emitter, op: ops.HardSigmoid) -> None:
    e.last("HardSigmoid", e.x, alpha=1 / 6, beta=0.5)


def _softmax(e: Emitter, op: ops.Softmax) -> None:
    e.last("Softmax", e.x, axis=1)


# --- merges -------------------------------------------------------------------------------------------------


def _add(e: Emitter, op: ops.Add) -> None:
    e.last("Add" if len(e.inputs) == 2 else "Sum", *e.inputs)


def _mul(e: Emitter, op: ops.Mul) -> None:
    product = e.x
    for number, other in enumerate(e.inputs[1:-1], 1):
        product = e.step(f"product{number}", "Mul", product, other)
    e.last("Mul", product, e.inputs[-1])


def _concat(e: Emitter, op: ops.Concat) -> None:
    e.last("Concat", *e.inputs, axis=1)


# --- moving values ------------------------------------------------------------------------------------------


def _nothing(e: Emitter, op: Op) -> None:
    e.skip()


def _flatten(e: Emitter, op: ops.Flatten) -> None:
    e.last("Flatten", e.x, axis=1)


def _slice(e: Emitter, op: ops.Slice) -> None:
    end = op.start + at(e.node.shape[0])
    e.last("Slice", e.x, e.ints("starts", [op.start]), e.ints("ends", [end]), e.ints("axes", [1]), e.ints("steps", [1]))


_LISTED = 4096


def _shuffle(e: Emitter, op: ops.Shuffle) -> None:
    """Selects the channels in their new order with one Gather instead of Reshape, Transpose, Reshape.

    Both take equally long in ONNX Runtime. With more than `_LISTED` channels the list would be long.
    """
    channels = at(e.node.shape[0])
    if channels <= _LISTED:
        order = [
            group * (channels // op.groups) + i for i in range(channels // op.groups) for group in range(op.groups)
        ]
        e.last("Gather", e.x, e.ints("order", order), axis=1)
        return
    # The first axis comes last: in a Reshape 0 copies the size of its own axis and -1 is the rest, so all stay free.
    copied = [0] * (len(e.node.shape) - 2)
    apart = e.ints("grouped", [0, op.groups, channels // op.groups, *copied, -1])
    groups = e.step("groups", "Reshape", e.x, apart, allowzero=0)
    turned = e.step("turned", "Transpose", groups, perm=(0, 2, 1, *range(3, len(e.node.shape) + 2)))
    e.last("Reshape", turned, e.ints("together", [0, channels, -1, *copied]), allowzero=0)


def _upsample(e: Emitter, op: ops.Upsample) -> None:
    nearest = op.mode == "nearest"
    e.last(
        "Resize",
        e.x,
        "",
        e.floats("scales", (1, 1, *op.scale), (len(op.scale) + 2,)),
        antialias=0,
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        cubic_coeff_a=-0.75,
        exclude_outside=0,
        extrapolation_value=0.0,
        keep_aspect_ratio_policy="stretch",
        mode="nearest" if nearest else "linear",
        nearest_mode="floor",
    )


def _pad(e: Emitter, op: ops.Pad) -> None:
    """Crops with a separate Pad: a single Pad that moves an image within its size overwrites, in ONNX Runtime 1.20,
    pixels that it has yet to read."""
    front, back = op.channels
    ends = pad_list(op.sides(e.node.in_shapes[0]), front, back)
    x = e.x
    if min(ends) < 0 < max(ends):
        x = e.step("larger", "Pad", *_pad_inputs(e, x, "more", [max(n, 0) for n in ends], op.value), mode="constant")
        ends = tuple(min(n, 0) for n in ends)
    e.last("Pad", *_pad_inputs(e, x, "pads", ends, op.value), mode="constant")


def _pad_inputs(e: Emitter, x: str, what: str, pads: Sequence[int], value: float) -> tuple[str, ...]:
    """Return the inputs of a Pad whose value other nodes may read: all axes, and their list.

    ONNX Runtime's transpose optimiser permutes the pads, but not a list of axes: with fewer than all axes the model
    does not load (1.20 to 1.32). Without a list, 1.20 fuses a Pad into a following max pool, which pads with minus
    infinity.
    """
    return x, e.ints(what, pads), e.floats("value", value), e.ints("axes", range(len(pads) // 2))


# --- factors ------------------------------------------------------------------------------------------------


def _scale(e: Emitter, op: ops.Scale) -> None:
    channels, *axes = e.node.shape
    e.last("Mul", e.x, e.derived("factors", "", (at(channels), *[1] * len(axes))))


def _affine(e: Emitter, op: ops.Affine) -> None:
    def per_channel(what: str, value: float | tuple[float, ...]) -> str:
        numbers = value if isinstance(value, tuple) else (value,)
        return e.floats(what, numbers, (len(numbers),) + (1,) * (len(e.node.shape) - 1))

    times, plus = _differs(op.mul, 1.0), _differs(op.add, 0.0)
    if times and plus:
        e.last("Add", e.step("scaled", "Mul", e.x, per_channel("factors", op.mul)), per_channel("offsets", op.add))
    elif times:
        e.last("Mul", e.x, per_channel("factors", op.mul))
    elif plus:
        e.last("Add", e.x, per_channel("offsets", op.add))
    else:
        e.skip()


def _differs(value: float | tuple[float, ...], neutral: float) -> bool:
    return any(v != neutral for v in (value if isinstance(value, tuple) else (value,)))


TABLE: dict[type[Op], Lowering] = {
    ops.Input: _nothing,
    ops.Conv: _conv,
    ops.Deconv: _deconv,
    ops.Fc: _fc,
    ops.Rbf: _rbf,
    ops.MaxPool: maxpool,
    ops.AvgPool: avgpool,
    ops.Gap: gap,
    ops.Subsample: subsample,
    ops.Bn: _bn,
    ops.Gn: _gn,
    ops.InstanceNorm: _instancenorm,
    ops.Ln: _ln,
    ops.Lrn: _lrn,
    ops.Relu: _plain("Relu"),
    ops.Relu6: _relu6,
    ops.LeakyRelu: _leaky_relu,
    ops.PRelu: _prelu,
    ops.Elu: _elu,
    ops.Tanh: _plain("Tanh"),
    ops.ScaledTanh: _scaled_tanh,
    ops.Sigmoid: _plain("Sigmoid"),
    ops.Silu: _silu,
    ops.Gelu: _gelu,
    ops.HardSwish: _plain("HardSwish"),
    ops.HardSigmoid: _hardsigmoid,
    ops.Softmax: _softmax,
    ops.Dropout: _nothing,
    ops.DropPath: _nothing,
    ops.Add: _add,
    ops.Mul: _mul,
    ops.Concat: _concat,
    ops.Flatten: _flatten,
    ops.Slice: _slice,
    ops.Shuffle: _shuffle,
    ops.Upsample: _upsample,
    ops.Pad: _pad,
    ops.Identity: _nothing,
    ops.Scale: _scale,
    ops.Affine: _affine,
}
