"""Normalisations as PyTorch modules."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.axes import axes_of
from archdsl.backends.torch.rules.parts import Rule, module, named
from archdsl.backends.torch.steps import Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def bn(op: ops.Bn, shapes: Sequence[Shape]) -> Lowered:
    target, channels = named("nn.BatchNorm{n}d", shapes[0]), at(shapes[0][0])
    return Lowered(module(target, num_features=channels, eps=op.eps, momentum=op.momentum, affine=op.affine))


def gn(op: ops.Gn, shapes: Sequence[Shape]) -> Lowered:
    channels = at(shapes[0][0])
    return Lowered(module("nn.GroupNorm", num_groups=op.groups, num_channels=channels, eps=op.eps, affine=op.affine))


def instancenorm(op: ops.InstanceNorm, shapes: Sequence[Shape]) -> Lowered:
    target = named("nn.InstanceNorm{n}d", shapes[0])
    return Lowered(module(target, num_features=at(shapes[0][0]), eps=op.eps, affine=op.affine))


def ln(op: ops.Ln, shapes: Sequence[Shape]) -> Lowered:
    target = named("LayerNorm{n}d", shapes[0]) if axes_of(shapes[0]) else "nn.LayerNorm"
    return Lowered(module(target, normalized_shape=at(shapes[0][0]), eps=op.eps, elementwise_affine=op.affine))


def lrn(op: ops.Lrn, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LocalResponseNorm", size=op.size, alpha=op.alpha, beta=op.beta, k=op.k))


RULES: dict[type[Op], Rule] = {
    ops.Bn: bn,
    ops.Gn: gn,
    ops.InstanceNorm: instancenorm,
    ops.Ln: ln,
    ops.Lrn: lrn,
}
