"""Preprocessing inside an ONNX file, against that of `predict`, which reads image files.

Tests `compilation/embed.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.runtime.embedded import INPUT, only_preprocessing
from archdsl.runtime.image_model import open_image_model

ort = pytest.importorskip("onnxruntime")

HEADS = {
    "imagenet": "input: 3x64x64\npreprocess: imagenet",
    "grey": "input: 1x28x28\npreprocess: {mean: [0.1307], std: [0.3081]}",
    "BGR, stretched": "input: 3x64x48\npreprocess: {resize: 60, scale: 255, layout: BGR, mean: [104, 117, 123]}",
    "stretched": "input: 3x33x47",
    "cropped": "input: 3x64x64\npreprocess: {crop: 64}",
    "bicubic": "input: 3x64x64\npreprocess: {resize: 73, crop: 64, std: [0.2, 0.3, 0.4], interpolation: bicubic}",
}
"""A bicubic resize may differ by two levels where both passes round a half differently: not for random pixels."""
SIZES = [(64, 64), (211, 300), (300, 187), (41, 30), (20, 300), (1, 1), (65, 64), (300, 40)]
"""Height and width: larger, smaller, wider, higher, and so that Pillow begins with either axis."""


def network(head: str, out: str = "p: gap\n  fc: fc 10") -> archdsl.Network:
    return archdsl.loads(f"name: n\n{head}\nnet:\n  c: 3x3 conv 3 bn relu\n  {out}\n")


def session(path: Path, alone: bool = True) -> Any:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    if alone:
        only_preprocessing(model)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", HEADS)
def test_the_steps_are_those_of_predict(name: str, tmp_path: Path) -> None:
    """Before the normalisation, no value differs by more than a grey level; few differ at all."""
    net = network(HEADS[name])
    net.to_onnx(tmp_path / "plain.onnx")
    net.to_onnx(tmp_path / "inside.onnx", embed_preprocess=True)
    plain, inside = open_image_model(tmp_path / "plain.onnx", "cpu"), session(tmp_path / "inside.onnx")
    std = np.reshape(plain.recipe.std, (-1, 1, 1))
    for height, width in SIZES:
        pixels = image(height, width)
        Image.fromarray(pixels).save(tmp_path / "x.png")
        want, (got,) = plain.prepare(tmp_path / "x.png").values, inside.run(None, {INPUT: pixels[None]})
        assert got.shape == want.shape
        levels = np.abs(got - want) * std * 255 / plain.recipe.scale
        assert levels.max() < (2.01 if name == "BGR, stretched" else 1.01)  # which is resized twice
        assert (levels > 0.5).mean() < 0.1, (height, width)


def test_grey_is_pillows(tmp_path: Path) -> None:
    """Every step of its weighted sum is exact, so all values are equal if nothing is resized."""
    net = network("input: 1x300x200")
    net.to_onnx(tmp_path / "n.onnx", embed_preprocess=True)
    pixels = image(300, 200)
    (got,) = session(tmp_path / "n.onnx").run(None, {INPUT: pixels[None]})
    want = np.asarray(Image.fromarray(pixels).convert("L"), np.float32) / np.float32(255)
    assert np.array_equal(got[0, 0], want)


@pytest.mark.parametrize("step", [1, 8])
def test_a_network_of_any_size(step: int, tmp_path: Path) -> None:
    """The size becomes the nearest legal one that is not larger, or the smallest."""
    down = "d: 3x3 maxpool /8\n  u: upsample 8" if step == 8 else "d: 3x3 conv 3"
    net = network("input: 3x32x32", out=down)
    net.to_onnx(tmp_path / "n.onnx", embed_preprocess=True, free_sizes=True)
    net.to_onnx(tmp_path / "plain.onnx", free_sizes=True)
    run, plain = session(tmp_path / "n.onnx"), open_image_model(tmp_path / "plain.onnx", "cpu")
    for height, width in ((32, 32), (45, 50), (5, 90)):
        (got,) = run.run(None, {INPUT: image(height, width)[None]})
        assert got.shape[2:] == tuple(size.nearest(n) for size, n in zip(plain.sizes, (height, width), strict=True))


def test_a_batch_gives_what_each_image_gives(tmp_path: Path) -> None:
    network(HEADS["imagenet"]).to_onnx(tmp_path / "n.onnx", embed_preprocess=True)
    run = session(tmp_path / "n.onnx", alone=False)
    batch = np.stack([image(90, 70, seed) for seed in range(3)])
    (together,) = run.run(None, {INPUT: batch})
    for number in range(3):
        (alone,) = run.run(None, {INPUT: batch[number : number + 1]})
        assert np.allclose(together[number], alone[0], atol=1e-5)


@pytest.mark.parametrize("precision, opset", [("fp32", 18), ("fp16", 20), ("fp32", 28)])
def test_options_that_go_with_it(precision: Any, opset: int, tmp_path: Path) -> None:
    net = network(HEADS["imagenet"])
    net.to_onnx(tmp_path / "n.onnx", embed_preprocess=True, precision=precision, opset=opset, external_data=True)
    facts = {item.key: item.value for item in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert "preprocess" not in facts and '"resize":73' in facts["embedded_preprocess"]
    assert archdsl.verify(tmp_path / "n.onnx").passed


def test_random_weights_that_overflow_are_still_reported(tmp_path: Path) -> None:
    net = archdsl.loads("input: 3x8x8\nnet:\n  a: affine mul=1e30\n  b: affine mul=1e30\n  c: 3x3 conv 4\n")
    notes = net.compile(tmp_path / "n.onnx", embed_preprocess=True).notes
    assert "W0706" in {note.code for note in notes}


@pytest.mark.parametrize(
    "text, code",
    [
        ("input: 784\nnet:\n  fc: fc 10\n", "E0871"),
        ("input: 3x500\nnet:\n  c: 3 conv 4\n", "E0871"),
        ("input: {a: [3, 8, 8], b: [3, 8, 8]}\nnet:\n  x: add <- a, b\n", "E0871"),
        ("input: 3x8x8\nnet:\n  pixels: 3x3 conv 4\n", "E0871"),
        ("input: 4x8x8\nnet:\n  c: 3x3 conv 4\n", "E0871"),
    ],
)
def test_what_cannot_be_embedded(text: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text).compile(tmp_path / "n.onnx", embed_preprocess=True)
    assert caught.value.diagnostics[0].code == code
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options, code", [({"opset": 17}, "E0870"), ({"precision": "int8"}, "E0861"), ({"target": "torch"}, "E0003")]
)
def test_options_that_exclude_it(options: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(ArchError) as caught:
        network(HEADS["imagenet"]).compile(tmp_path / "n", embed_preprocess=True, **options)
    assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("key", ["window: [128, 100]", "intensity: [0, 100]"])
def test_a_range_of_values_is_refused_by_the_name_in_the_spec(key: str, tmp_path: Path) -> None:
    net = archdsl.loads(f"input: 1x8x8\npreprocess: {{{key}}}\nnet: [gap]")
    with pytest.raises(ArchError) as caught:
        net.to_onnx(tmp_path / "a.onnx", embed_preprocess=True)
    assert f"`{key.split(':')[0]}`" in caught.value.diagnostics[0].message
