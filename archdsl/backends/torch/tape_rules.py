"""What autograd stores in a training step: one rule for each module and function of the lowered ops.

A rule repeats what a module of torch (or of `layers`) does, with `Tensor`s that have sizes only. It is a row of `FACTS`
if it is one call, otherwise a function. The rows follow torch's `derivatives.yaml`. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

from archdsl.analysis.training import Tensor
from archdsl.backends.torch.tracer import FLOAT, HALF, INDEX, Tracer
from archdsl.shapes import at


def apply(t: Tracer, target: str, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """Record a module or function, named as in `steps`; `given` are its arguments."""
    name = re.sub(r"^nn\.|[123]d$", "", target)
    return RULES[name](t, x, given) if name in RULES else fact(t, FACTS[name], x)


class Fact(NamedTuple):
    """A single call of torch: what it stores, in which precision autocast runs it."""

    saves: str = ""
    same: bool = False
    scratch: bool = False
    """Whether its backward needs a temporary tensor of the size of its input."""
    full: Literal["", "reads", "result"] = ""
    """What autocast converts to fp32: what it reads, or only its result."""


STORES_INPUT, STORES_OUTPUT, STORES_NOTHING, PASSES = Fact("x"), Fact("y"), Fact(), Fact(same=True)

FACTS: Mapping[str, Fact] = {
    **dict.fromkeys(
        ("ReLU6", "Hardtanh", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "GELU", "Hardswish", "Hardsigmoid"),
        STORES_INPUT,
    ),
    "torch.abs": Fact("x", scratch=True),
    **dict.fromkeys(("AvgPool", "ReflectionPad", "ReplicationPad"), STORES_INPUT),
    **dict.fromkeys(("ReLU", "Tanh", "Sigmoid"), STORES_OUTPUT),
    "Softmax": Fact("y", full="reads"),
    "LogSoftmax": Fact("y", full="reads"),
    "Softplus": Fact("x", full="reads"),
    "torch.sum": Fact(same=True, full="result"),
    "torch.linalg.vector_norm": Fact("xy", scratch=True, full="result"),
    **dict.fromkeys(("torch.mean", "ConstantPad", "CircularPad"), STORES_NOTHING),
    **dict.fromkeys(("ChannelShuffle", "F.channel_shuffle", "PixelShuffle", "F.pixel_shuffle"), STORES_NOTHING),
    **dict.fromkeys(("PixelUnshuffle", "F.pixel_unshuffle"), STORES_NOTHING),
    "torch.cat": PASSES,
}
"""Targets that are one call whose result has the size of the node's output."""


def fact(t: Tracer, row: Fact, x: Sequence[Tensor]) -> Tensor:
    reads = [t.cast(one, FLOAT) for one in x] if row.full == "reads" else list(x)
    size = FLOAT if row.full == "result" else None
    scratch = reads[:1] if row.scratch else ()
    return t.call(*reads, values=t.out, saves=row.saves, same=row.same, size=size, scratch=scratch)


# --- layers with weights ------------------------------------------------------------------------------------


def conv(t: Tracer, x: Tensor, weight: Tensor, rest: Sequence[Tensor] = ()) -> Tensor:
    """A convolution stores its input and its weight, whatever needs a gradient."""
    low = [t.cast(one, HALF) for one in (x, weight, *rest)]
    y = t.call(*low, values=t.out, extra=low[:2], macs=t.node.macs, size=low[0].size)
    return y


def plain_conv(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    weight, *bias = t.weights()
    return conv(t, x[0], weight, bias)


def padded_conv(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    weight, *bias = t.weights()
    return conv(t, padded(t, x[0], given["pads"]), weight, bias)


def padded(t: Tracer, x: Tensor, pads: Sequence[int]) -> Tensor:
    """`F.pad`, which copies its input even if there is nothing to add."""
    channels, *sizes = t.concrete(t.node.in_shapes[0])
    sides = [sum(pads[2 * n : 2 * n + 2]) for n in range(len(sizes))][::-1]
    return t.call(x, values=channels * prod(size + more for size, more in zip(sizes, sides, strict=True)))


def std_conv(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    weight, *rest = t.weights()
    gain = rest.pop() if given.get("gain") is not None else None
    filters = t.node.op.out  # type: ignore[attr-defined]
    mean = t.call(weight, values=filters, extra=(weight,))
    centred = t.call(weight, mean)
    deviation = t.call(mean, saves="y")
    standard = t.call(centred, deviation, saves="x")
    if gain is not None:
        standard = t.call(standard, t.call(gain), saves="x")
    image = padded(t, x[0], given.get("pads", ()))
    return conv(t, image, standard, rest)


def table_conv(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The module keeps the places of the small kernels: one of each row, one of each map."""
    weight, *bias = t.weights()
    t.constants[t.node.path] = 2 * INDEX * (weight.values // prod(given["kernel_size"]))
    dense = t.call(weight, values=t.node.op.out * t.node.in_shapes[0][0] * prod(given["kernel_size"]))  # type: ignore
    return conv(t, padded(t, x[0], given["pads"]), dense, bias)


def linear(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The weight is transposed first. It is stored if the input needs a gradient."""
    weight, *bias = t.weights()
    one, weight, *bias = (t.cast(each, HALF) for each in (x[0], weight, *bias))
    kept = (one, weight) if one.grad else (one,)
    return t.call(one, t.view(weight), *bias, values=t.out, extra=kept, macs=t.node.macs, size=one.size)


def pointwise_linear(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return linear(t, (channels_last(t, t.cast(x[0], HALF)),), given)


def channels_last(t: Tracer, x: Tensor) -> Tensor:
    """The input with its channels last in memory: a view if they are."""
    if x.last or t.positions == 1 or t.node.in_shapes[0][0] == 1:
        return t.view(x, last=True)
    return t.call(x, last=True)


def rbf(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    difference = t.call(x[0], t.fixture("weight"), values=x[0].values * t.out, macs=t.node.macs)
    return t.call(t.call(difference, saves="x"), values=t.out)


# --- norms --------------------------------------------------------------------------------------------------


def batch_norm(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    channels = given["num_features"]
    return t.call(*x, *t.weights(), extra=(*x, *(t.extra(channels, batched=False) for _ in range(2))), size=x[0].size)


def group_norm(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    full = t.cast(x[0], FLOAT)
    statistics = [t.extra(given["num_groups"]) for _ in range(2)]
    return t.call(full, *t.weights(), extra=(full, *statistics))


def instance_norm(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    channels = given["num_features"]
    repeated = [t.repeat(one) for one in t.weights()]
    statistics = [t.extra(channels) for _ in range(2)]
    return t.call(*x, *repeated, extra=(*x, *repeated[:1], *statistics), size=x[0].size)


def layer_norm(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    full = t.cast(x[0], FLOAT)
    return t.call(full, *t.weights(), extra=(full, *(t.extra(t.positions) for _ in range(2))), last=True)


def local_response_norm(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    image, channels = x[0], t.node.in_shapes[0][0]
    padded = image.values // int(channels) * (int(channels) + given["size"] - 1)  # type: ignore
    squares = t.call(t.call(image, image, saves="x"), values=padded)
    sums = t.call(t.call(t.call(squares, values=image.values, saves="x")))
    divisor = t.call(t.cast(sums, FLOAT), saves="x", scratch=(sums, sums))
    return divide(t, (image, divisor), given)


# --- pools, activations, regularisers -----------------------------------------------------------------------


def max_pool(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(*x, values=t.out, saves="x", extra=(t.extra(t.out, size=INDEX),))


def padded_max_pool(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return max_pool(t, (padded(t, x[0], given["pads"]),), given)


def padded_avg_pool(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    y = t.call(padded(t, x[0], given["pads"]), values=t.out, saves="x")
    return (
        t.call(y, extra=(t.extra(t.out // at(t.node.shape[0]), batched=False, size=y.size),))
        if given.get("inside")
        else y
    )


def adaptive_avg_pool(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(*x, values=t.out, saves="" if given["output_size"] == 1 else "x")


def blur(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    t.constants[t.node.path] = FLOAT * prod(given["kernel_size"])
    channels, *sizes = t.concrete(t.node.in_shapes[0])
    sides = [
        step + taps - 2 - (step + taps) % 2 for step, taps in zip(given["stride"], given["kernel_size"], strict=True)
    ]
    image = t.call(x[0], values=channels * prod(map(sum, zip(sizes, sides, strict=True))), saves="x")
    return conv(t, image, Tensor(channels * prod(given["kernel_size"]), batched=False))


def subsample(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    value = x[0]
    channels, *sizes = t.concrete(t.node.in_shapes[0])
    new = list(t.concrete(t.node.shape[1:]))
    for n in range(len(sizes)):
        value = t.call(value, values=channels * prod((*new[: n + 1], *sizes[n + 1 :])), size=FLOAT)
    weight, bias = t.weights()
    return t.call(t.call(value, weight, saves="x"), bias)


def dropout(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """CUDA stores a mask of booleans, the CPU the factors."""
    if not given["p"]:
        return x[0]
    return t.call(*x, extra=(t.extra(x[0].values, size=1 if t.device == "cuda" else x[0].size),))


def drop_path(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(t.call(*x, extra=(t.extra(1, size=x[0].size),))) if given["p"] else x[0]


def largest(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The backward shares the gradient among equal values, which it counts."""
    size = x[0].size
    scratch = (*x, *t.masks(x[0], 1), t.extra(t.out, size=INDEX), t.extra(t.out, size=size))
    return t.call(*x, values=t.out, saves="xy", scratch=scratch)


def softsign(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return divide(t, (*x, t.call(t.call(*x, saves="x", scratch=x))), given)


def scaled_tanh(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(t.call(t.call(*x), saves="y"))


def hard_sigmoid(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    linear = t.call(t.call(*x))
    return t.call(linear, saves="x", scratch=t.masks(linear, 2))


def prelu(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(*broadcast(t, *(t.cast(one, HALF) for one in (*x, *t.weights()))), saves="x")


# --- operators and views ------------------------------------------------------------------------------------


def view(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.view(x[0])


def part(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.view(x[0], values=t.out)


def flatten(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    one = x[0]
    return t.call(one, last=False) if one.last and t.positions > 1 else t.view(one, last=False)


def add(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return joined(t, x, lambda y, one: t.call(y, one, same=True))


def subtract(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The gradient of the second input is a new tensor: that of the result with the other sign."""
    return joined(t, x, lambda y, one: t.call(y, t.view(one, values=one.values), same=True))


def multiply(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """Each factor is stored if the other needs a gradient; a constant factor is not."""
    return joined(t, x, lambda y, one: t.call(y, one, extra=[a for a, b in ((y, one), (one, y)) if b.grad]))


def divide(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The divisor is stored, and the other one if the divisor needs a gradient, which is the product of quotients."""

    def quotient(y: Tensor, one: Tensor) -> Tensor:
        if not one.grad:
            return t.call(y, one, extra=(one,))
        return t.call(y, one, saves="x", scratch=(y, y) if y.grad else (y, y, y))

    return joined(t, x, quotient)


def extreme(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    """The backward compares the inputs and halves the gradient."""
    return joined(t, x, lambda y, one: t.call(y, one, saves="x", scratch=(y, *t.masks(y, 2))))


def joined(t: Tracer, x: Sequence[Tensor], join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the inputs from left to right. A constant is no input."""
    y = x[0] if len(x) > 1 else t.call(x[0])
    for one in x[1:]:
        y = join(*broadcast(t, y, one))
    return y


def broadcast(t: Tracer, *x: Tensor) -> list[Tensor]:
    """The tensors in the size of the largest: views, whose gradients have that size until they are summed up."""
    values, batched = max(one.values for one in x), any(one.batched for one in x)
    return [
        one if (one.values, one.batched) == (values, batched) else t.view(one, values, batched=batched) for one in x
    ]


def affine(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(*x)


def upsample(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    return t.call(t.cast(x[0], FLOAT), values=t.out)


def pad(t: Tracer, x: Sequence[Tensor], given: Mapping[str, Any]) -> Tensor:
    stores = given.get("mode", "constant") in ("reflect", "replicate")
    return t.call(x[0], values=t.out, saves="x" if stores else "")


Rule: TypeAlias = Callable[[Tracer, Sequence[Tensor], Mapping[str, Any]], Tensor]

RULES: Mapping[str, Rule] = {
    "Conv": plain_conv,
    "ConvTranspose": plain_conv,
    "ChannelConv": plain_conv,
    "PaddedConv": padded_conv,
    "FixedConv": padded_conv,
    "StdConv": std_conv,
    "TableConv": table_conv,
    "Linear": linear,
    "PointwiseLinear": pointwise_linear,
    "Rbf": rbf,
    "BatchNorm": batch_norm,
    "GroupNorm": group_norm,
    "InstanceNorm": instance_norm,
    "LayerNorm": layer_norm,
    "LocalResponseNorm": local_response_norm,
    "MaxPool": max_pool,
    "AdaptiveMaxPool": max_pool,
    "PaddedMaxPool": padded_max_pool,
    "PaddedAvgPool": padded_avg_pool,
    "AdaptiveAvgPool": adaptive_avg_pool,
    "Blur": blur,
    "Subsample": subsample,
    "Dropout": dropout,
    "DropPath": drop_path,
    "Softsign": softsign,
    "torch.amax": largest,
    "ScaledTanh": scaled_tanh,
    "HardSigmoid": hard_sigmoid,
    "PReLU": prelu,
    "GroupedSoftmax": lambda t, x, given: fact(t, FACTS["Softmax"], x),
    "SpatialSoftmax": lambda t, x, given: fact(t, FACTS["Softmax"], x),
    "Identity": view,
    "Flatten": flatten,
    "torch.flatten": flatten,
    "torch.reshape": view,
    "slice": part,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "torch.maximum": extreme,
    "torch.minimum": extreme,
    "Affine": affine,
    "Upsample": upsample,
    "F.interpolate": upsample,
    "F.pad": pad,
}
