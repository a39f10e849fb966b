"""Layers that PyTorch lacks. The printed source of a network contains the text of those that it uses.

Each class is self-contained: it uses `torch`, `nn`, `F`, `Tensor` and nothing else of this file. `layer_text` derives
the classes for signals and volumes from those for images, whose names end in `2d`: only names and words differ.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PaddedConv2d(nn.Conv2d):
    """Convolution with uneven padding: `pads` is (left, right, top, bottom)."""

    def __init__(self, *args: Any, pads: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pads))


class FixedConv2d(nn.Conv2d):
    """Convolution with fixed filters or biases, which are not trained.

    `filters` may be one kernel for all channels; `pads` is (left, right, top, bottom).
    """

    def __init__(
        self,
        *args: Any,
        filters: Any = None,
        bias: bool | float | tuple[float, ...] = True,
        pads: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{**kwargs, "bias": bias is not False})
        self.pads = pads
        if filters is not None:
            weight = torch.tensor(filters, dtype=torch.float32).expand(self.weight.shape)
            self.weight = nn.Parameter(weight.clone(), requires_grad=False)
        if not isinstance(bias, bool):
            offsets = torch.tensor(bias, dtype=torch.float32).expand(self.out_channels)
            self.bias = nn.Parameter(offsets.clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pads))


class StdConv2d(nn.Conv2d):
    """Convolution with standardized filters: each has mean 0 and variance 1.

    With a `gain`, they are multiplied by `gain / sqrt(values of a filter)` and a learned gain.
    `pads` is (left, right, top, bottom).
    """

    def __init__(
        self,
        *args: Any,
        eps: float = 1e-6,
        gain: float | None = None,
        pads: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.eps, self.pads = eps, pads
        self.factor = (gain or 0.0) * self.weight[0].numel() ** -0.5
        ones = torch.ones(self.out_channels, *[1] * (self.weight.dim() - 1))
        self.gain = None if gain is None else nn.Parameter(ones)

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(1, self.weight.dim()))
        var, mean = torch.var_mean(self.weight, axes, correction=0, keepdim=True)
        weight = (self.weight - mean) / (var + self.eps).sqrt()
        if self.gain is not None:
            weight = weight * (self.gain * self.factor)
        x = F.pad(x, self.pads)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ChannelConv(nn.Conv1d):
    """Convolution along the channels with one filter, the same at each position (ECA-Net)."""

    def __init__(self, size: int, bias: bool = True) -> None:
        super().__init__(1, 1, size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(x.shape[0], 1, x.shape[1], -1)
        padding = (self.weight.numel() // 2, 0)
        return F.conv2d(rows, self.weight.unsqueeze(3), self.bias, padding=padding).reshape(x.shape)


class TableConv2d(nn.Module):
    """Convolution in which each filter reads the input maps in its row of `table` (LeNet-5's C3).

    `weight` has one kernel per connection; other input maps are not read.
    `pads` is (left, right, top, bottom).
    """

    rows: Tensor
    maps: Tensor

    def __init__(
        self,
        kernel_size: tuple[int, ...],
        table: tuple[tuple[int, ...], ...],
        stride: int | tuple[int, ...] = 1,
        pads: tuple[int, ...] = (),
        dilation: int | tuple[int, ...] = 1,
        bias: bool | float | tuple[float, ...] = True,
    ) -> None:
        super().__init__()
        self.filters, self.stride, self.pads, self.dilation = len(table), stride, pads, dilation
        self.table = table
        for name, values in self.constants().items():
            self.register_buffer(name, values, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(self.maps), *kernel_size))
        fan_out = len(table) * self.weight[0].numel()
        nn.init.normal_(self.weight, std=(2 / fan_out) ** 0.5)
        start = torch.tensor(0.0 if isinstance(bias, bool) else bias, dtype=torch.float32)
        offsets = nn.Parameter(start.expand(len(table)).clone(), requires_grad=bias is True)
        self.bias = None if bias is False else offsets

    def constants(self) -> dict[str, Tensor]:
        """Return the buffers, which follow from the arguments and are not in the state_dict."""
        pairs = [(row, read) for row, reads in enumerate(self.table) for read in reads]
        rows, maps = zip(*pairs, strict=True)
        return {"rows": torch.tensor(rows), "maps": torch.tensor(maps)}

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.weight.new_zeros(self.filters, x.shape[1], *self.weight.shape[1:])
        weight = kernels.index_put((self.rows, self.maps), self.weight)
        return F.conv2d(F.pad(x, self.pads), weight, self.bias, self.stride, 0, self.dilation)


class PaddedMaxPool2d(nn.MaxPool2d):
    """Max pool with uneven padding: `pads` is (left, right, top, bottom)."""

    def __init__(self, *args: Any, pads: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(F.pad(x, self.pads, value=float("-inf")))
        # No window starts in the padding at the end.
        begins = self.pads[::2][::-1]
        steps = self.stride if isinstance(self.stride, tuple) else (self.stride,) * len(begins)
        for axis, (begin, step) in enumerate(zip(begins, steps, strict=True), 2):
            y = y[(slice(None),) * axis + (slice(-(-(x.shape[axis] + begin) // step)),)]
        return y


class PaddedAvgPool2d(nn.AvgPool2d):
    """Average pool with uneven padding: `pads` is (left, right, top, bottom).

    Padding counts as zeros; with `inside` it does not count.
    """

    def __init__(
        self,
        *args: Any,
        pads: tuple[int, ...],
        inside: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.pads, self.inside = pads, inside

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(F.pad(x, self.pads))
        if self.inside:
            y = y / super().forward(F.pad(torch.ones_like(x[:1, :1]), self.pads))
        # No window starts in the padding at the end.
        begins = self.pads[::2][::-1]
        steps = self.stride if isinstance(self.stride, tuple) else (self.stride,) * len(begins)
        for axis, (begin, step) in enumerate(zip(begins, steps, strict=True), 2):
            y = y[(slice(None),) * axis + (slice(-(-(x.shape[axis] + begin) // step)),)]
        return y


class Blur2d(nn.Module):
    """Each channel blurred with a binomial filter, then every stride-th pixel of an image."""

    kernel: Tensor

    def __init__(self, kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        sides = [(step + size - 2) // 2 for size, step in zip(kernel_size, stride, strict=True)]
        self.pads = tuple(side for side in reversed(sides) for _ in range(2))
        for name, values in self.constants().items():
            self.register_buffer(name, values, persistent=False)

    def constants(self) -> dict[str, Tensor]:
        """Return the buffers, which follow from the arguments and are not in the state_dict."""
        kernel = torch.ones(())
        for size in self.kernel_size:
            row = [1]
            for _ in range(size - 1):
                row = [a + b for a, b in zip([0, *row], [*row, 0], strict=True)]
            kernel = kernel.unsqueeze(-1) * torch.tensor(row) / 2 ** (size - 1)
        return {"kernel": kernel}

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.kernel * x.new_ones(x.shape[1], 1, *[1] * len(self.kernel_size))
        x = F.pad(x, self.pads, mode="reflect")
        return F.conv2d(x, kernels, stride=self.stride, groups=x.shape[1])


class PointwiseLinear(nn.Linear):
    """The same fully connected layer at every position: (N, C, ...) -> (N, out_features, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels at each pixel of an image (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ScaledTanh(nn.Module):
    """`a * tanh(s * x)` (LeCun et al. 1998, appendix A)."""

    def __init__(self, a: float = 1.7159, s: float = 2 / 3) -> None:
        super().__init__()
        self.a, self.s = a, s

    def forward(self, x: Tensor) -> Tensor:
        return self.a * torch.tanh(self.s * x)


class GroupedSoftmax(nn.Module):
    """Softmax over the `parts` equal parts of each of `groups` groups of channels."""

    def __init__(self, groups: int, parts: int) -> None:
        super().__init__()
        self.groups, self.parts = groups, parts

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], self.groups, self.parts, -1).softmax(2).reshape(x.shape)


class SpatialSoftmax(nn.Module):
    """Softmax over the positions of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).softmax(2).view_as(x)


class HardSigmoid(nn.Module):
    """`alpha * x + beta`, limited to 0 and 1."""

    def __init__(self, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        return (self.alpha * x + self.beta).clamp(0, 1)


class PixelShuffle(nn.Module):
    """Channels as pixels, along all axes: (N, C * r^n, ...) -> (N, C, ...)."""

    def __init__(self, upscale_factor: int, axes: int) -> None:
        super().__init__()
        self.factor, self.axes = upscale_factor, axes

    def forward(self, x: Tensor) -> Tensor:
        axes, sizes = self.axes, [x.shape[2 + n] for n in range(self.axes)]
        parts = x.reshape(x.shape[0], -1, *[self.factor] * axes, *sizes)
        order = [axis for n in range(axes) for axis in (2 + axes + n, 2 + n)]
        y = parts.permute(0, 1, *order)
        return y.reshape(x.shape[0], -1, *[size * self.factor for size in sizes])


class PixelUnshuffle(nn.Module):
    """Pixels as channels, along all axes: (N, C, ...) -> (N, C * r^n, ...)."""

    def __init__(self, downscale_factor: int, axes: int) -> None:
        super().__init__()
        self.factor, self.axes = downscale_factor, axes

    def forward(self, x: Tensor) -> Tensor:
        axes, sizes = self.axes, [x.shape[2 + n] // self.factor for n in range(self.axes)]
        split = [number for size in sizes for number in (size, self.factor)]
        parts = x.reshape(x.shape[0], x.shape[1], *split)
        order = [*range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2)]
        return parts.permute(0, 1, *order).reshape(x.shape[0], -1, *sizes)


class Subsample(nn.Module):
    """LeNet-5's trainable pool: the sum of each window times a weight plus a bias, per channel."""

    def __init__(
        self,
        channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        for axis, (size, step) in enumerate(zip(self.kernel_size, self.stride, strict=True), 2):
            x = x.unfold(axis, size, step).sum(-1)
        shape = (-1, *[1] * len(self.stride))
        return x * self.weight.view(shape) + self.bias.view(shape)


class Rbf(nn.Module):
    """Squared distances to learned or fixed centres (LeCun et al. 1998, equation 7)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        centers: tuple[tuple[float, ...], ...] | None = None,
    ) -> None:
        super().__init__()
        if centers is not None:
            self.register_buffer("weight", torch.tensor(centers, dtype=torch.float32))
        else:
            self.weight = nn.Parameter(torch.empty(out_features, in_features))
            nn.init.uniform_(self.weight, -(in_features**-0.5), in_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) - self.weight).square().sum(2)


class DropPath(nn.Module):
    """Stochastic depth: in training, the whole input of a sample becomes 0 with probability `p`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)


class Affine(nn.Module):
    """`x * mul + add` with constants: one for all channels, or one per channel."""

    def __init__(
        self,
        mul: float | tuple[float, ...] = 1.0,
        add: float | tuple[float, ...] = 0.0,
    ) -> None:
        super().__init__()
        self.mul, self.add = mul, add

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.mul, float) and isinstance(self.add, float):
            return x * self.mul + self.add
        # Channel by channel, because Python numbers are not rounded to the precision of a tensor.
        channels = max(len(value) for value in (self.mul, self.add) if isinstance(value, tuple))
        mul = self.mul if isinstance(self.mul, tuple) else (self.mul,) * channels
        add = self.add if isinstance(self.add, tuple) else (self.add,) * channels
        return torch.cat([x[:, i : i + 1] * mul[i] + add[i] for i in range(channels)], 1)


class DenseBlock(nn.Sequential):
    """Each layer reads the concatenation of the block's input and all layers before it."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = torch.cat((x, layer(x)), 1)
        return x


def init_weights(module: nn.Module) -> None:
    """Initialise convolutions as He et al. (normal, std sqrt(2 / fan out)), Linear uniformly."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        if module.weight.requires_grad and not module.weight.is_meta:
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
    elif isinstance(module, nn.Linear):
        nn.init.uniform_(module.weight, -(module.in_features**-0.5), module.in_features**-0.5)
    else:
        return
    if module.bias is not None and module.bias.requires_grad:
        nn.init.zeros_(module.bias)
