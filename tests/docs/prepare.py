"""Makes the files that the reader of a page has: one function per page, called with the page's empty folder.

The function of `docs/guides/fix-and-watch.md` is `guides_fix_and_watch`. Keep them in alphabetical order.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import archdsl
from tests.support.places import CAT, ROOT


def _photos(folder: Path, count: int = 1) -> None:
    """Write photographs of a cat."""
    folder.mkdir()
    for number in range(count):
        shutil.copy(CAT, folder / f"{number}.jpg")


def _examples(folder: Path) -> None:
    """Copy `examples/` of the repository."""
    shutil.copytree(ROOT / "examples", folder / "examples")


def _torchvision(folder: Path, *names: str) -> None:
    """Write weights of torchvision's modules."""
    import torch
    import torchvision

    for name in names:
        torch.save(getattr(torchvision.models, name)().state_dict(), folder / f"{name}.pth")


def article(folder: Path) -> None:
    _examples(folder)
    _torchvision(folder, "densenet121")


def attribution(folder: Path) -> None:
    _photos(folder / "photos")
    shutil.copy(CAT, folder / "cat.jpg")
    archdsl.load("resnet18").compile(folder / "resnet18.onnx")


def diff(folder: Path) -> None:
    (folder / "nets").mkdir()
    (folder / "nets/ours.yaml").write_text("extends: lenet5\n", encoding="utf-8")
    user = ["-c", "user.name=reader", "-c", "user.email=reader@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*user, "commit", "-q", "-m", "The first network"]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=60)


def images(folder: Path) -> None:
    import numpy as np

    from tests.support import clinic

    rng = np.random.default_rng(0)
    place = np.diag([-1.5, -1.5, 2.0, 1.0])
    clinic.series(folder / "study", rng.integers(-1000, 400, (32, 64, 64), np.int16), place)
    clinic.dicom(folder / "IM0001", rng.integers(0, 255, (3, 28, 28), np.uint8))
    text = "input: 1x32x64x64\nnet: [3x3x3 conv 8 /2 relu, gap, fc 2]\npreprocess: {spacing: [2, 1.5, 1.5]}\n"
    (folder / "lungs.yaml").write_text(text, encoding="utf-8")
    archdsl.load(folder / "lungs.yaml").compile(folder / "lungs.safetensors", target="weights")
    archdsl.load("lenet5").compile(folder / "chest.onnx")


def overview(folder: Path) -> None:
    _torchvision(folder, "densenet121", "resnet50")
    shutil.copy(CAT, folder / "photo.jpg")
    (folder / "pets.yaml").write_text("extends: resnet50\nclasses: 37\n", encoding="utf-8")


def prediction(folder: Path) -> None:
    from PIL import Image

    _photos(folder / "scans", 3)
    (folder / "more").mkdir()
    Image.open(CAT).save(folder / "scans/4.png")
    Image.open(CAT).save(folder / "more/5.png")
    (folder / "list.txt").write_text("scans/0.jpg\nscans/4.png\n", encoding="utf-8")
    archdsl.load("resnet50").compile(folder / "resnet50.onnx")


def serving(folder: Path) -> None:
    archdsl.load("resnet50").compile(folder / "resnet50.safetensors", target="weights")


def training(folder: Path) -> None:
    _examples(folder)


def weights(folder: Path) -> None:
    import torch

    model = archdsl.create_model("resnet18")
    torch.save({"model": model.state_dict(), "model_ema": model.state_dict()}, folder / "last.pth")
