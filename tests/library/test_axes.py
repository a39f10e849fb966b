"""The library's networks for signals, images and volumes held against MONAI and torchvision: the same tensors, the
same counts, and the same numbers out.

`facts/axes.csv` was measured on the packages' own modules: parameters, elements in buffers, keys, multiply-accumulates
(half of what `FlopCounterMode` counts) and shapes of outputs. A network of MONAI is one spec for one, two and three
axes: `input` decides. `facts/axes_specs.yaml` says which spec each network is.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from tests.support.drawn_weights import random_weights
from tests.support.monai_keys import efficientnet_keys

SPECS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "facts/axes_specs.yaml").read_text(encoding="utf-8"))
"""What each network of the table is here: a name of the library, what extends one, or why it is missing."""

QUICK = (
    "DenseNet121",
    "resnet18_A",
    "resnet50_B",
    "ResNetFeatures_resnet10",
    "UNet_res0",
    "UNet_res2_bn_relu",
    "BasicUNet",
    "BasicUNet_nontrainable",
    "BasicUNet_pixelshuffle",
    "BasicUNetPlusPlus",
    "BasicUNetPlusPlus_ds",
    "AttentionUnet",
    "SegResNet",
    "SegResNet_deconv",
    "SegResNet_pixelshuffle",
    "DynUNet_res_ds2",
    "DynUNet_anisotropic",
    "SEResNext50",
    "EfficientNetBN_b2",
    "HighResNet-1d",
    "VNet-2d",
    "Classifier_res0_sigmoid",
    "AutoEncoder_res2_inter",
    "MedNeXt_k3_grn-2d",
    "MedNeXtS_ds-2d",
    "r3d_18",
    "mc3_18",
    "r2plus1d_18",
    "s3d",
)
"""Networks, or ids of rows, that are always compared with the package's module; the others with `--all`."""

_LATE_NORMS = "a block lists its convolutions before or after its norms, which run in turn"
OTHER_ORDER = {
    **dict.fromkeys(("DynUNet", "DynUNet_ds2", "DynUNet_res", "DynUNet_res_ds2", "DynUNet_anisotropic"), _LATE_NORMS),
    **dict.fromkeys(("SegResNet", "SegResNet_deconv", "SegResNet_pixelshuffle", "SegResNet_32"), _LATE_NORMS),
    "AttentionUnet": "a level lists the levels below it last, which run first",
    "MedNeXt_k3_grn": "a block lists the offset of its response norm before the factor, which is first",
    "BasicUNetPlusPlus": "heads for training are listed last",
}
"""Networks whose keys have another order here, that in which they run, and why."""

RENAMED = dict.fromkeys(["EfficientNetBN_b0", "EfficientNetBN_b1", "EfficientNetBN_b2"], efficientnet_keys)
"""What gives the package's keys of networks that cannot have them here."""

SMALL = {1: (256,), 2: (48, 64), 3: (16, 24, 32)}
"""Sizes to compare numbers at, by the number of axes."""
DTYPES = {"float32": (torch.float32, 1e-6), "float64": (torch.float64, 1e-12)}


class Fact(NamedTuple):
    """A row of the measurements."""

    source: str
    name: str
    call: str
    axes: int
    input: tuple[int, ...]
    params: int
    keys: int
    buffers: int
    macs: int
    outputs: tuple[tuple[int, ...], ...]

    @property
    def id(self) -> str:
        return f"{self.name}-{self.axes}d"

    @property
    def quick(self) -> bool:
        return self.name in QUICK or self.id in QUICK


def sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def facts() -> Iterator[Fact]:
    with (Path(__file__).parent / "facts/axes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            outputs = tuple(sizes(text)[1:] for text in re.findall(r"\d[\dx]*", row["output_shape"]))
            counts = (int(row[key]) for key in ("params", "state_dict_keys", "buffers", "macs"))
            about = row["source"], row["name"], row["call"], int(row["spatial_dims"]), sizes(row["input"])
            yield Fact(*about, *counts, outputs)


TABLE = list(facts())
FACTS = [fact for fact in TABLE if "missing" not in SPECS[fact.name]]
ALL = [pytest.param(fact, id=fact.id) for fact in FACTS]
COMPARED = [pytest.param(f, id=f.id, marks=() if f.quick else pytest.mark.slow) for f in FACTS]
OUTPUTS = [
    pytest.param(fact, *DTYPES[name], id=f"{fact.id}-{name}", marks=() if quick else pytest.mark.slow)
    for fact in FACTS
    for name in DTYPES
    for quick in [fact.quick and (fact.axes, name) != (3, "float64")]
]
"""float64 on three axes takes five times as long as float32, and computes the same module."""


@cache
def network_of(name: str, input: tuple[int, ...]) -> archdsl.Network:
    spec = SPECS[name]
    if not isinstance(spec, str):
        spec = spec.get(len(input) - 1, spec)
    if isinstance(spec, str):
        return archdsl.load(spec, input=input)
    return archdsl.loads(json.dumps({"name": "extended", "input": [*input], **spec}))


def theirs(call: str) -> nn.Module:
    """The package's network that a row was measured on, on the device `meta`: nothing is allocated."""
    path, _, arguments = call.partition("(")
    module, _, function = path.rpartition(".")
    made: Callable[..., nn.Module] = getattr(import_module(module), function)
    with torch.device("meta"):
        return eval(f"made({arguments}", {"made": made})  # type: ignore[no-any-return]


def tensors(network: archdsl.Network) -> dict[str, tuple[int, ...]]:
    return {tensor.key: tuple(tensor.param.shape) for tensor in network.graph.tensors}


def their_keys(name: str, keys: Sequence[str]) -> dict[str, str]:
    """The package's key of each of ours: nearly always the same."""
    return RENAMED[name](keys) if name in RENAMED else {key: key for key in keys}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The tensors of a network. DynUNet lists most of its tensors under two keys: the first counts."""
    first = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items() if key in first}


def listed(output: Any) -> list[Tensor]:
    if isinstance(output, dict):
        return list(output.values())
    return [output] if isinstance(output, Tensor) else list(output)


def error(ours: Any, theirs: Any) -> float:
    """The largest difference of any output, relative to its largest value."""
    mine, others = listed(ours), listed(theirs)
    assert [t.shape for t in mine] == [t.shape for t in others]
    assert all(t.isfinite().all() and t.abs().max() > 0 for t in others)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(mine, others, strict=True))


def outputs(
    ours: nn.Module, theirs: nn.Module, input: tuple[int, ...], dtype: torch.dtype, name: str = ""
) -> tuple[Any, Any]:
    """What both networks compute with the same random weights, which they share."""
    drawn, own = random_weights(theirs, dtype), shapes(theirs)
    weights = {key: drawn[key] for key in own}
    keys = their_keys(name, [*ours.state_dict()])
    ours.load_state_dict({key: weights[other] for key, other in keys.items()}, strict=True, assign=True)
    theirs.load_state_dict(weights, strict=len(own) == len(drawn), assign=True)
    ours.eval(), theirs.eval()
    x = torch.randn(2, *input, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        return ours(x), theirs(x)


def small(fact: Fact) -> tuple[int, ...]:
    """A small input that the network takes."""
    free = network_of(fact.name, fact.input).graph.sizes
    least = (max(side, size.minimum) for side, size in zip(SMALL[fact.axes], free, strict=True))
    sizes = (n + (size.default - n) % size.step for n, size in zip(least, free, strict=True))
    return (fact.input[0], *(size.default if size.pinned else n for n, size in zip(sizes, free, strict=True)))


# --- counts --------------------------------------------------------------------------------------------------------


def test_every_network_of_the_table_has_a_spec_or_a_reason() -> None:
    assert len(TABLE) == 194 and [*SPECS] == [*dict.fromkeys(fact.name for fact in TABLE)]
    assert all(isinstance(spec, str) or {"extends", "missing", 3} & {*spec} for spec in SPECS.values())
    assert set(QUICK) <= {name for fact in FACTS for name in (fact.name, fact.id)}


@pytest.mark.parametrize("fact", ALL)
def test_counts(fact: Fact) -> None:
    """With the heads of deep supervision, which a package runs at inference as well."""
    network = network_of(fact.name, fact.input)
    trained = [tensor.param.numel for tensor in network.graph.tensors if tensor.param.trained]
    assert sum(trained) == fact.params
    assert sum(node.macs for node in network.nodes) == fact.macs
    assert (network.params, network.macs) == (fact.params, fact.macs) or network.graph.aux
    again = [key for key in tensors(network) if fact.name.startswith("DynUNet") and not key.startswith("output_block")]
    assert len(network.graph.tensors) + len(again) == fact.keys
    assert sum(map(prod, tensors(network).values())) == fact.params + fact.buffers
    output = network.output
    assert fact.outputs == (tuple(output.values()) if isinstance(output, dict) else (output,))


@pytest.mark.parametrize(
    "name", ["resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"]
)
@pytest.mark.parametrize(("shortcut", "a"), [("A", "a"), ("B", "")])
def test_every_resnet_has_both_shortcuts(name: str, shortcut: str, a: str) -> None:
    """Also resnet200, which was not measured."""
    call = f"monai.networks.nets.{name}(spatial_dims=3, n_input_channels=1, num_classes=3, shortcut_type={shortcut!r})"
    assert tensors(archdsl.load(f"{name}{a}_monai", input="1x64x64x64")) == shapes(theirs(call))


# --- the packages' modules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", COMPARED)
def test_keys_and_shapes(fact: Fact) -> None:
    ours = tensors(network_of(fact.name, fact.input))
    keys = their_keys(fact.name, [*ours])
    assert {keys[key]: shape for key, shape in ours.items()} == shapes(theirs(fact.call))


@pytest.mark.parametrize("fact", COMPARED)
def test_order_of_keys(fact: Fact) -> None:
    ours = [*network_of(fact.name, fact.input).to_torch(device="meta").state_dict()]
    mine = [*their_keys(fact.name, ours).values()]
    assert (mine == [*shapes(theirs(fact.call))]) == (fact.name not in OTHER_ORDER)


@pytest.mark.parametrize("fact", COMPARED)
def test_torch_counts_the_same(fact: Fact) -> None:
    network = theirs(fact.call).eval()
    with FlopCounterMode(display=False) as counter:
        made = network(torch.empty(1, *fact.input, device="meta"))
    assert counter.get_total_flops() == 2 * fact.macs
    assert tuple(tuple(tensor.shape[1:]) for tensor in listed(made)) == fact.outputs


@pytest.mark.parametrize(("fact", "dtype", "most"), OUTPUTS)
def test_outputs(fact: Fact, dtype: torch.dtype, most: float) -> None:
    ours = network_of(fact.name, small(fact)).to_torch(device="meta")
    assert error(*outputs(ours, theirs(fact.call), small(fact), dtype, fact.name)) <= most


@pytest.mark.parametrize("axes", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_heads_of_deep_supervision(axes: int) -> None:
    """In training MONAI's DynUNet enlarges the maps of its heads and stacks all outputs."""
    fact = next(fact for fact in FACTS if (fact.name, fact.axes) == ("DynUNet_ds2", axes))
    ours, other = network_of(fact.name, small(fact)).to_torch(device="meta"), theirs(fact.call)
    outputs(ours, other, small(fact), torch.float64)
    x = torch.randn(2, *small(fact), dtype=torch.float64)
    with torch.no_grad():
        stacked, mine = other.train()(x), ours.train()(x)
    made = torch.stack([F.interpolate(y, x.shape[2:]) for y in mine], dim=1)
    assert stacked.shape[1] == 3 and error(made, stacked) <= 1e-12


def test_heads_of_mednext() -> None:
    """In training MedNeXt gives the maps of its heads as they are, the largest first."""
    fact = next(fact for fact in FACTS if (fact.name, fact.axes) == ("MedNeXtS_ds", 2))
    ours, other = network_of(fact.name, small(fact)).to_torch(device="meta"), theirs(fact.call)
    outputs(ours, other, small(fact), torch.float64)
    x = torch.randn(2, *small(fact), dtype=torch.float64)
    with torch.no_grad():
        main, *heads = ours.train()(x)
        assert error([main, *heads[::-1]], other.train()(x)) <= 1e-12


@pytest.mark.parametrize("fact", [fact for fact in ALL if fact.values[0].quick])
def test_norms(fact: Fact) -> None:
    ours = network_of(fact.name, fact.input).to_torch(device="meta")
    other = theirs(fact.call)
    for key, their_key in their_keys(fact.name, [*ours.state_dict()]).items():
        if key.endswith(".running_mean"):
            mine, norm = (m.get_submodule(k.rpartition(".")[0]) for m, k in ((ours, key), (other, their_key)))
            assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))
            assert type(mine) is type(norm)
            assert (mine.eps, mine.momentum) == (norm.eps, norm.momentum), key


def test_another_shortcut_is_another_network() -> None:
    """The comparison fails where it should: with option A in the place of B, keys and numbers differ."""
    network = network_of("resnet18_A", (1, 48, 64))
    call = "monai.networks.nets.resnet18(spatial_dims=2, n_input_channels=1, num_classes=3, shortcut_type={!r})"
    assert tensors(network) != shapes(theirs(call.format("B")))
    other = theirs(call.format("A"))
    other.layer2[0].downsample = nn.Sequential(nn.AvgPool2d(1, 2), Channels())  # type: ignore[index, union-attr]
    assert error(*outputs(network.to_torch(device="meta"), other, (1, 48, 64), torch.float32)) > 1e-3


class Channels(nn.Module):
    """Zeros before the channels, where option A has them behind."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x), x], 1)


def test_a_resnet_34_for_twelve_leads() -> None:
    network = archdsl.load("resnet34_monai", input="12x5000", classes=5)
    call = "monai.networks.nets.resnet34(spatial_dims=1, n_input_channels=12, num_classes=5, shortcut_type='B')"
    assert (network.params, network.output) == (7_226_629, (5,))
    assert error(*outputs(network.to_torch(device="meta"), theirs(call), (12, 5000), torch.float32)) <= 1e-6


# --- networks for images, spread over other axes -------------------------------------------------------------------


def spread(axes: int, input: tuple[int, ...]) -> archdsl.Network:
    """torchvision's DenseNet-121 with as many axes as MONAI's."""
    lines = ("name: spread", "extends: densenet121", f"input: {list(input)}", f"axes: {axes}", "preprocess: null")
    return archdsl.loads("\n".join((*lines, "args: {classes: 3}")))


def monais(key: str) -> str:
    """The key of MONAI's DenseNet of one of torchvision's."""
    return re.sub(r"(denselayer\d+)", r"\1.layers", key).replace("classifier.", "class_layers.out.")


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize(("dtype", "most"), DTYPES.values(), ids=DTYPES)
def test_densenet121_over_other_axes_is_monais(axes: int, dtype: torch.dtype, most: float) -> None:
    fact = next(fact for fact in FACTS if (fact.name, fact.axes) == ("DenseNet121", axes))
    network = spread(axes, fact.input)
    assert (network.params, network.macs, len(network.graph.tensors)) == (fact.params, fact.macs, fact.keys)
    other = theirs(fact.call)
    assert {monais(key): shape for key, shape in tensors(network).items()} == shapes(other)
    input = small(fact)
    ours, weights = spread(axes, input).to_torch(device="meta").eval(), random_weights(other, dtype)
    ours.load_state_dict({key: weights[monais(key)] for key in ours.state_dict()}, strict=True, assign=True)
    other.load_state_dict(weights, strict=True, assign=True)
    x = torch.randn(2, *input, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        assert error(ours(x), other.eval()(x)) <= most


def test_a_spread_network_runs_in_onnx_runtime(tmp_path: Path) -> None:
    network = spread(3, (1, 29, 32, 48))
    path = network.to_onnx(tmp_path / "a.onnx", seed=3).path
    x = np.random.default_rng(0).standard_normal((1, *network.input), np.float32)
    (ran,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x})
    with torch.no_grad():
        assert error(torch.from_numpy(ran), network.to_torch(seed=3).eval()(torch.from_numpy(x))) <= 1e-5
