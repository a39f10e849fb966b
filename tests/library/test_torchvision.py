"""The library held against torchvision: the same names and shapes of weights, the same counts, and the same numbers
out.

Nothing of torchvision is downloaded: weights and batch-norm statistics are drawn at random, and both networks get them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.regnet import BlockParams

import archdsl
from archdsl.spec.find import library_networks

FAMILIES: dict[str, dict[str, tuple[int, int]]] = {
    "alexnet": {"alexnet": (61_100_840, 714_188_480)},
    "vgg": {
        "vgg11": (132_863_336, 7_609_090_048),
        "vgg13": (133_047_848, 11_308_466_176),
        "vgg16": (138_357_544, 15_470_264_320),
        "vgg19": (143_667_240, 19_632_062_464),
        "vgg11_bn": (132_868_840, 7_609_090_048),
        "vgg13_bn": (133_053_736, 11_308_466_176),
        "vgg16_bn": (138_365_992, 15_470_264_320),
        "vgg19_bn": (143_678_248, 19_632_062_464),
    },
    "googlenet": {"googlenet": (6_624_904, 1_498_376_192)},
    "inception": {"inception_v3": (23_834_568, 5_713_216_096)},
    "resnet": {
        "resnet18": (11_689_512, 1_814_073_344),
        "resnet34": (21_797_672, 3_663_761_408),
        "resnet50": (25_557_032, 4_089_184_256),
        "resnet101": (44_549_160, 7_801_405_440),
        "resnet152": (60_192_808, 11_513_626_624),
        "resnext50_32x4d": (25_028_904, 4_230_479_872),
        "resnext101_32x8d": (88_791_336, 16_414_015_488),
        "resnext101_64x4d": (83_455_272, 15_460_270_080),
        "wide_resnet50_2": (68_883_240, 11_398_021_120),
        "wide_resnet101_2": (126_886_696, 22_753_050_624),
    },
    "densenet": {
        "densenet121": (7_978_856, 2_834_161_664),
        "densenet161": (28_681_000, 7_727_907_072),
        "densenet169": (14_149_480, 3_359_843_328),
        "densenet201": (20_013_928, 4_291_365_888),
    },
    "squeezenet": {
        "squeezenet1_1": (1_235_496, 349_151_936),
        "squeezenet1_0": (1_248_424, 818_924_576),
    },
    "shufflenet": {
        "shufflenet_v2_x0_5": (1_366_792, 40_476_448),
        "shufflenet_v2_x1_0": (2_278_604, 144_907_992),
        "shufflenet_v2_x1_5": (3_503_624, 295_759_392),
        "shufflenet_v2_x2_0": (7_393_996, 583_253_464),
    },
    "mobilenet_v2": {"mobilenet_v2": (3_504_872, 300_774_272)},
    "mobilenet_v3": {
        "mobilenet_v3_small": (2_542_856, 56_510_400),
        "mobilenet_v3_large": (5_483_032, 216_589_760),
    },
    "mnasnet": {
        "mnasnet0_5": (2_218_512, 104_455_968),
        "mnasnet0_75": (3_170_208, 215_493_104),
        "mnasnet1_0": (4_383_312, 314_415_872),
        "mnasnet1_3": (6_282_256, 526_362_432),
    },
    "efficientnet": {
        "efficientnet_b0": (5_288_548, 385_814_752),
        "efficientnet_b1": (7_794_184, 686_802_832),
        "efficientnet_b2": (9_109_994, 1_087_529_456),
        "efficientnet_b3": (12_233_232, 1_827_141_392),
        "efficientnet_b4": (19_341_616, 4_393_771_024),
        "efficientnet_b5": (30_389_784, 10_266_384_752),
        "efficientnet_b6": (43_040_704, 19_067_593_536),
        "efficientnet_b7": (66_347_960, 37_745_884_192),
    },
    "efficientnet_v2": {
        "efficientnet_v2_s": (21_458_488, 8_365_617_152),
        "efficientnet_v2_m": (54_139_356, 24_582_460_384),
        "efficientnet_v2_l": (118_515_272, 56_079_699_008),
    },
    "regnet": {
        "regnet_y_400mf": (4_344_144, 401_842_848),
        "regnet_y_800mf": (6_432_512, 833_856_256),
        "regnet_y_1_6gf": (11_202_430, 1_612_076_160),
        "regnet_y_3_2gf": (19_436_338, 3_176_482_752),
        "regnet_y_8gf": (39_381_472, 8_473_070_592),
        "regnet_y_16gf": (83_590_140, 15_911_510_272),
        "regnet_y_32gf": (145_046_770, 32_279_552_832),
        "regnet_y_128gf": (644_812_894, 374_570_006_400),
        "regnet_x_400mf": (5_495_976, 413_812_608),
        "regnet_x_800mf": (7_259_656, 799_699_712),
        "regnet_x_1_6gf": (9_190_136, 1_602_849_792),
        "regnet_x_3_2gf": (15_296_552, 3_176_621_952),
        "regnet_x_8gf": (39_572_648, 7_995_132_416),
        "regnet_x_16gf": (54_278_536, 15_940_755_456),
        "regnet_x_32gf": (107_811_560, 31_735_929_792),
    },
    "convnext": {
        "convnext_tiny": (28_589_128, 4_455_531_264),
        "convnext_small": (50_223_688, 8_683_712_256),
        "convnext_base": (88_591_464, 15_354_729_472),
        "convnext_large": (197_767_336, 34_361_433_600),
    },
}
"""Parameters and multiply-accumulates (one sample at the published size, no auxiliary heads) of torchvision 0.29's
networks, as measured on its own modules. The first of each family is tested always, the others with `--all`."""

WITH_AUX = {"googlenet": 13_004_888, "inception_v3": 27_161_264}
HEADS = {
    "googlenet": {"output": "logits", "aux1": "aux_logits1", "aux2": "aux_logits2"},
    "inception_v3": {"output": "logits", "AuxLogits": "aux_logits"},
}
"""What our outputs in training are called in torchvision's."""

SMALL = {"inception_v3": (96, 128)}
"""Height and width to compare numbers at, where 64 x 96 is too small."""
SMALL_IN_TRAINING = {"alexnet": (64, 96), "inception_v3": (299, 299)}
"""The same for gradients, where 32 x 64 is too small."""

FIRST = [next(iter(family)) for family in FAMILIES.values()]
COUNTED = {name: counts for family in FAMILIES.values() for name, counts in family.items()}
TRANSFORMERS = ("maxvit", "swin", "vit")

NETWORKS = [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in COUNTED]
DTYPES = [pytest.param(torch.float32, 1e-6, id="float32"), pytest.param(torch.float64, 1e-12, id="float64")]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The work is small: several threads would wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def regnet_on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """RegNet works out its widths with tensors, whose numbers the device `meta` would not hold."""
    make = BlockParams.from_init_params

    def on_cpu(*args: Any, **kwargs: Any) -> BlockParams:
        with torch.device("cpu"):
            return make(*args, **kwargs)

    monkeypatch.setattr(BlockParams, "from_init_params", on_cpu)


@cache
def network_of(name: str) -> archdsl.Network:
    return archdsl.load(name)


def torchvisions(name: str) -> nn.Module:
    """torchvision's network, on the device `meta`: nothing is allocated."""
    options = {"init_weights": False} if name in WITH_AUX else {}
    with torch.device("meta"):
        return torchvision.models.get_model(name, **options)


def random_weights(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights that keep signals near 1, with statistics of batch norm that are not those it starts with."""
    random = torch.Generator().manual_seed(0)

    def drawn(key: str, like: Tensor) -> Tensor:
        if not like.dim():
            return torch.zeros(())
        if like.numel() > like.shape[0]:
            return torch.randn(like.shape, generator=random) * (2 * like.shape[0] / like.numel()) ** 0.5
        if key.endswith("layer_scale"):
            return torch.rand(like.shape, generator=random) / 10
        if key.endswith(("weight", "running_var")):
            return torch.rand(like.shape, generator=random) + 0.5
        return torch.randn(like.shape, generator=random) / 10

    weights = model.state_dict()
    for key, tensor in weights.items():
        weights[key] = drawn(key, tensor).to(dtype if tensor.is_floating_point() else tensor.dtype)
    return weights


def both(name: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """Ours and torchvision's network with the same random weights, which they share."""
    ours, theirs = network_of(name).to_torch(device="meta"), torchvisions(name)
    weights = random_weights(theirs, dtype)
    for network in (ours, theirs):
        network.load_state_dict(weights, strict=True, assign=True)
    return ours.eval(), theirs.eval()


def images(dtype: torch.dtype, size: tuple[int, ...]) -> Tensor:
    return torch.randn(2, 3, *size[-2:], generator=torch.Generator().manual_seed(1), dtype=dtype)


def error(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    assert theirs.isfinite().all()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def in_training_without_chance(network: nn.Module) -> nn.Module:
    """In training mode, with dropout and stochastic depth off."""
    for module in network.train().modules():
        if hasattr(module, "p"):
            module.p = 0.0
    return network


def outputs(name: str, ours: Any, theirs: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """The tensors that belong together."""
    if isinstance(theirs, Tensor):
        yield ours, theirs
        return
    assert set(ours._fields) == set(HEADS[name])
    for mine, other in HEADS[name].items():
        yield getattr(ours, mine), getattr(theirs, other)


def rates(network: nn.Module) -> list[float]:
    """Those above 0 of dropout and stochastic depth; torchvision also keeps some where there is no residual to drop."""
    blocks = [m for m in network.modules() if getattr(m, "use_res_connect", True) is False]
    unused = {getattr(block, "stochastic_depth", None) for block in blocks}
    return sorted(m.p for m in network.modules() if getattr(m, "p", 0) and m not in unused)


def published_preprocessing(name: str) -> Iterator[tuple[Any, ...]]:
    """Resize, crop, mean, standard deviation and interpolation of each of torchvision's released weights."""
    for weights in torchvision.models.get_model_weights(name):
        given = weights.transforms()
        mean, std = tuple(given.mean), tuple(given.std)
        if name in WITH_AUX:  # the network itself turns them into these: `transform_input`
            mean = std = (0.5, 0.5, 0.5)
        yield given.resize_size[0], (given.crop_size[0], given.crop_size[0]), mean, std, given.interpolation.value


def test_every_convolutional_classifier_is_here() -> None:
    known = torchvision.models.list_models(module=torchvision.models)
    assert {n for n in known if not n.startswith(TRANSFORMERS)} == set(COUNTED)
    assert set(COUNTED) <= set(library_networks())
    assert len(COUNTED) == 68


@pytest.mark.parametrize("name", COUNTED)
def test_keys_and_shapes(name: str) -> None:
    theirs = {key: tuple(tensor.shape) for key, tensor in torchvisions(name).state_dict().items()}
    assert {t.key: tuple(t.param.shape) for t in network_of(name).graph.tensors} == theirs


@pytest.mark.parametrize("name", COUNTED)
def test_counts(name: str) -> None:
    network = network_of(name)
    params, macs = COUNTED[name]
    assert network.params == params
    assert network.macs == macs
    assert network.params + network.totals.aux_params == WITH_AUX.get(name, params)


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_counts_the_same(name: str) -> None:
    network, theirs = network_of(name), torchvisions(name).eval()
    with FlopCounterMode(display=False) as counter:
        theirs(torch.empty(1, *network.input, device="meta"))
    assert 2 * network.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_only_training_uses(name: str) -> None:
    ours, theirs = network_of(name).to_torch(device="meta"), torchvisions(name)
    assert rates(ours) == pytest.approx(rates(theirs))
    for path, norm in theirs.named_modules():
        if isinstance(norm, (nn.BatchNorm2d, nn.LayerNorm)):
            mine = ours.get_submodule(path)
            assert mine.eps == norm.eps
            assert getattr(mine, "momentum", None) == pytest.approx(getattr(norm, "momentum", None))


@pytest.mark.parametrize("name", COUNTED)
def test_preprocessing(name: str) -> None:
    recipe = network_of(name).recipe
    assert recipe is not None
    mean, std = ((values * 3)[:3] for values in (recipe.mean, recipe.std))
    assert (recipe.resize, recipe.crop, mean, std, recipe.interpolation) in list(published_preprocessing(name))


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_logits(name: str, dtype: torch.dtype, most: float) -> None:
    ours, theirs = both(name, dtype)
    x = images(dtype, SMALL.get(name, (64, 96)))
    with torch.no_grad():
        assert error(ours(x), theirs(x)) <= most


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("name", HEADS)
def test_auxiliary_heads(name: str, dtype: torch.dtype, most: float) -> None:
    ours, theirs = map(in_training_without_chance, both(name, dtype))
    x = images(dtype, network_of(name).input)
    with torch.no_grad():
        for mine, other in outputs(name, ours(x), theirs(x)):
            assert error(mine, other) <= most


@pytest.mark.parametrize("name", FIRST)
def test_gradients(name: str) -> None:
    ours, theirs = map(in_training_without_chance, both(name, torch.float64))
    x = images(torch.float64, SMALL_IN_TRAINING.get(name, (32, 64)))
    for mine, other in outputs(name, ours(x), theirs(x)):
        mine.square().sum().backward(retain_graph=True)
        other.square().sum().backward(retain_graph=True)
    gradients = {key: weight.grad for key, weight in theirs.named_parameters()}
    for key, weight in ours.named_parameters():
        assert error(weight.grad, gradients[key]) <= 1e-9, key
