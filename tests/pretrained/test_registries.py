"""How many published sets of weights name a network of the library, by the registries (`pretrained/registries.py`).

Nothing is downloaded: whether a file has the tensors that its registry's module has is up to its publisher.
"""

from __future__ import annotations

from collections import Counter

import pytest
import torch

import archdsl
from archdsl.pretrained import available
from archdsl.pretrained.registries import hash_in, timm_set, timm_sets, torchvision_set, torchvision_sets
from archdsl.spec.find import library_networks

OTHER_NAMES = ("convnext_", "efficientnet_b", "inception_v3", "senet154", "skresnet50d", "vgg1")
"""Networks whose tensors have other names than timm's, those of torchvision or of the paper's authors."""


def test_torchvisions_sets() -> None:
    networks, sets = Counter[bool](), Counter[bool]()
    for name in library_networks():
        for chosen in torchvision_sets(name):
            full, url, about = torchvision_set(name, chosen)
            assert full == f"{name}.{chosen}"
            assert url.startswith("https://") and hash_in(url)
            sets["IMAGENET1K" in chosen] += 1
            assert (about.preprocess is None) == chosen.startswith("KINETICS")
        networks["IMAGENET1K" in "".join(torchvision_sets(name))] += bool(torchvision_sets(name))
    assert networks[True] >= 68 and sets[True] >= 98, "classifiers"
    assert networks[False] >= 10 and sets[False] >= 10, "segmentation and video"


def test_timms_sets() -> None:
    names = [name for network in library_networks() for name in timm_sets(network)]
    assert len(names) >= 357
    for name in names:
        full, place, about = timm_set(name)
        assert full == name and place.startswith("timm/")
        assert about.preprocess is not None and about.licence


def test_no_sets() -> None:
    assert available("lenet5_1998") == []


@pytest.mark.slow
def test_tensors_have_timms_names() -> None:
    """The module of timm has the tensors of the network, by name and shape; those of `OTHER_NAMES` have not."""
    import timm

    fitting = 0
    for name in library_networks():
        if name not in timm.list_models():
            continue
        with torch.device("meta"):
            theirs = {key: tuple(value.shape) for key, value in timm.create_model(name).state_dict().items()}
        ours = {tensor.key: tensor.param.shape for tensor in archdsl.load(name).graph.tensors}
        assert (ours == theirs) != name.startswith(OTHER_NAMES), name
        fitting += (ours == theirs) * len(timm_sets(name))
    assert fitting >= 296
