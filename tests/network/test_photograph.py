"""Nodes on a photograph: the drawn greys are the filter's own responses, computed here from the file anew.

Tests `network/photograph.py`.
"""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import archdsl
from archdsl.backends.weights import save
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from tests.support.places import PACKAGE

SVG = "{http://www.w3.org/2000/svg}"
FUNDUS = PACKAGE.parent / "examples/fundus.png"
NET = "name: net\ninput: 3x24x24\nnet: {a: 3x3 conv 10 /2, b: 3x3 conv 4 /2 linear, head: [gap, fc 2]}\n"


def rasters(svg: str) -> list[tuple[float, np.ndarray]]:
    """The width in points and the pixels of each raster, in order."""
    images = ET.fromstring(svg).iter(f"{SVG}image")
    return [
        (
            float(image.get("width", "")),
            np.array(Image.open(io.BytesIO(base64.b64decode(image.get("href", "").partition(",")[2])))),
        )
        for image in images
    ]


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_responses_of_both_strides_are_the_filters_own_and_to_scale() -> None:
    svg = (
        archdsl.figure(["edge_filter", "edge_filter_stride3"]).diagram(style="article", image=FUNDUS, theme="light").svg
    )
    (wide, seen), (first, one), (third, three) = rasters(svg)
    photo = np.array(Image.open(FUNDUS).convert("RGB"))
    assert np.array_equal(seen, photo)
    padded = np.pad(photo.astype(float).sum(axis=2) / 255, 1)
    around = sum(padded[r : r + 300, c : c + 300] for r in range(3) for c in range(3))
    expected = 9 * padded[1:-1, 1:-1] - around
    said = texts(svg)
    spans = {text for text in said if text.startswith("black")}
    assert len(spans) == 1, "both strides have the same greys"
    black, white = (float(word.split()[1].replace("\u2212", "-")) for word in spans.pop().split(", "))
    assert black == -white
    for drawn, values in ((one, expected), (three, expected[::3, ::3])):
        greys = np.clip((values - black) / (white - black) * 255, 0, 255)
        assert drawn.shape == values.shape and np.abs(drawn - greys).max() < 1
        assert f"values from {values.min():.3g} to {values.max():.3g}".replace("-", "\u2212") in said
    assert wide == pytest.approx(first) == pytest.approx(third, rel=0.01), "printed equally large"


def test_trained_weights_answer_and_random_ones_do_not(tmp_path: Path) -> None:
    net = archdsl.loads(NET)
    silent = net.diagram(style="article", focus=["a", "b"], image=FUNDUS).svg
    assert len(rasters(silent)) == 1
    assert "a sees 3 \u00d7 3 pixels" in texts(silent) and "b sees 7 \u00d7 7 pixels" in texts(silent)
    assert any("No response of a, b: that of random weights" in text for text in texts(silent))
    save(net.weights(seed=5), tmp_path / "w.safetensors")
    svg = net.diagram(style="article", focus=["a", "b"], image=FUNDUS, weights=tmp_path / "w.safetensors").svg
    (_, seen), *maps = rasters(svg)
    assert seen.shape == (24, 24, 3) and {drawn.shape for _, drawn in maps} == {(12, 12), (6, 6)}
    assert "maps 1 to 4 of 10" in texts(svg), "four of half the size are as large as the photograph"
    torch = pytest.importorskip("torch")
    module = net.to_torch(tmp_path / "w.safetensors")
    with torch.no_grad():
        value = module.a(torch.from_numpy(net.transforms()(FUNDUS).numpy())[None])[0].numpy()
    low, high = float(value.min()), float(value.max())
    assert f"values from {low:.3g} to {high:.3g}".replace("-", "\u2212") in texts(svg)


def test_a_model_answers_with_its_own_weights(tmp_path: Path) -> None:
    net = archdsl.loads(NET)
    net.to_onnx(tmp_path / "net.onnx", seed=5)
    save(net.weights(seed=5), tmp_path / "w.safetensors")
    own = archdsl.load(tmp_path / "net.onnx").diagram(style="article", focus="b", image=FUNDUS).svg
    given = net.diagram(style="article", focus="b", image=FUNDUS, weights=tmp_path / "w.safetensors").svg
    for (_, a), (_, b) in zip(rasters(own), rasters(given), strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


def test_a_large_photograph_is_reduced_where_the_network_takes_any_size(tmp_path: Path) -> None:
    Image.new("RGB", (1500, 900), (200, 100, 50)).save(tmp_path / "large.png")
    svg = archdsl.load("edge_filter").diagram(style="article", image=tmp_path / "large.png").svg
    assert rasters(svg)[0][1].shape == (307, 512, 3)
    assert "The photograph was reduced to 307 x 512 pixels." in " ".join(texts(svg))
    Image.new("L", (5000, 4000), 90).save(tmp_path / "huge.png")  # more pixels than a network may read
    huge = archdsl.load("edge_filter").diagram(style="article", image=tmp_path / "huge.png").svg
    assert rasters(huge)[0][1].shape[:2] == (256, 320)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ArchError) as caught:
        call()
    return caught.value.diagnostics[0].code


def test_what_has_no_figure_is_an_error(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "small.png").read_bytes()[:60])
    edge = archdsl.load("edge_filter")
    assert code_of(lambda: edge.diagram(style="article", image=tmp_path / "broken.png")) == "E0804"
    assert code_of(lambda: edge.diagram(style="article", image=tmp_path / "none.png")) == "E0804"
    assert code_of(lambda: edge.diagram(style="graph", image=FUNDUS)) == "E0727"
    assert code_of(lambda: edge.diagram(style="article", focus="no", image=FUNDUS)) == "E0713"
    assert code_of(lambda: edge.diagram(style="article", weights="w.safetensors")) == "E0003"
    broken = archdsl.loads("input: 3x9x9\nnet: {a: 3x3 conv 4, b: nothing}", partial=True)
    assert code_of(lambda: broken.diagram(style="article", image=FUNDUS)) == "E0005"
    vector = archdsl.loads("input: 90000\nnet: [fc 2]")
    assert code_of(lambda: vector.diagram(style="article", focus="fc1", image=FUNDUS)) == "E0727"
    assert code_of(lambda: archdsl.load("perceptron").diagram(style="article", image=FUNDUS)) == "E0727"
    assert code_of(lambda: archdsl.load("ecg_resnet34").diagram(style="article", image=FUNDUS)) == "E0806"
    with pytest.raises(ArchError, match="is a volume; a photograph has rows and columns"):
        archdsl.loads("input: 1x8x8x8\nnet: [3x3x3 conv 2]").diagram(style="article", image=FUNDUS)
    large = archdsl.loads(NET.replace("24x24", "1600x1600"))
    assert code_of(lambda: large.diagram(style="article", image=FUNDUS)) == "E0727"
    different = archdsl.figure(["edge_filter", "lenet5"])
    assert code_of(lambda: different.diagram(style="article", image=FUNDUS)) == "E0726"


def test_the_command_writes_the_figure_and_never_over_the_photograph(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(FUNDUS.read_bytes())
    arguments = ["diagram", "edge_filter", "--style", "article", "--image", str(photo), "-o"]
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "figure.svg")])
    assert done.exit_code == 0 and len(rasters((tmp_path / "figure.svg").read_text())) == 2
    over = CliRunner().invoke(main, [*arguments, str(photo), "--force"])
    assert over.exit_code == 2 and "E0702" in over.stderr and photo.read_bytes() == FUNDUS.read_bytes()
