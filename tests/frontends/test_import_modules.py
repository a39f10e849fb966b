"""Small PyTorch modules, each with an op or a wiring of its own: the imported spec has their keys and outputs.

Tests `frontends/torch_module.py`, `frontends/aten/__init__.py`, `frontends/aten/translation.py`,
`frontends/aten/filters.py`, `frontends/aten/layers.py`, `frontends/aten/pools.py`, `frontends/aten/shapes.py`
and `frontends/aten/values.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.frontends.torch_module import trace
from archdsl.ops import Dropout
from tests.support.drawn_weights import scattered


class Calls(nn.Module):
    """A module with these children, and a function of them as its forward pass."""

    def __init__(self, forward: Callable[..., Any], **children: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def conv(out: int = 4, into: int = 3, **fields: Any) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, **{"padding": 1, **fields})


def check(module: nn.Module, size: tuple[int, ...] = (3, 8, 8)) -> Any:
    """Import the module and compare keys, shapes and values of its tensors, parameters and outputs."""
    scattered(module)
    imported = archdsl.import_model(module, input=size)
    state, weights = module.state_dict(), imported.weights
    distinct = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    assert set(weights) == distinct & state.keys()
    for key in weights:
        assert np.array_equal(weights[key], state[key].numpy()), key
    assert imported.network.params == sum(p.numel() for p in module.parameters())
    x = torch.randn(3, *size)
    with torch.no_grad():
        expected, outputs = module(x), imported.network.to_torch(weights)(x)
    # Standardized filters are computed by another sum: small outputs have the error of the large ones.
    assert torch.allclose(outputs, expected, rtol=1e-5, atol=1e-6 * max(1.0, float(expected.abs().max())))
    return imported


def padding_read_twice(m: Any, x: Tensor) -> Tensor:
    y = F.pad(m.c(x), (1, 1, 1, 1), value=-torch.inf)
    return F.max_pool2d(y, 3, 1) + F.max_pool2d(y, 3, 1, 0, 1)


def silent_gate(m: Any, x: Tensor) -> Tensor:
    y = m.c(x)
    return y * torch.sigmoid(y)


ONE_INPUT: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "mean(3).mean(2)": lambda m, x: m.c(x).mean(3).mean(2),
    "flatten(2).mean(-1)": lambda m, x: m.c(x).flatten(2).mean(-1),
    "mean of a view": lambda m, x: m.c(x).view(x.shape[0], 4, -1).mean(2),
    "mean, kept": lambda m, x: m.c(x) * m.c(x).mean((2, 3), keepdim=True),
    "squeeze twice": lambda m, x: F.adaptive_avg_pool2d(m.c(x), 1).squeeze(-1).squeeze(-1),
    "adaptive max": lambda m, x: F.adaptive_max_pool2d(m.c(x), 1) * F.adaptive_max_pool2d(x, (1, 1)).amax(1, True),
    "amax twice": lambda m, x: m.c(x).amax(-1).amax(-1),
    "sum": lambda m, x: m.c(x).sum((2, 3)),
    "mean over channels": lambda m, x: m.c(x) - m.c(x).mean(1, keepdim=True),
    "max over channels": lambda m, x: m.c(x) - m.c(x).max(1, keepdim=True)[0],
    "l2": lambda m, x: torch.linalg.vector_norm(m.c(x), dim=(2, 3), keepdim=True),
    "pad": lambda m, x: F.pad(m.c(x), (1, 2, 0, 3)),
    "pad of channels": lambda m, x: F.pad(m.c(x), (0, 0, 0, 0, 1, 2), value=0.5),
    "pad by reflection": lambda m, x: F.pad(m.c(x), (1, 2, 0, 3), mode="reflect"),
    "crop": lambda m, x: m.c(x)[:, :, 1:, :-2],
    "every second pixel": lambda m, x: m.c(x)[:, :, ::2, ::2],
    "chunk": lambda m, x: torch.cat(m.c(x).chunk(2, 1)[::-1], 1),
    "split": lambda m, x: torch.cat(m.c(x).split([1, 3], 1)[::-1], 1),
    "slice": lambda m, x: m.c(x)[:, 1:3],
    "select": lambda m, x: m.c(x)[:, 2].unsqueeze(1),
    "scalars": lambda m, x: (2 - m.c(x) * 3 + 0.5) / 4,
    "alpha": lambda m, x: torch.add(m.c(x), torch.tanh(m.c(x)), alpha=0.5),
    "square": lambda m, x: m.c(x) ** 2,
    "maximum": lambda m, x: torch.maximum(m.c(x), -m.c(x)),
    "shuffle": lambda m, x: m.c(x).view(-1, 2, 2, 8, 8).transpose(1, 2).flatten(1, 2),
    "channel_shuffle": lambda m, x: F.channel_shuffle(m.c(x), 2),
    "pixel_shuffle": lambda m, x: F.pixel_shuffle(m.c(x), 2),
    "pixel_unshuffle": lambda m, x: F.pixel_unshuffle(m.c(x), 2),
    "nearest": lambda m, x: F.interpolate(m.c(x), scale_factor=2),
    "bilinear": lambda m, x: F.interpolate(m.c(x), scale_factor=2, mode="bilinear"),
    "aligned": lambda m, x: F.interpolate(m.c(x), scale_factor=2, mode="bilinear", align_corners=True),
    "bicubic": lambda m, x: F.interpolate(m.c(x), size=(16, 24), mode="bicubic"),
    "to a size": lambda m, x: m.c(x) + F.interpolate(F.max_pool2d(m.c(x), 3), size=(8, 8), mode="bilinear"),
    "softmax": lambda m, x: m.c(x).softmax(1),
    "log_softmax": lambda m, x: F.log_softmax(m.c(x).mean((2, 3)), -1),
    "divisor": lambda m, x: F.avg_pool2d(m.c(x), 3, 2, 1, divisor_override=4),
    "average of inside": lambda m, x: F.avg_pool2d(m.c(x), 3, 2, 1, count_include_pad=False),
    "adaptive": lambda m, x: F.adaptive_avg_pool2d(m.c(x), (4, 3)),
    "response norm": lambda m, x: F.local_response_norm(m.c(x), 3, 1e-2, 0.6, 2.0),
    "even response norm": lambda m, x: F.local_response_norm(m.c(x), 2),
    "ceil": lambda m, x: F.max_pool2d(m.c(x), 3, 2, ceil_mode=True),
    "dropout": lambda m, x: F.dropout(m.c(x), 0.5, m.training),
    "gate": silent_gate,
    "padded max pool": lambda m, x: F.max_pool2d(F.pad(m.c(x), (0, 1, 1, 1), value=-torch.inf), 3, 2),
    "padded twice": lambda m, x: F.max_pool2d(F.pad(m.c(x), (0, 1, 1, 0), value=-torch.inf), 3, 2, 1, ceil_mode=False),
    "padding read twice": padding_read_twice,
}


@pytest.mark.parametrize("name", ONE_INPUT)
def test_functions(name: str) -> None:
    check(Calls(ONE_INPUT[name], c=conv()))


ACTIVATIONS = [
    nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(-2, 3), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.Hardswish(),
    nn.Hardsigmoid(), nn.Mish(), nn.ELU(0.5), nn.SELU(), nn.CELU(2.0), nn.LeakyReLU(0.2), nn.PReLU(4), nn.PReLU(),
    nn.Softplus(), nn.Softsign(), nn.Tanh(), nn.Sigmoid(),
]  # fmt: skip


@pytest.mark.parametrize("act", ACTIVATIONS, ids=str)
def test_activations(act: nn.Module) -> None:
    check(nn.Sequential(conv(), act))


_SAME = nn.Conv2d(3, 4, 4, padding="same"), nn.Conv2d(4, 4, 3, dilation=2, padding="same")
_SIGNAL = nn.Conv1d(3, 4, 5), nn.BatchNorm1d(4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)
_VOLUME = nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AvgPool3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
_NORMS = conv(), nn.BatchNorm2d(4, momentum=0.01), conv(4, 4), nn.BatchNorm2d(4)
_VECTOR = (
    nn.Linear(5, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 2, bias=False),
)  # fmt: skip
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "no shift": (nn.Sequential(nn.Linear(5, 4), nn.Sequential(nn.LayerNorm(4, bias=False))), (5,)),
    "same": (nn.Sequential(*_SAME), (3, 8, 8)),
    "uneven": (nn.Sequential(nn.Conv2d(3, 6, (1, 5), stride=(2, 1), padding=(0, 2), groups=3, bias=False)), (3, 8, 8)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2, 1, 1)), (3, 8, 8)),
    "signal": (nn.Sequential(*_SIGNAL), (3, 16)),
    "volume": (nn.Sequential(*_VOLUME), (3, 8, 8, 8)),
    "group norm": (nn.Sequential(conv(), nn.GroupNorm(2, 4, eps=1e-4), nn.GroupNorm(4, 4, affine=False)), (3, 8, 8)),
    "instance norm": (nn.Sequential(conv(), nn.InstanceNorm2d(4, affine=True), nn.InstanceNorm2d(4)), (3, 8, 8)),
    "tracked": (nn.Sequential(conv(), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), (3, 8, 8)),
    "norms of equal value": (nn.Sequential(*_NORMS), (3, 8, 8)),
    "vector": (nn.Sequential(*_VECTOR), (5,)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    module, size = LAYERS[name]
    check(module, size)


@pytest.mark.parametrize("view", [lambda y: y.view(*y.shape, 1, 1), lambda y: y[:, :, None, None]])
def test_squeeze_and_excitation_with_linear_layers(view: Any) -> None:
    """The vector between is written as an image of one pixel; the layers keep their matrices."""

    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.c(x)
        return x * view(m.gate(F.adaptive_avg_pool2d(x, 1).flatten(1)))

    gate = nn.Sequential(nn.Linear(4, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, 4), nn.Sigmoid())
    made = check(Calls(forward, c=conv(), gate=gate))
    assert [node.op.name for node in made.graph.nodes][2:] == ["gap", "fc", "relu", "fc", "sigmoid", "mul"]


def test_a_vector_that_was_no_pixel() -> None:
    """No op of a spec gives a vector axes that it did not have."""
    module = Calls(lambda m, x: m.f(m.c(x).flatten(1)).view(-1, 5, 1, 1), c=conv(), f=nn.Linear(256, 5))
    with pytest.raises(ArchError, match="moves the numbers"):
        archdsl.import_model(module, input=(3, 8, 8))


def test_standardized_filters_and_blur_pools() -> None:
    """Those of timm, which computes the filters with a batch norm."""
    layers = pytest.importorskip("timm.layers")
    check(nn.Sequential(layers.StdConv2d(3, 4, 3), layers.ScaledStdConv2d(4, 6, 3, groups=2, gamma=1.7)))
    made = check(nn.Sequential(conv(), layers.BlurPool2d(4), layers.BlurPool2d(4, filt_size=5, stride=1)))
    assert [node.op.name for node in made.graph.nodes] == ["input", "conv", "blurpool", "blurpool"]


# --- names and sharing -----------------------------------------------------------------------------------------


class ActivatedNorm(nn.BatchNorm2d):
    """As timm's `BatchNormAct2d`: an activation inside the norm."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


class PaddedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def test_what_a_module_with_tensors_computes_besides() -> None:
    made = check(nn.Sequential(PaddedConv(3, 4, 3), ActivatedNorm(4), PaddedConv(4, 4, 3, stride=2), ActivatedNorm(4)))
    assert [node.op.name for node in made.graph.nodes] == ["input", *("pad", "conv", "bn", "relu") * 2]


def test_lists_out_of_order() -> None:
    """Two lists whose modules alternate: only they get dotted names."""

    def forward(m: Any, x: Tensor) -> Tensor:
        x = m.stem(x)
        for n in (1, 0, 2):
            x = m.norms[n](m.convs[n](x))
        return m.head(x)

    lists = {"convs": nn.ModuleList(conv(4, 4) for _ in range(3)), "norms": nn.ModuleList(map(nn.BatchNorm2d, [4] * 3))}
    made = check(Calls(forward, **lists, stem=nn.Sequential(conv(), nn.ReLU()), head=nn.Sequential(conv(2, 4))))
    assert "convs.1:" in made.text and "stem.0" not in made.text


def test_a_module_that_runs_twice() -> None:
    made = check(Calls(lambda m, x: m.c(torch.relu(m.n(m.c(m.a(x))))), a=conv(), c=conv(4, 4), n=nn.BatchNorm2d(4)))
    assert made.text.count("again") == 1
    twice = nn.Sequential(conv(4, 4), nn.ReLU(), nn.BatchNorm2d(4))
    assert check(Calls(lambda m, x: m.body(m.body(m.a(x))), a=conv(), body=twice)).text.count("again") == 2


def test_a_tensor_with_two_names() -> None:
    """A parameter of two modules, and a module with two names, are shared; equal values are not."""
    a, b = conv(4, 4, bias=False), conv(4, 4, bias=False)
    b.weight = a.weight
    assert check(Calls(lambda m, x: m.b(m.a(m.s(x))), s=conv(), a=a, b=b)).text.count("again") == 1
    norm = nn.BatchNorm2d(4)
    assert (
        check(Calls(lambda m, x: m.o(m.c(m.n(m.s(x)))), s=conv(), n=norm, c=conv(4, 4), o=norm)).text.count("again")
        == 1
    )


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.n1 = conv(4, 4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.n1(self.c1(x)))


def test_a_module_with_two_names() -> None:
    """A block, and an activation with a tensor in two containers: the second call has the tensors of the first."""
    block, act = Block(), nn.PReLU()
    made = check(Calls(lambda m, x: m.c(m.b(m.a(x))), a=conv(), b=block, c=block))
    assert made.text.count("again") == 2 and set(made.weights) >= {"b.c1.weight", "b.n1.weight"}
    a, b = nn.Sequential(conv(), act), nn.Sequential(conv(4, 4), act)
    assert check(Calls(lambda m, x: m.b(m.a(x)), a=a, b=b)).text.count("again") == 1


def test_a_tensor_that_no_spec_can_share() -> None:
    a, b = conv(4, 4, bias=False), conv(4, 4, bias=False, dilation=2, padding=2)
    b.weight = a.weight
    with pytest.raises(ArchError, match="E0843"):
        archdsl.import_model(Calls(lambda m, x: m.b(m.a(m.s(x))), s=conv(), a=a, b=b), input=(3, 8, 8))


class Scaled(nn.Module):
    """Channels first, last, and first again, with learned factors of all three shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.up = conv(bias=False), nn.LayerNorm(4), nn.Linear(4, 6)
        self.gamma, self.beta = nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(1, 6, 1, 1))
        self.shift, self.delta = nn.Parameter(torch.rand(4, 1, 1)), nn.Parameter(torch.rand(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(self.norm((self.conv(x) + self.shift).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return x * self.gamma.view(1, -1, 1, 1) * self.delta + self.beta


def test_learned_factors_keep_their_shapes() -> None:
    check(nn.Sequential(Scaled()))


# --- what is changed in place ----------------------------------------------------------------------------------


def test_a_group_norm_without_a_shift() -> None:
    norm = nn.GroupNorm(2, 4)
    norm.bias = None
    nn.init.uniform_(norm.weight)
    check(nn.Sequential(conv(), norm))


def test_one_learned_number_is_refused() -> None:
    module = Calls(lambda m, x: m.c(x) * m.gain, c=conv())
    module.gain = nn.Parameter(torch.ones(1))
    with pytest.raises(ArchError, match="one number per channel, not one for all"):
        archdsl.import_model(module, input=(3, 8, 8))


def test_changes_in_place() -> None:
    def aliased(m: Any, x: Tensor) -> Tensor:
        y = m.c(x)
        z = y
        y += 1
        return z * F.relu_(y)

    check(Calls(aliased, c=conv()))

    def part(m: Any, x: Tensor) -> Tensor:
        y = m.c(x)
        z = y[:, :2]
        y.relu_()
        return z

    with pytest.raises(ArchError, match=r"relu_.*in place"):
        archdsl.import_model(Calls(part, c=conv()), input=(3, 8, 8))


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "flip": (lambda m, x: m.c(x).flip(3), "no op for it"),
    "batch": (lambda m, x: m.c(x).mean(0, keepdim=True), "batch"),
    "batch reshaped": (lambda m, x: m.c(x).reshape(1, -1, 8, 8), "batch"),
    "computed weight": (lambda m, x: F.conv2d(x, m.c.weight.exp()), "computed from the parameter `inner.c.weight`"),
    "fixed weight": (lambda m, x: F.conv2d(m.c(x), torch.ones(4, 1, 3, 3), groups=4), "not a parameter"),
    "weight from the input": (lambda m, x: F.conv2d(x, x[:, :, :3, :3]), "computed from the input"),
    "statistics": (lambda m, x: F.batch_norm(m.c(x), None, None, training=True), "statistics of the batch"),
    "indices": (lambda m, x: m.c(x).max(1)[1], "indices"),
    "power": (lambda m, x: m.c(x) / (m.c(x) ** 2 + 1) ** 0.5, "power other than 2"),
    "rounded": (lambda m, x: torch.div(m.c(x), 3, rounding_mode="floor"), "rounds"),
    "adaptive max": (lambda m, x: F.adaptive_max_pool2d(m.c(x), 2), "one pixel only"),
    "indices of a max": (lambda m, x: F.adaptive_max_pool2d(m.c(x), 1, return_indices=True)[1], "indices"),
    "factor": (lambda m, x: F.interpolate(m.c(x), scale_factor=1.5, mode="bilinear"), "whole factors"),
    "transpose": (lambda m, x: m.c(x).transpose(2, 3), "transpose"),
    "infinite padding": (lambda m, x: F.pad(m.c(x), (1, 1, 1, 1), value=-torch.inf).sigmoid(), "infinite number"),
    "ceil of padding": (
        lambda m, x: F.max_pool2d(F.pad(m.c(x), (1, 1, 1, 1), value=-torch.inf), 3, 2, ceil_mode=True),
        "padded already",
    ),
    "scales": (lambda m, x: F.interpolate(m.c(x), scale_factor=1.3, mode="bilinear"), "whole sizes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    forward, reason = REFUSED[name]
    with pytest.raises(ArchError, match=reason) as caught:
        archdsl.import_model(Calls(lambda m, x: m.inner(x), inner=Calls(forward, c=conv())), input=(3, 8, 8))
    assert {d.code for d in caught.value.diagnostics} == {"E0842"}
    assert "inner" in caught.value.diagnostics[0].message, "it names the module"


def test_modules_that_cannot_be_traced(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and the module keeps its modes."""
    module = Calls(lambda m, x: m.c(x) if x.sum() > 0 else x, c=conv(), n=nn.BatchNorm2d(4)).train()
    module.n.eval()
    with pytest.raises(ArchError, match="E0844"):
        archdsl.import_model(module, input=(3, 8, 8))
    assert capfd.readouterr() == ("", "")
    assert module.training and module.c.training and not module.n.training


def tied() -> nn.Module:
    return Calls(lambda m, x: m.b(torch.relu(m.b(m.a(x)))), a=nn.Sequential(conv(), nn.BatchNorm2d(4)), b=conv(4, 4))


def test_modules_without_values_have_a_structure_only() -> None:
    """A module of the device `meta` is read, with its shared tensors; nothing is compared, and it has no weights."""
    with torch.device("meta"):
        empty = tied()
    imported = archdsl.import_model(empty, input=(3, 8, 8))
    assert imported.text == archdsl.import_model(tied(), input=(3, 8, 8)).text
    assert [(w.code, "meta" in w.message) for w in imported.check.warnings] == [("W0849", True)]
    assert "outputs not compared" in imported.summary.text()
    with pytest.raises(ArchError, match=r"E0845.*meta"):
        imported.weights  # noqa: B018
    assert all(tensor.is_meta for tensor in empty.state_dict().values()), "the module stays as it was"


LOUD = """
import sys
from torch import nn

print("on import")

class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        print("on creation")
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        print("on each run")
        return self.c(x)

made = nn.Conv2d(3, 4, 3)

def ends():
    sys.exit(3)

class Ends(Loud):
    def forward(self, x):
        sys.exit(3)

class Silent(Loud):
    def forward(self, x):
        assert x.shape[1] == 5
"""


@pytest.fixture
def loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("loud", None)


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("command", ["import", "import --format json", "expand", "params --format json"])
def test_what_a_module_prints_is_not_in_the_output(command: str) -> None:
    name, *options = command.split()
    done = CliRunner().invoke(main, [name, "loud:Loud", "--input", "3x16x16", *options], catch_exceptions=False)
    assert done.exit_code == 0 and "on creation" in done.stderr
    assert "on " not in done.stdout and isinstance(yaml.safe_load(done.stdout), dict)


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize(
    ("name", "reason"),
    [("ends", "SystemExit: 3"), ("Ends", "SystemExit: 3"), ("Silent", "AssertionError at `assert x.shape"), ("x", "x")],
)
@pytest.mark.parametrize("command", ["import", "params"])
def test_code_that_ends_python_or_fails_is_an_error(name: str, reason: str, command: str) -> None:
    done = CliRunner().invoke(main, [command, f"loud:{name}", "--input", "3x16x16"], catch_exceptions=False)
    assert done.exit_code in (1, 2) and "error[E0844]" in done.stderr and reason in done.stderr and not done.stdout


@pytest.mark.usefixtures("loud")
def test_arguments_of_a_module_are_refused() -> None:
    done = CliRunner().invoke(main, ["import", "loud:made", "-a", "a=1", "--input", "3x8x8"], catch_exceptions=False)
    assert done.exit_code == 2 and "E0003" in done.stderr and "is a module" in done.stderr


class Two(nn.Module):
    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x + other


def test_modules_have_one_input() -> None:
    with pytest.raises(ArchError, match=r"E0844.*'other'.*passes one"):
        archdsl.import_model(Two(), input=(3, 8, 8))
    assert archdsl.import_model(Calls(lambda m, x, *, scale=2: m.c(x) * scale, c=conv()), input=(3, 8, 8)).check.sizes


def test_a_table_of_positions_is_a_parameter() -> None:
    module = Calls(lambda m, x: m.c(x) + m.pos, c=conv())
    module.pos = nn.Parameter(torch.randn(1, 4, 8, 8))
    with pytest.raises(ArchError, match="the parameter `pos` is neither one value nor one value per channel"):
        archdsl.import_model(module, input=(3, 8, 8))


def test_classes_and_memory() -> None:
    """The classes of all modules by path, and tensors that are not copied."""
    module = nn.Sequential(nn.Sequential(conv(), nn.BatchNorm2d(4)), nn.ReLU())
    model = trace(module.eval(), (3, 8, 8))
    assert model.classes == {"": "Sequential", "0": "Sequential", "0.0": "Conv2d", "0.1": "BatchNorm2d", "1": "ReLU"}
    assert model.constants["0.0.weight"].__array_interface__["data"][0] == module[0][0].weight.data_ptr()


class Dropping(nn.Module):
    """The mean is written when `drop` reads it; its name is its own."""

    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.c, self.drop, self.head = conv(), nn.Dropout(p), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.c(x).mean((2, 3))))


def test_dropout_is_in_the_spec_and_compared() -> None:
    imported = archdsl.import_model(Dropping(), input=(3, 8, 8))
    drops = {node.path: node.op.p for node in imported.graph.nodes if isinstance(node.op, Dropout)}
    assert drops == {"drop": 0.2} and "flatten" not in imported.text
    module = imported.network.to_torch()
    assert [one.p for one in module.modules() if isinstance(one, nn.Dropout)] == [0.2]
    spec = imported.text
    assert archdsl.diff(archdsl.loads(spec), imported.network).text().count("no difference:") == 1
    other = archdsl.diff(archdsl.loads(spec.replace("0.2", "0.9")), imported.network)
    assert not other.equal and other.facts == (("dropout", "0.9", "0.2"),)
    bare = archdsl.import_model(Dropping(0), input=(3, 8, 8), name="bare")
    assert "dropout" not in bare.text
    assert (
        "no difference besides dropout, which bare leaves out" in archdsl.diff(archdsl.loads(spec), bare.network).text()
    )


def test_python_tells_that_the_outputs_differ_at_another_size() -> None:
    branching = Calls(lambda m, x: m.c(x).relu() if x.shape[-1] > 10 else m.c(x).sigmoid(), c=conv())
    imported = archdsl.import_model(branching, input=(3, 8, 8))
    assert [note.code for note in imported.notes] == ["W0849"] and imported.check.other
