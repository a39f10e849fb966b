"""Convolutions and fully connected layers as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Attribute, Emitter
from archdsl.backends.onnx.rules.parts import Lowering, as_before, pad_inputs, pad_list
from archdsl.ops.base import Op
from archdsl.passes.fold_norms import own_recipe
from archdsl.shapes import Pads, at, no_pads


def conv(e: Emitter, op: ops.Conv) -> None:
    channels = at(e.node.in_shapes[0][0])
    if op.table is not None:
        weight = _dense_table(e, op, channels)
    elif op.standardize is not None:
        weight = e.computed("filters", "weight", own_recipe(e.node))
    else:
        weight = e.param("weight")
    e.last(
        "Conv",
        e.x,
        weight,
        *bias(e),
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


def channelconv(e: Emitter, op: ops.ChannelConv) -> None:
    """The channels are the first axis of an image, and the pixels the second."""
    channels, side = at(e.node.shape[0]), op.size // 2
    rows = e.step("rows", "Reshape", e.x, e.ints("apart", [0, 1, channels, -1]), allowzero=0)
    mixed = e.step(
        "mixed",
        "Conv",
        rows,
        e.derived("kernels", "weight", (1, 1, op.size, 1)),
        *bias(e),
        auto_pad="NOTSET",
        dilations=(1, 1),
        group=1,
        kernel_shape=(op.size, 1),
        pads=(side, 0, side, 0),
        strides=(1, 1),
    )
    e.last("Reshape", mixed, as_before(e), allowzero=0)


def deconv(e: Emitter, op: ops.Deconv) -> None:
    pads, extras = zip(*op.crops(), strict=True)
    facts: dict[str, Attribute] = {
        "auto_pad": "NOTSET",
        "dilations": op.dilation,
        "group": op.groups,
        "kernel_shape": op.kernel,
        "strides": op.stride,
    }
    if all(extra < stride for extra, stride in zip(extras, op.stride, strict=True)):
        e.last("ConvTranspose", e.x, e.param("weight"), *bias(e), **facts, pads=(*pads, *pads), output_padding=extras)
        return
    # ONNX Runtime rejects an output padding as large as the stride: crop fewer pixels at the end, then add zeros, then
    # the bias.
    none = (0,) * len(pads)
    fewer = tuple(max(pad - extra, 0) for pad, extra in op.crops())
    short = e.step(
        "cropped", "ConvTranspose", e.x, e.param("weight"), **facts, pads=(*pads, *fewer), output_padding=none
    )
    ends = Pads.of(none, (max(extra - pad, 0) for pad, extra in op.crops()))
    inputs = pad_inputs(e, short, "ends", pad_list(ends), 0.0)
    if op.bias:
        whole = e.step("whole", "Pad", *inputs, mode="constant")
        e.last("Add", whole, e.derived("offsets", "bias", (op.out, *[1] * len(pads))))
    else:
        e.last("Pad", *inputs, mode="constant")


def fc(e: Emitter, op: ops.Fc) -> None:
    if op.kernel is None:
        e.last("Gemm", e.x, e.param("weight"), *bias(e), alpha=1.0, beta=1.0, transA=0, transB=1)
        return
    kernels = (op.out, at(e.node.in_shapes[0][0]), *op.kernel)
    shared = bool(e.node.shared_with)  # the file has the weights of the other node: store them once
    e.last(
        "Conv",
        e.x,
        e.step("kernels", "Reshape", e.param("weight"), e.ints("kernels/shape", kernels), allowzero=0)
        if shared
        else e.derived("kernels", "weight", kernels),
        *bias(e),
        auto_pad="NOTSET",
        dilations=op.kernel,
        group=1,
        kernel_shape=op.kernel,
        pads=tuple(no_pads(len(op.kernel))),
        strides=op.kernel,
    )


def rbf(e: Emitter, op: ops.Rbf) -> None:
    """Computes the differences, because x^2 - 2xw + w^2 would cancel near a centre."""
    spread = e.step("spread", "Unsqueeze", e.x, e.ints("middle", [1]))
    difference = e.step("difference", "Sub", spread, e.param("weight"))
    square = e.step("square", "Mul", difference, difference)
    e.last("ReduceSum", square, e.ints("features", [2]), keepdims=0, noop_with_empty_axes=0)


def bias(e: Emitter) -> tuple[str, ...]:
    return (e.param("bias"),) if e.has("bias") else ()


RULES: dict[type[Op], Lowering] = {
    ops.Conv: conv,
    ops.ChannelConv: channelconv,
    ops.Deconv: deconv,
    ops.Fc: fc,
    ops.Rbf: rbf,
}
