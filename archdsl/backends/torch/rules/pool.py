"""Pools as PyTorch modules."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.axes import uniform
from archdsl.backends.torch.rules.parts import Rule, module, named, sides
from archdsl.backends.torch.steps import Literal, Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Pads, Shape, at


def _plain_pool(op: ops.MaxPool | ops.AvgPool, pads: Pads) -> bool:
    """Whether torch's own pool accepts these pads: even, and at most half of the kernel."""
    return pads.even and all(2 * pad <= k for pad, k in zip(pads.begins, op.kernel, strict=True))


def maxpool(op: ops.MaxPool, shapes: Sequence[Shape]) -> Lowered:
    pads = op.pads(shapes[0])
    window: dict[str, Literal] = {"kernel_size": uniform(op.kernel), "stride": uniform(op.steps)}
    rest: dict[str, Literal] = {"dilation": uniform(op.dilation), "ceil_mode": op.ceil}
    if not _plain_pool(op, pads):
        return Lowered(module(named("PaddedMaxPool{n}d", shapes[0]), **window, **rest, pads=sides(pads)))
    return Lowered(module(named("nn.MaxPool{n}d", shapes[0]), **window, padding=uniform(pads.begins), **rest))


def avgpool(op: ops.AvgPool, shapes: Sequence[Shape]) -> Lowered:
    if op.adaptive:
        return _adaptive(uniform(op.kernel), shapes[0])
    pads = op.pads(shapes[0])
    window: dict[str, Literal] = {"kernel_size": uniform(op.kernel), "stride": uniform(op.steps)}
    if not _plain_pool(op, pads):
        target = named("PaddedAvgPool{n}d", shapes[0])
        return Lowered(module(target, **window, ceil_mode=op.ceil, pads=sides(pads), inside=op.inside))
    rest: dict[str, Literal] = {"ceil_mode": op.ceil, "count_include_pad": not op.inside}
    return Lowered(module(named("nn.AvgPool{n}d", shapes[0]), **window, padding=uniform(pads.begins), **rest))


def _adaptive(size: Literal, shape: Shape) -> Lowered:
    return Lowered(module(named("nn.AdaptiveAvgPool{n}d", shape), output_size=size))


def gap(op: ops.Gap, shapes: Sequence[Shape]) -> Lowered:
    return _adaptive(1, shapes[0])


def gmp(op: ops.Gmp, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module(named("nn.AdaptiveMaxPool{n}d", shapes[0]), output_size=1))


def blurpool(op: ops.BlurPool, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module(named("Blur{n}d", shapes[0]), kernel_size=op.kernel, stride=op.stride))


def subsample(op: ops.Subsample, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("Subsample", channels=at(shapes[0][0]), kernel_size=op.kernel, stride=op.steps))


RULES: dict[type[Op], Rule] = {
    ops.MaxPool: maxpool,
    ops.AvgPool: avgpool,
    ops.Gap: gap,
    ops.Gmp: gmp,
    ops.BlurPool: blurpool,
    ops.Subsample: subsample,
}
