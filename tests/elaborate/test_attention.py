"""The blocks of docs/language.md, "Attention and gates", against modules of PyTorch with the same keys.

Tests `ops/merge.py` and `elaborate/build.py`: gates, and the sizes at which they are gates.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import EcaModule
from timm.layers.grn import GlobalResponseNorm
from torch import nn
from torchvision.ops import SqueezeExcitation

import archdsl
from archdsl.diagnostics import ArchError

DOCS = Path(__file__).parents[2] / "docs" / "language.md"
SHAPES = {"x": (32, 9, 8), "g": (48, 9, 8), "z": (16, 1, 1)}


def conv_bn(channels: int, out: int, kernel: int = 1, dilation: int = 1) -> Any:
    conv = nn.Conv2d(channels, out, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(out)))


class Cbam(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(32, 8, 1, bias=False), nn.Conv2d(8, 32, 1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Any) -> Any:
        pools = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        first, second = (self.fc2(self.fc1(pool).relu()) for pool in pools)
        x = torch.einsum("nchw,nc->nchw", x, (first + second).sigmoid().flatten(1))
        planes = torch.stack((x.mean(1), x.max(1).values), 1)
        return torch.einsum("nchw,nhw->nchw", x, self.spatial(planes).sigmoid()[:, 0])


class AttentionGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w_g, self.w_x, self.psi = conv_bn(48, 16), conv_bn(32, 16), conv_bn(16, 1)

    def forward(self, x: Any, g: Any) -> Any:
        return self.psi((self.w_g(g) + self.w_x(x)).relu()).sigmoid().expand_as(x) * x


class SelectiveKernel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = conv_bn(32, 32, 3), conv_bn(32, 32, 3, 2)
        self.fc1, self.fc2 = conv_bn(32, 8), nn.Conv2d(8, 64, 1)

    def forward(self, x: Any) -> Any:
        paths = torch.stack((self.small(x).relu(), self.large(x).relu()), 1)
        logits = self.fc2(self.fc1(paths.sum(1).mean((2, 3), keepdim=True)).relu())
        return (paths * logits.view(len(x), 2, 32, 1, 1).softmax(1)).sum(1)


class Film(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Conv2d(16, 32, 1), nn.Conv2d(16, 32, 1)

    def forward(self, x: Any, z: Any) -> Any:
        return torch.stack([x[:, c] * self.gamma(z)[:, c] + self.beta(z)[:, c] for c in range(32)], 1)


class GlobalContext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Conv2d(32, 1, 1)
        self.fc1 = nn.Sequential(OrderedDict(conv=nn.Conv2d(32, 8, 1, bias=False), ln=nn.LayerNorm(8)))
        self.fc2 = nn.Conv2d(8, 32, 1)

    def forward(self, x: Any) -> Any:
        weights = self.key(x).flatten(1).softmax(1)
        context = torch.einsum("ncp,np->nc", x.flatten(2), weights)[:, :, None, None]
        context = self.fc1.ln(self.fc1.conv(context).flatten(1)).relu()[:, :, None, None]
        return x + self.fc2(context).expand_as(x)


BLOCKS: dict[str, tuple[str, nn.Module, tuple[str, ...]]] = {
    "se": ("se", SqueezeExcitation(32, 8), ("x",)),
    "eca": ("eca", EcaModule(32, kernel_size=3), ("x",)),
    "cbam": ("cbam", Cbam(), ("x",)),
    "attention_gate": ("attention_gate(16)", AttentionGate(), ("x", "g")),
    "grn": ("grn", GlobalResponseNorm(32, channels_last=False), ("x",)),
    "sk": ("sk(32)", SelectiveKernel(), ("x",)),
    "film": ("film", Film(), ("x", "z")),
    "context": ("context", GlobalContext(), ("x",)),
}


def documented() -> str:
    section = DOCS.read_text("utf-8").split("## Attention and gates\n")[1]
    (text,) = re.findall(r"```yaml\ninput.*?\n(blocks:.*?)net:", section.split("\n## ")[0], re.S)
    return str(text)


def test_every_documented_block_is_here() -> None:
    assert re.findall(r"^  (\w+).*:(?: +#.*)?$", documented(), re.M) == [*BLOCKS]


@pytest.mark.parametrize("name", BLOCKS)
def test_documented_block(name: str) -> None:
    call, reference, inputs = BLOCKS[name]
    sizes = ", ".join(f"{i}: {'x'.join(map(str, SHAPES[i]))}" for i in inputs)
    net = archdsl.loads(f"name: n\ninput: {{{sizes}}}\n{documented()}net: {{a: '{call} <- {', '.join(inputs)}'}}\n")
    draw = torch.Generator().manual_seed(2)
    weights = {f"a.{key}": 0.3 * torch.randn(t.shape, generator=draw) for key, t in reference.state_dict().items()}
    weights |= {key: t.abs() + 0.5 for key, t in weights.items() if "running_var" in key}
    weights |= {key: torch.tensor(0) for key in weights if "num_batches" in key}
    module = net.to_torch(weights=weights).eval().double()
    reference.load_state_dict({key[2:]: tensor for key, tensor in weights.items()}, strict=True)
    values = [torch.randn(2, *SHAPES[i], generator=draw).double() for i in inputs]
    expected = reference.eval().double()(*values)
    assert (module(*values) - expected).abs().max() <= 1e-12 * expected.abs().max()
    assert set(module.state_dict()) == set(weights)
    result = archdsl.verify(net, weights=weights)
    assert result.passed, result.text(every=True)


NET = "input: 4x{}\nnet:\n  a: 3x3 conv 6 /2\n  b: {{do: {}, from: a}}\n  c: {} <- a, b\n"


@pytest.mark.parametrize(
    ("size", "gate", "merge", "pinned"),
    [
        ("12x10", "gap", "mul", ""),
        ("12x10", "mean channels", "mul", ""),
        ("12x10", "6x1 avgpool", "mul", "H"),  # 1 x W at this height only
        ("12x10", "1x5 maxpool", "div", "W"),
        ("12x10", "[6x1 avgpool, mean channels]", "sub broadcast", "H"),
        ("2x10", "identity", "mul", ""),  # one row, which grows with the other input
        ("2x10", "gap", "maximum broadcast", ""),
        ("2x2", "max channels", "add broadcast", ""),
        ("12x10", "1x1 avgpool adaptive", "minimum broadcast", ""),
        ("12x10", "[1x5 avgpool adaptive, 1x1 conv 6]", "mul", "W"),
    ],
)
def test_a_size_that_is_1_by_chance_is_fixed(size: str, gate: str, merge: str, pinned: str) -> None:
    """The module, and the ONNX file with free sizes, compute the same at other sizes."""
    graph = archdsl.loads(NET.format(size, gate, merge)).graph
    assert "".join(s.name for s in graph.sizes if s.pinned) == pinned, [str(s) for s in graph.sizes]


WRONG = {
    "a quotient of a gate by an image": ("gap", "div <- b, a", "E0413", "write the larger input first"),
    "a difference of a gate and an image": ("gap", "sub broadcast <- b, a", "E0413", "write the larger input first"),
    "two gates": ("gap", '{d: mean channels <- a, e: "mul <- b, d"}', "E0413", "list an input of this shape too"),
    "other channels": ("1x1 conv 3", "mul <- a, b", "E0413", "C x 1 x 1, 1 x H x W"),
    "no word": ("gap", "maximum <- a, b", "E0412", "`maximum broadcast`"),
    "no word, and no gate": ("1x1 conv 3", "minimum <- a, b", "E0412", "`1x1 conv` changes the channels"),
    "a vector": ("[gap, fc 6]", "sub broadcast <- a, b", "E0412", "write `1x1 conv 6` for `b.1`"),
    "a vector, and no word": ("[gap, fc 6]", "sub <- a, b", "E0412", "for `b.1` and `sub broadcast`"),
    "a vector of other values": ("fc 6", "add <- a, b", "E0412", "does not broadcast a vector"),
    "two inputs of a maximum over channels": ("relu", "max <- a, b", "E0414", "write `maximum <- a, b`"),
    "two inputs of a sum": ("relu", "sum space <- a, b", "E0414", "write `add <- a, b`"),
    "three inputs of a difference": ("relu", "sub <- a, b, b", "E0414", "`sub` takes 2 inputs, not 3"),
    "one input of a quotient": ("relu", "div <- a", "E0414", "`div <- a, b`"),
    "over nothing": ("relu", "mean", "E0311", "`mean channels`"),
    "a sum of branches": ("relu", "{branches: [relu, tanh], merge: sum}", "E0308", "did you mean `add`?"),
    "three branches": ("relu", "{branches: [relu, tanh, gelu], merge: div}", "E0414", "takes 2 inputs, not 3"),
    "space and parts": ("relu", "softmax space parts=2", "E0407", "cannot have `parts`"),
    "parts that do not divide": ("relu", "softmax groups=2 parts=2", "E0403", "6 can be divided by 1, 2, 3, 6"),
    "flat and batched": ("relu", "offset flat batched", "E0407", "both `flat` and `batched`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_an_error_that_says_what_to_write(name: str) -> None:
    gate, node, code, words = WRONG[name]
    node = node if node[0] == "{" else f"'{node}'"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 4x12x10\nnet:\n  a: 3x3 conv 6 /2\n  b: {{do: {gate}, from: a}}\n  c: {node}\n")
    (d,) = caught.value.diagnostics
    assert d.code == code and words in f"{d.message}; {d.help}"


def test_names_of_functions_are_ops_only_where_a_node_starts() -> None:
    text = "input: 4x8x8\nargs: {m: 3, f: abs}\nnet:\n  a: 1x1 conv max(m, 4) act=f\n  b: 1x1 conv sum([m, 1]) abs\n"
    net = archdsl.loads(
        text + "  max: max channels\n  d:\n    residual: {c: 1x1 conv abs(-1)}\n    scale: min(1, 0.5)\n"
    )
    assert [node.op.name for node in net.graph.nodes[1:6]] == ["conv", "abs", "conv", "abs", "max"]
    assert [node.shape[0] for node in net.graph.nodes[1:6]] == [4, 4, 4, 4, 1]
