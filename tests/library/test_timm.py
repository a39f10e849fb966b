"""The networks that are named as in timm, held against its modules: names, shapes, counts, norms and outputs.

Nothing is downloaded: weights and statistics of batch norm are drawn at random, and both networks get them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.spec.find import library_networks
from tests.support.drawn_weights import random_weights

FAMILIES = (
    "darknet53",
    "cspdarknet53",
    "cs3darknet_l",
    "cspresnet50",
    "convmixer_768_32",
    "res2net50_26w_4s",
    "seresnet50",
    "resnetv2_50",
    "resnetv2_50x1_bit",
    "resnet50_cbam",
    "convnextv2_tiny",
    "ecaresnet50d",
    "skresnet50",
    "resnest50d",
)
"""One network of each file."""

DIFFERENT = (
    "sedarknet21",
    "cs3se_edgenet_x",
    "seresnet18",
    "resnetv2_18d",
    "convnextv2_atto",
    "ecaresnet26t",
    "skresnet18",
    "resnest14d",
)
"""Variants whose blocks differ from those of `FAMILIES`. The other variants are compared with `--all`."""

REORDERED = ("res2ne", "resnetv2_")
"""timm creates their modules in another order than it runs them: they have the same names in another order."""

BY_ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    f"resnet{depth}_cbam": (f"resnet{depth}", {"block_args": {"attn_layer": "cbam"}}) for depth in (50, 101)
}
"""Networks that timm has no name for: its name and arguments."""

ROUNDED = {"convnextv2": 4e-6, "_bit": 4e-5}
"""Parts of names, and how far outputs in float32 may differ: timm standardises filters and takes norms by other ops,
which round otherwise. In float64 they have the limit of all networks."""

FILES = {library_networks()[name].path for name in FAMILIES}
NAMES = [
    pytest.param(name, marks=() if name in FAMILIES + DIFFERENT else pytest.mark.slow)
    for name, location in library_networks().items()
    if location.path in FILES
]
SIZES = ["3x64x96", pytest.param("3x97x64", marks=pytest.mark.slow), pytest.param(None, marks=pytest.mark.slow)]
DTYPES = [
    pytest.param(torch.float64, 1e-12, id="float64"),
    pytest.param(torch.float32, 1e-6, id="float32", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def create() -> Callable[[str], nn.Module]:
    """Return timm's network of this name, on the device `meta`: nothing is allocated."""
    import timm  # takes seconds

    @cache
    def on_meta(name: str) -> nn.Module:
        theirs, arguments = BY_ARGUMENTS.get(name, (name, {}))
        with torch.device("meta"):
            model: nn.Module = timm.create_model(theirs, **arguments)
        return model.eval()

    return on_meta


@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_counts(name: str, create: Callable[[str], nn.Module]) -> None:
    ours, theirs = archdsl.load(name), create(name)
    mine = [(t.key, tuple(t.param.shape)) for t in ours.graph.tensors]
    other = [(key, tuple(tensor.shape)) for key, tensor in theirs.state_dict().items()]
    assert sorted(mine) == sorted(other)
    assert name.startswith(REORDERED) or mine == other
    assert ours.params == sum(p.numel() for p in theirs.parameters())
    with FlopCounterMode(display=False) as counter:
        theirs(torch.empty(1, *ours.input, device="meta"))
    assert counter.get_total_flops() == 2 * ours.macs


@pytest.mark.parametrize("name", NAMES)
def test_norms(name: str, create: Callable[[str], nn.Module]) -> None:
    ours = archdsl.load(name).to_torch(device="meta")
    for path, norm in create(name).named_modules():
        if isinstance(norm, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            mine: Any = ours.get_submodule(path)
            assert mine.eps == norm.eps, path
            assert getattr(mine, "momentum", 0) == getattr(norm, "momentum", 0), path


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_outputs(
    name: str, size: str | None, dtype: torch.dtype, most: float, create: Callable[[str], nn.Module]
) -> None:
    spec = archdsl.load(name, input=size)
    ours, theirs = spec.to_torch(device="meta").eval(), create(name)
    weights = random_weights(theirs, dtype)
    for network in (ours, theirs):
        network.load_state_dict(weights, strict=True, assign=True)
    x = torch.randn(2, *spec.input, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    theirs.to("meta")
    if dtype == torch.float32:
        most = next((limit for part, limit in ROUNDED.items() if part in name), most)
    assert other.isfinite().all()
    assert float((mine - other).abs().max() / other.abs().max()) <= most
