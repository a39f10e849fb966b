"""Preprocessing against torchvision's transforms, both versions: images and steps of random sizes.

Tests `runtime/preprocess.py` and `runtime/recipe.py`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archdsl.runtime.preprocess import LegalSizes, prepare
from archdsl.runtime.recipe import Recipe

torch = pytest.importorskip("torch")
v1 = pytest.importorskip("torchvision.transforms")
v2 = pytest.importorskip("torchvision.transforms.v2")

FREE = LegalSizes()
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def length(rng: random.Random) -> int:
    """A height or width: ordinary, or so small or large that the image is a strip."""
    return rng.randint(1, 100) if rng.random() < 0.8 else rng.choice([1, 2, 3, 250, 333])


def recipe(rng: random.Random) -> Recipe:
    resize = rng.choice([None, rng.randint(1, 60), (rng.randint(1, 60), rng.randint(1, 60))])
    crop = rng.choice([None, (rng.randint(1, 60), rng.randint(1, 60)), (side := rng.randint(1, 60), side)])
    layout: Any = rng.choice(["RGB", "RGB", "BGR", "L"])
    channels = 1 if layout == "L" else 3
    mean, std = rng.choice([((0.0,), (1.0,)), ((0.5,), (0.25,)), (MEAN[:channels], STD[:channels])])
    scale, how = rng.choice([1.0, 1.0, 255.0]), rng.choice(["bilinear", "bicubic"])
    return Recipe(resize=resize, crop=crop, scale=scale, mean=mean, std=std, layout=layout, interpolation=how)


def transformed(image: Image.Image, steps: Recipe, version: Any) -> Any:
    """The same steps, one transform each."""
    if steps.resize is not None:
        how = v1.InterpolationMode[steps.interpolation.upper()]
        image = version.Resize(steps.resize, interpolation=how)(image)
    if steps.crop is not None:
        image = version.CenterCrop(steps.crop)(image)
    x = v1.functional.to_tensor(image) * steps.scale
    if steps.layout == "BGR":
        x = x.flip(0)
    mean, std = (values if len(values) == len(x) else values * len(x) for values in (steps.mean, steps.std))
    return version.Normalize(mean, std)(x)[None]


@pytest.mark.parametrize("seed", range(10))
def test_steps_are_torchvisions(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        height, width, steps = length(rng), length(rng), recipe(rng)
        mode = "L" if steps.layout == "L" else "RGB"
        pixels = np.random.default_rng(rng.randrange(1000)).integers(0, 256, (height, width, len(mode)), np.uint8)
        image = Image.fromarray(pixels.squeeze(2) if mode == "L" else pixels)
        image.save(path := tmp_path / "image.png")
        ours = torch.from_numpy(prepare(path, steps, (FREE, FREE)).values)
        for version in (v1, v2):
            torch.testing.assert_close(ours, transformed(image, steps, version), rtol=0, atol=0, msg=str(steps))


@pytest.mark.parametrize("crop", [7, 8])
def test_odd_pixels_of_a_crop_are_torchvisions(crop: int, tmp_path: Path) -> None:
    """Every size from 1 pixel to twice the crop, along each axis alone."""
    for size in range(1, 2 * crop + 1):
        for shape in ((size, crop, 3), (crop, size, 3)):
            image = Image.fromarray(np.arange(1, 1 + size * crop * 3, dtype=np.uint32).astype(np.uint8).reshape(shape))
            image.save(path := tmp_path / "image.png")
            steps = Recipe(crop=(crop, crop), layout="RGB")
            ours = torch.from_numpy(prepare(path, steps, (FREE, FREE)).values)
            assert torch.equal(ours, transformed(image, steps, v1)), shape
