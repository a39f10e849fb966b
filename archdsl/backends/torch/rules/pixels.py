"""Ops that move pixels into channels and back as PyTorch modules and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.axes import IMAGE, axes_of, kind_of
from archdsl.backends.torch.rules.parts import Rule, X, call, module
from archdsl.backends.torch.steps import Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def pixelshuffle(op: ops.PixelShuffle, shapes: Sequence[Shape]) -> Lowered:
    if kind_of(shapes[0]) is not IMAGE:
        return Lowered(module("PixelShuffle", upscale_factor=op.scale, axes=axes_of(shapes[0])))
    return Lowered(module("nn.PixelShuffle", upscale_factor=op.scale), call("F.pixel_shuffle", X, op.scale))


def pixelunshuffle(op: ops.PixelUnshuffle, shapes: Sequence[Shape]) -> Lowered:
    if kind_of(shapes[0]) is not IMAGE:
        return Lowered(module("PixelUnshuffle", downscale_factor=op.scale, axes=axes_of(shapes[0])))
    return Lowered(module("nn.PixelUnshuffle", downscale_factor=op.scale), call("F.pixel_unshuffle", X, op.scale))


RULES: dict[type[Op], Rule] = {
    ops.PixelShuffle: pixelshuffle,
    ops.PixelUnshuffle: pixelunshuffle,
}
