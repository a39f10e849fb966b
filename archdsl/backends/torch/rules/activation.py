"""Activations and regularisers as PyTorch modules.

An implied one is a module as well: hooks, attribution methods and quantisation find it. A function would hide it.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Bare, Rule, X, call, module
from archdsl.backends.torch.steps import Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def prelu(op: ops.PRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.PReLU", num_parameters=1 if op.shared else at(shapes[0][0])))


def leaky_relu(op: ops.LeakyRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LeakyReLU", negative_slope=op.slope))


def elu(op: ops.Elu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.ELU", alpha=op.alpha))


def celu(op: ops.Celu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.CELU", alpha=op.alpha))


def softplus(op: ops.Softplus, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Softplus", beta=op.beta, threshold=op.threshold))


def clip(op: ops.Clip, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Hardtanh", min_val=op.low, max_val=op.high))


class _HardSigmoid(Bare):
    def __call__(self, op: ops.HardSigmoid, shapes: Sequence[Shape]) -> Lowered:
        if not op.explicit():
            return super().__call__(op, shapes)
        return Lowered(module("HardSigmoid", alpha=op.alpha, beta=op.beta))


def log_softmax(op: ops.LogSoftmax, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LogSoftmax", dim=1))


def scaled_tanh(op: ops.ScaledTanh, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("ScaledTanh", a=op.a, s=op.s))


def gelu(op: ops.Gelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.GELU", approximate="tanh" if op.approximate else "none"))


def softmax(op: ops.Softmax, shapes: Sequence[Shape]) -> Lowered:
    if op.space:
        return Lowered(module("SpatialSoftmax"))
    if not op.plain:
        return Lowered(module("GroupedSoftmax", groups=op.groups, parts=op.parts_of(at(shapes[0][0]))))
    return Lowered(module("nn.Softmax", dim=1))


def abs_(op: ops.Abs, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=call("torch.abs", X))


def dropout(op: ops.Dropout, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Dropout", p=op.p))


def droppath(op: ops.DropPath, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("DropPath", p=op.p))


RULES: dict[type[Op], Rule] = {
    ops.Relu: Bare("nn.ReLU"),
    ops.Relu6: Bare("nn.ReLU6"),
    ops.LeakyRelu: leaky_relu,
    ops.PRelu: prelu,
    ops.Elu: elu,
    ops.Selu: Bare("nn.SELU"),
    ops.Celu: celu,
    ops.Softplus: softplus,
    ops.Softsign: Bare("nn.Softsign"),
    ops.Clip: clip,
    ops.Mish: Bare("nn.Mish"),
    ops.LogSoftmax: log_softmax,
    ops.Tanh: Bare("nn.Tanh"),
    ops.ScaledTanh: scaled_tanh,
    ops.Sigmoid: Bare("nn.Sigmoid"),
    ops.Silu: Bare("nn.SiLU"),
    ops.Gelu: gelu,
    ops.HardSwish: Bare("nn.Hardswish"),
    ops.Abs: abs_,
    ops.HardSigmoid: _HardSigmoid("nn.Hardsigmoid"),
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.DropPath: droppath,
}
