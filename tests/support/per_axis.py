"""Every op on signals, images and volumes: the node as a spec writes it, and the same in plain torch.

Nothing of archdsl is imported here. An expression takes the number of axes, the input with its batch, and the tensors
of the node by the last part of their keys (`n`: the node's own).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

CHANNELS = 6
SIZES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    1: ((9,), (14,)),
    2: ((9, 8), (11, 12)),
    3: ((7, 9, 8), (10, 8, 11)),
}
"""By the number of axes, two sizes of the input: of the spec, and another one."""


class Case(NamedTuple):
    """An op on any number of axes. `{3}` in the text stands for a window of that size: `3x3x3` on a volume."""

    text: str
    expression: Callable[..., Any]
    imports: bool = True
    """False: node by node, its ONNX file cannot be read back."""
    reach: float = 1.0
    """The spread of the input."""

    def node(self, axes: int) -> str:
        return re.sub(r"{(\d)}", lambda digit: "x".join([digit[1]] * axes), self.text)

    def spec(self, axes: int) -> str:
        """A network of the one node `n`."""
        return f"input: {'x'.join(map(str, (CHANNELS, *SIZES[axes][0])))}\nnet:\n  n: {self.node(axes)}\n"


def conv(axes: int, *args: Any) -> Any:
    return (F.conv1d, F.conv2d, F.conv3d)[axes - 1](*args)


def deconv(axes: int, *args: Any) -> Any:
    return (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1](*args)


def maxpool(axes: int, *args: Any) -> Any:
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1](*args)


def avgpool(axes: int, *args: Any) -> Any:
    return (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1](*args)


def adaptive(axes: int, *args: Any) -> Any:
    return (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[axes - 1](*args)


def linear(axes: int, x: Any, factor: int) -> Any:
    return F.interpolate(x, scale_factor=factor, mode=("linear", "bilinear", "trilinear")[axes - 1])


def per_channel(x: Any, values: Any) -> Any:
    return values.reshape(-1, *[1] * (x.dim() - 2))


def everywhere(x: Any, before: int, after: int, value: float = 0.0) -> Any:
    return F.pad(x, (before, after) * (x.dim() - 2), value=value)


def same(x: Any, kernel: int, stride: int, value: float = 0.0) -> Any:
    """TensorFlow's padding: the output is the size divided by the stride, rounded up."""
    totals = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[:1:-1]]
    return F.pad(x, list(itertools.chain(*((total // 2, total - total // 2) for total in totals))), value=value)


def inside(axes: int, x: Any, pool: Callable[[Any], Any]) -> Any:
    """The mean over the pixels of the image, from the mean over all."""
    return pool(x) / pool(torch.ones_like(x))


def table(axes: int, x: Any, weight: Any, bias: Any) -> Any:
    rows = [[0, 1, 2], [3, 4]]
    kernels = iter(weight)
    maps = [sum(conv(axes, x[:, [c]], next(kernels)[None, None], None, 1, 1) for c in row) for row in rows]
    return torch.cat(maps, 1) + per_channel(x, bias)


def norm(x: Any, axes: Sequence[int], eps: float = 1e-5) -> Any:
    mean = x.mean(tuple(axes), keepdim=True)
    return (x - mean) / ((x - mean).square().mean(tuple(axes), keepdim=True) + eps).sqrt()


def bn(axes: int, x: Any, **w: Any) -> Any:
    return F.batch_norm(x, w["running_mean"], w["running_var"], w.get("weight"), w.get("bias"), False, 0.1, 1e-3)


def scaled(x: Any, y: Any, weight: Any, bias: Any) -> Any:
    return y * per_channel(x, weight) + per_channel(x, bias)


def std_conv(axes: int, x: Any, w: Any, bias: Any, *args: Any, factor: Any = 1.0) -> Any:
    rows = [(f - f.mean()) / (f.var(correction=0) + 1e-6).sqrt() for f in w]
    return conv(axes, x, torch.stack(rows) * factor, bias, *args)


def blurred(axes: int, x: Any, row: Sequence[int], stride: int, pad: int) -> Any:
    """One axis after the other."""
    for axis in range(2, axes + 2):
        taps = torch.tensor(row, dtype=x.dtype) / sum(row)
        lines = F.pad(x.movedim(axis, -1).flatten(0, -2)[:, None], (pad, pad), mode="reflect")
        shape = x.movedim(axis, -1).shape[:-1]
        x = F.conv1d(lines, taps[None, None], stride=stride).reshape(*shape, -1).movedim(-1, axis)
    return x


def along_channels(axes: int, x: Any, weight: Any, bias: Any) -> Any:
    rows = x.flatten(2).transpose(1, 2)
    flat = conv(1, rows.reshape(-1, 1, x.shape[1]), weight, bias, 1, 1)
    return flat.reshape(rows.shape).transpose(1, 2).reshape(x.shape)


WEIGHTED = [
    Case("channelconv 3", along_channels),
    Case("{3} conv 4", lambda n, x, weight, bias: conv(n, x, weight, bias, 1, 1)),
    Case("{3} conv 4 /2 nobias", lambda n, x, weight: conv(n, x, weight, None, 2, 1)),
    Case("{2} conv 4", lambda n, x, weight, bias: conv(n, x, weight, bias)),
    Case("{3} conv 6 dilation=2 groups=3", lambda n, x, weight, bias: conv(n, x, weight, bias, 1, 2, 2, 3)),
    Case(
        "{3} conv 4 /2 same",
        lambda n, x, weight, bias: conv(n, same(x, 3, 2), weight, bias, 2),
    ),
    Case("conv 4 kernel=3 stride=2 pad=2", lambda n, x, weight, bias: conv(n, x, weight, bias, 2, 2)),
    Case("{3} dwconv multiplier=2", lambda n, x, weight, bias: conv(n, x, weight, bias, 1, 1, 1, 6)),
    Case(
        "{3} conv 4 /2 same standardized nobias",
        lambda n, x, weight: std_conv(n, same(x, 3, 2), weight, None, 2),
    ),
    Case(
        "{3} conv 6 groups=2 standardized gain=2",
        lambda n, x, weight, bias, gain: std_conv(n, x, weight, bias, 1, 1, 1, 2, factor=2 * gain / (3 * 3**n) ** 0.5),
    ),
    Case("{3} conv 2 table=[[0,1,2],[3,4]]", table),
    Case("{2} deconv 4 /2", lambda n, x, weight, bias: deconv(n, x, weight, bias, 2)),
    Case("{3} deconv 4 /2", lambda n, x, weight, bias: deconv(n, x, weight, bias, 2, 1, 1)),
    Case("{4} deconv 4 /2 groups=2 nobias", lambda n, x, weight: deconv(n, x, weight, None, 2, 1, 0, 2)),
    Case(
        "{3} deconv 6 pad=0 extra=1 dilation=2",
        lambda n, x, weight, bias: deconv(n, x, weight, bias, 1, 0, 1, 1, 2),
        imports=False,
    ),
    Case(
        "{3} deconv 6 pad=1 extra=1 dilation=2 nobias",
        lambda n, x, weight: deconv(n, x, weight, None, 1, 1, 1, 1, 2),
        imports=False,
    ),
    Case("{1} fc 5", lambda n, x, weight, bias: conv(n, x, weight.reshape(5, 6, *[1] * n), bias)),
    Case("prelu", lambda n, x, weight: torch.where(x > 0, x, per_channel(x, weight) * x)),
    Case("prelu shared=true", lambda n, x, weight: torch.where(x > 0, x, weight * x)),
    Case("scale 0.5", lambda n, x, n_: x * n_),
    Case("scale flat", lambda n, x, n_: x * per_channel(x, n_)),
    Case(
        "{2} subsample",
        lambda n, x, weight, bias: scaled(x, avgpool(n, x, 2) * 2**n, weight, bias),
        imports=False,
    ),
]

NORMS = [
    Case("bn eps=0.001", bn),
    Case("bn eps=0.001 affine=false", bn),
    Case("gn 3", lambda n, x, weight, bias: F.group_norm(x, 3, weight, bias), imports=False),
    Case("gn 2 affine=false", lambda n, x: F.group_norm(x, 2), imports=False),
    Case("instancenorm", lambda n, x: norm(x, range(2, n + 2))),
    Case("instancenorm affine=true", lambda n, x, weight, bias: scaled(x, norm(x, range(2, n + 2)), weight, bias)),
    Case("ln", lambda n, x, weight, bias: scaled(x, norm(x, [1]), weight, bias)),
    Case("ln affine=false", lambda n, x: norm(x, [1])),
    Case("lrn alpha=0.3 k=2", lambda n, x: F.local_response_norm(x, 5, 0.3, 0.75, 2.0)),
    Case("lrn 4 alpha=0.3", lambda n, x: F.local_response_norm(x, 4, 0.3)),
]

POOLS = [
    Case("{3} maxpool /2", lambda n, x: maxpool(n, x, 3, 2)),
    Case("{3} maxpool /2 pad=1", lambda n, x: maxpool(n, x, 3, 2, 1)),
    Case("{3} maxpool /2 pad=1 ceil", lambda n, x: maxpool(n, x, 3, 2, 1, 1, True)),
    Case("{3} maxpool dilation=2 stride=2 pad=1", lambda n, x: maxpool(n, x, 3, 2, 1, 2)),
    Case(
        "{2} maxpool dilation=3 stride=1 pad=2",
        lambda n, x: maxpool(n, everywhere(x, 2, 2, float("-inf")), 2, 1, 0, 3),
        imports=False,
    ),
    Case("{3} maxpool /2 same", lambda n, x: maxpool(n, same(x, 3, 2, float("-inf")), 3, 2)),
    Case("{3} avgpool /2", lambda n, x: avgpool(n, x, 3, 2)),
    Case("{3} avgpool /2 pad=1", lambda n, x: avgpool(n, x, 3, 2, 1)),
    Case("{3} avgpool /2 pad=1 inside", lambda n, x: avgpool(n, x, 3, 2, 1, False, False)),
    Case("{3} avgpool /2 pad=1 ceil", lambda n, x: avgpool(n, x, 3, 2, 1, True), imports=False),
    Case("{2} avgpool ceil inside", lambda n, x: avgpool(n, x, 2, 2, 0, True, False), imports=False),
    Case("{3} avgpool /2 same", lambda n, x: avgpool(n, same(x, 3, 2), 3, 2)),
    Case(
        "{3} avgpool /2 same inside",
        lambda n, x: inside(n, x, lambda y: avgpool(n, same(y, 3, 2), 3, 2)),
        imports=False,
    ),
    Case("{1} avgpool adaptive", lambda n, x: adaptive(n, x, 1)),
    Case("{3} avgpool adaptive", lambda n, x: adaptive(n, x, 3), imports=False),
    Case("avgpool adaptive kernel=4", lambda n, x: adaptive(n, x, 4), imports=False),
    Case("gmp", lambda n, x: x.amax(tuple(range(2, n + 2)), keepdim=True)),
    Case("mean channels", lambda n, x: sum(x.unbind(1))[:, None] / x.shape[1]),
    Case("mean space", lambda n, x: x.flatten(2).mean(2).reshape(*x.shape[:2], *[1] * n)),
    Case("max channels", lambda n, x: x.sort(1).values[:, -1:]),
    Case("max space", lambda n, x: x.flatten(2).sort(2).values[:, :, -1].reshape(*x.shape[:2], *[1] * n)),
    Case("sum channels", lambda n, x: sum(x.unbind(1))[:, None]),
    Case("sum space", lambda n, x: x.flatten(2).sum(2).reshape(*x.shape[:2], *[1] * n)),
    Case("l2 channels", lambda n, x: sum(c * c for c in x.unbind(1))[:, None].sqrt()),
    Case("l2 space", lambda n, x: (x * x).flatten(2).sum(2).sqrt().reshape(*x.shape[:2], *[1] * n)),
    Case("{3} blurpool /2", lambda n, x: blurred(n, x, [1, 2, 1], 2, 1)),
    Case("{4} blurpool /1", lambda n, x: blurred(n, x, [1, 3, 3, 1], 1, 1)),
    Case("gap", lambda n, x: x.mean(tuple(range(2, n + 2)), keepdim=True)),
]

POINTWISE = [
    Case("relu", lambda n, x: x.clamp(min=0)),
    Case("relu6", lambda n, x: x.clamp(0, 6), reach=4.0),
    Case("leaky_relu 0.2", lambda n, x: torch.where(x > 0, x, 0.2 * x)),
    Case("elu 0.7", lambda n, x: torch.where(x > 0, x, 0.7 * torch.expm1(x))),
    Case("tanh", lambda n, x: torch.tanh(x)),
    Case("scaled_tanh", lambda n, x: 1.7159 * torch.tanh(2 / 3 * x)),
    Case("sigmoid", lambda n, x: torch.sigmoid(x)),
    Case("silu", lambda n, x: x * torch.sigmoid(x)),
    Case("gelu", lambda n, x: F.gelu(x)),
    Case("gelu approximate=true", lambda n, x: F.gelu(x, approximate="tanh")),
    Case("hardswish", lambda n, x: x * (x + 3).clamp(0, 6) / 6, reach=4.0),
    Case("hardsigmoid", lambda n, x: (x + 3).clamp(0, 6) / 6, reach=4.0),
    Case("abs", lambda n, x: torch.where(x > 0, x, -x)),
    Case("selu", lambda n, x: F.selu(x)),
    Case("celu 0.5", lambda n, x: F.celu(x, 0.5)),
    Case("softplus beta=2", lambda n, x: F.softplus(x, 2.0)),
    Case("softsign", lambda n, x: F.softsign(x)),
    Case("mish", lambda n, x: F.mish(x), reach=4.0),
    Case("clip -0.5 2", lambda n, x: x.clamp(-0.5, 2), reach=4.0),
    Case("hardsigmoid alpha=0.2", lambda n, x: (x / 5 + 0.5).clamp(0, 1), reach=4.0),
    Case("log_softmax", lambda n, x: F.log_softmax(x, 1)),
    Case("softmax", lambda n, x: torch.softmax(x, 1)),
    Case("softmax groups=2", lambda n, x: torch.cat([y.softmax(1) for y in x.chunk(2, 1)], 1), imports=False),
    Case("softmax parts=3", lambda n, x: torch.stack(x.chunk(3, 1), 1).softmax(1).reshape(x.shape), imports=False),
    Case("softmax space", lambda n, x: x.flatten(2).softmax(2).reshape(x.shape), imports=False),
    Case("affine 0.3 -1", lambda n, x: x * 0.3 - 1),
    Case(
        "affine [1,2,3,4,5,6] 0.5",
        lambda n, x: x * per_channel(x, torch.arange(1.0, 7, dtype=x.dtype)) + 0.5,
    ),
]

MOVED = [
    Case("flatten", lambda n, x: x.reshape(len(x), -1)),
    Case("slice 1 4", lambda n, x: x[:, 1:4]),
    Case("shuffle 3", lambda n, x: x[:, [0, 2, 4, 1, 3, 5]]),
    Case("upsample 2", lambda n, x: F.interpolate(x, scale_factor=2)),
    Case("upsample 2 linear", lambda n, x: linear(n, x, 2)),
    Case("upsample 3 linear", lambda n, x: linear(n, x, 3)),
    Case("pad 2", lambda n, x: everywhere(x, 2, 2)),
    Case("pad -1 value=1.5", lambda n, x: everywhere(x, -1, -1)),
    Case("pad before=1", lambda n, x: F.pad(x, [1, 0] * n)),
    Case("pad 1 channels=[1,2]", lambda n, x: F.pad(x, [1] * 2 * n + [1, 2])),
]

CASES = [*WEIGHTED, *NORMS, *POOLS, *POINTWISE, *MOVED]
