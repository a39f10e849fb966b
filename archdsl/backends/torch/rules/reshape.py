"""Ops that move values, factors and offsets as PyTorch modules and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.axes import MOST, axes_of, kind_of, uniform
from archdsl.backends.torch.rules.parts import Rule, X, call, module, sides
from archdsl.backends.torch.steps import Argument, Expr, Literal, Lowered, Parameter, Weight
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def identity(op: Op, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Identity"), X)


def flatten(op: ops.Flatten, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Flatten"), call("torch.flatten", X, 1))


def slice_(op: ops.Slice, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=call("slice", X, op.start, None if op.end == at(shapes[0][0]) else op.end))


def shuffle(op: ops.Shuffle, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.ChannelShuffle", groups=op.groups), call("F.channel_shuffle", X, op.groups))


def upsample(op: ops.Upsample, shapes: Sequence[Shape]) -> Lowered:
    names = {"linear": kind_of(shapes[0]).linear, "cubic": "bicubic"}
    fields: dict[str, Literal] = {"mode": names.get(op.mode, op.mode)}
    if op.align_corners:
        fields["align_corners"] = True
    if op.scale is None:
        return Lowered(call=call("F.interpolate", X, size=call("sizes", Argument(1)), **fields))
    fields = {"scale_factor": uniform(op.scale), **fields}
    return Lowered(module("nn.Upsample", **fields), call("F.interpolate", X, **fields))


_PAD_MODES = {"reflect": ("nn.ReflectionPad{n}d", "reflect"), "wrap": ("nn.CircularPad{n}d", "circular")}
_PAD_MODES["replicate"] = ("nn.ReplicationPad{n}d", "replicate")
"""The module of a mode, and its name in `F.pad`."""


def pad(op: ops.Pad, shapes: Sequence[Shape]) -> Lowered:
    axes = axes_of(shapes[0])
    target, mode = _PAD_MODES.get(op.mode, ("nn.ConstantPad{n}d", op.mode))
    if op.like is not None:
        padding: list[Expr] = []
        for axis in range(axes + 1, 1, -1):
            padding += [0, call("-", call("size", Argument(1), axis), call("size", X, axis))]
        padding += op.channels if any(op.channels) else ()
        return Lowered(call=call("F.pad", X, tuple(padding), mode=mode, value=op.value))
    fixed = sides(op.sides(shapes[0]))
    if any(op.channels):
        fixed, axes = fixed + op.channels, axes + 1
    function = call("F.pad", X, fixed, mode=mode, value=op.value)
    if axes > MOST:  # PyTorch has no module for the channels and all axes of a volume
        return Lowered(call=function)
    fields: dict[str, Literal] = {"padding": fixed} | ({"value": op.value} if op.mode == "constant" else {})
    return Lowered(module(target.format(n=axes), **fields), function)


def per_channel(operator: str) -> Rule:
    """Return the rule of a learned value per channel, which has an axis for each of the input's unless it is flat."""

    def rule(op: ops.Scale | ops.Offset, shapes: Sequence[Shape]) -> Lowered:
        (param,) = op.params(shapes)
        axes = len(shapes[0]) - len(param.shape)
        values = call("torch.reshape", Weight(""), (-1, *[1] * axes)) if axes > 0 else Weight("")
        return Lowered(call=call(operator, X, values), parameter=Parameter(param.shape, float(op.init)))

    return rule


def affine(op: ops.Affine, shapes: Sequence[Shape]) -> Lowered:
    fields: dict[str, Literal] = {}
    value: Expr = X
    if op.mul != 1.0:
        fields["mul"], value = op.mul, call("*", value, op.mul)
    if op.add != 0.0:
        fields["add"], value = op.add, call("+", value, op.add)
    per_channel = isinstance(op.mul, tuple) or isinstance(op.add, tuple)
    return Lowered(module("Affine", **fields), None if per_channel else value)


RULES: dict[type[Op], Rule] = {
    ops.Input: identity,
    ops.Flatten: flatten,
    ops.Slice: slice_,
    ops.Shuffle: shuffle,
    ops.Upsample: upsample,
    ops.Pad: pad,
    ops.Identity: identity,
    ops.Scale: per_channel("*"),
    ops.Offset: per_channel("+"),
    ops.Affine: affine,
}
