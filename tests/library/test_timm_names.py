"""Networks that timm has under other names, of networks or of tensors: `weights match` pairs them with equal outputs.

Networks with the same names of tensors are in `test_timm.py`, `test_timm_mobile.py` and with `--all` here.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

import archdsl
from archdsl.backends.weights import as_weights
from archdsl.backends.weights.match import match_names
from archdsl.spec.find import library_networks
from tests.support.drawn_weights import random_weights

RENAMED = {
    **{
        f"regnet_y_{ours}": f"regnety_{theirs}"
        for ours, theirs in {
            "400mf": "004",
            "800mf": "008_tv",
            "1_6gf": "016",
            "3_2gf": "032",
            "8gf": "080_tv",
            "16gf": "160",
            "32gf": "320",
        }.items()
    },
    **{
        f"regnet_x_{ours}": f"regnetx_{theirs}"
        for ours, theirs in {
            "400mf": "004_tv",
            "800mf": "008",
            "1_6gf": "016",
            "3_2gf": "032",
            "8gf": "080",
            "16gf": "160",
            "32gf": "320",
        }.items()
    },
    "mobilenet_v2": "mobilenetv2_100",
    "mnasnet0_5": "mnasnet_050",
    "mnasnet0_75": "mnasnet_075",
    "mnasnet1_0": "mnasnet_100",
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "efficientnet_v2_m": "efficientnetv2_m",
    "efficientnet_v2_l": "efficientnetv2_l",
    "xception": "legacy_xception",
    "senet154": "legacy_senet154",
}
"""Networks of the library and their names in timm."""
OTHER = {"senet154": "its stem has other layers; timm's `legacy_senet154` is the library's"}
"""Networks that share only their name with timm's."""
EPSILON = {
    **dict.fromkeys(("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"), 1e-3),
    **dict.fromkeys(("mobilenet_v3_large", "mobilenet_v3_small"), 1e-3),
    **dict.fromkeys(("efficientnet_v2_m", "efficientnet_v2_l"), 1e-3),
}
"""Networks whose norms have another epsilon in timm, where no file states it: timm's get that of the library here."""
QUICK = (
    "regnet_y_400mf",
    "regnet_x_400mf",
    "mobilenet_v2",
    "mnasnet0_5",
    "vgg11_bn",
    "convnext_tiny",
    "efficientnet_b0",
)
SLOW = pytest.mark.slow


@cache
def shared_names() -> dict[str, str]:
    import timm

    theirs = set(timm.list_models())
    same = {name: name for name in library_networks() if name in theirs and name not in OTHER}
    return {
        **same,
        **{ours: other for ours, other in RENAMED.items() if other in theirs and ours in library_networks()},
    }


def names() -> list[object]:
    every = [*dict.fromkeys((*QUICK, *RENAMED, *library_networks()))]
    return [pytest.param(name, marks=() if name in QUICK else SLOW) for name in every]


@pytest.mark.parametrize("name", names())
def test_weights_of_timm_load_with_equal_outputs(name: str) -> None:
    """By name where the names are equal, else by the rules of `weights match`; never with a tensor left over."""
    import timm

    if name not in shared_names():
        pytest.skip("timm has no such network")
    theirs = timm.create_model(shared_names()[name]).eval()
    for module in theirs.modules() if name in EPSILON else ():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPSILON[name]
    state = random_weights(theirs, torch.float32)
    if name.startswith(("repvgg", "mobileone")):  # sums of branches grow from layer to layer
        state |= {key: w / 2 for key, w in state.items() if key.endswith(("bn.weight", "identity.weight"))}
    theirs.load_state_dict(state)
    network = archdsl.load(name, input="3x96x96")
    found = match_names(as_weights(state), network.graph)
    assert found.complete and not found.unused and not found.unsure
    ours = network.to_torch(network.weights(state, rename=found.rules))
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    assert float((mine - other).abs().max() / other.abs().max()) <= 5e-5
