"""Functions of the ATen ops that compute each value from the values at its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import fx

from archdsl.frontends.aten.filters import response_norm
from archdsl.frontends.aten.translation import Lazy, Translation
from archdsl.frontends.state import Unsupported


def identity(t: Translation, input: Any, *arguments: Any, **options: Any) -> str | Lazy:
    """An op that leaves its input as it is in evaluation mode, or only copies it."""
    if t.node.meta["val"].dtype != input.meta["val"].dtype:
        raise Unsupported("it changes the type of its input")
    return t.lazy[input] if input in t.lazy else t.value(input)


def dropout(t: Translation, input: Any, p: float, train: bool) -> str | Lazy:
    """Emitted, as a spec has it too; the functions that drop whole channels have no op and change nothing here."""
    if 0 < p < 1 and not train:
        return t.emit("Dropout", t.value(input), t.array(p, np.float32))
    return other_dropout(t, input, p, train)


def other_dropout(t: Translation, input: Any, p: float, train: bool) -> str | Lazy:
    if train and p:
        raise Unsupported("it drops values also in evaluation mode")
    return identity(t, input)


def act(op_type: str, **attributes: Any) -> Callable[..., str]:
    return lambda t, x: t.emit(op_type, t.value(x), **attributes)


def gated(op_type: str) -> Callable[..., str]:
    """`x * gate(x)`, which has no ONNX op of its own."""

    def rule(t: Translation, x: Any) -> str:
        name = t.value(x)
        return t.emit("Mul", name, t.emit(op_type, name))

    return rule


def clip(t: Translation, self: Any, min: float | None = None, max: float | None = None) -> str:
    limits = ("" if limit is None else t.array(limit, np.float32) for limit in (min, max))
    if isinstance(min, fx.Node) or isinstance(max, fx.Node):
        raise Unsupported("its limits are tensors")
    return t.emit("Clip", t.value(self), *limits)


def hardtanh(t: Translation, self: Any, min_val: float = -1, max_val: float = 1) -> str:
    return clip(t, self, min_val, max_val)


def elu(t: Translation, self: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> str:
    if (scale, input_scale) != (1, 1):
        raise Unsupported("it has scales of its own")
    return t.emit("Elu", t.value(self), alpha=float(alpha))


def celu(t: Translation, self: Any, alpha: float = 1.0) -> str:
    return t.emit("Celu", t.value(self), alpha=float(alpha))


def leaky_relu(t: Translation, self: Any, negative_slope: float = 0.01) -> str:
    return t.emit("LeakyRelu", t.value(self), alpha=float(negative_slope))


def softplus(t: Translation, self: Any, beta: float = 1, threshold: float = 20) -> str:
    if (beta, threshold) != (1, 20):
        raise Unsupported("its beta is not 1, or its threshold not 20")
    return t.emit("Softplus", t.value(self))


def gelu(t: Translation, self: Any, approximate: str = "none") -> str:
    return t.emit("Gelu", t.value(self), approximate=approximate)


def softmax(op_type: str) -> Callable[..., str]:
    def rule(t: Translation, self: Any, dim: int, dtype: Any = None) -> str:
        if dtype not in (None, torch.float32):
            raise Unsupported("it computes in another type")
        return t.emit(op_type, t.value(self), axis=dim % len(t.shape(self)))

    return rule


# --- two operands ----------------------------------------------------------------------------------------------


def times(t: Translation, value: Any, factor: Any) -> Any:
    """The value times a number, as the name of a value; the value itself if the number is 1."""
    if factor == 1:
        return t.value(value)
    if isinstance(value, (int, float)):
        return t.value(value * factor)
    return t.emit("Mul", t.value(value), t.array(factor, np.float32))


def joined(op_type: str) -> Callable[..., str]:
    def rule(t: Translation, self: Any, other: Any, *, alpha: Any = 1, rounding_mode: Any = None) -> str:
        if rounding_mode is not None:
            raise Unsupported("it rounds the quotient")
        return t.emit(op_type, t.value(self), times(t, other, alpha))

    return rule


def rsub(t: Translation, self: Any, other: Any, alpha: Any = 1) -> str:
    return t.emit("Sub", t.value(other), times(t, self, alpha))


def addcmul(t: Translation, self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> str:
    product = t.emit("Mul", t.value(tensor1), t.value(tensor2))
    if value != 1:
        product = t.emit("Mul", product, t.array(value, np.float32))
    return t.emit("Add", t.value(self), product)


def neg(t: Translation, self: Any) -> str:
    return t.emit("Mul", t.value(self), t.array(-1.0, np.float32))


def div(t: Translation, self: Any, other: Any, *, rounding_mode: Any = None) -> str:
    norm = response_norm(self, other)
    return (
        joined("Div")(t, self, other, rounding_mode=rounding_mode)
        if norm is None
        else t.emit("LRN", t.value(self), **norm)
    )


def power(t: Translation, self: Any, exponent: Any) -> str:
    user = next(iter(t.node.users))
    if len(t.node.users) == 1 and user.args[1:] == (t.node,) and response_norm(user.args[0], t.node) is not None:
        return ""  # the division reads it
    if exponent != 2:
        raise Unsupported("it is a power other than 2")
    return t.emit("Mul", t.value(self), t.value(self))


_COPIES = ("clone", "contiguous", "detach", "alias", "to", "_to_copy", "positive", "lift_fresh", "type_as", "float")
_DROPS = ("feature_dropout", "alpha_dropout", "feature_alpha_dropout")

TABLE: Mapping[str, Any] = {
    **dict.fromkeys(_COPIES, identity),
    "dropout": dropout,
    **dict.fromkeys(_DROPS, other_dropout),
    "relu": act("Relu"),
    "sigmoid": act("Sigmoid"),
    "tanh": act("Tanh"),
    "abs": act("Abs"),
    "selu": act("Selu"),
    "mish": act("Mish"),
    "relu6": lambda t, self: clip(t, self, 0.0, 6.0),
    "hardsigmoid": act("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardswish": act("HardSwish"),
    "silu": gated("Sigmoid"),
    "hardtanh": hardtanh,
    "clamp": clip,
    "clamp_min": clip,
    "elu": elu,
    "celu": celu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "gelu": gelu,
    "softmax": softmax("Softmax"),
    "log_softmax": softmax("LogSoftmax"),
    "add": joined("Add"),
    "sub": joined("Sub"),
    "mul": joined("Mul"),
    "div": div,
    "maximum": joined("Max"),
    "max.other": joined("Max"),
    "minimum": joined("Min"),
    "min.other": joined("Min"),
    "rsub": rsub,
    "addcmul": addcmul,
    "neg": neg,
    "pow": power,
    "square": lambda t, self: power(t, self, 2),
}
