"""Networks of torchvision and timm, without weights: the imported spec has their keys, counts and outputs.

Tests `frontends/torch_module.py` and `frontends/aten/__init__.py`: every convolutional classifier of torchvision, and
one or two networks of each family of timm without attention; where a spec cannot express one, the reason is listed.
"""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.regnet import BlockParams

from archdsl import loads, ops
from archdsl.backends.spec.recover import stay_flat
from archdsl.diagnostics import ArchError
from archdsl.frontends.importing import read_model
from archdsl.frontends.to_spec import to_spec
from archdsl.frontends.torch_module import trace
from archdsl.shapes import concrete
from tests.support.drawn_weights import scattered

TRANSFORMERS = ("vit", "swin", "maxvit")
TORCHVISION = [n for n in torchvision.models.list_models(torchvision.models) if not n.startswith(TRANSFORMERS)]
TOO_LARGE = {"regnet_y_128gf": "its 645 million weights need 2.6 GB"}
QUICK = {"resnet18", "googlenet", "shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1", "regnet_y_400mf"}
SIZES = {"inception": 96, "nasnet": 96, "pnasnet": 96, "xception": 96, "legacy_xception": 96}
"""The smallest inputs of some families; the others take 64 pixels."""

NO_OP, ONE_NUMBER = "archdsl has no op for it", "one number per channel, not one for all"
REFUSED = {
    "gcresnet33ts": NO_OP,  # a matmul of two values
    "skresnet18": NO_OP,  # stacks branches along a new axis
    "resnest14d": "neither over the channels nor over all spatial axes",  # a sum over parts of the channels
    "dm_nfnet_f0": ONE_NUMBER,
    "hgnetv2_b0": ONE_NUMBER,
    "convformer_s18": ONE_NUMBER,
    "poolformerv2_s12": ONE_NUMBER,
}
TIMM = [
    "gernet_s", "repvgg_a0", "mobileone_s0", "eca_resnext26ts", "seresnext26ts", "convmixer_768_32", "convnext_atto",
    "convnextv2_atto", "cs3darknet_focus_s", "cspresnet50", "cspdarknet53", "darknet53", "cspnext_tiny", "densenet121",
    "densenetblur121d", "dla34", "dla60_res2net", "dpn48b", "dpn68b", "nf_resnet26", "nf_regnet_b0", "eca_nfnet_l0",
    "ese_vovnet19b_slim", "eca_vovnet39b", "resnet26d", "ecaresnet26t", "seresnet18", "resnetblur18", "resnetaa50",
    "efficientnet_b0", "efficientnet_b0_gn", "efficientnet_es", "mixnet_s", "tf_efficientnet_b0", "mnasnet_050",
    "mobilenetv2_050", "fbnetc_100", "spnasnet_100", "tinynet_e", "fasternet_t0", "mobilenetv3_small_050",
    "tf_mobilenetv3_small_075", "lcnet_035", "fbnetv3_b", "mobilenetv4_conv_small", "hardcorenas_a", "ghostnet_050",
    "ghostnetv2_100", "hgnet_tiny", "hrnet_w18_small", "inception_next_atto", "inception_resnet_v2", "inception_v3",
    "inception_v4", "lcnetv2_base", "legacy_seresnet18", "legacy_xception", "mambaout_femto", "rdnet_tiny",
    "regnetx_002", "regnety_002", "repghostnet_050", "repvit_m0_9", "res2net50_14w_8s", "res2next50", "resnetv2_18",
    "resnetv2_50x1_bit", "rexnet_100", "selecsls42b", "starnet_s1", "tresnet_m", "vgg11_bn", "xception41",
    "xception41p", "poolformer_s12", "nasnetalarge",
    "pnasnet5large", *REFUSED,
]  # fmt: skip
QUICK_TIMM = {"regnetx_002", "lcnet_035", "skresnet18", "resnetblur18"}


def params(names: list[str], quick: set[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def side(name: str) -> int:
    return next((size for family, size in SIZES.items() if name.startswith(family)), 64)


def check(module: nn.Module, pixels: int, unused: tuple[str, ...] = ()) -> None:
    """Keys, shapes, values, parameters, MACs and outputs. `unused`: heads that run in training only."""
    size = (3, pixels, pixels)
    model = trace(module, size)
    imported = to_spec(model, "net", dict.fromkeys(model.shapes, size), "test", stay_flat)
    weights, state = imported.weights(), module.state_dict()
    expected = {key: tensor for key, tensor in state.items() if not key.startswith(unused or ("/",))}
    assert set(weights) == set(expected)
    for key, tensor in expected.items():
        assert np.array_equal(weights[key], tensor.numpy()), key
    net, x = loads(imported.text), torch.randn(1, *size)
    learned = [p.numel() for name, p in module.named_parameters() if name in expected]
    assert net.params == sum(learned)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs = module(x)
    blurred = sum(
        prod(concrete(node.shape)) * prod(node.op.kernel)
        for node in net.graph.nodes
        if isinstance(node.op, ops.BlurPool)  # a pool here, a convolution with fixed filters there
    )
    assert 2 * (net.macs + blurred) == counter.get_total_flops()
    with torch.no_grad():
        ours = net.to_torch(dict(weights))(x)
    assert float((ours - outputs).abs().max()) <= 1e-4 * float(outputs.abs().max())


@pytest.mark.parametrize("statistics", ["fresh", "scattered"])
@pytest.mark.parametrize("name", params(TORCHVISION, QUICK))
def test_torchvision(name: str, statistics: str) -> None:
    if name in TOO_LARGE:
        pytest.skip(TOO_LARGE[name])
    extra = {"init_weights": False} if name.startswith(("googlenet", "inception", "vgg")) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torchvision.models.get_model(name, weights=None, **extra).eval()
    check(scattered(module) if statistics == "scattered" else module, side(name), ("aux", "AuxLogits"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOO_LARGE)
def test_the_structure_of_645_million_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, shapes, parameters and MACs of a module without values."""
    widths = BlockParams.from_init_params

    def computed_on_cpu(*arguments: Any, **options: Any) -> Any:
        with torch.device("cpu"):
            return widths(*arguments, **options)

    monkeypatch.setattr(BlockParams, "from_init_params", computed_on_cpu)
    with torch.device("meta"):
        module = torchvision.models.get_model(name, weights=None).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, 64, 64, device="meta"))
    net = read_model(module, input=(3, 64, 64)).network
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert {tensor.key: tensor.param.shape for tensor in net.graph.tensors} == shapes
    assert net.params == sum(parameter.numel() for parameter in module.parameters())
    assert 2 * net.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", params(TIMM, QUICK_TIMM))
def test_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    module = scattered(timm.create_model(name))
    if name not in REFUSED:
        check(module, side(name))
        return
    with pytest.raises(ArchError, match=REFUSED[name]) as caught:
        check(module, side(name))
    assert {d.code for d in caught.value.diagnostics} <= {"E0842", "E0843"}
