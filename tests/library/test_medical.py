"""The 3-D U-Net, the ResNet-34 for ECGs and InceptionTime against the networks written by hand in torch.

They follow Çiçek et al. 2016, section 2 and Figure 2; Hannun et al. 2019, Methods, and its code in Keras; Fawaz et al.
2019, section 3, and its code in Keras. The names of their modules are the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from tests.support.drawn_weights import random_weights


def keras_norm(channels: int) -> nn.Module:
    """Keras's defaults: epsilon 0.001, and 0.99 of the old statistics stay."""
    return nn.BatchNorm1d(channels, eps=0.001, momentum=0.01)


def keras_same(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution with `padding="same"`: the length divided by the stride, an odd pixel of padding at the end."""
    kernel, stride, length = conv.kernel_size[0], conv.stride[0], x.shape[-1]
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return conv(F.pad(x, (total // 2, total - total // 2)))  # type: ignore[no-any-return]


# --- 3-D U-Net -----------------------------------------------------------------------------------------------------


class Unit(nn.Module):
    def __init__(self, given: int, out: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv3d(given, out, 3), nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Double(nn.Module):
    def __init__(self, given: int, between: int, out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Unit(given, between), Unit(between, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))  # type: ignore[no-any-return]


class Down(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        self.convs = Double(given, given, 2 * given)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(F.max_pool3d(x, 2))  # type: ignore[no-any-return]


class Up(nn.Module):
    def __init__(self, given: int, skip: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(given, given, 2, 2, bias=False)
        self.convs = Double(given + skip, skip, skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        for axis in (2, 3, 4):
            border = (skip.shape[axis] - x.shape[axis]) // 2
            skip = skip.narrow(axis, border, x.shape[axis])
        return self.convs(torch.cat([skip, x], 1))  # type: ignore[no-any-return]


class UNet3d(nn.Module):
    def __init__(self, w: int = 32) -> None:
        super().__init__()
        self.enc1, self.enc2, self.enc3, self.bottom = Double(3, w, 2 * w), Down(2 * w), Down(4 * w), Down(8 * w)
        self.dec3, self.dec2 = Up(16 * w, 8 * w), Up(8 * w, 4 * w)
        self.dec1, self.out = Up(4 * w, 2 * w), nn.Conv3d(2 * w, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.enc1(x)
        two = self.enc2(one)
        three = self.enc3(two)
        x = self.dec3(self.bottom(three), three)
        return self.out(self.dec1(self.dec2(x, two), one))  # type: ignore[no-any-return]


# --- ResNet-34 for ECGs --------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, given: int, out: int, stride: int, start: bool) -> None:
        super().__init__()
        self.stride, self.new = stride, out - given
        if not start:
            self.bn1 = keras_norm(given)
        self.conv1 = nn.Conv1d(given, out, 16, stride)
        self.bn2 = keras_norm(out)
        self.conv2 = nn.Conv1d(out, out, 16)

    def forward(self, x: Tensor) -> Tensor:
        short = F.pad(F.max_pool1d(x, self.stride), (0, 0, 0, self.new))
        if hasattr(self, "bn1"):
            x = F.relu(self.bn1(x))
        x = F.dropout(F.relu(self.bn2(keras_same(self.conv1, x))), 0.2, self.training)
        return short + keras_same(self.conv2, x)


class EcgResNet34(nn.Module):
    def __init__(self, leads: int = 1, classes: int = 12) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(leads, 32, 16), keras_norm(32)
        for stage, width in enumerate((32, 64, 128, 256)):
            givens = (max(width // 2, 32), width, width, width)
            blocks = (Block(g, width, 1 + i % 2, stage == i == 0) for i, g in enumerate(givens))
            self.add_module(f"stage{stage + 1}", nn.Sequential(*blocks))
        self.bn2, self.fc = keras_norm(256), nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(keras_same(self.conv1, x)))
        for stage in range(4):
            x = self.get_submodule(f"stage{stage + 1}")(x)
        return self.fc(F.relu(self.bn2(x)).mT).mT  # type: ignore[no-any-return]


# --- InceptionTime -------------------------------------------------------------------------------------------------


class Inception(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        if given > 1:
            self.bottleneck = nn.Conv1d(given, 32, 1, bias=False)
        for number, kernel in enumerate((40, 20, 10)):
            self.add_module(f"conv{number + 1}", nn.Conv1d(32 if given > 1 else 1, 32, kernel, bias=False))
        self.conv4 = nn.Conv1d(given, 32, 1, bias=False)
        self.bn = keras_norm(128)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bottleneck(x) if hasattr(self, "bottleneck") else x
        paths = [keras_same(self.get_submodule(f"conv{n}"), narrow) for n in (1, 2, 3)]  # type: ignore[arg-type]
        return F.relu(self.bn(torch.cat([*paths, self.conv4(F.max_pool1d(x, 3, 1, 1))], 1)))


class Three(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Inception(given), Inception(128), Inception(128))
        self.conv, self.bn = nn.Conv1d(given, 128, 1, bias=False), keras_norm(128)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)) + self.layers(x))


class InceptionTime(nn.Module):
    def __init__(self, leads: int = 12, classes: int = 5) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Three(leads), Three(128))
        self.fc = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(x).mean(2))  # type: ignore[no-any-return]


# --- tests ---------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A network of the library of width `w` for an input, the network by hand, and its parameters."""

    name: str
    input: str
    by_hand: Callable[[], nn.Module]
    params: int
    w: int = 32


CASES = {
    "unet3d": Case("unet3d", "3x116x132x132", UNet3d, 19_074_627),
    "narrow unet3d": Case("unet3d", "3x92x92x100", lambda: UNet3d(4), 299_115, 4),
    "ecg_resnet34": Case("ecg_resnet34", "1x5888", EcgResNet34, 10_468_204),
    "ecg_resnet34 of 12 leads": Case("ecg_resnet34", "12x5120", lambda: EcgResNet34(12), 10_473_836),
    "inceptiontime": Case("inceptiontime", "12x5000", InceptionTime, 492_421),
    "inceptiontime of 1 lead": Case("inceptiontime", "1x140", lambda: InceptionTime(1), 420_837),
}
EACH = [pytest.param(case, id=name) for name, case in CASES.items()]
EACH_RUN = [pytest.param(c, id=n, marks=pytest.mark.slow if n == "unet3d" else ()) for n, c in CASES.items()]


@pytest.mark.parametrize("case", EACH)
def test_tensors_and_counts(case: Case) -> None:
    network = archdsl.load(case.name, input=case.input, w=case.w)
    with torch.device("meta"):
        mine = case.by_hand().eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in mine.state_dict().items()}
    assert {t.key: tuple(t.param.shape) for t in network.graph.tensors} == shapes
    assert network.params == sum(p.numel() for p in mine.parameters()) == case.params
    with FlopCounterMode(display=False) as counter:
        y = mine(torch.empty(1, *network.input, device="meta"))
    assert counter.get_total_flops() == 2 * network.macs
    assert network.output == tuple(y.shape[1:])


# In float32, torch sums in an order that depends on the processor: 1.1e-6 was measured with ecg_resnet34.
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 3e-6), (torch.float64, 1e-12)], ids=["32", "64"])
@pytest.mark.parametrize("case", EACH_RUN)
def test_outputs(case: Case, dtype: torch.dtype, most: float) -> None:
    network = archdsl.load(case.name, input=case.input, w=case.w)
    mine, ours = case.by_hand(), network.to_torch(device="meta")
    weights = random_weights(mine, dtype)
    for module in (mine, ours):
        module.load_state_dict(weights, strict=True, assign=True)
        module.eval()
    x = torch.randn(1, *network.input, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        a, b = ours(x), mine(x)
    assert a.shape == b.shape
    assert float((a - b).abs().max()) <= most * float(b.abs().max())


def test_unet3d_is_the_published_one() -> None:
    """Its output and its parameters, which the paper counts without the scales and shifts of batch norm."""
    network = archdsl.load("unet3d")
    norms = sum(p.numel for node in network.nodes if node.op.name == "bn" for p in node.params if p.trained)
    assert network.output == (3, 28, 44, 44)
    assert network.params - norms == 19_069_955
    assert archdsl.load("unet3d", input="3x132x132").output == (3, 44, 44)


def test_an_ecg_gets_a_prediction_for_every_256_samples() -> None:
    network = archdsl.load("ecg_resnet34")
    assert [str(size) for size in network.graph.sizes] == ["L >= 256"]
    assert [archdsl.load("ecg_resnet34", input=f"1x{n}").output for n in (256, 5888)] == [(12, 1), (12, 23)]
