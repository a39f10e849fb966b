"""Activations as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering, as_before, nothing, plain
from archdsl.ops.base import LARGEST, Op
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


def selu(e: Emitter, op: ops.Selu) -> None:
    e.last("Selu", e.x, alpha=1.6732632423543772, gamma=1.0507009873554805)


def celu(e: Emitter, op: ops.Celu) -> None:
    e.last("Celu", e.x, alpha=op.alpha)


_STRAIGHT = 16.0
"""From here on, softplus is x within float32."""


def softplus(e: Emitter, op: ops.Softplus) -> None:
    """Where `beta * x` is above the threshold, the value is selected if float32 can tell the difference."""
    selects, x = op.threshold < _STRAIGHT, e.x
    if op.beta == 1.0 and not selects:
        e.last("Softplus", x)
        return
    sharp = x if op.beta == 1.0 else e.step("sharp", "Mul", x, e.floats("beta", op.beta))
    soft = e.step("soft", "Softplus", sharp)
    if op.beta != 1.0 and not selects:
        e.last("Div", soft, e.floats("beta", op.beta))
        return
    if op.beta != 1.0:
        soft = e.step("divided", "Div", soft, e.floats("beta", op.beta))
    e.last("Where", e.step("straight", "Greater", sharp, e.floats("threshold", op.threshold)), x, soft)


def mish(e: Emitter, op: ops.Mish) -> None:
    e.last("Mul", e.x, e.step("gate", "Tanh", e.step("soft", "Softplus", e.x)))


def clip(e: Emitter, op: ops.Clip) -> None:
    """A limit at the largest float32 number, of an imported file, is none: half precision has no such number."""
    low = e.floats("low", op.low) if op.low > -LARGEST else ""
    high = (e.floats("high", op.high),) if op.high < LARGEST else ()
    e.last("Clip", e.x, low, *high)


def log_softmax(e: Emitter, op: ops.LogSoftmax) -> None:
    e.last("LogSoftmax", e.x, axis=1)


def scaled_tanh(e: Emitter, op: ops.ScaledTanh) -> None:
    inner = e.step("inner", "Mul", e.x, e.floats("slope", op.s))
    e.last("Mul", e.step("squashed", "Tanh", inner), e.floats("amplitude", op.a))


def silu(e: Emitter, op: ops.Silu) -> None:
    e.last("Mul", e.x, e.step("gate", "Sigmoid", e.x))


def gelu(e: Emitter, op: ops.Gelu) -> None:
    e.last("Gelu", e.x, approximate="tanh" if op.approximate else "none")


def hardsigmoid(e: Emitter, op: ops.HardSigmoid) -> None:
    e.last("HardSigmoid", e.x, alpha=op.alpha, beta=op.beta)


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
    ops.Selu: selu,
    ops.Celu: celu,
    ops.Softplus: softplus,
    ops.Softsign: plain("Softsign"),
    ops.Clip: clip,
    ops.Mish: mish,
    ops.LogSoftmax: log_softmax,
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
