"""Layers that PyTorch has no op for, and computes with several: standardized filters, blur pools, response norms."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import fx

from archdsl import ops
from archdsl.axes import MOST
from archdsl.frontends.aten.translation import Translation, numbers
from archdsl.frontends.state import Unsupported, single

STANDARDIZED, BLUR = "aten.StandardizedConv", "aten.BlurPool"
"""Ops of archdsl that ONNX does not have. The rule of the first takes the learned gain as its fourth input."""

_VIEWS = ("view", "reshape", "reshape_as", "view_as", "flatten", "squeeze", "unsqueeze")


def filters(t: Translation, weight: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """The op of a convolution with such filters, its weight and gain, and its attributes for them.

    Raises `Unsupported` for filters that are neither a parameter nor a standardized one.
    """
    if t.parameter(weight):
        return "Conv", (weight,), {}
    norm = _before_views(weight)
    if _is(norm, "batch_norm"):
        learned, scale, shift, mean, variance, training, _, eps, *_ = norm.args
        source = _before_views(learned)
        flat = (1, t.shape(source)[0], -1) if isinstance(source, fx.Node) else ()
        statistics = (shift, mean, variance) == (None, None, None) and training
        if statistics and t.parameter(source) and t.shape(learned)[:2] == flat[:2]:
            attributes = {"standardize": single(eps)}
            if scale is None:
                return STANDARDIZED, (source,), attributes
            gain, factor = _gain(t, scale)
            if t.shape(gain) == (t.shape(source)[0], *[1] * (len(t.shape(source)) - 1)):
                values = int(np.prod(t.shape(source)[1:]))
                return STANDARDIZED, (source, gain), {**attributes, "gain": _short(factor, values)}
    if not t.constants.get(weight):
        raise Unsupported("its weight is computed from the input")
    learned = t.constants[weight].learned
    reason = f"is computed from the parameter `{learned}`" if learned else "is not a parameter"
    raise Unsupported(f"its weight {reason}")


def blurs(t: Translation, padded: Any, weight: Any, stride: tuple[int, ...], groups: int) -> bool:
    """Whether a convolution is a blur pool: a fixed binomial filter per channel, of an input padded by reflection."""
    constant, shape = t.constants.get(weight), t.shape(weight)
    if constant is None or constant.learned or not _is(padded, "pad") or padded.args[2:3] != ("reflect",):
        return False
    op = ops.BlurPool(kernel=shape[2:], stride=stride)
    pads = op.pads()
    sides = tuple(n for pair in zip(reversed(pads.begins), reversed(pads.ends), strict=True) for n in pair)
    expected = np.array(op.filter(), np.float32).reshape(shape[2:])
    depthwise = shape[:2] == (groups, 1) and t.shape(padded)[1] == groups
    return depthwise and tuple(padded.args[1]) == sides and bool((numbers(constant.tensor) == expected).all())


def response_norm(input: Any, divisor: Any) -> dict[str, Any] | None:
    """The attributes of an LRN that PyTorch computes as the quotient of these two; None if they are something else."""
    if not _is(divisor, "pow") or not _is(divisor.args[0], "add") or not _is(divisor.args[0].args[0], "mul"):
        return None
    shifted, scaled = divisor.args[0], divisor.args[0].args[0]
    pool = _before_views(scaled.args[0])
    padded: Any = pool.args[0] if _pools(pool) else None
    square = _before_views(padded.args[0]) if _is(padded, "pad") else None
    if square is None or not _is(square, "mul") or square.args != (input, input):
        return None
    size, *others = pool.args[1]
    sides = [size // 2, (size - 1) // 2]
    plain = padded.args[1:] == ([*(0 for _ in others for _ in sides), *sides],) and pool.args[2:] == (
        [1] * len(pool.args[1]),
    )
    if not plain or set(others) != {1} or padded.kwargs or pool.kwargs:
        return None
    numbers_ = (scaled.args[1], divisor.args[1], shifted.args[1])
    if not all(isinstance(number, (int, float)) for number in numbers_):
        return None
    return {"size": size, **dict(zip(("alpha", "beta", "bias"), numbers_, strict=True))}


def _pools(node: Any) -> bool:
    return any(_is(node, f"avg_pool{n}d") for n in range(1, MOST + 1))


def _is(node: Any, name: str) -> bool:
    packet = getattr(getattr(node, "target", None), "_overloadpacket", None)
    return packet is not None and packet.__name__ == name


def _before_views(node: Any) -> Any:
    while any(_is(node, name) for name in _VIEWS):
        node = node.args[0]
    return node


def _gain(t: Translation, scale: Any) -> tuple[Any, float]:
    """The learned gain of a scale, and the number that multiplies it."""
    product = _before_views(scale)
    if _is(product, "mul") and t.parameter(product.args[0]) and isinstance(product.args[1], (int, float)):
        return product.args[0], float(product.args[1])
    if t.parameter(product):
        return product, 1.0
    raise Unsupported("the gain of its standardized weight is not a parameter")


def _short(factor: float, values: int) -> float:
    """The field `gain` whose quotient by the root of the number of values of a filter is `factor`.

    A number of few digits if its quotient is the same; PyTorch's modules were given such a number.
    """
    gain = factor * values**0.5
    short = float(f"{gain:.12g}")
    return short if np.isclose(short * values**-0.5, factor, rtol=1e-15, atol=0) else gain
