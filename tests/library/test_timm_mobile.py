"""DLA, HRNet and networks for mobile devices against timm 1.0.31: keys, counts, outputs; and the deployed forms of
RepVGG and MobileOne, whose weights are computed here.

Tests `specs/` and its names in timm, which are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from tests.support.drawn_weights import random_weights

FAMILIES = {
    "dla.py": (
        "dla34 dla46_c dla46x_c dla60 dla60x dla60x_c dla102 dla102x dla102x2 dla169 dla60_res2net dla60_res2next"
    ).split(),
    "hrnet.py": (
        "hrnet_w18 hrnet_w18_small hrnet_w18_small_v2 hrnet_w30 hrnet_w32 hrnet_w40 hrnet_w44 hrnet_w48 hrnet_w64"
    ).split(),
    "ghostnet.py": ["ghostnet_100", "ghostnet_050", "ghostnet_130"],
    "byobnet.py, RepVGG": (
        "repvgg_a0 repvgg_a1 repvgg_a2 repvgg_b0 repvgg_b1 repvgg_b1g4 repvgg_b2 repvgg_b2g4 repvgg_b3 repvgg_b3g4"
        " repvgg_d2se"
    ).split(),
    "byobnet.py, MobileOne": ["mobileone_s0", "mobileone_s1", "mobileone_s2", "mobileone_s3", "mobileone_s4"],
    "mobilenetv3.py": [
        "mobilenetv4_conv_small",
        "mobilenetv4_conv_small_035",
        "mobilenetv4_conv_small_050",
        "mobilenetv4_conv_medium",
        "mobilenetv4_conv_large",
    ],
    "efficientnet.py, MixNet": "mixnet_s mixnet_m mixnet_l mixnet_xl tf_mixnet_s tf_mixnet_m tf_mixnet_l".split(),
    "efficientnet.py": [
        *(f"tf_efficientnet_b{i}" for i in range(9)),
        *(f"tf_efficientnet_lite{i}" for i in range(5)),
    ],
}
"""Names by file of timm."""

NAMES = [name for family in FAMILIES.values() for name in family]
FIRST = [family[0] for family in FAMILIES.values()]
REPARAMETERIZED = [*FAMILIES["byobnet.py, RepVGG"], *FAMILIES["byobnet.py, MobileOne"]]
QUICK = [*FIRST, "dla60_res2net", "mobileone_s4", "mobilenetv4_conv_medium", "tf_mixnet_s", "tf_efficientnet_lite0"]
"""One of each family and those with other blocks: their outputs are compared always, the others' with `--all`."""
LEAST = {"dla.py": 32, "hrnet.py": 32}
"""These take multiples of 32 only, here and in timm."""

DTYPES = [
    pytest.param(torch.float32, 1e-6, id="float32"),
    pytest.param(torch.float64, 1e-12, id="float64", marks=pytest.mark.slow),
]


def slow_but(names: Iterable[str], all_names: Iterable[str]) -> list[Any]:
    """Test parameters, of which those in `names` run always."""
    return [pytest.param(n, marks=() if n in names else pytest.mark.slow) for n in all_names]


@cache
def timms(name: str) -> nn.Module:
    """timm's network, on the device `meta`: nothing is allocated."""
    import timm  # takes seconds

    with torch.device("meta"):
        model: nn.Module = timm.create_model(name)
    return model.eval()


def weights_of(name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random weights. Norms in parallel branches are halved: else their sums grow from layer to layer beyond what the
    gates of squeeze and excitation take."""
    weights = random_weights(timms(name), dtype)
    if name in REPARAMETERIZED:
        weights |= {key: w / 2 for key, w in weights.items() if key.endswith(("bn.weight", "identity.weight"))}
    return weights


def sizes_of(name: str) -> list[str]:
    family = next(file for file, names in FAMILIES.items() if name in names)
    return ["3x96x128", "3x160x96" if LEAST.get(family) else "3x129x75"]


@pytest.mark.parametrize("name", slow_but([*QUICK, *(n for n in NAMES if not n.startswith("hrnet"))], NAMES))
def test_keys_in_their_order_and_counts(name: str) -> None:
    network = archdsl.load(name)
    theirs = timms(name)
    shapes = [(key, tuple(tensor.shape)) for key, tensor in theirs.state_dict().items()]
    assert [(key, tuple(t.shape)) for key, t in network.to_torch(device="meta").state_dict().items()] == shapes
    assert network.params == sum(p.numel() for p in theirs.parameters())
    assert network.input == theirs.default_cfg["input_size"]
    with FlopCounterMode(display=False) as counter:
        theirs(torch.empty(1, *network.input, device="meta"))
    assert counter.get_total_flops() == 2 * network.macs


@pytest.mark.parametrize("name", FIRST)
def test_batch_norm(name: str) -> None:
    ours = archdsl.load(name).to_torch(device="meta")
    for path, norm in timms(name).named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            mine = ours.get_submodule(path)
            assert (mine.eps, mine.momentum) == (norm.eps, norm.momentum), path


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("name", slow_but(QUICK, NAMES))
def test_outputs(name: str, dtype: torch.dtype, most: float) -> None:
    theirs = loaded(name, dtype)
    for size in sizes_of(name):
        network = archdsl.load(name, input=size)
        ours = network.to_torch(device="meta")
        ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
        assert distance(ours.eval(), theirs, image(network.input, dtype)) <= most, size


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST)
def test_outputs_at_the_default_size(name: str) -> None:
    theirs = loaded(name, torch.float32)
    network = archdsl.load(name)
    ours = network.to_torch(device="meta")
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    assert distance(ours.eval(), theirs, image(network.input, torch.float32)) <= 1e-6


@pytest.mark.parametrize("name", slow_but(["repvgg_a0", "mobileone_s4"], REPARAMETERIZED))
def test_deployed(name: str) -> None:
    """`deploy=true` is what timm's `reparameterize_model` makes of the network."""
    from timm.utils import reparameterize_model

    trained = loaded(name, torch.float64)
    theirs = reparameterize_model(trained)
    network = archdsl.load(name, deploy=True, input="3x96x128")
    ours = network.to_torch(device="meta")
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)  # timm adds the convolution behind the gate
    x = image(network.input, torch.float64)
    assert distance(ours.eval(), theirs, x) <= 1e-12
    assert distance(ours, trained, x) <= 1e-9
    assert network.params == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("name", ["repvgg_b1g4", "mobileone_s0"])
def test_the_weights_of_the_deployed_form(name: str) -> None:
    """A norm behind a convolution scales its filters by weight/deviation; a window of 1x1, and the identity, which is a
    filter of ones at the own channel, are the middle of one of 3x3; parallel convolutions add."""
    weights = weights_of(name, torch.float64)
    deployed = archdsl.load(name, deploy=True)
    shapes = {t.key: tuple(t.param.shape) for t in deployed.graph.tensors}
    computed = {key: tensor for key, tensor in weights.items() if key in shapes}
    for key, shape in shapes.items():
        if key.endswith("reparam_conv.weight"):
            path = key.removesuffix("reparam_conv.weight")
            computed[key], computed[f"{path}reparam_conv.bias"] = fused(weights, path, shape)
    ours = deployed.to_torch(device="meta")
    ours.load_state_dict(computed, strict=True, assign=True)
    x = image((3, 64, 64), torch.float64)
    assert distance(ours.eval(), loaded(name, torch.float64), x) <= 1e-9


def fused(weights: dict[str, Tensor], path: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The filters and biases of a convolution that is the sum of the branches below `path`."""
    weight, bias = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape[0], dtype=torch.float64)
    middle = shape[-1] // 2
    for key in [k for k in weights if k.startswith(path) and k.endswith("running_var") and ".attn." not in k]:
        norm = key.removesuffix("running_var")
        factor = weights[f"{norm}weight"] / (weights[key] + 1e-5).sqrt()
        bias += weights[f"{norm}bias"] - weights[f"{norm}running_mean"] * factor
        if norm == f"{path}identity.":
            for channel in range(shape[0]):
                weight[channel, channel % shape[1], middle, middle] += factor[channel]
            continue
        filters = weights[f"{norm.removesuffix('bn.')}conv.weight"]
        at = middle - filters.shape[-1] // 2
        weight[:, :, at : shape[2] - at, at : shape[3] - at] += filters * factor[:, None, None, None]
    return weight, bias


def loaded(name: str, dtype: torch.dtype) -> nn.Module:
    import timm

    with torch.device("meta"):
        model: nn.Module = timm.create_model(name)
    model.load_state_dict(weights_of(name, dtype), strict=True, assign=True)
    return model.eval()


def image(size: Any, dtype: torch.dtype) -> Tensor:
    return torch.randn(2, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def distance(ours: nn.Module, theirs: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    assert other.isfinite().all()
    return float((mine - other).abs().max() / other.abs().max())
