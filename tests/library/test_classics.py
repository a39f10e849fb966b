"""Networks of papers that no package has, against modules written by hand in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.shapes import concrete

TINY: dict[str, Any] = {
    "wrn28_10": {"n": 2, "k": 2},
    "preact_resnet164": {"n": 2},
    "pyramidnet110_a48": {"n": 3, "alpha": 11},
    "highway10": {"layers": 5},
    "fractalnet20": {"widths": [4, 6, 8, 8, 10]},
    "nin": {},
    "all_cnn_c": {},
    "siamese": {"w": 4, "features": 16},
}
"""Small variants: the blocks are those of the whole network."""


class Weights:
    """Takes the tensors of a network one by one, in the order of its state_dict."""

    def __init__(self, module: nn.Module) -> None:
        self.tensors = [t for name, t in module.state_dict().items() if not name.endswith("num_batches_tracked")]

    def take(self, number: int) -> Sequence[Tensor]:
        taken, self.tensors = self.tensors[:number], self.tensors[number:]
        return taken

    def conv(self, x: Tensor, stride: int = 1, bias: bool = False) -> Tensor:
        weight, *rest = self.take(1 + bias)
        return F.conv2d(x, weight, rest[0] if bias else None, stride, weight.shape[-1] // 2)

    def bn(self, x: Tensor) -> Tensor:
        weight, bias, mean, var = self.take(4)
        return F.batch_norm(x, mean, var, weight, bias)

    def fc(self, x: Tensor) -> Tensor:
        weight, bias = self.take(2)
        return F.linear(x, weight, bias)


def _wide(w: Weights, x: Tensor) -> Tensor:
    x = w.conv(x)
    for group in range(3):
        for unit in range(2):
            y, stride = F.relu(w.bn(x)), 2 if group and not unit else 1
            out = w.conv(F.relu(w.bn(w.conv(y, stride))))
            x = out + (x if unit else w.conv(y, stride))
    return w.fc(F.relu(w.bn(x)).mean((2, 3)))


def _preact(w: Weights, x: Tensor) -> Tensor:
    x = w.conv(x)
    for group in range(3):
        for unit in range(2):
            y, stride = F.relu(w.bn(x)), 2 if group and not unit else 1
            out = w.conv(F.relu(w.bn(w.conv(F.relu(w.bn(w.conv(y, stride)))))))
            x = out + (x if unit else w.conv(y, stride))
    return w.fc(F.relu(w.bn(x)).mean((2, 3)))


def _pyramid(w: Weights, x: Tensor) -> Tensor:
    """The width as the authors' code has it: a float that grows, and is rounded for each unit."""
    x, width = w.bn(w.conv(x)), 16.0
    for group in range(3):
        for unit in range(3):
            width += 11 / 9
            stride = 2 if group and not unit else 1
            out = w.bn(w.conv(F.relu(w.bn(w.conv(w.bn(x), stride)))))
            assert out.shape[1] == round(width)
            short = F.avg_pool2d(x, 2, ceil_mode=True) if stride == 2 else x
            x = out + torch.cat([short, short.new_zeros(len(x), out.shape[1] - x.shape[1], *short.shape[2:])], 1)
    return w.fc(F.relu(w.bn(x)).mean((2, 3)))


def _highway(w: Weights, x: Tensor) -> Tensor:
    x = F.relu(w.fc(x.flatten(1)))
    for _ in range(3):
        h = F.relu(w.fc(x))
        t = torch.sigmoid(w.fc(x))
        x = h * t + x * (1 - t)
    return w.fc(x)


def _fractal(w: Weights, x: Tensor) -> Tensor:
    def unit(value: Tensor) -> Tensor:
        return F.relu(w.bn(w.conv(value)))

    for _ in range(5):
        long, middle, short = unit(x), unit(x), unit(x)
        joined = torch.stack([middle, unit(short)]).mean(0)
        middle, short = unit(joined), unit(joined)
        x = F.max_pool2d(torch.stack([long, middle, unit(short)]).mean(0), 2)
    return w.fc(x.flatten(1))


def _nin(w: Weights, x: Tensor) -> Tensor:
    for pool in (
        lambda v: F.max_pool2d(v, 3, 2, ceil_mode=True),
        lambda v: F.avg_pool2d(v, 3, 2, ceil_mode=True),
        None,
    ):
        for _ in range(3):
            x = F.relu(w.conv(x, bias=True))
        x = pool(x) if pool else x.mean((2, 3))
    return x


def _all_conv(w: Weights, x: Tensor) -> Tensor:
    for stride in (1, 1, 2, 1, 1, 2, 1, 1, 1):
        x = F.relu(w.conv(x, stride, bias=True))
    return x.mean((2, 3))


def _siamese(w: Weights, left: Tensor, right: Tensor) -> Tensor:
    """Both images pass the encoder as one batch."""
    x = torch.cat([left, right])
    for pool in (2, 2, 2, 1):
        weight, bias = w.take(2)
        x = F.max_pool2d(F.relu(F.conv2d(x, weight, bias)), pool)
    one, other = torch.sigmoid(w.fc(x.flatten(1))).chunk(2)
    return torch.sigmoid(w.fc((one - other).abs()))


BY_HAND: dict[str, Callable[..., Tensor]] = {
    "wrn28_10": _wide,
    "preact_resnet164": _preact,
    "pyramidnet110_a48": _pyramid,
    "highway10": _highway,
    "fractalnet20": _fractal,
    "nin": _nin,
    "all_cnn_c": _all_conv,
    "siamese": _siamese,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_network_is_the_one_written_by_hand(name: str) -> None:
    net = archdsl.load(name, **TINY[name])
    module = net.to_torch(seed=3).double()
    generator = torch.Generator().manual_seed(5)
    for key, tensor in module.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1, generator=generator)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
    shapes = [concrete(net.graph.nodes[i].shape) for i in net.graph.inputs]
    inputs = [torch.randn(2, *shape, dtype=torch.float64, generator=generator) for shape in shapes]
    weights = Weights(module)
    with torch.no_grad():
        expected = BY_HAND[name](weights, *inputs)
        difference = (module(*inputs) - expected).abs().max() / expected.abs().max()
    assert not weights.tensors and difference < 1e-12


def test_zfnet_has_the_sizes_of_the_paper() -> None:
    """Figure 3 of the paper: the sizes of the feature maps."""
    graph = archdsl.load("zfnet").graph
    sizes = {name: graph.by_path[name].shape for name in ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5")}
    assert sizes == {
        "conv1": (96, 110, 110),
        "pool1": (96, 55, 55),
        "conv2": (256, 26, 26),
        "pool2": (256, 13, 13),
        "conv5": (256, 13, 13),
        "pool5": (256, 6, 6),
    }


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("all_cnn_c", 1_369_738),
        ("nin", 966_986),
        ("wrn28_10", 36_479_194),
        ("pyramidnet110_a48", 1_772_706),
        ("pyramidnet110_a270", 28_485_477),
    ],
)
def test_parameters(name: str, params: int) -> None:
    """Counted by other implementations of the same networks."""
    assert archdsl.load(name).params == params
