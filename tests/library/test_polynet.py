"""PolyNet against the network written by hand in torch, from Zhang et al. 2016 and the names of Cadene's port."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl

Size = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, norm, and a ReLU unless `act` is false."""

    def __init__(self, given: int, out: int, kernel: Size, stride: int = 1, pad: Size = 0, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, out, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(x) if self.act else x


class Shared(nn.Module):
    """One convolution for three runs, each with a norm of its own."""

    def __init__(self, given: int, out: int, kernel: Size, pad: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, out, kernel, padding=pad, bias=False)
        self.bn_blocks = nn.ModuleList([nn.BatchNorm2d(out) for _ in range(3)])

    def forward(self, x: Tensor, run: int) -> Tensor:
        return F.relu(self.bn_blocks[run](self.conv(x)))


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(Conv(3, 32, 3, 2), Conv(32, 32, 3), Conv(32, 64, 3, 1, 1))
        self.conv1_branch = Conv(64, 96, 3, 2)
        self.conv2_short = nn.Sequential(Conv(160, 64, 1), Conv(64, 96, 3))
        tall_wide = Conv(64, 64, (7, 1), 1, (3, 0)), Conv(64, 64, (1, 7), 1, (0, 3))
        self.conv2_long = nn.Sequential(Conv(160, 64, 1), *tall_wide, Conv(64, 96, 3))
        self.conv2_branch = Conv(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = torch.cat([F.max_pool2d(x, 3, 2), self.conv1_branch(x)], 1)
        x = torch.cat([self.conv2_short(x), self.conv2_long(x)], 1)
        return torch.cat([F.max_pool2d(x, 3, 2), self.conv2_branch(x)], 1)


class Paths(nn.Module):
    """Paths side by side: then a convolution, or, without one, a max pool beside them."""

    def __init__(self, *paths: nn.Module, last: nn.Module | None = None) -> None:
        super().__init__()
        self.count = len(paths)
        for number, path in enumerate(paths):
            self.add_module(f"path{number}", path)
        if last is not None:
            self.conv2d = last

    def forward(self, x: Tensor) -> Tensor:
        made = [self.get_submodule(f"path{n}")(x) for n in range(self.count)]
        if "conv2d" in self._modules:
            return self.conv2d(torch.cat(made, 1))  # type: ignore[no-any-return]
        return torch.cat([*made, F.max_pool2d(x, 3, 2)], 1)


def block_a() -> nn.Module:
    long = nn.Sequential(Conv(384, 32, 1), Conv(32, 48, 3, 1, 1), Conv(48, 64, 3, 1, 1))
    short = nn.Sequential(Conv(384, 32, 1), Conv(32, 32, 3, 1, 1))
    return Paths(long, short, Conv(384, 32, 1), last=Conv(128, 384, 1, act=False))


def block_bc(width: int, a: int, b: int, c: int, k: int) -> nn.Module:
    long = nn.Sequential(Conv(width, a, 1), Conv(a, b, (1, k), 1, (0, k // 2)), Conv(b, c, (k, 1), 1, (k // 2, 0)))
    return Paths(long, Conv(width, 192, 1), last=Conv(c + 192, width, 1, act=False))


class TwoWay(nn.Module):
    def __init__(self, scale: float, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.scale, self.blocks = scale, nn.ModuleList([make(), make()])

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for block in self.blocks:
            total = total + block(x) * self.scale
        return F.relu(total)


class Poly3(nn.Module):
    def __init__(self, scale: float, width: int, a: int, b: int, c: int, k: int) -> None:
        super().__init__()
        self.scale, self.wide, self.tall = scale, f"path0_1x{k}", f"path0_{k}x1"
        self.path0_1x1 = Shared(width, a, 1)
        self.add_module(self.wide, Shared(a, b, (1, k), (0, k // 2)))
        self.add_module(self.tall, Shared(b, c, (k, 1), (k // 2, 0)))
        self.path1 = Shared(width, 192, 1)
        self.conv2d_blocks = nn.ModuleList([Conv(c + 192, width, 1, act=False) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for run in range(3):
            long = self.get_submodule(self.wide)(self.path0_1x1(x, run), run)
            long = self.get_submodule(self.tall)(long, run)
            x = self.conv2d_blocks[run](torch.cat([long, self.path1(x, run)], 1))
            total = total + x * self.scale
            x = F.relu(x)
        return F.relu(total)


B, C = (1152, 128, 160, 192, 7), (2048, 192, 224, 256, 3)
SCALES = [float(f"{1 - n / 130:.6f}") for n in range(40)]
"""The port writes them out: 1, 0.992308, ..., 0.707692, 0.7."""


class PolyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        self.stage_a = nn.Sequential(*(TwoWay(scale, block_a) for scale in SCALES[:10]))
        long = nn.Sequential(Conv(384, 256, 1), Conv(256, 256, 3, 1, 1), Conv(256, 384, 3, 2))
        self.reduction_a = Paths(long, Conv(384, 384, 3, 2))
        self.stage_b = self.stage(B, SCALES[10:30])
        long = nn.Sequential(Conv(1152, 256, 1), Conv(256, 256, 3, 1, 1), Conv(256, 256, 3, 2))
        short = [nn.Sequential(Conv(1152, 256, 1), Conv(256, out, 3, 2)) for out in (256, 384)]
        self.reduction_b = Paths(long, *short)
        self.stage_c = self.stage(C, SCALES[30:])
        self.last_linear = nn.Linear(2048, 1000)

    def stage(self, sizes: tuple[int, int, int, int, int], scales: list[float]) -> nn.Module:
        ways = (lambda scale: Poly3(scale, *sizes)), (lambda scale: TwoWay(scale, lambda: block_bc(*sizes)))
        return nn.Sequential(*(ways[n % 2](scale) for n, scale in enumerate(scales)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage_a(self.stem(x))
        x = self.stage_c(self.reduction_b(self.stage_b(self.reduction_a(x))))
        return self.last_linear(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_tensors_are_those_of_the_network_by_hand() -> None:
    with torch.device("meta"):
        mine = PolyNet()
    wanted = {key: tuple(value.shape) for key, value in mine.state_dict().items()}
    assert {t.key: t.param.shape for t in archdsl.load("polynet").graph.tensors} == wanted


@pytest.mark.slow
def test_outputs_are_those_of_the_network_by_hand() -> None:
    torch.manual_seed(0)
    mine, ours = PolyNet().eval(), archdsl.load("polynet").to_torch()
    for module in mine.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[operator, union-attr]
            module.running_var.uniform_(0.8, 1.5)  # type: ignore[operator, union-attr]
    ours.load_state_dict(mine.state_dict())
    x = torch.rand(1, 3, 139, 139)
    with torch.no_grad():
        assert torch.equal(ours(x), mine(x))
