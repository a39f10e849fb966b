"""`create_model` and `list_models` against timm (`archdsl.library.create`)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.library.create import create_model, list_models
from archdsl.spec.find import library_networks
from tests.support.drawn_weights import random_weights

X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def close(ours: Any, theirs: Any) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("options", [{}, {"num_classes": 7}, {"num_classes": 0}, {"num_classes": 5, "in_chans": 1}])
@pytest.mark.parametrize("name", ["resnet18", "seresnet18", "repvgg_a0"])
def test_a_model_is_timms(name: str, options: dict[str, Any]) -> None:
    import timm

    theirs = timm.create_model(name, **options).eval()
    ours = create_model(name, **options)
    ours.load_state_dict(theirs.state_dict())
    x = X[:, : options.get("in_chans", 3)]
    with torch.no_grad():
        assert close(ours(x), theirs(x))


@pytest.mark.parametrize("options", [{}, {"out_indices": (1, 3)}, {"out_indices": [-1]}, {"in_chans": 1}])
@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0"])
def test_feature_maps_are_timms(name: str, options: dict[str, Any]) -> None:
    import timm

    theirs = timm.create_model(name, features_only=True, **options).eval()
    ours = create_model(name, features_only=True, **options)
    keys = {key.replace(".", "_"): key for key in ours.state_dict()}  # timm's has `stages_0` for `stages.0`
    ours.load_state_dict({keys[key.replace(".", "_")]: value for key, value in theirs.state_dict().items()})
    x = X[:, : options.get("in_chans", 3)]
    with torch.no_grad():
        pairs = [*zip(ours(x), theirs(x), strict=True)]
    assert all(close(a, b) for a, b in pairs)
    assert ours.feature_info.channels() == theirs.feature_info.channels() == [a.shape[1] for a, _ in pairs]
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    assert len(ours.feature_info.module_name()) == len(pairs)


def test_weights_of_another_head() -> None:
    """The head is initialised as for every target, all other tensors are those of the source."""
    source = random_weights(archdsl.load("resnet18").to_torch(), torch.float32)
    model = create_model("resnet18", source, num_classes=3, seed=5).state_dict()
    fresh = archdsl.load("resnet18", classes=3).weights(seed=5)
    assert torch.equal(model["layer1.0.conv1.weight"], source["layer1.0.conv1.weight"])
    assert torch.equal(model["fc.weight"], torch.from_numpy(fresh["fc.weight"]))
    backbone = create_model("resnet18", source, features_only=True).state_dict()
    assert not any(key.startswith("fc") for key in backbone)
    assert all(torch.equal(value, source[key]) for key, value in backbone.items())


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_weights_for_other_channels_are_adapted_as_in_timm(channels: int) -> None:
    from timm.models import adapt_input_conv

    source = random_weights(archdsl.load("resnet18").to_torch(), torch.float32)
    adapted = create_model("resnet18", source, in_chans=channels).state_dict()
    expected = adapt_input_conv(channels, source["conv1.weight"])
    assert torch.allclose(adapted["conv1.weight"], expected, atol=1e-6)


def test_other_arguments_go_to_the_spec() -> None:
    assert len(create_model("resnet18", n=[1, 1, 1, 1], num_classes=4).layer1) == 1


def test_auxiliary_heads_are_no_head() -> None:
    with torch.no_grad():
        assert create_model("googlenet", num_classes=0)(torch.rand(1, 3, 64, 64)).shape == (1, 1024)


@pytest.mark.parametrize(
    ("make", "code", "part"),
    [
        (lambda: create_model("edge_filter", num_classes=2), "E0003", "`edge_filter` has none"),
        (lambda: create_model("siamese", in_chans=2), "E0003", "`siamese` has 2"),
        (lambda: create_model("resnet18", num_classes=-1), "E0002", "num_classes"),
        (lambda: create_model("resnet18", in_chans=0), "E0002", "in_chans"),
        (lambda: create_model("resnet18", out_indices=[1]), "E0003", "features_only"),
        (lambda: create_model("resnet18", features_only=True, out_indices=[5]), "E0002", "out_indices"),
        (lambda: create_model("convmixer_768_32", features_only=True), "E0002", "1 stride"),
        (lambda: create_model("resnet18", pretrained={}), "E0603", "missing"),
        (lambda: create_model("resnet18", pretrained=""), "E0601", "weights file"),
        (lambda: create_model("resnet18", pretrained=0), "E0004", "weights"),
        (lambda: create_model("resnt18"), "E0205", "resnt18"),
        (lambda: create_model("resnet18", clases=3), "E0212", "clases"),
        (lambda: create_model("resnet18", drop_rate=0.1), "E0212", "drop_rate"),
        (lambda: create_model("resnet18", global_pool="max"), "E0212", "global_pool"),
    ],
)
def test_what_is_not_possible(make: Callable[[], object], code: str, part: str) -> None:
    with pytest.raises(ArchError) as caught:
        make()
    assert caught.value.diagnostics[0].code == code
    assert part in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("filter", "excluded"),
    [("", ()), ("resnet*", ()), (["*18", "vgg*"], "*_bn"), ("no*such", ()), ("resnet50", ()), ("*", ["*net*"])],
)
def test_names_are_filtered_as_in_timm(filter: Any, excluded: Any) -> None:
    """timm's own function on the names that both libraries have."""
    import timm

    both = set(library_networks()) & set(timm.list_models())
    assert set(list_models(filter, exclude_filters=excluded)) & both == (
        set(timm.list_models(filter, exclude_filters=excluded)) & both
    )


def test_all_names() -> None:
    assert list_models() == sorted(library_networks())
    assert [*archdsl.list("resnet1*").names] == [n for n in sorted(library_networks()) if fnmatchcase(n, "resnet1*")]


def test_the_feature_maps_survive_a_pickle() -> None:
    pickle.dumps(create_model("resnet18", features_only=True).feature_info)
