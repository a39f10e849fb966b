"""The ops of the language, one file per family: fields, shape rule, tensors and cost of each op.

`OPS_BY_NAME` maps an op's name in a spec to its class. Nothing here imports torch, onnx or numpy.
"""

from __future__ import annotations

from archdsl.ops.activation import (
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from archdsl.ops.again import Again
from archdsl.ops.base import Init, Op, OpError, Param, Sugar, Weighted, Window
from archdsl.ops.conv import Conv, Deconv, DwConv
from archdsl.ops.linear import Fc, Rbf
from archdsl.ops.merge import Add, Concat, Merge, Mul
from archdsl.ops.norm import Bn, Gn, InstanceNorm, Ln, Lrn, Norm
from archdsl.ops.pool import AvgPool, Gap, MaxPool, Pool, Subsample
from archdsl.ops.regular import Dropout, DropPath
from archdsl.ops.reshape import Flatten, Identity, Input, Pad, Shuffle, Slice, Split, Upsample
from archdsl.ops.scale import Affine, Scale

_ALL: tuple[type[Op], ...] = (
    Conv,
    DwConv,
    Deconv,
    Fc,
    Rbf,
    MaxPool,
    AvgPool,
    Gap,
    Subsample,
    Bn,
    Gn,
    InstanceNorm,
    Ln,
    Lrn,
    Relu,
    Relu6,
    LeakyRelu,
    PRelu,
    Elu,
    Tanh,
    ScaledTanh,
    Sigmoid,
    Silu,
    Gelu,
    HardSwish,
    HardSigmoid,
    Softmax,
    Dropout,
    DropPath,
    Add,
    Mul,
    Concat,
    Flatten,
    Slice,
    Split,
    Shuffle,
    Upsample,
    Pad,
    Identity,
    Scale,
    Affine,
    Again,
)

OPS_BY_NAME: dict[str, type[Op]] = {op.name: op for op in _ALL}
GRAPH_OPS: tuple[type[Op], ...] = (Input, *(op for op in _ALL if not issubclass(op, Sugar)))
"""The ops that occur in a graph. The table of each target has one row for each of them."""

__all__ = [
    "GRAPH_OPS",
    "OPS_BY_NAME",
    "Add",
    "Affine",
    "Again",
    "AvgPool",
    "Bn",
    "Concat",
    "Conv",
    "Deconv",
    "DropPath",
    "Dropout",
    "DwConv",
    "Elu",
    "Fc",
    "Flatten",
    "Gap",
    "Gelu",
    "Gn",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "Init",
    "Input",
    "InstanceNorm",
    "LeakyRelu",
    "Ln",
    "Lrn",
    "MaxPool",
    "Merge",
    "Mul",
    "Norm",
    "Op",
    "OpError",
    "PRelu",
    "Pad",
    "Param",
    "Pool",
    "Rbf",
    "Relu",
    "Relu6",
    "Scale",
    "ScaledTanh",
    "Shuffle",
    "Sigmoid",
    "Silu",
    "Slice",
    "Softmax",
    "Split",
    "Subsample",
    "Sugar",
    "Tanh",
    "Upsample",
    "Weighted",
    "Window",
]
