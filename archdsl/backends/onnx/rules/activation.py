"""Activations as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering, as_before, nothing, plain
from archdsl.ops.base import Op
from archdsl.shapes import at


def relu6(e: Emitter, op: ops.Relu6) -> None:
    e.last("Clip", e.x, e.floats("least", 0.0), e.floats("most", 6.0))


def leaky_relu(e: Emitter, op: ops.LeakyRelu) -> None:
    e.last("LeakyRelu", e.x, alpha=op.slope)


def prelu(e: Emitter, op: ops.PRelu) -> None:
    shape = (1,) if op.shared else (at(e.node.shape[0]),) + (1,) * (len(e.node.shape) - 1)
    e.last("PRelu", e.x, e.derived("slopes", "weight", shape))


def elu(e: Emitter, op: ops.Elu) -> None:
    e.last("Elu", e.x, alpha=op.alpha)


def scaled_tanh(e: Emitter, op: ops.ScaledTanh) -> None:
    inner = e.step("inner", "Mul", e.x, e.floats("slope", op.s))
    e.last("Mul", e.step("squashed", "Tanh", inner), e.floats("amplitude", op.a))


def silu(e: Emitter, op: ops.Silu) -> None:
    e.last("Mul", e.x, e.step("gate", "Sigmoid", e.x))


def gelu(e: Emitter, op: ops.Gelu) -> None:
    e.last("Gelu", e.x, approximate="tanh" if op.approximate else "none")


def hardsigmoid(e: Emitter, op: ops.HardSigmoid) -> None:
    e.last("HardSigmoid", e.x, alpha=1 / 6, beta=0.5)


def softmax(e: Emitter, op: ops.Softmax) -> None:
    """Moves the values of one sum to an axis of their own; this needs no Reshape for a softmax over all channels."""
    if op.plain:
        e.last("Softmax", e.x, axis=1)
        return
    apart = [0, 0, -1] if op.space else [0, op.groups, op.parts_of(at(e.node.shape[0])), -1]
    values = e.step("apart", "Reshape", e.x, e.ints("grouped", apart), allowzero=0)
    e.last("Reshape", e.step("softmax", "Softmax", values, axis=2), as_before(e), allowzero=0)


RULES: dict[type[Op], Lowering] = {
    ops.Relu: plain("Relu"),
    ops.Relu6: relu6,
    ops.LeakyRelu: leaky_relu,
    ops.PRelu: prelu,
    ops.Elu: elu,
    ops.Tanh: plain("Tanh"),
    ops.ScaledTanh: scaled_tanh,
    ops.Sigmoid: plain("Sigmoid"),
    ops.Silu: silu,
    ops.Gelu: gelu,
    ops.HardSwish: plain("HardSwish"),
    ops.HardSigmoid: hardsigmoid,
    ops.Abs: plain("Abs"),
    ops.Softmax: softmax,
    ops.Dropout: nothing,
    ops.DropPath: nothing,
}
