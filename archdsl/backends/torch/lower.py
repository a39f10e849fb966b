"""Ops as PyTorch modules and functions, as data: one row per op of a graph. Imports no torch.

A row gives the module, the functional form, or both (`steps.Lowered`). Modules that PyTorch lacks are classes of
`layers`. The rules are in `rules/`, in the files of their families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from archdsl.backends.torch.rules import activation, conv, merge, norm, pixels, pool, reduce, reshape
from archdsl.backends.torch.rules.parts import Bare, Rule, for_all_axes
from archdsl.backends.torch.steps import Literal, Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def lower(op: Op, in_shapes: Sequence[Shape]) -> Lowered:
    """Return the op for inputs of these shapes (without the batch) as a PyTorch module or function."""
    lowered = TABLE[type(op)](op, in_shapes)
    return replace(lowered, module=lowered.module and replace(lowered.module, look=op.look))


TABLE: Mapping[type[Op], Rule] = {
    **conv.RULES,
    **pool.RULES,
    **reduce.RULES,
    **norm.RULES,
    **activation.RULES,
    **merge.RULES,
    **reshape.RULES,
    **pixels.RULES,
}
"""One row for each of `ops.GRAPH_OPS`."""

BARE: Mapping[str, str] = {rule.module: op.name for op, rule in TABLE.items() if isinstance(rule, Bare)}
"""Modules without arguments, with the op's name: a constructor may receive such a class as an argument."""


class Signature(NamedTuple):
    """How a constructor or function is written: the number of positional arguments, and the defaults."""

    positional: int
    defaults: Mapping[str, Literal] = {}


_WINDOW: dict[str, Literal] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
_POOL: dict[str, Literal] = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}

SIGNATURES: Mapping[str, Signature] = for_all_axes(
    {
        "nn.Conv{n}d": Signature(3, _WINDOW),
        "PaddedConv{n}d": Signature(3, _WINDOW),
        "FixedConv{n}d": Signature(3, {**_WINDOW, "pads": (), "filters": None}),
        "StdConv{n}d": Signature(3, {**_WINDOW, "pads": (), "eps": 1e-6, "gain": None}),
        "TableConv{n}d": Signature(1, {"stride": 1, "pads": (), "dilation": 1, "bias": True}),
        "nn.ConvTranspose{n}d": Signature(3, {**_WINDOW, "output_padding": 0}),
        "nn.Linear": Signature(2, {"bias": True}),
        "PointwiseLinear": Signature(2, {"bias": True}),
        "Rbf": Signature(2, {"centers": None}),
        "nn.MaxPool{n}d": Signature(1, _POOL),
        "PaddedMaxPool{n}d": Signature(1, _POOL),
        "nn.AvgPool{n}d": Signature(1, _POOL),
        "PaddedAvgPool{n}d": Signature(1, {**_POOL, "inside": False}),
        "nn.AdaptiveAvgPool{n}d": Signature(1),
        "nn.AdaptiveMaxPool{n}d": Signature(1),
        "Subsample": Signature(3),
        "nn.BatchNorm{n}d": Signature(1, {"eps": 1e-5, "momentum": 0.1, "affine": True}),
        "nn.GroupNorm": Signature(2, {"eps": 1e-5, "affine": True}),
        "nn.InstanceNorm{n}d": Signature(1, {"eps": 1e-5, "affine": False}),
        "nn.LayerNorm": Signature(1, {"eps": 1e-5, "elementwise_affine": True}),
        "LayerNorm{n}d": Signature(1, {"eps": 1e-5, "elementwise_affine": True}),
        "nn.LocalResponseNorm": Signature(1, {"alpha": 1e-4, "beta": 0.75, "k": 1.0}),
        "Blur{n}d": Signature(2),
        "ChannelConv": Signature(1, {"bias": True}),
        "nn.PReLU": Signature(1),
        "nn.LeakyReLU": Signature(1),
        "nn.ELU": Signature(1, {"alpha": 1.0}),
        "nn.CELU": Signature(1, {"alpha": 1.0}),
        "nn.Softplus": Signature(0, {"beta": 1.0, "threshold": 20.0}),
        "nn.Hardtanh": Signature(2),
        "HardSigmoid": Signature(2),
        "ScaledTanh": Signature(0, {"a": 1.7159, "s": 2 / 3}),
        "nn.GELU": Signature(0, {"approximate": "none"}),
        "nn.Softmax": Signature(0),
        "GroupedSoftmax": Signature(2),
        "nn.LogSoftmax": Signature(0),
        "nn.Dropout": Signature(1),
        "DropPath": Signature(1),
        "nn.ChannelShuffle": Signature(1),
        "nn.PixelShuffle": Signature(1),
        "PixelShuffle": Signature(1),
        "nn.PixelUnshuffle": Signature(1),
        "PixelUnshuffle": Signature(1),
        "nn.Upsample": Signature(0),
        "nn.ConstantPad{n}d": Signature(2),
        "nn.ReflectionPad{n}d": Signature(1),
        "nn.ReplicationPad{n}d": Signature(1),
        "nn.CircularPad{n}d": Signature(1),
        "Affine": Signature(0),
        "F.pad": Signature(2, {"mode": "constant", "value": 0.0}),
    }
)
"""For targets without a row, every argument is written, by name if it has one in the data."""
