"""Convolutions and fully connected layers as PyTorch modules."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.axes import uniform
from archdsl.backends.torch.rules.parts import Rule, module, named, sides
from archdsl.backends.torch.steps import Literal, Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def conv(op: ops.Conv, shapes: Sequence[Shape]) -> Lowered:
    pads = op.pads(shapes[0])
    stride, dilation = uniform(op.stride), uniform(op.dilation)
    if op.table is not None:
        return Lowered(
            module(
                named("TableConv{n}d", shapes[0]),
                kernel_size=op.kernel,
                table=op.table,
                stride=stride,
                pads=sides(pads) if any(pads) else (),
                dilation=dilation,
                bias=op.bias,
            )
        )
    head: dict[str, Literal] = {
        "in_channels": at(shapes[0][0]),
        "out_channels": op.out,
        "kernel_size": uniform(op.kernel),
    }
    tail: dict[str, Literal] = {"dilation": dilation, "groups": op.groups, "bias": op.bias}
    if op.weight is not None or not isinstance(op.bias, bool):
        # Padded separately in all cases, so that one class is enough for even and uneven pads.
        target = named("FixedConv{n}d", shapes[0])
        around = sides(pads) if any(pads) else ()
        return Lowered(module(target, **head, stride=stride, pads=around, **tail, filters=op.weight))
    if op.standardize is not None:
        target = named("StdConv{n}d", shapes[0])
        padding: dict[str, Literal] = {"padding": uniform(pads.begins)} if pads.even else {"pads": sides(pads)}
        return Lowered(module(target, **head, stride=stride, **padding, **tail, eps=op.standardize, gain=op.gain))
    if pads.even:
        target = named("nn.Conv{n}d", shapes[0])
        return Lowered(module(target, **head, stride=stride, padding=uniform(pads.begins), **tail))
    target = named("PaddedConv{n}d", shapes[0])
    return Lowered(module(target, **head, stride=stride, pads=sides(pads), **tail))


def channelconv(op: ops.ChannelConv, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("ChannelConv", size=op.size, bias=op.bias))


def deconv(op: ops.Deconv, shapes: Sequence[Shape]) -> Lowered:
    pads, extras = zip(*op.crops(), strict=True)
    return Lowered(
        module(
            named("nn.ConvTranspose{n}d", shapes[0]),
            in_channels=at(shapes[0][0]),
            out_channels=op.out,
            kernel_size=uniform(op.kernel),
            stride=uniform(op.stride),
            padding=uniform(pads),
            output_padding=uniform(extras),
            groups=op.groups,
            bias=op.bias,
            dilation=uniform(op.dilation),
        )
    )


def fc(op: ops.Fc, shapes: Sequence[Shape]) -> Lowered:
    target = "nn.Linear" if op.kernel is None else "PointwiseLinear"
    return Lowered(module(target, in_features=at(shapes[0][0]), out_features=op.out, bias=op.bias))


def rbf(op: ops.Rbf, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("Rbf", in_features=at(shapes[0][0]), out_features=op.out, centers=op.centers))


RULES: dict[type[Op], Rule] = {
    ops.Conv: conv,
    ops.ChannelConv: channelconv,
    ops.Deconv: deconv,
    ops.Fc: fc,
    ops.Rbf: rbf,
}
