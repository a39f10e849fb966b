"""More kinds in plain torch, written from the language page: activations, and ops that blur or move pixels."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import torch
import torch.nn.functional as F

from tests.search.networks.grids import placed
from tests.search.networks.kinds import CONVS, Fields, Kind, Unsound, axes_of, each, image, spatial


def channelconv(m: Any, x: Any, f: Fields) -> Any:
    """Each output channel is a sum over its neighbours."""
    size = f["size"]
    if size < 1 or size % 2 == 0:
        raise Unsound("E0404" if size > 0 else "E0308")
    weight = m.take("weight", (1, 1, size)).flatten()
    bias = m.take("bias", (1,)) if f.get("bias", True) else torch.zeros(1, dtype=x.dtype)
    wide = F.pad(x.transpose(1, -1), (size // 2, size // 2)).transpose(1, -1)
    parts = [wide[:, n : n + x.shape[1]] for n in range(size)]
    m.macs += x[0].numel() * size
    terms = sum((part.abs() * w.abs() for part, w in zip(parts, weight, strict=True)), bias.abs())
    return m.rounded(sum((part * w for part, w in zip(parts, weight, strict=True)), bias), terms, size + 1)


def blurpool(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    kernel, stride = each(f["kernel"], x), each(f.get("stride", 2), x)
    for axis, (taps, step) in enumerate(zip(kernel, stride, strict=True), 2):
        pad = (step + taps - 2) // 2
        if x.shape[axis] <= pad or x.shape[axis] + 2 * pad < taps:
            raise Unsound("E0402", torch=True)
        size = x.shape[axis]
        places = [size - 1 - abs(size - 1 - abs(n)) for n in range(-pad, size + pad)]
        wide = x.index_select(axis, torch.tensor(places))
        count = (size + 2 * pad - taps) // step + 1
        moved = [wide.narrow(axis, tap, wide.shape[axis] - taps + 1) for tap in range(taps)]
        blurred = sum(part * (comb(taps - 1, tap) / 2 ** (taps - 1)) for tap, part in enumerate(moved))
        x = blurred.index_select(axis, torch.arange(count) * step)  # type: ignore[union-attr]
    return m.rounded(x, x.abs() + x.abs().amax(spatial(x), keepdim=True), 9)


def pixelshuffle(m: Any, x: Any, f: Fields) -> Any:
    """A transposed convolution with one 1 for each channel."""
    image(x)
    r, n = f["scale"], axes_of(x)
    if x.shape[1] % r**n:
        raise Unsound("E0403", torch=True)
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
    ones = torch.eye(r**n, dtype=x.dtype).reshape(r**n, 1, *[r] * n).repeat(x.shape[1] // r**n, *[1] * (n + 1))
    return quiet(m, lambda: run(x, ones, None, r, 0, 0, x.shape[1] // r**n))


def pixelunshuffle(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    r, n = f["scale"], axes_of(x)
    if any(size % r for size in x.shape[2:]):
        raise Unsound("E0428", torch=True)
    ones = torch.eye(r**n, dtype=x.dtype).reshape(r**n, 1, *[r] * n).repeat(x.shape[1], *[1] * (n + 1))
    return quiet(m, lambda: CONVS[n](x, ones, None, r, 0, 1, x.shape[1]))


def quiet(m: Any, run: Callable[[], Any]) -> Any:
    """The value, without the multiplications by 1 and 0 that torch would count."""
    with torch.utils._python_dispatch._disable_current_modes():
        return run()


def clip(m: Any, x: Any, f: Fields) -> Any:
    low, high = f.get("low", -1.0), f.get("high", 1.0)
    if low >= high:
        raise Unsound("E0430", torch=True)
    return x.clamp(low, high)


def log_softmax(m: Any, x: Any, f: Fields) -> Any:
    value = torch.log_softmax(x, 1)
    return m.rounded(value, 1 + value.abs(), x.shape[1] + 4)


def softplus(m: Any, x: Any, f: Fields) -> Any:
    beta = f.get("beta", 1.0)
    soft = torch.logaddexp(beta * x, torch.zeros_like(x)) / beta
    return m.rounded(torch.where(beta * x > f.get("threshold", 20.0), x, soft), (1 + x.abs()) / min(beta, 1), 6)


def _bent(function: Callable[[Any, Fields], Any], magnitude: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda m, x, f: m.rounded(function(x, f), magnitude(x), 6)


def _below(x: Any) -> Any:
    return x.clamp(max=0)


def _celu(x: Any, f: Fields) -> Any:
    alpha = f.get("alpha", 1.0)
    return torch.where(x > 0, x, alpha * torch.expm1(_below(x) / alpha))


def _mish(x: Any, f: Fields) -> Any:
    return x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x)))


SELU, SLOPE = 1.6732632423543772, 1.0507009873554805
_ACTS: dict[str, Callable[..., Any]] = {
    "selu": _bent(lambda x, f: SLOPE * torch.where(x > 0, x, SELU * torch.expm1(_below(x))), lambda x: 2 + x.abs()),
    "celu": _bent(_celu, lambda x: 1 + x.abs()),
    "softplus": softplus,
    "softsign": _bent(lambda x, f: x / (1 + x.abs()), lambda x: (x / (1 + x.abs())).abs()),
    "mish": _bent(_mish, torch.abs),
    "log_softmax": log_softmax,
    "clip": clip,
    "hardsigmoid": _bent(
        lambda x, f: (f.get("alpha", 1 / 6) * x + f.get("beta", 0.5)).clamp(0, 1), lambda x: 1 + 0 * x
    ),
}


def _drawn(name: str) -> Callable[[Any], Fields]:
    """Fields of an activation, as often as not."""
    values: dict[str, list[Fields]] = {
        "celu": [{"alpha": 0.5}, {"alpha": 2}],
        "softplus": [{"beta": 2}, {"threshold": 1}, {"beta": 0.5, "threshold": 3}],
        "clip": [{"low": -0.5, "high": 2}, {"low": 0}, {"high": 0.25}],
        "hardsigmoid": [{"alpha": 0.2}, {"alpha": -0.25, "beta": 0.75}],
    }
    return lambda leaf: leaf.rng.choice(values[name]) if name in values and leaf.chance(60) else {}


def _scale(leaf: Any) -> Fields:
    return {"scale": leaf.rng.choice([1, 1, 2, 2, 2, 3])}


_POSITIONAL = {"celu": ("alpha",), "clip": ("low", "high")}
KINDS = {
    **{
        name: Kind(placed(name, run), _POSITIONAL.get(name, ()), image=1, vector=1, draw=_drawn(name))
        for name, run in _ACTS.items()
    },
    "channelconv": Kind(
        placed("channelconv", channelconv),
        ("size",),
        image=2,
        vector=2,
        draw=lambda leaf: (
            {"size": leaf.rng.choice([1, 3, 3, 5, 9])} | ({"bias": leaf.chance(50)} if leaf.chance(50) else {})
        ),
    ),
    "blurpool": Kind(
        placed("blurpool", blurpool),
        image=2,
        draw=lambda leaf: {"kernel": leaf.per_axis(1, 2, 3, 3, 4, 5), "stride": leaf.per_axis(1, 2, 2, 3)},
    ),
    "pixelshuffle": Kind(placed("pixelshuffle", pixelshuffle), ("scale",), image=2, draw=_scale),
    "pixelunshuffle": Kind(placed("pixelunshuffle", pixelunshuffle), ("scale",), image=2, draw=_scale),
}
