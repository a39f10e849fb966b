"""`archdsl.attribute`: what it accepts, what it returns, and what it refuses.

Tests `attribution/attribute.py`, `attribution/result.py` and `attribution/overlay.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import archdsl
from archdsl.attribution.overlay import overlay
from archdsl.diagnostics import ArchError
from tests.support.places import CAT

BRIGHT = """
name: bright
input: 1x16x12
net: {a: 1x1 conv 1 nobias, pool: gap, fc: fc 2 nobias}
labels: [light, dark]
preprocess: {mean: [0.5], std: [0.5]}
"""
"""Its class `light` has the mean of the image as its score, its class `dark` the opposite."""
WEIGHTS = {"a.weight": np.ones((1, 1, 1, 1), np.float32), "fc.weight": np.array([[1], [-1]], np.float32)}


def bright() -> archdsl.Network:
    return archdsl.loads(BRIGHT)


def picture() -> np.ndarray[Any, np.dtype[np.uint8]]:
    values = np.full((16, 12), 100, np.uint8)
    values[2:6, 7:10] = 250
    return values


def refusal(*args: Any, **more: Any) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        archdsl.attribute(*args, **more)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("kind", ["path", "array", "pil", "sample", "batch", "tensor"])
@pytest.mark.parametrize("method", ["cam", "gradcam", "occlusion"])
def test_any_kind_of_input(kind: str, method: Any, tmp_path: Path) -> None:
    image = picture()
    Image.fromarray(image).save(tmp_path / "a.png")
    sample = ((image[None] / 255 - 0.5) / 0.5).astype(np.float32)
    values = {
        "path": tmp_path / "a.png",
        "array": image,
        "pil": Image.fromarray(image),
        "sample": sample,
        "batch": sample[None],
        "tensor": torch.from_numpy(sample),
    }
    net, value = bright(), values[kind]
    found = archdsl.attribute(
        net, value, method, "dark", weights=WEIGHTS, **({"layer": "a"} if method == "gradcam" else {})
    )
    assert (found.target, found.label, found.measure, found.map.shape) == (1, "dark", "logits", (16, 12))
    assert found.score == pytest.approx(-float(sample.mean()), abs=1e-6)
    assert found.image == ("a.png" if kind == "path" else "")
    if method == "cam":
        assert np.abs(found.map + sample[0]).max() < 1e-6 and found.layer == "a"
    if method == "gradcam":
        assert np.abs(found.map - np.maximum(-sample[0], 0) / sample.size).max() < 1e-6


def test_the_best_class_is_the_default() -> None:
    assert archdsl.attribute(bright(), picture(), weights=WEIGHTS).label == "dark"
    assert archdsl.attribute(bright(), np.full((16, 12), 200, np.uint8), weights=WEIGHTS).label == "light"
    assert archdsl.attribute(bright(), picture(), target=0, weights=WEIGHTS).label == "light"
    assert archdsl.attribute(bright(), picture(), target="0", weights=WEIGHTS).label == "light"


def test_occlusion_finds_the_bright_part() -> None:
    found = archdsl.attribute(bright(), picture(), "occlusion", "light", window=(4, 3), stride=1, weights=WEIGHTS)
    assert np.unravel_index(found.map.argmax(), found.map.shape) in [(y, x) for y in range(2, 6) for x in range(7, 10)]
    assert found.settings == {"window": (4, 3), "stride": (1, 1), "baseline": 0.0}
    assert "window 4 x 3, stride 1 x 1, baseline 0" in found.text()


def test_a_compiled_model(tmp_path: Path) -> None:
    plain, maps = tmp_path / "plain.onnx", tmp_path / "maps.onnx"
    net = bright()
    net.to_onnx(plain, WEIGHTS)
    net.to_onnx(maps, WEIGHTS, cam=True)
    expected = archdsl.attribute(net, picture(), weights=WEIGHTS)
    for path in (plain, maps):
        for method, layer in (("cam", None), ("gradcam", "a"), ("occlusion", None)):
            found = archdsl.attribute(path, picture(), method, layer=layer)  # type: ignore[arg-type]
            assert (found.target, found.label, found.network) == (1, "dark", "bright")
            if method == "cam":
                assert np.array_equal(found.map, expected.map) and found.layer == "a"


def test_distances_speak_against_a_class() -> None:
    net = archdsl.loads("input: 1x8x8\nnet: [3x3 conv 4 relu, fc 6 relu, rbf 3]")
    x = np.random.default_rng(0).standard_normal((1, 8, 8), np.float32)
    with torch.no_grad():
        distances = net.to_torch()(torch.from_numpy(x[None])).numpy()[0]
    for method in ("gradcam", "occlusion"):
        found = archdsl.attribute(net, x, method)  # type: ignore[arg-type]
        assert found.target == distances.argmin() and found.score == pytest.approx(distances.min(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "method", "code", "words"),
    [
        ("input: 3x8x8\nnet: [3x3 conv 4, fc 2]", "cam", "E0880", "no class activation maps"),
        ("input: 3x8x8\nnet: [gap, fc 2]", "gradcam", "E0880", "no feature map"),
        ("input: 3x8x8\nnet: [8x8 conv 4 pad=0, gap, fc 2]", "cam", "E0880", "no class activation maps"),
        ("input: 12\nnet: [fc 2]", "occlusion", "E0880", "is a vector"),
        ("input: 12\nnet: [fc 2]", "gradcam", "E0880", "is a vector"),
        ("input: 3x8x8\nnet: [3x3 conv 3]", "occlusion", "E0880", "outputs an image"),
        ("input: 3x8x8\nnet: [3x3 conv 3]", "gradcam", "E0880", "outputs an image"),
        ("input: 3x8x8\nnet: [3x3 conv 7]", "gradcam", "E0880", "outputs an image"),
    ],
)
def test_networks_that_a_method_cannot_explain(text: str, method: Any, code: str, words: str) -> None:
    net = archdsl.loads(text)
    found = refusal(net, np.zeros(net.input, np.float32), method)
    assert found.code == code and words in found.message


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"method": "lime"}, "E0001", "cam, gradcam, occlusion"),
        ({"layer": "a"}, "E0003", "applies to the method gradcam"),
        ({"window": 3}, "E0003", "applies to the method occlusion"),
        ({"method": "gradcam", "baseline": 1.0}, "E0003", "applies to the method occlusion"),
        ({"method": "gradcam", "layer": "b"}, "E0881", "has no node `b`"),
        ({"method": "gradcam", "layer": "fc"}, "E0881", "no spatial axes"),
        ({"method": "gradcam", "layer": "input"}, "E0881", "it is the input"),
        ({"method": "gradcam", "precision": "fp16"}, "E0003", "computes in fp32"),
        ({"method": "gradcam", "device": None}, "E0001", "auto, cpu, cuda"),
        ({"cam": "yes"}, "E0004", "True or False"),
        ({"method": "gradcam", "device": "tensorrt"}, "E0003", "no device `tensorrt`"),
        ({"method": "occlusion", "window": (1, 2, 3)}, "E0002", "has 3 numbers"),
        ({"method": "occlusion", "window": 13}, "E0002", "from 1 to 12"),
        ({"method": "occlusion", "window": 4, "stride": 5}, "E0002", "from 1 to 4"),
        ({"method": "occlusion", "baseline": float("nan")}, "E0002", "baseline"),
        ({"target": 2}, "E0002", "from 0 to 1"),
        ({"target": "darkk"}, "E0883", "no class with the label"),
        ({"target": 1.5}, "E0004", "the number or the label"),
    ],
)
def test_wrong_options(options: dict[str, Any], code: str, words: str) -> None:
    found = refusal(bright(), picture(), weights=WEIGHTS, **options)
    assert found.code == code and words in found.message


def test_wrong_inputs(tmp_path: Path) -> None:
    net = bright()
    assert refusal(net, np.zeros((1, 16, 13), np.float32)).code == "E0806"
    assert refusal(net, np.full((1, 16, 12), np.nan, np.float32)).code == "E0804"
    assert refusal(net, tmp_path / "none.png").code == "E0804"
    assert refusal(net, 3).code == "E0004"
    several = archdsl.loads("input: {a: 3x8x8, b: 3x8x8}\nnet: {c: 'concat <- a, b', d: 3x3 conv 2, e: gap}")
    assert refusal(several, np.zeros((3, 8, 8)), "gradcam").code == "E0806"


def test_labels_that_are_not_unique() -> None:
    net = archdsl.loads(BRIGHT.replace("[light, dark]", "[crane, crane]"))
    found = refusal(net, picture(), target="crane")
    assert found.code == "E0883" and "2 classes have the label `crane`: 0, 1" in found.message


def test_too_many_windows() -> None:
    net = archdsl.loads("input: 1x200x200\nnet: [1x1 conv 1, gap, fc 2]")
    assert refusal(net, np.zeros((1, 200, 200), np.float32), "occlusion", window=2, stride=1).code == "E0882"


def test_an_empty_map_has_a_note() -> None:
    zero = {**WEIGHTS, "a.weight": np.zeros((1, 1, 1, 1), np.float32)}
    found = archdsl.attribute(bright(), picture(), weights=zero)
    assert [note.code for note in found.notes] == ["W0606", "N0884"] and not found.map.any()
    found.overlay()


def test_an_onnx_file_that_only_claims_to_have_maps(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "a.onnx"
    bright().to_onnx(path, WEIGHTS)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, "cam": "a"})
    onnx.save(model, path)
    assert "not the shape of class activation maps" in refusal(path, picture()).message


def test_a_file_with_maps_is_a_network_as_any_other(tmp_path: Path) -> None:
    path, again = tmp_path / "maps.onnx", tmp_path / "again.onnx"
    net = archdsl.loads("input: 3x12x12\nnet: {a: 3x3 conv 4 bn relu, pool: gap, fc: fc 3}")
    net.to_onnx(path, cam=True, free_sizes=True)
    loaded = archdsl.load(path)
    assert loaded.fingerprint == net.fingerprint and loaded.output == (3,)
    loaded.to_onnx(again)
    assert archdsl.verify(path).passed
    for flat in (False, True):
        assert archdsl.import_model(path, flat=flat).network.output == (3,)


def test_the_maps_are_the_last_output_of_a_compiled_file(tmp_path: Path) -> None:
    assert refusal_of(lambda: bright().to_onnx(tmp_path / "a.onnx", cam=1)) == "E0004"  # type: ignore[arg-type]
    assert refusal_of(lambda: bright().compile(tmp_path / "a.py", "torch", cam=True)) == "E0003"
    assert (
        refusal_of(lambda: bright().to_onnx(tmp_path / "a.onnx", cam=True, precision="int8", calibrate=[CAT]))
        == "E0003"
    )
    assert not list(tmp_path.iterdir())


def refusal_of(act: Any) -> str:
    with pytest.raises(ArchError) as caught:
        act()
    return caught.value.diagnostics[0].code


# --- pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "panels"),
    [
        ("input: 3x40x30\nnet: [3x3 conv 4, gap]", 2),
        ("input: 1x12x30x20\nnet: [3x3x3 conv 4, gap]", 3),
        ("input: 2x300\nnet: [3 conv 4, gap]", 1),
    ],
)
def test_the_overlay_of_each_number_of_axes(text: str, panels: int) -> None:
    net = archdsl.loads(text)
    x = np.random.default_rng(0).standard_normal(net.input, np.float32)
    found = archdsl.attribute(net, x, "gradcam")
    image = found.overlay()
    assert image.mode == "RGB" and image.width >= 224 * panels and image.height > 60


def test_zero_has_one_colour_in_the_map_of_a_signal_and_in_its_scale() -> None:
    sample, heat = np.zeros((2, 448), np.float32), np.zeros(448, np.float32)
    heat[:100] = 1
    pixels = np.asarray(overlay(heat, sample, None, ["title"]))
    top, height, left = 12 + 16 + 6, 2 * 48, 12 + 448 + 12  # one panel as wide as the signal, then the scale
    assert (pixels[top + height - 1, left : left + 16] == 255).all(), "0, at the bottom of the scale"
    assert (pixels[top + 10, left - 40 : left - 12] == 255).all(), "0, at the end of the signal"


def test_the_overlay_is_coloured_where_the_map_is_large() -> None:
    found = archdsl.attribute(bright(), picture(), weights=WEIGHTS, target="light")
    pixels = np.asarray(found.overlay()).astype(int)
    warm = pixels[..., 0] - pixels[..., 2]
    # Two panels of 12 x 16 pixels, each enlarged 14 times, with a gap of 12 pixels between them.
    panel = warm[-16 - 12 - 224 : -16 - 12, 12 + 168 + 12 : 12 + 168 + 12 + 168].reshape(16, 14, 12, 14).mean((1, 3))
    assert (panel[2:6, 7:10] > 60).all(), "vermillion: for the class"
    assert (np.delete(panel, range(2, 6), 0) < 0).all(), "blue: against the class"
