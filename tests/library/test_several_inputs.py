"""Networks with several inputs against the networks written by hand in torch.

The network for an image of a skin lesion and data of the patient follows Gessert et al. 2019 and its code; MONAI has
the EfficientNet of the package that it uses. The siamese network follows the code of Li et al. 2020.
"""

from __future__ import annotations

import pytest
import torch
import torchvision
from monai.networks.nets import EfficientNetBN
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl
from tests.support.drawn_weights import random_weights
from tests.support.monai_keys import efficientnet_keys

DTYPES = [pytest.param(torch.float32, 1e-6, id="float32"), pytest.param(torch.float64, 1e-12, id="float64")]


class SkinLesion(EfficientNetBN):
    def __init__(self) -> None:
        super().__init__("efficientnet-b0", pretrained=False, in_channels=3, num_classes=8)
        first, second = nn.Linear(11, 256), nn.Linear(256, 256)
        norms, drops = (nn.BatchNorm1d(256), nn.BatchNorm1d(256)), (nn.Dropout(0.4), nn.Dropout(0.4))
        self._meta_before = nn.Sequential(first, norms[0], nn.ReLU(), drops[0], second, norms[1], nn.ReLU(), drops[1])
        self._meta_after = nn.Sequential(nn.Linear(1280 + 256, 1024), nn.BatchNorm1d(1024), nn.ReLU())
        self._fc = nn.Linear(1024, 8)

    def forward(self, image: Tensor, meta: Tensor) -> Tensor:
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(image))))
        x = self._swish(self._bn1(self._conv_head(self._blocks(x))))
        features = self._dropout(self._avg_pooling(x).flatten(1))
        both = torch.cat([features, self._meta_before(meta)], 1)
        return self._fc(self._meta_after(both))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("size", [224, 64])
def test_skin_lesion_meta(size: int, dtype: torch.dtype, most: float) -> None:
    inputs = f"input: {{image: 3x{size}x{size}, meta: 11}}"
    network = archdsl.loads(f"name: resized\nextends: skin_lesion_meta\n{inputs}\n")
    with torch.device("meta"):
        mine = SkinLesion().eval()
    ours, weights = network.to_torch(device="meta").eval(), random_weights(mine, dtype)
    keys = efficientnet_keys([*ours.state_dict()])
    assert sorted(keys.values()) == sorted(weights)
    ours.load_state_dict({key: weights[other] for key, other in keys.items()}, strict=True, assign=True)
    mine.load_state_dict(weights, strict=True, assign=True)
    assert network.params == sum(p.numel() for p in mine.parameters())
    random = torch.Generator().manual_seed(1)
    image, meta = (torch.randn(2, *shape, generator=random, dtype=dtype) for shape in ((3, size, size), (11,)))
    with torch.no_grad():
        a, b = ours(image, meta), mine(image, meta)
    assert a.shape == b.shape == (2, 8)
    assert float((a - b).abs().max()) <= most * float(b.abs().max())


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn1 = torchvision.models.resnet101(weights=None)
        self.cnn1.fc = nn.Linear(2048, 3)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        return F.pairwise_distance(self.cnn1(before), self.cnn1(after), keepdim=True)


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("size", [64, 97])
def test_siamese_resnet101(size: int, dtype: torch.dtype, most: float) -> None:
    inputs = f"input: {{before: 3x{size}x{size}, after: 3x{size}x{size}}}"
    network = archdsl.loads(f"name: resized\nextends: siamese_resnet101\n{inputs}\n")
    with torch.device("meta"):
        mine = Siamese().eval()
    ours, weights = network.to_torch(device="meta").eval(), random_weights(mine, dtype)
    assert [*ours.state_dict()] == [*weights]
    for model in (ours, mine):
        model.load_state_dict(weights, strict=True, assign=True)
    assert network.params == sum(p.numel() for p in mine.parameters())
    random = torch.Generator().manual_seed(1)
    before, after = (torch.randn(2, 3, size, size, generator=random, dtype=dtype) for _ in range(2))
    with torch.no_grad():
        a, b = ours(before, after), mine(before, after)
    assert a.shape == b.shape == (2, 1)
    # The distance is the difference of two similar outputs.
    assert float((a - b).abs().max()) <= most * float(mine.cnn1(before).detach().abs().max())
