"""The library's historic networks, and those that torchvision lacks, held against published and measured figures.

The numbers were measured on the reference implementations (Cadene's pretrained-models 0.7.4, timm 1.0.31, Bianco et
al.'s models-comparison) or worked out from the papers by hand. timm's networks are compared tensor by tensor and by
their outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.graph import Node
from archdsl.spec.find import library_networks
from tests.support.drawn_weights import random_weights

FAMILIES: dict[str, dict[str, tuple[int, int | None]]] = {
    "LeCun et al. 1998, section II.B": {"lenet5_1998": (60_000, 326_520)},
    "Krizhevsky et al. 2012, from the sizes of its layers": {"alexnet_2012": (60_965_224, 724_406_816)},
    "Szegedy et al. 2014; Caffe's bvlc_googlenet": {"googlenet_2014": (6_998_552, 1_582_671_872)},
    "Szegedy et al. 2016, from its figures": {
        "inception_resnet_v1": (22_756_328, 6_206_361_696),
        "inception_resnet_v2_paper": (32_433_928, 9_257_953_632),
    },
    "timm, inception_v4": {"inception_v4": (42_679_816, 12_253_974_624)},
    "timm, inception_resnet_v2": {"inception_resnet_v2": (55_843_464, 13_155_794_016)},
    "He et al. 2015, section 3; its operations from Table 1 and the stride's place": {
        "resnet50_v1": (25_557_032, 3_857_973_248),
        "resnet101_v1": (44_549_160, 7_570_194_432),
        "resnet152_v1": (60_192_808, 11_282_415_616),
        "cafferesnet101": (44_549_160, 7_570_194_432),  # Cadene
    },
    "He et al. 2015, section 4.2, option A; its parameters from Table 6": {
        "resnet20": (269_722, None),
        "resnet32": (464_154, None),
        "resnet44": (658_586, None),
        "resnet56": (853_018, None),
        "resnet110": (1_727_962, None),
        "resnet1202": (19_421_274, None),
    },
    "Cadene": {"fbresnet152": (60_268_520, 11_513_626_624)},
    "timm": {"resnext101_32x4d": (44_177_704, 7_969_996_800)},
    "Huang et al. 2016, section 4.1; its parameters from Table 2": {
        "densenet_bc100_k12": (769_162, None),
        "densenet_bc250_k24": (15_324_406, None),
        "densenet_bc190_k40": (25_624_430, None),
        "densenet40_k12": (1_019_722, None),
        "densenet100_k12": (6_979_642, None),
        "densenet100_k24": (27_249_082, None),
    },
    "Huang et al. 2016, section 4.2": {"densenet264": (33_337_704, 5_751_653_376)},
    "Cadene, bninception": {"bninception": (11_295_240, 2_032_600_064)},
    "Cadene and timm, xception": {"xception": (22_855_952, 8_357_403_496)},
    "Cadene and timm, dpn": {
        "dpn68": (12_611_602, 2_326_163_456),
        "dpn68b": (12_611_602, 2_326_163_456),
        "dpn92": (37_668_392, 6_501_684_224),
        "dpn98": (61_570_728, 11_671_217_152),
        "dpn107": (86_917_800, 18_298_764_288),
        "dpn131": (79_254_504, 16_013_648_896),
    },
    "Cadene and timm, senet": {
        "se_resnet50": (28_088_024, 3_860_488_192),
        "se_resnet101": (49_326_872, 7_574_937_600),
        "se_resnet152": (66_821_848, 11_288_993_792),
        "se_resnext50_32x4d": (27_559_896, 4_232_994_816),
        "se_resnext101_32x4d": (48_955_416, 7_974_739_968),
        "senet154": (115_088_984, 20_688_363_520),
    },
    "timm, whose padding is TensorFlow's": {
        # Cadene's port of it computes a row and a column too many and cuts them off again: 568,234,858.
        "nasnetamobile": (5_289_978, 563_638_816),
        "nasnetalarge": (88_753_150, 23_783_414_658),
    },
    "timm, pnasnet5large": {"pnasnet5large": (86_057_668, 24_937_395_792)},
    "Cadene, polynet": {"polynet": (95_366_600, 34_699_493_472)},
    "timm, mobilenetv1_100, and Bianco et al. 2018": {"mobilenet_v1": (4_231_976, 568_740_352)},
    "Bianco et al. 2018": {"shufflenet": (2_454_304, 138_365_952)},
    "Ronneberger et al. 2015, with padding and batch norm": {"unet": (31_036_546, None)},
    "densenet121, less two input channels and 986 classes": {
        "chest_xray": (7_978_856 - 2 * 64 * 49 - 986 * 1025, None)
    },
}
"""By source: trained parameters without auxiliary heads, and multiply-accumulates (None where no source has them)."""

AUX = {"googlenet_2014": 13_378_280 - 6_998_552}
"""Parameters of auxiliary heads."""

PUBLISHED_LAYERS = {
    "C1": (156, 122_304),
    "S2": (12, 5_880),
    "C3": (1_516, 151_600),
    "S4": (32, 2_000),
    "C5": (48_120, 48_120),
    "F6": (10_164, 10_164),
}
"""LeNet-5's trained parameters and connections by layer: LeCun et al. 1998, section II.B. The paper adds 840
connections to the output, whose parameters are fixed: 340,908 in all."""

GOOGLENET_MODULES = {
    "conv1": (9.1875, 118_013_952),
    "conv2 conv3": (112.0, 359_661_568),
    "inception3a": (159.5, 128_049_152),
    "inception3b": (379.0, 304_267_264),
    "inception4a": (366.75, 73_608_192),
    "inception4b": (438.0, 87_908_352),
    "inception4c": (497.5, 99_850_240),
    "inception4d": (590.5, 118_515_712),
    "inception4e": (847.0, 169_996_288),
    "inception5a": (1018.0, 51_079_168),
    "inception5b": (1409.0, 70_697_984),
}
"""Weights without biases in units of 1,024 and multiply-accumulates by module of Szegedy et al. 2014, worked out by
hand. The paper's Table 1 prints 2.7K, 112K, 159K, 380K, 364K, 437K, 463K, 580K, 840K, 1072K, 1388K; its operations
agree but for conv1 (34M) and 5a (54M)."""

TIMM = {
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "legacy_xception",
    "dpn68": "dpn68",
    "dpn68b": "dpn68b",
    "dpn92": "dpn92",
    "dpn98": "dpn98",
    "dpn107": "dpn107",
    "dpn131": "dpn131",
    "se_resnet50": "legacy_seresnet50",
    "se_resnet101": "legacy_seresnet101",
    "se_resnet152": "legacy_seresnet152",
    "se_resnext50_32x4d": "legacy_seresnext50_32x4d",
    "se_resnext101_32x4d": "legacy_seresnext101_32x4d",
    "senet154": "legacy_senet154",
    "nasnetalarge": "nasnetalarge",
    "pnasnet5large": "pnasnet5large",
    "resnext101_32x4d": "resnext101_32x4d",
    "mobilenet_v1": "mobilenetv1_100",
}
"""Our names and timm's. The specs bear timm's keys: its weights load as they are, by structure, without a map of
names."""

QUICK = (
    "inception_v4",
    "inception_resnet_v2",
    "xception",
    "dpn68",
    "dpn68b",
    "se_resnet50",
    "mobilenet_v1",
    "nasnetalarge",
    "pnasnet5large",
)
"""One of each family, and dpn68b, whose blocks are others: their outputs are compared always, the others' with
`--all`."""

DTYPES = [
    pytest.param(torch.float32, 1e-6, id="float32"),
    pytest.param(torch.float64, 1e-12, id="float64", marks=pytest.mark.slow),
]

SMALL = ("lenet5_1998", "alexnet_2012", "googlenet_2014")
"""Networks that take one size only, which is small enough; the others are run at 96 x 96."""

LARGE = ("fbresnet152", "pnasnet5large", "densenet264", "resnext101_32x4d")
"""Networks that are run with `--all` only."""

COUNTED = {name: counts for family in FAMILIES.values() for name, counts in family.items()}
FIRST = [next(iter(family)) for family in FAMILIES.values()]


def slow_but(names: Iterable[str], all_names: Iterable[str]) -> list[Any]:
    """Test parameters, of which those in `names` run always."""
    return [pytest.param(n, marks=() if n in names else pytest.mark.slow) for n in all_names]


@pytest.fixture(scope="module")
def timm() -> ModuleType:
    import timm  # takes seconds

    return timm


def timms(timm: ModuleType, name: str) -> nn.Module:
    """timm's network, on the device `meta`: nothing is allocated."""
    with torch.device("meta"):
        model: nn.Module = timm.create_model(TIMM[name])
    return model


def weights_of(nodes: list[Node]) -> int:
    return sum(p.numel for n in nodes for p in n.params if p.name == "weight")


# --- counts --------------------------------------------------------------------------------------------------------


def test_all_are_in_the_library() -> None:
    assert set(COUNTED) <= set(library_networks())


@pytest.mark.parametrize("name", COUNTED)
def test_counts(name: str) -> None:
    network = archdsl.load(name)
    params, macs = COUNTED[name]
    assert network.params == params
    assert network.totals.aux_params == AUX.get(name, 0)
    assert macs is None or network.macs == macs


@pytest.mark.parametrize("name", slow_but(FIRST, [n for n in COUNTED if n != "lenet5_1998"]))
def test_torch_counts_the_same(name: str) -> None:
    network = archdsl.load(name)
    model = network.to_torch(device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *network.input, device="meta"))
    assert counter.get_total_flops() == 2 * network.macs


def test_lenet5_of_1998_layer_by_layer() -> None:
    network = archdsl.load("lenet5_1998")
    found = {}
    for node in network.nodes:
        if node.path in PUBLISHED_LAYERS:
            height, width = node.shape[1:] if len(node.shape) == 3 else (1, 1)
            trained = sum(p.numel for p in node.params if p.trained)
            # A unit of a subsampling layer reads four pixels and a bias; its coefficient is no connection of its own.
            connections = 5 * node.shape[0] if node.path.startswith("S") else trained
            found[node.path] = (trained, connections * height * width)
    assert found == PUBLISHED_LAYERS
    assert sum(connections for _, connections in found.values()) + 840 == 340_908
    assert network.totals.buffers == 840


def test_the_outputs_of_1998_are_distances_to_drawn_digits() -> None:
    model = archdsl.load("lenet5_1998").to_torch()
    centers = model.state_dict()["output.weight"]
    assert centers.shape == (10, 12 * 7)
    assert set(centers.flatten().tolist()) == {-1.0, 1.0}
    one = centers[1].reshape(12, 7)
    assert [int(n) for n in (one > 0).sum(1)] == [2, 3, 4, 2, 2, 2, 2, 2, 2, 6, 0, 0]
    assert float(model.output(centers[3:4])[0, 3]) == 0
    assert int(model.output(centers).argmin(1)[7]) == 7
    assert archdsl.load("lenet5_1998").output_kind == "distances"


def test_googlenet_of_2014_module_by_module() -> None:
    network = archdsl.load("googlenet_2014")
    for modules, (weights, macs) in GOOGLENET_MODULES.items():
        nodes = [n for n in network.nodes if n.path.split(".")[0] in modules.split()]
        assert weights_of(nodes) == weights * 1024, modules
        assert sum(n.macs for n in nodes) == macs, modules
    per_head = [
        sum(p.numel for n in network.graph.nodes for p in n.params if n.path.split(".")[0] == head)
        for head in ("aux1", "aux2")
    ]
    assert per_head == [3_188_840, 3_190_888]


def test_response_normalisation_is_the_papers() -> None:
    """AlexNet's alpha is not divided by the size there, and is here: 1e-4 becomes 5e-4."""
    network = archdsl.load("alexnet_2012")
    (norm,) = {n.op for n in network.nodes if n.op.name == "lrn"}
    x = torch.rand(1, 8, 2, 2)
    paper = x[0, 3] / (2 + 1e-4 * x[0, 1:6].square().sum(0)) ** 0.75
    torch.testing.assert_close(functional.local_response_norm(x, norm.size, norm.alpha, norm.beta, norm.k)[0, 3], paper)


def test_unet_takes_any_size_in_steps_of_16() -> None:
    network = archdsl.load("unet")
    assert [str(size) for size in network.graph.sizes] == ["H >= 16, steps of 16", "W >= 16, steps of 16"]
    model = archdsl.load("unet", w=4).to_torch().eval()
    for size in ((16, 16), (48, 80)):
        assert model(torch.zeros(1, 1, *size)).shape == (1, 2, *size)


# --- torch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", slow_but([n for n in FIRST if n not in LARGE], [*FIRST, "nasnetalarge", "resnet1202"]))
def test_runs(name: str) -> None:
    size = None if name in SMALL else f"{archdsl.load(name).input[0]}x96x96"
    network = archdsl.load(name, input=size)
    # 600 residual blocks double an untrained signal beyond float32, unless batch norm holds it to the batch's
    # statistics.
    model = network.to_torch().train(name == "resnet1202")
    with torch.no_grad():
        y = model(torch.randn(2, *network.input, generator=torch.Generator().manual_seed(0)))
    assert tuple(y.shape) == (2, *network.output)
    assert y.isfinite().all()


# --- timm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TIMM)
def test_keys_and_shapes(name: str, timm: ModuleType) -> None:
    theirs = {key: tuple(tensor.shape) for key, tensor in timms(timm, name).state_dict().items()}
    assert {t.key: tuple(t.param.shape) for t in archdsl.load(name).graph.tensors} == theirs


@pytest.mark.parametrize("name", TIMM)
def test_batch_norm(name: str, timm: ModuleType) -> None:
    ours = archdsl.load(name).to_torch(device="meta")
    for path, norm in timms(timm, name).named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            mine = ours.get_submodule(path)
            assert (mine.eps, mine.momentum) == (norm.eps, norm.momentum), path


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("name", slow_but(QUICK, TIMM))
def test_outputs(name: str, dtype: torch.dtype, most: float, timm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # TensorFlow's averages do not count its padding, neither do ours; timm's do (a FIXME in its source).
    monkeypatch.setattr("timm.layers.pool2d_same.AvgPool2dSame.forward", mean_inside)
    theirs = timms(timm, name)
    ours = archdsl.load(name, input="3x96x128").to_torch(device="meta")
    weights = random_weights(theirs, dtype)
    for network in (ours, theirs):
        network.load_state_dict(weights, strict=True, assign=True)
        network.eval()
    x = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    assert other.isfinite().all()
    assert float((mine - other).abs().max() / other.abs().max()) <= most


@pytest.mark.parametrize("name", slow_but(["se_resnet50"], QUICK))
def test_gradients(name: str, timm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timm.layers.pool2d_same.AvgPool2dSame.forward", mean_inside)
    theirs = timms(timm, name)
    ours = archdsl.load(name, input="3x96x128").to_torch(device="meta")
    weights = random_weights(theirs, torch.float64)
    x = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for network in (ours, theirs):
        network.load_state_dict({key: tensor.clone() for key, tensor in weights.items()}, strict=True, assign=True)
        network.drop_rate = 0.0  # timm's senet has it from there, and drops in a function
        for module in network.train().modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        network(x).square().sum().backward()
    gradients = {key: weight.grad for key, weight in theirs.named_parameters()}
    for key, weight in ours.named_parameters():
        mine, other = weight.grad, gradients[key]
        assert mine is not None and other is not None and other.isfinite().all()
        assert float((mine - other).abs().max()) <= 1e-9 * float(other.abs().max()), key


def mean_inside(pool: Any, x: Tensor) -> Tensor:
    from timm.layers import pad_same

    def total(values: Tensor) -> Tensor:
        padded = pad_same(values, pool.kernel_size, pool.stride)
        return functional.avg_pool2d(padded, pool.kernel_size, pool.stride)

    return total(x) / total(torch.ones_like(x))
