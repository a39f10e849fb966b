"""The stages of networks against the feature maps of timm, and the facts of a part (`analysis/stages.py`)."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.analysis.stages import section, stages
from archdsl.diagnostics import ArchError
from archdsl.shapes import concrete
from archdsl.spec.find import library_networks

FAMILIES = (
    "resnet18",
    "seresnet18",
    "resnetv2_18d",
    "densenet121",
    "vgg11_bn",
    "efficientnet_b0",
    "convnext_tiny",
    "cspresnet50",
    "res2net50d",
    "repvgg_a0",
    "mobileone_s0",
    "mixnet_s",
    "dpn68",
    "tf_efficientnet_lite0",
    "mobilenetv4_conv_small",
    "inception_v3",
)
"""One network of each family. All others are compared with `--all`."""
OTHERWISE = ("convmixer_", "dla", "sedarknet21", "ghostnet_", "hrnet_", "inception_resnet_v2", "inception_v4", "nasnet")
OTHERWISE = (*OTHERWISE, "pnasnet")
"""Beginnings of names for which timm has other maps: it has three maps of one stride (convmixer), leaves out the first
(dla) or last (sedarknet21), or takes them before the last block, or after a head that it adds (the others)."""
NAMES = [
    pytest.param(name, marks=() if name in FAMILIES else pytest.mark.slow)
    for name in library_networks()
    if not name.startswith(OTHERWISE)
]


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_timms_feature_maps(name: str) -> None:
    import timm

    if name not in timm.list_models():
        pytest.skip("timm has no such network")
    with torch.device("meta"):
        info = timm.create_model(name, features_only=True).feature_info
    found = [(stage.stride, concrete(stage.node.shape)[0]) for stage in stages(archdsl.load(name).graph)]
    assert found == [*zip(info.reduction(), info.channels(), strict=True)]


def test_a_decoder_has_no_stages() -> None:
    assert [stage.stride for stage in stages(archdsl.load("unet").graph)] == [1, 2, 4, 8, 16]


def test_volumes_and_vectors() -> None:
    assert [stage.stride for stage in stages(archdsl.load("unet3d").graph)] == [1, 2, 4, 8]
    assert stages(archdsl.loads("input: 4\nnet: [fc 3]").graph) == ()


def test_a_gate_does_not_end_the_stages() -> None:
    """A gate and a norm read all pixels; only a global pool leaves no map."""
    text = "input: 3x32x32\nblocks:\n  se(w):\n    do: [3x3 conv w /2, ln]\nnet: [se(8), se(16), gap, fc 4]"
    assert [stage.stride for stage in stages(archdsl.loads(text).graph)] == [2, 4]


def test_the_facts_of_a_part() -> None:
    import torchvision

    net, oracle = archdsl.load("resnet18"), torchvision.models.resnet18()
    for path in ("layer1", "layer1.0", "layer1.0.conv1", "fc"):
        part = section(net.graph, path)
        assert part.params == sum(p.numel() for p in oracle.get_submodule(path).parameters())
    assert net["layer2"].shape == (128, 28, 28)
    assert net["fc"].nodes == (net.graph.by_path["fc"],)
    assert repr(net["layer1.0"]) == "<layer1.0: 7 nodes, output 64 x 56 x 56, 73,984 params, 231,211,008 MACs>"
    total = [net[path].macs for path in ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")]
    assert sum(total) == net.macs


def test_an_unknown_path() -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.load("resnet18")["layer1.00"]
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].help) == ("E0001", "did you mean `layer1.0`?")
