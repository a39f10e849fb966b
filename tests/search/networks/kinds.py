"""Every kind of the language in plain torch, written from the language page: `{kind: function(machine, x, fields)}`.

This is a second opinion: nothing of archdsl is imported. `x` is a tensor with its batch, (N, C, sizes...) or (N, F),
or a list of them for merges. A function takes its tensors from `m.take`, in the order of the state_dict, and gives
its value to `m.rounded` with the magnitude that rounding errors scale with. What torch would accept and the language
does not raises `Unsound` with the code that is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import torch
import torch.nn.functional as F

from tests.search.networks.grids import placed

Fields = dict[str, Any]


MOST = 20_000_000
"""Values of one tensor: a window of millions of pixels is not tried."""


class Unsound(Exception):
    """The language refuses this, with this code; `torch` tells whether torch refuses it, too."""

    def __init__(self, code: str, torch: bool = False) -> None:
        self.code, self.torch = code, torch
        super().__init__(code)


CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
ADAPTIVE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
"""By the number of spatial axes."""


def axes_of(x: Any) -> int:
    """The number of spatial axes."""
    return int(x.dim()) - 2


def spatial(x: Any) -> tuple[int, ...]:
    """The spatial axes themselves."""
    return tuple(range(2, x.dim()))


def each(value: Any, x: Any) -> tuple[int, ...]:
    """One number for each spatial axis: one that is written alone is for all of them."""
    if isinstance(value, int):
        return (value,) * axes_of(x)
    if len(value) != axes_of(x):
        raise Unsound("E0426", torch=True)
    return tuple(value)


def image(x: Any) -> None:
    """A vector has no pixels."""
    if not axes_of(x):
        raise Unsound("E0401", torch=True)


def around(x: Any, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """The tensor with so many pixels before and behind it on each spatial axis."""
    return F.pad(x, [number for both in reversed(pads) for number in both], value=value)


def per_channel(values: Any, x: Any) -> Any:
    return values.reshape(-1, *(1,) * (x.dim() - 2))


def same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's padding before and behind: ceil(size / stride) windows, an odd pixel behind."""
    windows = (size + stride - 1) // stride
    total = max(0, (windows - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, (total + 1) // 2


def sides(pad: Any, x: Any, kernel: Any, stride: Any, dilation: Any) -> list[tuple[int, int]]:
    """Before and behind, for each axis; a list has all that are before, and then all that are behind."""
    if pad == "same":
        return [same(*axis) for axis in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    if isinstance(pad, (int, str)):
        return [(0 if pad == "valid" else pad,) * 2] * axes_of(x)  # type: ignore[list-item]
    if len(pad) != 2 * axes_of(x):
        raise Unsound("E0426", torch=True)
    return list(zip(pad[: axes_of(x)], pad[axes_of(x) :], strict=True))


def plausible(fields: Fields) -> None:
    """Raises E0308 or E0315 where a number cannot be: windows from 1, pads from 0, all of them whole."""
    if not 0 <= fields.get("p", 0) < 1:
        raise Unsound("E0308", torch=not 0 <= fields["p"] <= 1)
    for name, least in LEAST.items():
        value = fields.get(name)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, float):
                raise Unsound("E0315", torch=True)
            if isinstance(number, bool) or (isinstance(number, int) and number < least):
                raise Unsound("E0308", torch=True)


LEAST = {
    "out": 1,
    "kernel": 1,
    "stride": 1,
    "dilation": 1,
    "groups": 1,
    "multiplier": 1,
    "size": 1,
    "end": 1,
    "parts": 2,
    "scale": 1,
    "pad": 0,
    "extra": 0,
    "start": 0,
}


# --- convolutions and fully connected layers ------------------------------------------------------------------


def conv(m: Any, x: Any, f: Fields, groups: int | None = None) -> Any:
    image(x)
    channels = x.shape[1]
    kernel, stride, dilation = (each(f.get(name, 1), x) for name in ("kernel", "stride", "dilation"))
    groups, out, pad = groups or f.get("groups", 1), f["out"], f.get("pad")
    pads = [(d * (k // 2) if k % 2 else 0,) * 2 for k, d in zip(kernel, dilation, strict=True)]
    padded = around(x, pads if pad is None else sides(pad, x, kernel, stride, dilation))  # type: ignore[arg-type]
    if channels % groups or out % groups:
        raise Unsound("E0403", torch=True)
    if any(size < d * (k - 1) + 1 for size, k, d in zip(padded.shape[2:], kernel, dilation, strict=True)):
        raise Unsound("E0402", torch=True)
    if f.get("table") is not None:
        return _table(m, padded, f, stride, dilation)
    if f.get("weight") is not None and not fits(f["weight"], (out, channels // groups, *kernel), len(kernel)):
        raise Unsound("E0404", torch=True)
    if isinstance(f.get("bias"), list) and len(f["bias"]) != out:
        raise Unsound("E0404", torch=True)
    weight = m.take("weight", (out, channels // groups, *kernel), f.get("weight"))
    bias, run = _bias(m, f, out), CONVS[axes_of(x)]
    if f.get("standardize") is not None:
        weight = _standardized(m, weight, f)
    value = run(padded, weight, bias, stride, 0, dilation, groups)
    if m.exact:
        return value
    terms = run(padded.abs(), weight.abs(), None if bias is None else bias.abs(), stride, 0, dilation, groups)
    return m.rounded(value, terms, weight[0].numel())


def _standardized(m: Any, weight: Any, f: Fields) -> Any:
    """Each filter minus its mean, divided by its deviation; `gain` also scales it by its own number of values."""
    if f.get("weight") is not None or not isinstance(f.get("bias", True), bool) or weight[0].numel() == 1:
        raise Unsound("E0404")
    flat = weight.flatten(1)
    centred = flat - flat.mean(1, True)
    made = centred / (centred.square().mean(1, True) + f["standardize"]).sqrt()
    if f.get("gain") is not None:
        gain = m.take("gain", (len(weight), *(1,) * (weight.dim() - 1)))
        made = made * gain.flatten(1) * f["gain"] / sqrt(flat.shape[1])
    return m.rounded(made, None, flat.shape[1]).reshape(weight.shape)


def fits(numbers: Any, shape: tuple[int, ...], least: int) -> bool:
    """Whether nested lists are the last axes of the shape, at least so many of them."""
    written = tuple(torch.as_tensor(numbers).shape)
    return len(written) >= least and written == shape[len(shape) - len(written) :]


def _bias(m: Any, f: Fields, out: int) -> Any:
    bias = f.get("bias", True)
    return None if bias is False else m.take("bias", (out,), None if bias is True else bias)


def _table(m: Any, x: Any, f: Fields, stride: Any, dilation: Any) -> Any:
    """Filter by filter, map by map."""
    rows = f["table"]
    if len(rows) != f["out"] or any(not r or len(set(r)) != len(r) or max(r) >= x.shape[1] for r in rows):
        raise Unsound("E0404", torch=True)
    weight, at = m.take("weight", (sum(map(len, rows)), *each(f["kernel"], x))), 0
    bias, maps, terms, run = _bias(m, f, len(rows)), [], [], CONVS[axes_of(x)]
    for number, row in enumerate(rows):
        own = bias[number] if bias is not None else 0.0
        maps.append(run(x[:, row], weight[None, at : at + len(row)], None, stride, 0, dilation) + own)
        if not m.exact:
            sizes = run(x[:, row].abs(), weight[None, at : at + len(row)].abs(), None, stride, 0, dilation)
            terms.append(sizes + abs(own))
        at += len(row)
    return m.rounded(torch.cat(maps, 1), None if m.exact else torch.cat(terms, 1), weight.numel() / len(rows))


def dwconv(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    fields = {k: v for k, v in f.items() if k != "multiplier"}
    return conv(m, x, {**fields, "out": x.shape[1] * f.get("multiplier", 1)}, groups=x.shape[1])


def deconv(m: Any, x: Any, f: Fields) -> Any:
    """Without padding torch gives all that the filters reach; what is too much for stride * size is cropped."""
    image(x)
    kernel, stride, dilation = (each(f.get(name, 1), x) for name in ("kernel", "stride", "dilation"))
    groups, out, run = f.get("groups", 1), f["out"], TRANSPOSED[axes_of(x)]
    if x.shape[1] % groups or out % groups:
        raise Unsound("E0403", torch=True)
    pads, extras = [], []
    if isinstance(f.get("pad"), str):
        raise Unsound("E0308")
    for k, s, d in zip(kernel, stride, dilation, strict=True):
        reach = d * (k - 1) + 1
        pad = f.get("pad")
        pads.append(max(0, -(-(reach - s) // 2)) if pad is None else pad)
        extra = f.get("extra")
        extras.append((2 * pads[-1] - (reach - s) if pad is None else 0) if extra is None else extra)
        if extras[-1] >= max(s, d, 1) and extras[-1]:
            raise Unsound("E0406", torch=True)
    axes = zip(x.shape[2:], kernel, stride, dilation, pads, extras, strict=True)
    if any((size - 1) * s - 2 * p + d * (k - 1) + e + 1 < 1 for size, k, s, d, p, e in axes):
        raise Unsound("E0402", torch=True)
    weight, bias = m.take("weight", (x.shape[1], out // groups, *kernel)), _bias(m, f, out)
    value = run(x, weight, bias, stride, tuple(pads), tuple(extras), groups, dilation)
    if m.exact:
        return value
    sizes = None if bias is None else bias.abs()
    terms = run(x.abs(), weight.abs(), sizes, stride, tuple(pads), tuple(extras), groups, dilation)
    return m.rounded(value, terms, weight.numel() / out)


def fc(m: Any, x: Any, f: Fields) -> Any:
    kernel = f.get("kernel")
    if kernel is not None:
        image(x)
        if set(each(kernel, x)) != {1}:
            raise Unsound("E0408")
        x = x.movedim(1, -1)
    else:
        x = x.flatten(1)
    weight = m.take("weight", (f["out"], x.shape[-1]))
    bias = _bias(m, f, f["out"])
    value, terms = F.linear(x, weight, bias), None
    if not m.exact:
        terms = F.linear(x.abs(), weight.abs(), None if bias is None else bias.abs())
    if kernel is not None:
        value, terms = value.movedim(-1, 1), None if terms is None else terms.movedim(-1, 1)
    return m.rounded(value, terms, x.shape[-1])


def rbf(m: Any, x: Any, f: Fields) -> Any:
    if x.dim() != 2:
        raise Unsound("E0401", torch=True)
    centers = f.get("centers")
    if centers is not None and (len(centers) != f["out"] or {len(r) for r in centers} != {x.shape[1]}):
        raise Unsound("E0404", torch=True)
    weight = m.take("weight", (f["out"], x.shape[1]), centers)
    m.macs += x.shape[1] * f["out"]  # torch counts products of matrices only
    difference = x[:, None] - weight
    terms = ((x[:, None].abs() + weight.abs()) * difference.abs()).sum(2)
    return m.rounded((difference**2).sum(2), terms, x.shape[1])


# --- pools ----------------------------------------------------------------------------------------------------


def window_starts(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], ceil: bool) -> list[int]:
    """torch's rule (`pooling_output_shape`): with `ceil` a last window must start inside the image or the pad
    before."""
    room = size + sum(pads) - (dilation * (kernel - 1) + 1)
    count = (room + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (count - 1) * stride >= size + pads[0]:
        count -= 1
    if count < 1:
        raise Unsound("E0402", torch=True)
    return [n * stride - pads[0] for n in range(count)]


def _windows(x: Any, f: Fields, fill: float) -> tuple[Any, list[list[int]], list[tuple[int, int]], tuple[int, ...]]:
    """All windows (N, C, windows, taps), the windows row by row, where each starts on each axis, and the padding and
    window of each axis."""
    image(x)
    kernel, dilation = each(f["kernel"], x), each(f.get("dilation", 1), x)
    stride = each(f.get("stride") or f["kernel"], x)
    pads = sides(f.get("pad", 0), x, kernel, stride, dilation)
    starts = []
    for size, k, s, d, both in zip(x.shape[2:], kernel, stride, dilation, pads, strict=True):
        starts.append(window_starts(size, k, s, d, both, f.get("ceil", False)))
        for start in starts[-1]:
            if not any(0 <= start + n * d < size for n in range(k)):
                raise Unsound("E0416")
    if x.shape[0] * x.shape[1] * prod(map(len, starts)) * prod(kernel) > MOST:
        raise Unsound("E0316", torch=True)
    taken = x
    for axis, (begins, k, d) in enumerate(zip(starts, kernel, dilation, strict=True), 2):
        taps = [start + n * d for start in begins for n in range(k)]
        before, behind = max(0, -min(taps)), max(0, max(taps) + 1 - x.shape[axis])
        pads_here = [(before, behind) if a == axis else (0, 0) for a in spatial(x)]
        taken = around(taken, pads_here, fill).index_select(axis, torch.tensor([tap + before for tap in taps]))
    shape = [number for begins, k in zip(starts, kernel, strict=True) for number in (len(begins), k)]
    places, within = range(2, 2 + len(shape), 2), range(3, 3 + len(shape), 2)
    taken = taken.reshape(*x.shape[:2], *shape).permute(0, 1, *places, *within)
    return taken.flatten(2 + axes_of(x)), starts, pads, kernel


def maxpool(m: Any, x: Any, f: Fields) -> Any:
    return _windows(x, f, float("-inf"))[0].amax(-1)


def avgpool(m: Any, x: Any, f: Fields) -> Any:
    if f.get("adaptive", False):
        if any(f.get(name) for name in ("stride", "pad", "ceil", "inside")):
            raise Unsound("E0407")
        image(x)
        run, kernel = ADAPTIVE[axes_of(x)], each(f["kernel"], x)
        return m.rounded(run(x, kernel), run(x.abs(), kernel), x[0, 0].numel())
    windows, starts, pads, kernel = _windows(x, f, 0.0)
    if axes_of(x) == 3 and any(size < k for size, k in zip(x.shape[2:], kernel, strict=True)):
        raise Unsound("E0402", torch=True)  # ATen's pool3d_shape_check does not count the padding
    area = torch.ones((), dtype=x.dtype)
    for size, begins, k, (before, behind) in zip(x.shape[2:], starts, kernel, pads, strict=True):
        low, high = (0, size) if f.get("inside", False) else (-before, size + behind)
        area = area[..., None] * torch.tensor([min(s + k, high) - max(s, low) for s in begins], dtype=x.dtype)
    return m.rounded(windows.sum(-1) / area, windows.abs().sum(-1) / area, prod(kernel))


def gap(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    return m.rounded(x.mean(spatial(x), True), x.abs().mean(spatial(x), True), x[0, 0].numel())


def subsample(m: Any, x: Any, f: Fields) -> Any:
    windows, _, _, kernel = _windows(x, {"kernel": f["kernel"], "stride": f.get("stride")}, 0.0)
    weight, bias = per_channel(m.take("weight", (x.shape[1],)), x), per_channel(m.take("bias", (x.shape[1],)), x)
    terms = windows.abs().sum(-1) * weight.abs() + bias.abs()
    return m.rounded(windows.sum(-1) * weight + bias, terms, prod(kernel))


# --- norms ----------------------------------------------------------------------------------------------------


def bn(m: Any, x: Any, f: Fields) -> Any:
    shape, affine = (x.shape[1],), f.get("affine", True)
    weight, bias = (m.take("weight", shape), m.take("bias", shape)) if affine else (torch.ones(1), torch.zeros(1))
    mean, variance = m.take("running_mean", shape), m.take("running_var", shape)
    m.take("num_batches_tracked", ())
    mean, bias = per_channel(mean, x), per_channel(bias, x)
    factor = per_channel(weight / (variance + f.get("eps", 1e-5)).sqrt(), x)
    return m.rounded((x - mean) * factor + bias, (x.abs() + mean.abs()) * factor.abs() + bias.abs(), 4)


def _normalised(m: Any, x: Any, mean: Any, variance: Any, eps: float) -> Any:
    """The mean is off by rounding of the values it is made of, and with it every difference; a variance found in one
    pass is off by as much of the mean's square."""
    if not m.exact:
        variance = m.rounded(variance, variance + mean**2, 4).clamp(min=0)
    deviation = (variance + eps).sqrt()
    return m.rounded((x - mean) / deviation, (x.abs() + mean.abs()) / deviation, 16)


def gn(m: Any, x: Any, f: Fields) -> Any:
    return group_norm(m, x, f.get("groups", 32), f)


def group_norm(m: Any, x: Any, groups: int, f: Fields, affine: bool = True) -> Any:
    """Each group of channels by its own mean and variance over the image."""
    channels = x.shape[1]
    if channels % groups:
        raise Unsound("E0403", torch=True)
    grouped = x.reshape(x.shape[0], groups, -1)
    if grouped.shape[2] == 1:
        raise Unsound("E0417")
    weight, bias = torch.ones(channels), torch.zeros(channels)
    if affine:
        weight, bias = m.take("weight", (channels,)), m.take("bias", (channels,))
    weight, bias = per_channel(weight, x), per_channel(bias, x)
    mean, variance = grouped.mean(2, keepdim=True), grouped.var(2, unbiased=False, keepdim=True)
    normal = _normalised(m, grouped, mean, variance, f.get("eps", 1e-5)).reshape(x.shape)
    return m.rounded(normal * weight + bias, normal.abs() * weight.abs() + bias.abs(), 2)


def ln(m: Any, x: Any, f: Fields) -> Any:
    channels = x.shape[1]
    if channels == 1:
        raise Unsound("E0417")
    weight, bias = per_channel(m.take("weight", (channels,)), x), per_channel(m.take("bias", (channels,)), x)
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    normal = _normalised(m, x, mean, variance, f.get("eps", 1e-5))
    return m.rounded(normal * weight + bias, normal.abs() * weight.abs() + bias.abs(), 2)


def lrn(m: Any, x: Any, f: Fields) -> Any:
    """Krizhevsky et al. 2012, section 3.3, alpha divided by the size; an even size reaches further back."""
    image(x)
    size, channels = f.get("size", 5), x.shape[1]
    sums = []
    for c in range(channels):
        near = x[:, max(0, c - size // 2) : min(channels, c + (size - 1) // 2 + 1)]
        sums.append((near**2).sum(1))
    base = f.get("k", 1.0) + f.get("alpha", 1e-4) / size * torch.stack(sums, 1)
    base = m.rounded(base, None, size + 2)
    beta = f.get("beta", 0.75)
    value = x / base**beta  # a power is exp(beta * log(base)): what is rounded there is multiplied by the value
    return m.rounded(value, value.abs() * (1 + beta * base.log().abs()), 16)


# --- value by value -------------------------------------------------------------------------------------------


def _scaled(
    function: Callable[[Any, Fields], Any], magnitude: Callable[[Any], Any] | None = None
) -> Callable[..., Any]:
    """An activation whose error scales with its value, or with `magnitude` of what it receives."""
    return lambda m, x, f: m.rounded(function(x, f), None if magnitude is None else magnitude(x), 4)


def _sigmoid(x: Any) -> Any:
    return torch.where(x > 0, 1 / (1 + torch.exp(-x.abs())), torch.exp(-x.abs()) / (1 + torch.exp(-x.abs())))


def _gelu(x: Any, f: Fields) -> Any:
    if f.get("approximate", False):
        return x / 2 * (1 + torch.tanh(sqrt(2 / torch.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + torch.erf(x / sqrt(2)))


def _exact(function: Callable[[Any, Fields], Any]) -> Callable[..., Any]:
    return lambda m, x, f: function(x, f)


def prelu(m: Any, x: Any, f: Fields) -> Any:
    weight = m.take("weight", (1,) if f.get("shared", False) else (x.shape[1],))
    return m.rounded(torch.where(x > 0, x, per_channel(weight, x) * x), None, 1)


def softmax(m: Any, x: Any, f: Fields) -> Any:
    """In each sum: all pixels of a channel, all channels of a group, or one channel of each part of a group."""
    groups, parts = f.get("groups", 1), f.get("parts", 0)
    if f.get("space", False):
        if groups != 1 or parts:
            raise Unsound("E0407")
        image(x)
        whole = x.reshape(*x.shape[:2], -1)
        return softmax(m, whole.movedim(2, 1), {}).movedim(1, 2).reshape(x.shape)
    if x.shape[1] % (groups * (parts or 1)):
        raise Unsound("E0403", torch=True)
    if groups > 1:
        return torch.cat([softmax(m, part, {"parts": parts}) for part in x.chunk(groups, 1)], 1)
    if parts:
        apart = torch.stack(x.chunk(parts, 1), 1)
        return softmax(m, apart, {}).reshape(x.shape)
    powers = torch.exp(x - x.amax(1, keepdim=True))
    value = powers / powers.sum(1, keepdim=True)
    return m.rounded(value, value * (1 + (x - x.amax(1, keepdim=True)).abs()), 4)


# --- merges, and ops that move values -------------------------------------------------------------------------


def elementwise(
    function: Callable[[Any, Any], Any],
    terms: float = 2,
    always: bool = False,
    first: bool = False,
    magnitude: Callable[[Any], Any] | None = None,
) -> Callable[..., Any]:
    """A merge value by value, which broadcasts `always`, or with the word; to the shape of its `first` input only."""

    def run(m: Any, x: list[Any], f: Fields) -> Any:
        if len({t.dim() for t in x}) > 1:
            raise Unsound("E0405" if always else "E0412")
        shapes = [tuple(t.shape) for t in x]
        if not always and not f.get("broadcast", False):
            if len(set(shapes)) > 1:
                raise Unsound("E0412")
        else:
            try:
                full = tuple(torch.broadcast_shapes(*shapes))
            except RuntimeError:
                raise Unsound("E0413", torch=True) from None
            if full not in (shapes[:1] if first else shapes):
                raise Unsound("E0413")
        value = x[0]
        for other in x[1:]:
            value = function(value, other)
        size = None if magnitude is None else sum((magnitude(t) for t in x[1:]), magnitude(x[0]))
        return m.rounded(value, size, terms * (len(x) - 1)) if terms else value

    return run


def reduction(function: Callable[..., Any], size: Callable[..., Any] | None) -> Callable[..., Any]:
    """Over the channels or over space; `size` is what the errors scale with, None where nothing is rounded."""

    def run(m: Any, x: Any, f: Fields) -> Any:
        if f["over"] == "space":
            image(x)
        axes = (1,) if f["over"] == "channels" else spatial(x)
        value = function(x, axes, True)
        return value if size is None else m.rounded(value, size(x.abs(), axes, True), x.numel() / value.numel())

    return run


def gmp(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    return x.amax(spatial(x), True)


def per_channel_op(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(m: Any, x: Any, f: Fields) -> Any:
        if f.get("flat", False) and f.get("batched", False):
            raise Unsound("E0407")
        shape = (x.shape[1],) + (1,) * (0 if f.get("flat", False) else x.dim() - 2)
        number = m.take("", (1, *shape) if f.get("batched", False) else shape)
        return m.rounded(function(x, per_channel(number, x)), x.abs() + 1, 1)

    return run


def concat(m: Any, x: list[Any], f: Fields) -> Any:
    if len({t.dim() for t in x}) > 1 or len({t.shape[2:] for t in x}) > 1:
        raise Unsound("E0405", torch=True)
    return torch.cat(x, 1)


def flatten(m: Any, x: Any, f: Fields) -> Any:
    return x.reshape(x.shape[0], -1)


def slice_(m: Any, x: Any, f: Fields) -> Any:
    start, end = f["start"], f.get("end")
    end = x.shape[1] if end is None else end
    if not start < end <= x.shape[1]:
        raise Unsound("E0418")
    return x[:, start:end]


def shuffle(m: Any, x: Any, f: Fields) -> Any:
    image(x)
    groups, channels = f["groups"], x.shape[1]
    if channels % groups:
        raise Unsound("E0403", torch=True)
    each = channels // groups
    return x[:, [g * each + n for n in range(each) for g in range(groups)]]


def upsample(m: Any, x: Any, f: Fields) -> Any:
    """Axis by axis; the sizes are those of another node, or multiplied."""
    like, mode, corners = f.get("like"), f.get("mode", "nearest"), f.get("align_corners", False)
    if ("scale" in f) == (like is not None):
        raise Unsound("E0407" if "scale" in f else "E0311", torch=True)
    if corners and mode == "nearest":
        raise Unsound("E0407", torch=True)
    image(x)
    if mode == "cubic" and axes_of(x) != 2:
        raise Unsound("E0308", torch=True)
    if like is not None and like.dim() != x.dim():
        raise Unsound("E0405", torch=True)
    sizes = [a * b for a, b in zip(x.shape[2:], each(f["scale"], x), strict=True)] if like is None else like.shape[2:]
    largest = x.abs().amax(spatial(x), keepdim=True)
    for axis, size in enumerate(sizes, 2):
        x = x if x.shape[axis] == size else resized(x, axis, size, mode, corners)
    if m.spent is not None and like is not None:
        x = x + 0 * like.sum()  # the node whose sizes it has must run
    return x if mode == "nearest" else m.rounded(x, x.abs() + largest * max(*sizes, 4), 8)


def resized(x: Any, axis: int, size: int, mode: str, corners: bool) -> Any:
    """Of so many pixels on one axis: each is that at its place, or made of the two or four around it."""
    old, numbers = x.shape[axis], torch.arange(size)
    if mode == "nearest":  # torch rounds the ratio and the product to float32
        ratio = torch.tensor(old / size, dtype=torch.float32)
        return x.index_select(axis, (numbers.float() * ratio).floor().long().clamp(max=old - 1))
    places = (numbers.double() + 0.5) * old / size - 0.5
    if corners:
        places = numbers.double() * ((old - 1) / (size - 1) if size > 1 else 0)
    places = places if mode == "cubic" else places.clamp(0, old - 1)
    low = places.floor()
    shares = [torch.zeros_like(places) for _ in range(4)]
    for number in range(4):
        apart = (places - (low + number - 1)).abs()
        a, near = -0.75, ((1.25 * apart - 2.25) * apart * apart) + 1  # Keys 1981
        shares[number] = torch.where(apart <= 1, near, a * (((apart - 5) * apart + 8) * apart - 4))
        if mode == "linear":
            shares[number] = (1 - apart).clamp(0)
    taken = [x.index_select(axis, (low.long() + n - 1).clamp(0, old - 1)) for n in range(4)]
    return sum(t * s.to(x.dtype).reshape(-1, *(1,) * (x.dim() - 1 - axis)) for t, s in zip(taken, shares, strict=True))


def pad(m: Any, x: Any, f: Fields) -> Any:
    """Crops first; what is left is put into a larger tensor. A mode takes its pixels from the image instead."""
    like, mode, front, back = f.get("like"), f.get("mode", "constant"), *f.get("channels", (0, 0))
    if like is not None and {"pixels", "before", "after"} & set(f):
        raise Unsound("E0407")
    if mode != "constant" and (front or back or f.get("value", 0)):
        raise Unsound("E0407")
    image(x)
    if like is not None and like.dim() != x.dim():
        raise Unsound("E0405", torch=True)
    more = f.get("before", 0), f.get("after", 0)
    pads = [(b + more[0], e + more[1]) for b, e in sides(f.get("pixels", 0), x, (), (), ())]
    if like is not None:
        pads = [(0, new - size) for size, new in zip(x.shape[2:], like.shape[2:], strict=True)]
        if min(end for _, end in pads) < 0:
            raise Unsound("E0409")
    if mode != "constant":
        x = taken_from(x, pads, mode)
    else:
        x = put_into(x, pads, (front, back), f.get("value", 0.0))
    return x + 0 * like.sum() if m.spent is not None and like is not None else x


def taken_from(x: Any, pads: Sequence[tuple[int, int]], mode: str) -> Any:
    """Pixels of the image, by their number: mirrored, the nearest, or counted around."""
    if min(map(min, pads)) < 0:
        raise Unsound("E0407")
    for axis, (begin, end) in enumerate(pads, 2):
        size = x.shape[axis]
        if max(begin, end) > {"reflect": size - 1, "wrap": size, "replicate": max(begin, end)}[mode]:
            raise Unsound("E0409", torch=True)
        numbers = torch.arange(-begin, size + end)
        if mode == "reflect":
            numbers = (size - 1) - ((size - 1) - numbers.abs()).abs()
        numbers = numbers % size if mode == "wrap" else numbers.clamp(0, size - 1)
        x = x.index_select(axis, numbers)
    return x


def put_into(x: Any, pads: Sequence[tuple[int, int]], channels: tuple[int, int], value: float) -> Any:
    front, back = channels
    cut = [(slice(max(-b, 0), size - max(-e, 0)), b, e) for size, (b, e) in zip(x.shape[2:], pads, strict=True)]
    if any(part.start >= part.stop for part, _, _ in cut):
        raise Unsound("E0409", torch=True)
    kept = x[(slice(None), slice(None), *(part for part, _, _ in cut))]
    sizes = [size + max(b, 0) + max(e, 0) for size, (_, b, e) in zip(kept.shape[2:], cut, strict=True)]
    out = torch.full((len(x), front + x.shape[1] + back, *sizes), float(value), dtype=x.dtype)
    inside = [slice(max(b, 0), max(b, 0) + size) for size, (_, b, _) in zip(kept.shape[2:], cut, strict=True)]
    out[(slice(None), slice(front, front + x.shape[1]), *inside)] = kept
    return out


def affine(m: Any, x: Any, f: Fields) -> Any:
    parts = []
    for name, neutral in (("mul", 1.0), ("add", 0.0)):
        value = torch.as_tensor(f.get(name, neutral), dtype=x.dtype)
        if value.dim() and len(value) != x.shape[1]:
            raise Unsound("E0404")
        parts.append(per_channel(value, x) if value.dim() else value)
    return m.rounded(x * parts[0] + parts[1], x.abs() * parts[0].abs() + parts[1].abs(), 2)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "dwconv": dwconv,
    "deconv": deconv,
    "fc": fc,
    "rbf": rbf,
    "maxpool": maxpool,
    "avgpool": avgpool,
    "gap": gap,
    "gmp": gmp,
    "mean": reduction(torch.mean, torch.mean),
    "max": reduction(torch.amax, None),
    "sum": reduction(torch.sum, torch.sum),
    "l2": reduction(
        lambda x, axes, keep: x.square().sum(axes, keep).sqrt(), lambda x, axes, keep: x.norm(2, axes, keep)
    ),
    "subsample": subsample,
    "bn": bn,
    "gn": gn,
    "ln": ln,
    "lrn": lrn,
    "relu": _exact(lambda x, f: x.clamp(min=0)),
    "relu6": _exact(lambda x, f: x.clamp(0, 6)),
    "leaky_relu": _scaled(lambda x, f: torch.where(x > 0, x, f.get("slope", 0.01) * x)),
    "prelu": prelu,
    "elu": _scaled(
        lambda x, f: torch.where(x > 0, x, f.get("alpha", 1.0) * torch.expm1(x.clamp(max=0))),
        lambda x: 1 + x.clamp(min=0),
    ),
    "tanh": _scaled(lambda x, f: torch.tanh(x)),
    "scaled_tanh": _scaled(lambda x, f: f.get("a", 1.7159) * torch.tanh(f.get("s", 2 / 3) * x)),
    "sigmoid": _scaled(lambda x, f: _sigmoid(x), torch.ones_like),
    "silu": _scaled(lambda x, f: x * _sigmoid(x), torch.abs),
    "gelu": _scaled(_gelu, torch.abs),
    "hardswish": _scaled(lambda x, f: x * (x + 3).clamp(0, 6) / 6, torch.abs),
    "hardsigmoid": _scaled(lambda x, f: (x + 3).clamp(0, 6) / 6, torch.ones_like),
    "abs": _exact(lambda x, f: x.abs()),
    "softmax": softmax,
    "dropout": _exact(lambda x, f: x),
    "droppath": _exact(lambda x, f: x),
    "identity": _exact(lambda x, f: x),
    "add": elementwise(torch.add, magnitude=torch.abs),
    "sub": elementwise(torch.sub, first=True, magnitude=torch.abs),
    "mul": elementwise(torch.mul, always=True),
    "div": elementwise(torch.div, always=True, first=True),
    "maximum": elementwise(torch.maximum, 0),
    "minimum": elementwise(torch.minimum, 0),
    "concat": concat,
    "flatten": flatten,
    "slice": slice_,
    "shuffle": shuffle,
    "upsample": upsample,
    "pad": pad,
    "scale": per_channel_op(torch.mul),
    "offset": per_channel_op(torch.add),
    "affine": affine,
}
POSITIONAL: dict[str, tuple[str, ...]] = {
    "again": ("node",),
    "split": ("parts",),
}
"""Of the words that are no kinds of their own in torch."""
_POSITIONAL = {
    "conv": ("out",),
    "deconv": ("out",),
    "fc": ("out",),
    "rbf": ("out",),
    "gn": ("groups",),
    "lrn": ("size",),
    "leaky_relu": ("slope",),
    "elu": ("alpha",),
    "dropout": ("p",),
    "droppath": ("p",),
    "slice": ("start", "end"),
    "shuffle": ("groups",),
    "upsample": ("scale",),
    "pad": ("pixels",),
    "scale": ("init",),
    "offset": ("init",),
    "affine": ("mul", "add"),
}
"""Fields that values without a key go to."""


@dataclass(frozen=True)
class Kind:
    """An op in plain torch, and how random networks draw it."""

    run: Callable[..., Any]
    """Of the machine, what the op reads, and its fields."""
    positional: tuple[str, ...] = ()
    """Fields that values without a key go to."""
    image: int = 0
    vector: int = 0
    """How often it is drawn for an image and for a vector; 0: not by its row here."""
    draw: Callable[[Any], Fields] = lambda leaf: {}
    """Draws fields that may fit; of a `leaves.Leaf`."""


KINDS: dict[str, Kind] = {kind: Kind(placed(kind, run), _POSITIONAL.get(kind, ())) for kind, run in _FUNCTIONS.items()}
