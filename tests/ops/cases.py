"""What each op computes: one list of cases for the tests of shapes, counts, PyTorch, ONNX, import and random networks.

A case is an op as a spec writes it, the shapes that it reads, an expression in plain torch, and numbers worked out by
hand: the output's shape, the trained parameters and the multiply-accumulates, written as the products that they are.
Nothing of archdsl is imported here: the expressions and numbers are a second opinion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from tests.search.networks import kinds, pixels
from tests.search.networks.kinds import Kind

Shape = tuple[int, ...]
A: Shape = (6, 9, 8)
B: Shape = (4, 9, 7)


class Case(NamedTuple):
    """An op and what it makes of inputs of these shapes (without the batch)."""

    text: str
    """The node without its inputs, in the short form."""
    inputs: Sequence[Shape]
    expression: Callable[..., Any]
    """Of the inputs, batch first, and the tensors by the last part of their keys (`n`: the node's own)."""
    shape: Shape | None = None
    """The output's; None: that of the first input."""
    params: int = 0
    """Trained numbers."""
    macs: int = 0
    imports: bool = True
    """False: node by node, its ONNX file cannot be read back."""

    @property
    def kind(self) -> str:
        first, *rest = self.text.split()
        return rest[0] if re.fullmatch(r"\d+x\d+", first) else first

    @property
    def spec(self) -> str:
        """A network of one node `n` with inputs `x0`, `x1`, ..."""
        inputs = {f"x{number}": "x".join(map(str, shape)) for number, shape in enumerate(self.inputs)}
        written = ", ".join(f"{name}: [{shape.replace('x', ', ')}]" for name, shape in inputs.items())
        reads = [name for name in inputs if f"like={name}" not in self.text]
        return f"input: {{{written}}}\nnet:\n  n: {self.text} <- {', '.join(reads)}\n"


# --- expressions of several lines -----------------------------------------------------------------------------


def padded(x: Any, pads: Sequence[int], value: float = 0.0) -> Any:
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


TABLE = ((0, 1), (1, 2), (0, 2), (0, 1, 2))


def table_conv(x: Any, weight: Any, bias: Any) -> Any:
    """Filter by filter, map by map."""
    maps, at = [], 0
    for number, row in enumerate(TABLE):
        taken = sum(F.conv2d(x[:, c : c + 1], weight[at + j][None, None]) for j, c in enumerate(row))
        maps.append(taken + bias[number])
        at += len(row)
    return torch.cat(maps, 1)


def lrn(x: Any) -> Any:
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, n : n + x.shape[1]] for n in range(5))
    return x / (2 + 5e-4 / 5 * total) ** 0.75


def lrn_by_hand(x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
    """Equation 1 of Krizhevsky et al. 2012, alpha divided by the size, channel by channel."""
    channels = x.shape[1]
    rows = []
    for c in range(channels):
        near = x[:, max(0, c - size // 2) : min(channels, c + (size - 1) // 2 + 1)]
        rows.append(x[:, c] / (k + alpha / size * (near**2).sum(1)) ** beta)
    return torch.stack(rows, 1)


def norm(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()


def per_channel(x: Any, values: Any) -> Any:
    return values.view(-1, *[1] * (x.dim() - 2))


def bn(x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, **_: Any) -> Any:
    y = (x - per_channel(x, running_mean)) / (per_channel(x, running_var) + 1e-3).sqrt()
    return y if weight is None else y * per_channel(x, weight) + per_channel(x, bias)


def running_norm(x: Any, eps: float, **w: Any) -> Any:
    return F.batch_norm(x, w["running_mean"], w["running_var"], w.get("weight"), w.get("bias"), False, 0.1, eps)


def gn(x: Any, weight: Any, bias: Any) -> Any:
    y = norm(x.reshape(2, 3, 2, -1), (2, 3), 1e-5).reshape(x.shape)
    return y * per_channel(x, weight) + per_channel(x, bias)


def ln(x: Any, weight: Any, bias: Any) -> Any:
    return norm(x, (1,), 1e-6) * per_channel(x, weight) + per_channel(x, bias)


def std_conv(x: Any, w: Any, b: Any, *args: Any, eps: float = 1e-6, factor: Any = 1.0) -> Any:
    """Filter by filter."""
    rows = [(f - f.mean()) / (f.var(correction=0) + eps).sqrt() for f in w]
    return F.conv2d(x, torch.stack(rows) * factor, b, *args)


def along_channels(x: Any, weight: Any, bias: Any = None) -> Any:
    """Pixel by pixel."""
    flat = x.flatten(2) if x.dim() > 2 else x[:, :, None]
    pad = weight.shape[2] // 2
    columns = [F.conv1d(column[:, None], weight, bias, padding=pad)[:, 0] for column in flat.unbind(2)]
    return torch.stack(columns, 2).reshape(x.shape)


def blurred(x: Any, kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int]) -> Any:
    """Row by row and column by column: half the sum of two neighbours, so many times."""
    x = F.pad(x, (pads[1], pads[1], pads[0], pads[0]), mode="reflect")
    for axis, size in enumerate(kernel, 2):
        for _ in range(size - 1):
            x = (x.narrow(axis, 0, x.shape[axis] - 1) + x.narrow(axis, 1, x.shape[axis] - 1)) / 2
    return x[:, :, :: stride[0], :: stride[1]]


def by_pixel(x: Any, r: int) -> Any:
    """Channel by channel to its pixels."""
    n, channels, height, width = x.shape
    y = x.new_zeros(n, channels // r**2, r * height, r * width)
    for c in range(channels):
        y[:, c // r**2, c % r**2 // r :: r, c % r :: r] = x[:, c]
    return y


def by_channel(x: Any, r: int) -> Any:
    """Pixel by pixel of a square to its channel."""
    return torch.stack([x[:, c, i::r, j::r] for c in range(x.shape[1]) for i in range(r) for j in range(r)], 1)


# --- the cases ------------------------------------------------------------------------------------------------

CASES: list[Case] = [
    Case(
        "3x3 conv 4",
        [A],
        lambda x, weight, bias: F.conv2d(x, weight, bias, padding=1),
        shape=(4, 9, 8),
        params=4 * 6 * 9 + 4,
        macs=4 * 72 * 6 * 9,
    ),
    Case(
        "3x5 conv 4 /[2,1] nobias",
        [A],
        lambda x, weight: F.conv2d(x, weight, None, (2, 1), (1, 2)),
        shape=(4, 5, 8),
        params=4 * 6 * 15,
        macs=4 * 40 * 6 * 15,
    ),
    Case(
        "2x2 conv 4",
        [A],
        lambda x, weight, bias: F.conv2d(x, weight, bias),
        shape=(4, 8, 7),
        params=4 * 6 * 4 + 4,
        macs=4 * 56 * 6 * 4,
    ),
    Case(
        "3x3 conv 6 dilation=2 groups=3",
        [A],
        lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 2, 2, 3),
        shape=(6, 9, 8),
        params=6 * 2 * 9 + 6,
        macs=6 * 72 * 2 * 9,
    ),
    Case(
        "3x3 conv 4 /2 same",
        [A],
        lambda x, weight, bias: F.conv2d(padded(x, (1, 0, 1, 1)), weight, bias, 2),
        shape=(4, 5, 4),
        params=4 * 6 * 9 + 4,
        macs=4 * 20 * 6 * 9,
    ),
    Case(
        "3x3 conv 4 pad=[2,0,1,3]",
        [A],
        lambda x, weight, bias: F.conv2d(padded(x, (2, 0, 1, 3)), weight, bias),
        shape=(4, 10, 9),
        params=4 * 6 * 9 + 4,
        macs=4 * 90 * 6 * 9,
    ),
    Case(
        "3x3 conv 6",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 1),
        shape=(6, 9, 7),
        params=6 * 4 * 9 + 6,
        macs=6 * 63 * 4 * 9,
    ),
    Case(
        "1x5 conv 6 nobias",
        [B],
        lambda x, weight: F.conv2d(x, weight, None, 1, (0, 2)),
        shape=(6, 9, 7),
        params=6 * 4 * 5,
        macs=6 * 63 * 4 * 5,
    ),
    Case(
        "2x2 conv 6",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias),
        shape=(6, 8, 6),
        params=6 * 4 * 4 + 6,
        macs=6 * 48 * 4 * 4,
    ),
    Case(
        "3x3 conv 6 /[2,1] pad=2 dilation=2 groups=2",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias, (2, 1), 2, 2, 2),
        shape=(6, 5, 7),
        params=6 * 2 * 9 + 6,
        macs=6 * 35 * 2 * 9,
    ),
    Case(
        "3x3 conv 6 /2 same",
        [(4, 8, 7)],
        lambda x, weight, bias: F.conv2d(F.pad(x, (1, 1, 0, 1)), weight, bias, 2),
        shape=(6, 4, 4),
        params=6 * 4 * 9 + 6,
        macs=6 * 16 * 4 * 9,
    ),
    Case(
        "3x3 conv 6 pad=[1,0,2,3]",
        [B],
        lambda x, weight, bias: F.conv2d(F.pad(x, (0, 3, 1, 2)), weight, bias),
        shape=(6, 10, 8),
        params=6 * 4 * 9 + 6,
        macs=6 * 80 * 4 * 9,
    ),
    Case(
        "1x1 conv 6 /2 pad=3",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias, 2, 3),
        shape=(6, 8, 7),
        params=6 * 4 + 6,
        macs=6 * 56 * 4,
    ),
    Case(
        "3x3 conv 1 bias=0.5 weight=[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]]",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias, padding=1),
        shape=(1, 9, 7),
        macs=63 * 4 * 9,
    ),
    Case(
        "5x5 conv 4 valid table=[[0,1],[1,2],[0,2],[0,1,2]]",
        [(3, 9, 8)],
        table_conv,
        shape=(4, 5, 4),
        params=9 * 25 + 4,
        macs=9 * 20 * 25,
    ),
    Case(
        "3x3 conv 4 /2 standardized nobias",
        [A],
        lambda x, weight: std_conv(x, weight, None, 2, 1),
        shape=(4, 5, 4),
        params=4 * 6 * 9,
        macs=4 * 20 * 6 * 9,
    ),
    Case(
        "2x3 conv 6 dilation=2 groups=3 pad=[1,0,2,3] standardize=0.01 gain=1.7",
        [A],
        lambda x, weight, bias, gain: std_conv(
            padded(x, (1, 0, 2, 3)), weight, bias, 1, 0, 2, 3, eps=0.01, factor=1.7 / 12**0.5 * gain
        ),
        shape=(6, 10, 7),
        params=6 * 2 * 6 + 6 + 6,
        macs=6 * 70 * 2 * 6,
    ),
    Case(
        "3x3 dwconv standardized gain=0.5 multiplier=2",
        [B],
        lambda x, weight, bias, gain: std_conv(x, weight, bias, 1, 1, 1, 4, factor=gain / 6),
        shape=(8, 9, 7),
        params=8 * 9 + 8 + 8,
        macs=8 * 63 * 9,
    ),
    Case(
        "3x3 dwconv multiplier=2",
        [A],
        lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 1, 1, 6),
        shape=(12, 9, 8),
        params=12 * 9 + 12,
        macs=12 * 72 * 9,
    ),
    Case(
        "3x3 dwconv multiplier=2",
        [B],
        lambda x, weight, bias: F.conv2d(x, weight, bias, 1, 1, 1, 4),
        shape=(8, 9, 7),
        params=8 * 9 + 8,
        macs=8 * 63 * 9,
    ),
    Case(
        "2x2 deconv 4 /2",
        [A],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2),
        shape=(4, 18, 16),
        params=6 * 4 * 4 + 4,
        macs=6 * 72 * 4 * 4,
    ),
    Case(
        "4x4 deconv 5",
        [(6, 1, 1)],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias),
        shape=(5, 4, 4),
        params=6 * 5 * 16 + 5,
        macs=6 * 5 * 16,
    ),
    Case(
        "4x3 deconv 4",
        [A],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 1, (0, 1)),
        shape=(4, 12, 8),
        params=6 * 4 * 12 + 4,
        macs=6 * 72 * 4 * 12,
    ),
    Case(
        "3x3 deconv 4 /2",
        [A],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1, 1),
        shape=(4, 18, 16),
        params=6 * 4 * 9 + 4,
        macs=6 * 72 * 4 * 9,
    ),
    Case(
        "4x3 deconv 4 /[2,1] pad=1 groups=2 nobias",
        [A],
        lambda x, weight: F.conv_transpose2d(x, weight, None, (2, 1), 1, 0, 2),
        shape=(4, 18, 8),
        params=6 * 2 * 12,
        macs=6 * 72 * 2 * 12,
    ),
    Case(
        "2x2 deconv 6 /2",
        [B],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2),
        shape=(6, 18, 14),
        params=4 * 6 * 4 + 6,
        macs=4 * 63 * 6 * 4,
    ),
    Case(
        "3x3 deconv 6 /2",
        [B],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1, 1),
        shape=(6, 18, 14),
        params=4 * 6 * 9 + 6,
        macs=4 * 63 * 6 * 9,
    ),
    Case(
        "4x4 deconv 6 /2 groups=2 nobias",
        [B],
        lambda x, weight: F.conv_transpose2d(x, weight, None, 2, 1, 0, 2),
        shape=(6, 18, 14),
        params=4 * 3 * 16,
        macs=4 * 63 * 3 * 16,
    ),
    Case(
        "3x3 deconv 6 /[3,1] pad=0 extra=1 dilation=2",
        [B],
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, (3, 1), 0, 1, 1, 2),
        shape=(6, 30, 12),
        params=4 * 6 * 9 + 6,
        macs=4 * 63 * 6 * 9,
    ),
    Case(
        "3x3 deconv 6 /[3,1] pad=0 extra=1 dilation=2 nobias",
        [B],
        lambda x, weight: F.conv_transpose2d(x, weight, None, (3, 1), 0, 1, 1, 2),
        shape=(6, 30, 12),
        params=4 * 6 * 9,
        macs=4 * 63 * 6 * 9,
    ),
    Case(
        "1x1 fc 5",
        [A],
        lambda x, weight, bias: F.conv2d(x, weight[:, :, None, None], bias),
        shape=(5, 9, 8),
        params=5 * 6 + 5,
        macs=5 * 72 * 6,
    ),
    Case(
        "fc 5",
        [(6,)],
        lambda x, weight, bias: torch.einsum("nc,oc->no", x, weight) + bias,
        shape=(5,),
        params=5 * 6 + 5,
        macs=5 * 6,
    ),
    Case(
        "fc 5 nobias",
        [(6,)],
        lambda x, weight: torch.einsum("nc,oc->no", x, weight),
        shape=(5,),
        params=5 * 6,
        macs=5 * 6,
    ),
    Case(
        "fc 5", [(12,)], lambda x, weight, bias: F.linear(x, weight, bias), shape=(5,), params=5 * 12 + 5, macs=5 * 12
    ),
    Case("fc 5 nobias", [(12,)], lambda x, weight: F.linear(x, weight), shape=(5,), params=5 * 12, macs=5 * 12),
    Case(
        "1x1 fc 5",
        [B],
        lambda x, weight, bias: F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2),
        shape=(5, 9, 7),
        params=5 * 4 + 5,
        macs=5 * 63 * 4,
    ),
    Case(
        "rbf 3",
        [(6,)],
        lambda x, weight: torch.stack([(x - w).pow(2).sum(1) for w in weight], 1),
        shape=(3,),
        params=3 * 6,
        macs=3 * 6,
        imports=False,
    ),
    Case(
        "rbf 2 centers=[[1,1,1,1,1,1],[-1,-1,-1,-1,-1,-1]]",
        [(6,)],
        lambda x, weight: torch.stack([(x - w).pow(2).sum(1) for w in weight], 1),
        shape=(2,),
        macs=2 * 6,
        imports=False,
    ),
    Case(
        "rbf 5",
        [(12,)],
        lambda x, weight: ((x[:, None] - weight[None]) ** 2).sum(2),
        shape=(5,),
        params=5 * 12,
        macs=5 * 12,
        imports=False,
    ),
    Case(
        "rbf 2 centers=[[1,-1,1],[0.5,0,-1]]",
        [(3,)],
        lambda x, weight: ((x[:, None] - weight[None]) ** 2).sum(2),
        shape=(2,),
        macs=2 * 3,
        imports=False,
    ),
    Case("channelconv 3", [A], along_channels, params=3 + 1, macs=6 * 72 * 3),
    Case("channelconv 5 nobias", [(6,)], along_channels, params=5, macs=6 * 5),
    Case("3x3 blurpool /2", [A], lambda x: blurred(x, (3, 3), (2, 2), (1, 1)), shape=(6, 5, 4)),
    Case("blurpool kernel=4", [B], lambda x: blurred(x, (4, 4), (2, 2), (2, 2)), shape=(4, 5, 4)),
    Case("5x2 blurpool /[1,3]", [A], lambda x: blurred(x, (5, 2), (1, 3), (2, 1)), shape=(6, 9, 3)),
    Case("3x3 maxpool /2", [B], lambda x: F.max_pool2d(x, 3, 2), shape=(4, 4, 3)),
    Case("3x2 avgpool adaptive", [A], lambda x: x.reshape(2, 6, 3, 3, 2, 4).mean((3, 5)), shape=(6, 3, 2)),
    Case("5x5 avgpool adaptive", [A], lambda x: F.adaptive_avg_pool2d(x, 5), shape=(6, 5, 5), imports=False),
    Case("1x1 avgpool adaptive", [B], lambda x: x.mean((2, 3), keepdim=True), shape=(4, 1, 1)),
    Case("gap", [A], lambda x: x.sum((2, 3), keepdim=True) / 72, shape=(6, 1, 1)),
    Case("gap", [B], lambda x: x.mean((2, 3), keepdim=True), shape=(4, 1, 1)),
    Case(
        "2x2 subsample",
        [A],
        lambda x, weight, bias: (
            F.unfold(x, 2, stride=2).reshape(2, 6, 4, 4, 4).sum(2) * per_channel(x, weight) + per_channel(x, bias)
        ),
        shape=(6, 4, 4),
        params=6 + 6,
    ),
    Case(
        "2x2 subsample",
        [(4, 8, 6)],
        lambda x, weight, bias: 4 * F.avg_pool2d(x, 2) * weight.view(4, 1, 1) + bias.view(4, 1, 1),
        shape=(4, 4, 3),
        params=4 + 4,
    ),
    Case(
        "3x2 subsample /1",
        [B],
        lambda x, weight, bias: 6 * F.avg_pool2d(x, (3, 2), 1) * weight.view(4, 1, 1) + bias.view(4, 1, 1),
        shape=(4, 7, 6),
        params=4 + 4,
    ),
    Case("bn eps=0.001", [A], bn, params=6 + 6),
    Case("bn eps=0.001", [(6,)], bn, params=6 + 6),
    Case("bn eps=0.001 affine=false", [A], bn),
    Case("bn eps=0.001 affine=false", [(6,)], bn),
    Case("bn", [B], lambda x, **w: running_norm(x, 1e-5, **w), params=4 + 4),
    Case("bn eps=0.1 momentum=0.01 affine=false", [B], lambda x, **w: running_norm(x, 0.1, **w)),
    Case("bn", [(12,)], lambda x, **w: running_norm(x, 1e-5, **w), params=12 + 12),
    Case("gn 3", [A], gn, params=6 + 6),
    Case("gn 3", [(6,)], gn, params=6 + 6),
    Case("gn 2", [B], lambda x, weight, bias: F.group_norm(x, 2, weight, bias), params=4 + 4),
    Case(
        "gn 4 eps=0.001",
        [(12,)],
        lambda x, weight, bias: F.group_norm(x, 4, weight, bias, 1e-3),
        params=12 + 12,
    ),
    Case("gn 2 affine=false", [B], lambda x: F.group_norm(x, 2)),
    Case("gn 4 affine=false", [(12,)], lambda x: F.group_norm(x, 4)),
    Case("ln affine=false", [B], lambda x: norm(x, (1,), 1e-5)),
    Case("ln eps=0.001 affine=false", [(6,)], lambda x: norm(x, (1,), 1e-3)),
    Case("instancenorm", [A], lambda x: norm(x, (2, 3), 1e-5)),
    Case(
        "instancenorm eps=0.001 affine=true",
        [B],
        lambda x, weight, bias: norm(x, (2, 3), 1e-3) * per_channel(x, weight) + per_channel(x, bias),
        params=4 + 4,
    ),
    Case("ln eps=1e-06", [A], ln, params=6 + 6),
    Case("ln eps=1e-06", [(6,)], ln, params=6 + 6),
    Case(
        "ln",
        [B],
        lambda x, weight, bias: F.layer_norm(x.permute(0, 2, 3, 1), (4,), weight, bias, 1e-5).permute(0, 3, 1, 2),
        params=4 + 4,
    ),
    Case("ln eps=0.001", [(12,)], lambda x, weight, bias: F.layer_norm(x, (12,), weight, bias, 1e-3), params=12 + 12),
    Case("lrn alpha=0.0005 k=2", [A], lrn),
    Case("lrn alpha=0.3 k=2", [(9, 4, 5)], lambda x: lrn_by_hand(x, 5, 0.3, 0.75, 2.0)),
    Case("lrn alpha=0.3", [(3, 4, 5)], lambda x: F.local_response_norm(x, 5, 0.3)),
    Case("lrn 4 alpha=0.3 beta=0.5 k=2", [(9, 4, 5)], lambda x: F.local_response_norm(x, 4, 0.3, 0.5, 2.0)),
    Case("lrn 2 alpha=0.3", [(9, 4, 5)], lambda x: lrn_by_hand(x, 2, 0.3, 0.75, 1.0)),
    Case("relu", [A], lambda x: x.clamp(min=0)),
    Case("relu", [(6,)], lambda x: x.clamp(min=0)),
    Case("relu", [B], lambda x: x.clamp(min=0)),
    Case("relu6", [A], lambda x: x.clamp(0, 6)),
    Case("relu6", [B], lambda x: x.clamp(0, 6)),
    Case("leaky_relu 0.2", [A], lambda x: torch.where(x > 0, x, 0.2 * x)),
    Case("leaky_relu 0.2", [B], lambda x: torch.where(x > 0, x, 0.2 * x)),
    Case("prelu", [A], lambda x, weight: torch.where(x > 0, x, per_channel(x, weight) * x), params=6),
    Case("prelu shared=true", [(6,)], lambda x, weight: torch.where(x > 0, x, weight * x), params=1),
    Case("prelu", [B], lambda x, weight: torch.where(x > 0, x, weight.view(4, 1, 1) * x), params=4),
    Case("prelu", [(12,)], lambda x, weight: torch.where(x > 0, x, weight * x), params=12),
    Case("prelu shared=true", [B], lambda x, weight: torch.where(x > 0, x, weight * x), params=1),
    Case("elu 0.7", [A], lambda x: torch.where(x > 0, x, 0.7 * (x.exp() - 1))),
    Case("elu 0.7", [B], lambda x: torch.where(x > 0, x, 0.7 * torch.expm1(x))),
    Case("selu", [A], lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1))),
    Case("celu", [A], lambda x: torch.where(x > 0, x, x.exp() - 1)),
    Case("celu 0.3", [B], lambda x: torch.where(x > 0, x, 0.3 * ((x / 0.3).exp() - 1))),
    Case("softplus", [A], lambda x: (1 + x.exp()).log()),
    Case("softplus beta=2", [B], lambda x: (1 + (2 * x).exp()).log() / 2),
    Case(
        "softplus beta=0.5 threshold=1",
        [A],
        lambda x: torch.where(x > 2, x, (1 + (x / 2).exp()).log() * 2),
        imports=False,
    ),
    Case("softplus threshold=-1", [(6,)], lambda x: torch.where(x > -1, x, (1 + x.exp()).log()), imports=False),
    Case("softsign", [A], lambda x: x / (1 + x.abs())),
    Case("mish", [A], lambda x: x * ((1 + x.exp()) ** 2 - 1) / ((1 + x.exp()) ** 2 + 1)),
    Case("clip -0.5 2", [A], lambda x: torch.minimum(torch.maximum(x, x.new_tensor(-0.5)), x.new_tensor(2))),
    Case("clip", [(6,)], lambda x: x.clamp(-1, 1)),
    Case("hardsigmoid alpha=0.2", [A], lambda x: (x / 5 + 0.5).clamp(0, 1)),
    Case("hardsigmoid alpha=-0.25 beta=0.75", [B], lambda x: (0.75 - x / 4).clamp(0, 1)),
    Case("log_softmax", [A], lambda x: x - x.exp().sum(1, keepdim=True).log()),
    Case("log_softmax", [(6,)], lambda x: x - x.exp().sum(1, keepdim=True).log()),
    Case("tanh", [A], lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    Case("tanh", [B], lambda x: torch.tanh(x)),
    Case("scaled_tanh", [A], lambda x: 1.7159 * (x * (2 / 3)).tanh()),
    Case("scaled_tanh", [B], lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    Case("sigmoid", [A], lambda x: 1 / (1 + (-x).exp())),
    Case("sigmoid", [B], lambda x: 1 / (1 + torch.exp(-x))),
    Case("silu", [A], lambda x: x / (1 + (-x).exp())),
    Case("silu", [B], lambda x: x / (1 + torch.exp(-x))),
    Case("gelu", [A], lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2),
    Case("gelu approximate=true", [A], lambda x: x * (1 + (0.7978845608028654 * (x + 0.044715 * x**3)).tanh()) / 2),
    Case("gelu", [B], lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
    Case(
        "gelu approximate=true",
        [B],
        lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    Case("hardswish", [A], lambda x: x * (x + 3).clamp(0, 6) / 6),
    Case("hardswish", [B], lambda x: x * (x + 3).clamp(0, 6) / 6),
    Case("hardsigmoid", [A], lambda x: (x + 3).clamp(0, 6) / 6),
    Case("hardsigmoid", [B], lambda x: (x + 3).clamp(0, 6) / 6),
    Case("softmax", [A], lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
    Case("softmax", [(6,)], lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
    Case("softmax", [B], lambda x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True)),
    Case("softmax", [(12,)], lambda x: torch.softmax(x, 1)),
    Case("dropout 0.4", [A], lambda x: x, imports=False),
    Case("dropout 0.5", [B], lambda x: x, imports=False),
    Case("droppath 0.4", [A], lambda x: x, imports=False),
    Case("droppath 0.3", [B], lambda x: x, imports=False),
    Case("add", [A, A, A], lambda a, b, c: a + b + c),
    Case("add", [B, B], lambda x, y: x + y),
    Case("add", [B, B, B], lambda x, y, z: x + y + z),
    Case("mul", [A, (6, 1, 1)], lambda a, b: torch.einsum("nchw,nc->nchw", a, b[:, :, 0, 0])),
    Case("mul", [(6,), (6,)], lambda a, b: torch.einsum("nc,nc->nc", a, b)),
    Case("mul", [B, (4, 1, 1)], lambda x, y: x * y),
    Case("mul", [(4, 1, 1), B, B], lambda x, y, z: x * y * z, shape=(4, 9, 7)),
    Case("mul", [(12,), (12,)], lambda x, y: x * y),
    Case("sub", [B, B], lambda x, y: x - y),
    Case("sub", [(12,), (12,)], lambda x, y: x - y),
    Case("sub broadcast", [A, (6, 1, 1)], lambda a, b: torch.stack([a[:, c] - b[:, c] for c in range(6)], 1)),
    Case("add broadcast", [(1, 9, 8), A, (6, 1, 8)], lambda a, b, c: a + b + c, shape=(6, 9, 8)),
    Case("add broadcast", [A, (6, 1, 1)], lambda a, b: a + b.expand_as(a)),
    Case("mul", [A, (1, 9, 8)], lambda a, b: torch.einsum("nchw,nhw->nchw", a, b[:, 0])),
    Case(
        "mul",
        [(6, 1, 8), A, (6, 9, 1)],
        lambda a, b, c: torch.einsum("ncw,nchw,nch->nchw", a[:, :, 0], b, c[..., 0]),
        shape=A,
    ),
    Case("mul", [A, (1, 1, 1)], lambda a, b: a * b.reshape(2, 1, 1, 1)),
    Case("mul", [(12,), (1,)], lambda a, b: torch.einsum("nc,n->nc", a, b[:, 0])),
    Case("div", [B, B], lambda x, y: x * y.reciprocal()),
    Case("div", [A, (6, 1, 1)], lambda a, b: torch.stack([a[:, c] / b[:, c] for c in range(6)], 1)),
    Case("div", [(12,), (1,)], lambda a, b: a * b**-1),
    Case("maximum", [B, B], lambda x, y: torch.where(x > y, x, y)),
    Case("maximum", [B, B, B], lambda *x: torch.stack(x).amax(0)),
    Case("maximum broadcast", [(1, 9, 7), B], lambda x, y: torch.where(x > y, x, y), shape=B),
    Case("minimum", [B, B], lambda x, y: torch.where(x < y, x, y)),
    Case("minimum broadcast", [B, (4, 1, 1)], lambda x, y: torch.where(x < y, x, y)),
    Case("mean channels", [A], lambda x: sum(x.unbind(1))[:, None] / 6, shape=(1, 9, 8)),
    Case("mean channels", [(12,)], lambda x: torch.einsum("nc->n", x)[:, None] / 12, shape=(1,)),
    Case("mean space", [A], lambda x: torch.einsum("nchw->nc", x)[:, :, None, None] / 72, shape=(6, 1, 1)),
    Case("max channels", [A], lambda x: x.sort(1).values[:, -1:], shape=(1, 9, 8)),
    Case("max channels", [(12,)], lambda x: x.sort(1).values[:, -1:], shape=(1,)),
    Case("max space", [A], lambda x: x.flatten(2).sort(2).values[:, :, -1, None, None], shape=(6, 1, 1)),
    Case("sum channels", [A], lambda x: torch.einsum("nchw->nhw", x)[:, None], shape=(1, 9, 8)),
    Case("sum channels", [(12,)], lambda x: torch.einsum("nc->n", x)[:, None], shape=(1,)),
    Case("sum space", [A], lambda x: torch.einsum("nchw->nc", x)[:, :, None, None], shape=(6, 1, 1)),
    Case("l2 channels", [A], lambda x: torch.einsum("nchw,nchw->nhw", x, x)[:, None].sqrt(), shape=(1, 9, 8)),
    Case("l2 channels", [(12,)], lambda x: torch.einsum("nc,nc->n", x, x)[:, None].sqrt(), shape=(1,)),
    Case("l2 space", [A], lambda x: torch.einsum("nchw,nchw->nc", x, x)[:, :, None, None].sqrt(), shape=(6, 1, 1)),
    Case("gmp", [A], lambda x: x.flatten(2).sort(2).values[:, :, -1, None, None], shape=(6, 1, 1)),
    Case("gmp", [B], lambda x: F.max_pool2d(x, (9, 7)), shape=(4, 1, 1)),
    Case("abs", [A], lambda x: torch.where(x > 0, x, -x)),
    Case("abs", [(12,)], lambda x: (x * x).sqrt()),
    Case("softmax groups=2", [A], lambda x: torch.cat([F.softmax(x[:, :3], 1), F.softmax(x[:, 3:], 1)], 1)),
    Case("softmax groups=3", [(12,)], lambda x: x.view(2, 3, 4).softmax(2).view(2, 12)),
    Case(
        "softmax parts=2",
        [A],
        lambda x: torch.cat([(x[:, :3] - x[:, 3:]).sigmoid(), (x[:, 3:] - x[:, :3]).sigmoid()], 1),
    ),
    Case("softmax groups=2 parts=3", [(12,)], lambda x: x.view(2, 2, 3, 2).softmax(2).view(2, 12)),
    Case("softmax space", [A], lambda x: x.exp() / x.exp().sum((2, 3), keepdim=True)),
    Case("offset", [A], lambda x, n: torch.stack([x[:, c] + n[c] for c in range(6)], 1), params=6),
    Case("offset 0.3 flat", [B], lambda x, n: (x.movedim(1, 3) + n).movedim(3, 1), params=4),
    Case("offset batched", [A], lambda x, n: x + n.expand(2, 6, 9, 8), params=6),
    Case("offset batched", [(12,)], lambda x, n: x + n.expand(2, 12), params=12),
    Case("scale 0.2 batched", [B], lambda x, n: torch.einsum("nchw,c->nchw", x, n[0, :, 0, 0]), params=4),
    Case("concat", [A, (2, 9, 8)], lambda a, b: torch.stack([*a.unbind(1), *b.unbind(1)], 1), shape=(8, 9, 8)),
    Case("concat", [(6,), (2,)], lambda a, b: torch.stack([*a.unbind(1), *b.unbind(1)], 1), shape=(8,)),
    Case("concat", [B, (2, 9, 7), (1, 9, 7)], lambda *x: torch.cat(x, 1), shape=(7, 9, 7)),
    Case("concat", [(3,), (4,)], lambda *x: torch.cat(x, 1), shape=(7,)),
    Case("flatten", [A], lambda x: x.reshape(2, -1), shape=(432,)),
    Case("flatten", [B], lambda x: x.reshape(len(x), -1), shape=(252,)),
    Case("flatten", [(12,)], lambda x: x, shape=(12,), imports=False),
    Case("slice 1 4", [A], lambda x: torch.stack([x[:, 1], x[:, 2], x[:, 3]], 1), shape=(3, 9, 8)),
    Case("slice 4", [(6,)], lambda x: torch.stack([x[:, 4], x[:, 5]], 1), shape=(2,)),
    Case("slice 1 3", [B], lambda x: x[:, 1:3], shape=(2, 9, 7)),
    Case("slice 5", [(12,)], lambda x: x[:, 5:], shape=(7,)),
    Case("shuffle 3", [A], lambda x: x[:, [0, 2, 4, 1, 3, 5]]),
    Case("shuffle 3", [(12, 4, 5)], lambda x: x[:, [g * 4 + i for i in range(4) for g in range(3)]]),
    Case("pixelshuffle 2", [(8, 3, 5)], lambda x: by_pixel(x, 2), shape=(2, 6, 10)),
    Case("pixelshuffle 3", [(9, 2, 3)], lambda x: by_pixel(x, 3), shape=(1, 6, 9)),
    Case("pixelunshuffle 2", [(3, 6, 4)], lambda x: by_channel(x, 2), shape=(12, 3, 2)),
    Case("pixelunshuffle 3", [(1, 6, 9)], lambda x: by_channel(x, 3), shape=(9, 2, 3)),
    Case("upsample [2,3]", [A], lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, 3), shape=(6, 18, 24)),
    Case("upsample 2 linear", [A], lambda x: F.interpolate(x, size=(18, 16), mode="bilinear"), shape=(6, 18, 16)),
    Case("upsample [2,3]", [B], lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, 3), shape=(4, 18, 21)),
    Case(
        "upsample 2 linear",
        [B],
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        shape=(4, 18, 14),
    ),
    Case(
        "upsample [3,4] linear",
        [(4, 1, 5)],
        lambda x: F.interpolate(x, scale_factor=(3, 4), mode="bilinear", align_corners=False),
        shape=(4, 3, 20),
    ),
    Case(
        "upsample 2 linear align_corners",
        [A],
        lambda x: F.interpolate(x, size=(18, 16), mode="bilinear", align_corners=True),
        shape=(6, 18, 16),
    ),
    Case("upsample [1,3] cubic", [A], lambda x: F.interpolate(x, size=(9, 24), mode="bicubic"), shape=(6, 9, 24)),
    Case(
        "upsample 2 cubic align_corners",
        [B],
        lambda x: F.interpolate(x, size=(18, 14), mode="bicubic", align_corners=True),
        shape=(4, 18, 14),
    ),
    Case("upsample like=x1", [A, (2, 4, 17)], lambda x, y: F.interpolate(x, size=(4, 17)), shape=(6, 4, 17)),
    Case("upsample like=x1", [A, (2, 18, 16)], lambda x, y: F.interpolate(x, scale_factor=2), shape=(6, 18, 16)),
    Case("upsample 41", [(2, 2, 1)], lambda x: F.interpolate(x, scale_factor=41), shape=(2, 82, 41)),
    Case(
        "upsample like=x1 linear",
        [A, (1, 13, 5)],
        lambda x, y: F.interpolate(x, size=(13, 5), mode="bilinear"),
        shape=(6, 13, 5),
    ),
    Case(
        "upsample like=x1 linear align_corners",
        [A, (1, 1, 19)],
        lambda x, y: F.interpolate(x, size=(1, 19), mode="bilinear", align_corners=True),
        shape=(6, 1, 19),
    ),
    Case(
        "upsample like=x1 cubic",
        [A, (3, 20, 3)],
        lambda x, y: F.interpolate(x, size=(20, 3), mode="bicubic"),
        shape=(6, 20, 3),
    ),
    Case("pad 2", [A], lambda x: padded(x, (2, 2, 2, 2)), shape=(6, 13, 12)),
    Case("pad [1,-2,0,3] value=1.5", [A], lambda x: padded(x[:, :, :, 2:], (1, 0, 0, 3), 1.5), shape=(6, 10, 9)),
    Case(
        "pad [0,1,0,0] channels=[1,2]",
        [A],
        lambda x: F.pad(padded(x, (0, 1, 0, 0)), (0, 0, 0, 0, 1, 2)),
        shape=(9, 9, 9),
    ),
    Case("pad [2,1,0,3] reflect", [A], lambda x: F.pad(x, (1, 3, 2, 0), mode="reflect"), shape=(6, 11, 12)),
    Case("pad 11 replicate", [A], lambda x: F.pad(x, (11,) * 4, mode="replicate"), shape=(6, 31, 30)),
    Case("pad [0,8,9,1] wrap", [A], lambda x: F.pad(x, (8, 1, 0, 9), mode="circular"), shape=(6, 18, 17)),
    Case("pad 3 reflect before=1", [B], lambda x: F.pad(x, (4, 3, 4, 3), mode="reflect"), shape=(4, 16, 14)),
    Case("pad like=x1", [A, (2, 11, 8)], lambda x, y: F.pad(x, (0, 0, 0, 2)), shape=(6, 11, 8)),
    Case("pad like=x1 replicate", [A, (2, 9, 30)], lambda x, y: F.pad(x, (0, 22, 0, 0), "replicate"), shape=(6, 9, 30)),
    Case("pad like=x1 reflect", [A, (2, 17, 9)], lambda x, y: F.pad(x, (0, 1, 0, 8), mode="reflect"), shape=(6, 17, 9)),
    Case("pad like=x1 wrap", [A, (2, 18, 8)], lambda x, y: F.pad(x, (0, 0, 0, 9), mode="circular"), shape=(6, 18, 8)),
    Case(
        "pad like=x1 value=2 channels=[1,0]",
        [A, (2, 10, 9)],
        lambda x, y: F.pad(x, (0, 1, 0, 1, 1, 0), value=2),
        shape=(7, 10, 9),
    ),
    Case("pad 2 value=0.5", [B], lambda x: F.pad(x, (2, 2, 2, 2), value=0.5), shape=(4, 13, 11)),
    Case("pad [-1,-1,1,1] channels=[1,2]", [B], lambda x: F.pad(x, (-1, 1, -1, 1, 1, 2)), shape=(7, 9, 7)),
    Case("pad before=1 after=-2", [A], lambda x: padded(x[:, :, :-2, :-2], (1, 1, 0, 0)), shape=(6, 8, 7)),
    Case("pad 1 after=1", [B], lambda x: F.pad(x, (1, 2, 1, 2)), shape=(4, 12, 10)),
    Case("pad -2", [B], lambda x: x[:, :, 2:-2, 2:-2], shape=(4, 5, 3)),
    Case("identity", [A], lambda x: x, imports=False),
    Case("identity", [B], lambda x: x, imports=False),
    Case("scale 0.5", [A], lambda x, n: torch.einsum("nchw,c->nchw", x, n[:, 0, 0]), params=6),
    Case("scale", [(6,)], lambda x, n: x * n, params=6),
    Case("scale 0.1", [B], lambda x, n: x * n, params=4),
    Case("scale", [(12,)], lambda x, n: x * n, params=12),
    Case("scale 0.1 flat", [A], lambda x, n: torch.einsum("nchw,c->nchw", x, n), params=6),
    Case("scale flat", [(12,)], lambda x, n: x * n, params=12),
    Case("affine 0.3", [A], lambda x: x * 0.3),
    Case("affine 0.3 -1", [(6,)], lambda x: x * 0.3 - 1),
    Case("affine", [(6,)], lambda x: x, imports=False),
    Case("affine [1,2,3,4,5,6] 0.5", [A], lambda x: torch.stack([x[:, c] * (c + 1) + 0.5 for c in range(6)], 1)),
    Case("affine 2 [0,1,2,3,4,5]", [(6,)], lambda x: torch.stack([x[:, c] * 2 + c for c in range(6)], 1)),
    Case("affine 0.3", [B], lambda x: x * 0.3),
    Case("affine add=[1,2,3,4]", [B], lambda x: x + torch.arange(1.0, 5).view(4, 1, 1)),
    Case("affine [1,2,3,4] -1", [B], lambda x: x * torch.arange(1.0, 5).view(4, 1, 1) - 1),
    Case("affine", [B], lambda x: x, imports=False),
]

# --- random networks ------------------------------------------------------------------------------------------

KINDS: Mapping[str, Kind] = {
    **kinds.KINDS,
    **{
        kind: replace(kinds.KINDS[kind], image=2, vector=1, draw=lambda leaf: {"over": leaf.over()})
        for kind in ("mean", "max", "sum", "l2")
    },
    "gmp": replace(kinds.KINDS["gmp"], image=1),
    **pixels.KINDS,
    "instancenorm": Kind(
        lambda m, x, f: kinds.image(x) or kinds.group_norm(m, x, x.shape[1], f, f.get("affine", False)),
        image=2,
        draw=lambda leaf: {name: value for name, value in (("affine", True), ("eps", 0.001)) if leaf.chance(50)},
    ),
}
"""Each op with any fields, in plain torch: the ops that random networks are drawn from. A new op has its row here."""
POSITIONAL: Mapping[str, tuple[str, ...]] = kinds.POSITIONAL | {kind: row.positional for kind, row in KINDS.items()}
"""Fields that values without a key go to."""
