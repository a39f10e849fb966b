"""The preprocessing of `predict` as an object, and its variant for training (`archdsl.runtime.transforms`)."""

from __future__ import annotations

from pathlib import Path
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
    net = archdsl.loads("input: 4\nnet: [fc 2]")
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


SOLID = {
    "rgba.png": Image.new("RGBA", (90, 90), (10, 200, 30, 100)),
    "la.png": Image.new("LA", (90, 90), (40, 100)),
    "cmyk.jpg": Image.new("CMYK", (90, 90), (10, 200, 30, 60)),
    "lab.tif": Image.new("LAB", (90, 90), (120, 140, 90)),
    "ycbcr.jpg": Image.new("YCbCr", (90, 90), (120, 140, 90)),
    "grey.png": Image.new("L", (90, 90), 77),
    "bits.png": Image.new("1", (90, 90), 1),
    "16bits.png": Image.fromarray(np.full((90, 90), 30000, np.uint16)),
    "32bits.tif": Image.new("I", (90, 90), 30000),
    "floats.tif": Image.new("F", (90, 90), 0.3),
    "palette.png": Image.new("P", (90, 90), 3),
}
"""Images of one colour: no crop, flip or resize changes them."""


@pytest.mark.parametrize("name", [*SOLID, "transparent.png", "memory"])
@pytest.mark.parametrize("spec", ["resnet18", "lenet5"])
def test_training_has_the_colours_of_predict(spec: str, name: str, tmp_path: Path) -> None:
    net = archdsl.load(spec, input="3x32x32") if spec == "resnet18" else archdsl.load(spec)
    value: Any = np.full((90, 90, 4), (10, 200, 30, 100), np.uint8)
    if name == "transparent.png":
        Image.new("P", (90, 90)).save(value := tmp_path / name, transparency=0)
    elif name != "memory":
        SOLID[name].save(value := tmp_path / name)
    train, test = net.transforms(train=True)(value), net.transforms()(value)
    assert train.shape == test.shape == net.input
    assert torch.allclose(train, test, atol=1e-4)


def test_the_callers_image_is_not_changed() -> None:
    image = SOLID["rgba.png"].copy()
    for train in (False, True):
        archdsl.load("resnet18", input="3x32x32").transforms(train)(image)
    assert image == SOLID["rgba.png"]


def test_values_that_are_no_image() -> None:
    for train in (False, True):
        with pytest.raises(ArchError) as caught:
            archdsl.load("resnet18", input="3x32x32").transforms(train)(Image.new("I", (90, 90), 70000))
        assert caught.value.diagnostics[0].code == "E0804"


def test_what_has_no_transforms() -> None:
    for make in (
        lambda: archdsl.load("inceptiontime").transforms(),
        lambda: archdsl.load("unet3d").transforms(train=True),
        lambda: archdsl.load("siamese").transforms(),
        lambda: archdsl.load("edge_filter").transforms(train=True),
    ):
        with pytest.raises(ArchError) as caught:
            make()
        assert caught.value.diagnostics[0].code == "E0806"


def test_crops_of_training_have_the_least_area() -> None:
    """A crop of the whole area shows all of the image: its mean stays, which crops of 8 % do not keep."""
    net = archdsl.loads("input: 1x32x32\nnet: [3x3 conv 4, gap, fc 2]\npreprocess: {layout: L}")
    image = np.zeros((32, 32), np.uint8)
    image[:4] = 255
    torch.manual_seed(0)
    for least, spread in ((1.0, 0.01), (0.08, 1.0)):
        means = [float(net.transforms(train=True, least_area=least)(image).mean()) for _ in range(20)]
        assert (max(means) - min(means) < 0.01) == (spread < 1)
    with pytest.raises(ArchError) as caught:
        net.transforms(train=True, least_area=2)
    assert caught.value.diagnostics[0].code == "E0002"


def test_an_error_of_a_file_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    for train in (False, True):
        with pytest.raises(ArchError) as caught:
            archdsl.load("resnet18").transforms(train=train)(str(tmp_path / "broken.jpg"))
        assert str(tmp_path / "broken.jpg") in str(caught.value)
