"""Activations and regularisers as PyTorch modules and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Bare, Rule, X, call, module
from archdsl.backends.torch.steps import Lowered, Training
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def prelu(op: ops.PRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.PReLU", num_parameters=1 if op.shared else at(shapes[0][0])))


def leaky_relu(op: ops.LeakyRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LeakyReLU", negative_slope=op.slope), call("F.leaky_relu", X, op.slope))


def elu(op: ops.Elu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.ELU", alpha=op.alpha), call("F.elu", X, op.alpha))


def scaled_tanh(op: ops.ScaledTanh, shapes: Sequence[Shape]) -> Lowered:
    function = call("*", op.a, call("torch.tanh", call("*", op.s, X)))
    return Lowered(module("ScaledTanh", a=op.a, s=op.s), function)


def gelu(op: ops.Gelu, shapes: Sequence[Shape]) -> Lowered:
    approximate = "tanh" if op.approximate else "none"
    return Lowered(module("nn.GELU", approximate=approximate), call("F.gelu", X, approximate=approximate))


def softmax(op: ops.Softmax, shapes: Sequence[Shape]) -> Lowered:
    if op.space:
        return Lowered(module("SpatialSoftmax"))
    if not op.plain:
        return Lowered(module("GroupedSoftmax", groups=op.groups, parts=op.parts_of(at(shapes[0][0]))))
    return Lowered(module("nn.Softmax", dim=1), call("torch.softmax", X, 1))


def abs_(op: ops.Abs, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=call("torch.abs", X))


def dropout(op: ops.Dropout, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Dropout", p=op.p), call("F.dropout", X, op.p, Training()))


def droppath(op: ops.DropPath, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("DropPath", p=op.p))


RULES: dict[type[Op], Rule] = {
    ops.Relu: Bare("nn.ReLU", "F.relu"),
    ops.Relu6: Bare("nn.ReLU6", "F.relu6"),
    ops.LeakyRelu: leaky_relu,
    ops.PRelu: prelu,
    ops.Elu: elu,
    ops.Tanh: Bare("nn.Tanh", "torch.tanh"),
    ops.ScaledTanh: scaled_tanh,
    ops.Sigmoid: Bare("nn.Sigmoid", "torch.sigmoid"),
    ops.Silu: Bare("nn.SiLU", "F.silu"),
    ops.Gelu: gelu,
    ops.HardSwish: Bare("nn.Hardswish", "F.hardswish"),
    ops.HardSigmoid: Bare("nn.Hardsigmoid", "F.hardsigmoid"),
    ops.Abs: abs_,
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.DropPath: droppath,
}
