"""The preprocessing of `predict` as an object, and its variant for training (`archdsl.runtime.transforms`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.runtime.preprocess import prepare
from tests.support.places import CAT


def test_it_is_torchvisions_for_the_weights_of_2015() -> None:
    theirs = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()(Image.open(CAT))
    ours = archdsl.load("resnet50").transforms()(Image.open(CAT))
    assert ours.shape == (3, 224, 224) and ours.dtype == torch.float32
    assert float((ours - theirs).abs().max()) < 1e-5


@pytest.mark.parametrize("name", ["resnet50", "lenet5", "edge_filter", "mobilenet_v3_large"])
def test_it_is_that_of_predict(name: str) -> None:
    transform: Any = archdsl.load(name).transforms()
    assert np.array_equal(transform(CAT).numpy(), prepare(CAT, transform.recipe, transform.sizes).values[0])


def test_a_vector() -> None:
    net = archdsl.load("perceptron")
    pixels = np.arange(net.input[0], dtype=np.uint8).reshape(1, -1)
    assert net.transforms()(pixels).shape == net.input


@pytest.mark.parametrize(("layout", "channels"), [("RGB", 3), ("BGR", 3), ("L", 1)])
def test_training_is_torchvisions(layout: str, channels: int) -> None:
    """The same random numbers give the same image as transforms that are written here from the spec."""
    scale, mean, std = 255.0, [100.0, 110.0, 120.0][:channels], [50.0, 60.0, 70.0][:channels]
    net = archdsl.loads(
        f"input: {channels}x48x40\nnet: [3x3 conv 4, gap, fc 2]\n"
        f"preprocess: {{scale: {scale}, mean: {mean}, std: {std}, layout: {layout}, interpolation: bicubic}}"
    )
    image = Image.open(CAT).convert("RGB" if channels == 3 else "L")
    torch.manual_seed(3)
    ours = net.transforms(train=True)(image)
    torch.manual_seed(3)
    crop = v2.RandomResizedCrop((48, 40), interpolation=InterpolationMode.BICUBIC)
    pixels = v2.RandomHorizontalFlip()(crop(v2.functional.to_image(image))).as_subclass(torch.Tensor).float()
    pixels = pixels.flip(0) if layout == "BGR" else pixels
    expected = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert ours.shape == (channels, 48, 40)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_training_crops_differ() -> None:
    transform = archdsl.load("resnet18").transforms(train=True)
    array = np.asarray(Image.open(CAT).convert("RGB"))
    assert not torch.equal(transform(array), transform(array))


def test_what_has_no_transforms() -> None:
    for make in (
        lambda: archdsl.load("unet3d").transforms(),
        lambda: archdsl.load("siamese").transforms(),
        lambda: archdsl.load("edge_filter").transforms(train=True),
    ):
        with pytest.raises(ArchError) as caught:
            make()
        assert caught.value.diagnostics[0].code == "E0806"
