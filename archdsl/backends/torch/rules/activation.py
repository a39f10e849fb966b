"""Activations and regularisers as PyTorch modules and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Bare, Rule, X, call, module
from archdsl.backends.torch.steps import Literal, Lowered, Training
from archdsl.ops.base import Op
from archdsl.shapes import Shape, at


def prelu(op: ops.PRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.PReLU", num_parameters=1 if op.shared else at(shapes[0][0])))


def leaky_relu(op: ops.LeakyRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LeakyReLU", negative_slope=op.slope), call("F.leaky_relu", X, op.slope))


def elu(op: ops.Elu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.ELU", alpha=op.alpha), call("F.elu", X, op.alpha))


def celu(op: ops.Celu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.CELU", alpha=op.alpha), call("F.celu", X, op.alpha))


def softplus(op: ops.Softplus, shapes: Sequence[Shape]) -> Lowered:
    fields: dict[str, Literal] = {"beta": op.beta, "threshold": op.threshold}
    return Lowered(module("nn.Softplus", **fields), call("F.softplus", X, **fields))


def clip(op: ops.Clip, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.Hardtanh", min_val=op.low, max_val=op.high), call("F.hardtanh", X, op.low, op.high))


class _HardSigmoid(Bare):
    def __call__(self, op: ops.HardSigmoid, shapes: Sequence[Shape]) -> Lowered:
        if not op.explicit():
            return super().__call__(op, shapes)
        function = call("F.hardtanh", call("+", call("*", op.alpha, X), op.beta), 0.0, 1.0)
        return Lowered(module("HardSigmoid", alpha=op.alpha, beta=op.beta), function)


def log_softmax(op: ops.LogSoftmax, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(module("nn.LogSoftmax", dim=1), call("F.log_softmax", X, 1))


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
    ops.Selu: Bare("nn.SELU", "F.selu"),
    ops.Celu: celu,
    ops.Softplus: softplus,
    ops.Softsign: Bare("nn.Softsign", "F.softsign"),
    ops.Clip: clip,
    ops.Mish: Bare("nn.Mish", "F.mish"),
    ops.LogSoftmax: log_softmax,
    ops.Tanh: Bare("nn.Tanh", "torch.tanh"),
    ops.ScaledTanh: scaled_tanh,
    ops.Sigmoid: Bare("nn.Sigmoid", "torch.sigmoid"),
    ops.Silu: Bare("nn.SiLU", "F.silu"),
    ops.Gelu: gelu,
    ops.HardSwish: Bare("nn.Hardswish", "F.hardswish"),
    ops.Abs: abs_,
    ops.HardSigmoid: _HardSigmoid("nn.Hardsigmoid", "F.hardsigmoid"),
    ops.Softmax: softmax,
    ops.Dropout: dropout,
    ops.DropPath: droppath,
}
