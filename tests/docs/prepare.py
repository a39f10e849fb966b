"""Makes the files that the reader of a page has: one function per page, called with the page's empty folder.

The function of `docs/guides/fix-and-watch.md` is `guides_fix_and_watch`. Keep them in alphabetical order.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

import archdsl
from tests.support.clinic import dicom, nifti, series
from tests.support.places import CAT, ROOT

FINDINGS = ("effusion", "normal", "pneumonia")
SPACING = (2.5, 1.2, 1.2)
"""Millimetres between slices, rows and columns."""
GREY = """
input: 1x64x64
defaults: {conv: bn relu}
net: {stem: 3x3 conv 8 /2, body: 3x3 conv 16 /2, pool: gap, fc: fc 3}
preprocess: {resize: 64, crop: 64, layout: L, mean: 0.5, std: 0.25}"""


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


def _image(draw: np.random.Generator, size: int, kind: int = 0) -> npt.NDArray[np.uint8]:
    """Draw a grey square of noise with a bright part: none, at the bottom, or in the middle."""
    image = draw.normal(90, 15, (size, size))
    rows = (slice(0, 0), slice(3 * size // 4, size), slice(size // 3, size // 2))[kind % 3]
    image[rows] += 90
    return image.clip(0, 255).astype(np.uint8)


def _save(image: npt.NDArray[np.uint8], path: Path) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _scan(draw: np.random.Generator, radius: float) -> npt.NDArray[np.int16]:
    """Draw a CT scan in HU, 30 slices of 60 x 60: a lung with a ball of this radius in mm."""
    mm = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in (30, 60, 60)), indexing="ij"))
    distance = np.linalg.norm(mm * np.reshape(SPACING, (3, 1, 1, 1)), axis=0)
    return np.where(distance < radius, 40, draw.normal(-800, 60, distance.shape)).astype(np.int16)


def _model(path: Path, spec: str, labels: tuple[str, ...]) -> None:
    """Compile a small network whose weights count as trained."""
    import archdsl

    net = archdsl.loads(f"name: {path.stem}\n{spec}\nlabels: [{', '.join(labels)}]\n")
    net.to_onnx(path, dict(net.weights(seed=1)))


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


def guides_browser(folder: Path) -> None:
    guides_triton(folder)


def guides_ct_volumes(folder: Path) -> None:
    """Weights under the names of torchvision's DenseNet-121, NIfTI files of two classes, and a DICOM series."""
    _torchvision(folder, "densenet121")
    draw, place = np.random.default_rng(0), np.diag([*SPACING[::-1], 1.0])
    for number in range(2):
        for label, radius in (("small", 6), ("large", 14)):
            (folder / "train" / label).mkdir(parents=True, exist_ok=True)
            nifti(folder / "train" / label / f"{number:03}.nii.gz", _scan(draw, radius), place)
    series(folder / "test" / "patient1", _scan(draw, 14), place)
    nifti(folder / "test" / "patient2.nii.gz", _scan(draw, 6), place)


def guides_ecg(folder: Path) -> None:
    """ECGs of ten seconds, 12 leads of 500 values a second in mV: 75 and 140 beats a minute."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 2)):
        for label, distance in (("normal", 400), ("tachycardia", 214)):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                beats = np.cumsum(draw.normal(distance, 10, 23)).astype(int)
                one = np.zeros(5000)
                one[beats[beats < 5000]] = 1
                wave = np.convolve(one, np.exp(-(np.linspace(-3, 3, 60) ** 2)), mode="same")
                leads = np.outer(draw.uniform(0.3, 1.2, 12), wave) + draw.normal(0, 0.03, (12, 5000))
                np.save(folder / part / label / f"{number:03}.npy", leads.astype(np.float32))
    np.save(folder / "transposed.npy", leads.T.astype(np.float32))


def guides_hospital_folder(folder: Path) -> None:
    """A compiled network, and a folder as it comes from a clinic: images, DICOM files, a damaged file, a letter."""
    _model(folder / "chest.onnx", GREY, FINDINGS)
    draw = np.random.default_rng(0)
    for number in range(10):
        _save(_image(draw, 80, number), folder / "scans" / "2023" / f"{number:04}.png")
    for number in range(2):
        image = _image(draw, 80).astype(np.uint16) * 16
        dicom(folder / "scans" / "2024" / f"IM{number:04}", image, BitsStored=12, HighBit=11)
    damaged = folder / "scans" / "2024" / "IM0002.png"
    damaged.write_bytes((folder / "scans" / "2023" / "0000.png").read_bytes()[:200])
    (folder / "scans" / "letter.pdf").write_bytes(b"%PDF-1.4\n")


def guides_train_and_hand_over(folder: Path) -> None:
    """Photographs of two classes, brown and red, and one more."""
    draw = np.random.default_rng(0)
    for label, colour in (("benign", (150, 110, 90)), ("suspicious", (170, 60, 60))):
        for number in range(13):
            pixels = draw.normal(colour, 25, (60, 72, 3)).clip(0, 255).astype(np.uint8)
            _save(pixels, folder / "photos" / label / f"{number:03}.png" if number < 12 else folder / f"{label}.png")


def guides_transfer(folder: Path) -> None:
    """Weights under the names of torchvision's ResNet-18, and grey images of three classes in a folder each."""
    _torchvision(folder, "resnet18")
    draw = np.random.default_rng(0)
    for kind, finding in enumerate(FINDINGS):
        for number in range(8):
            name = f"patient{number // 2 + 4 * kind:02}-{number % 2}.png"
            _save(_image(draw, 80, kind), folder / "lungs" / finding / name)


def guides_triton(folder: Path) -> None:
    """Weights that count as trained, and an image."""
    from safetensors.numpy import save_file

    save_file(dict(archdsl.loads(f"name: chest{GREY}").weights(seed=1)), folder / "chest.safetensors")
    _save(_image(np.random.default_rng(0), 80), folder / "image.png")


def images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    place = np.diag([-1.5, -1.5, 2.0, 1.0])
    series(folder / "study", rng.integers(-1000, 400, (32, 64, 64), np.int16), place)
    dicom(folder / "IM0001", rng.integers(0, 255, (3, 28, 28), np.uint8))
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
