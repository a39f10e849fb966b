"""`like=node`: a node whose sizes another one gets.

Tests `ops/reshape.py`, `elaborate/op_nodes.py`, `backends/onnx/rules/reshape.py` and what reads such a graph.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F

import archdsl
from archdsl.analysis.memory import last_reads
from archdsl.analysis.parts import split
from archdsl.analysis.receptive_field import receptive_fields
from archdsl.backends.spec.rewrite import expand
from archdsl.backends.torch import to_source
from archdsl.diagnostics import ArchError
from archdsl.report.words import part_figure, part_written
from archdsl.shapes import concrete

UNET = """
input: 3x45x38
defaults: {conv: relu}
blocks:
  up(c) <- x, skip:
    up: upsample like=skip linear
    cat: concat <- skip, up
    conv: 3x3 conv c
net:
  a: 3x3 conv 8
  b: [2x2 maxpool, 3x3 conv 12]
  c: [2x2 maxpool, 3x3 conv 16]
  d: up(12) <- c, b
  e: up(8) <- d, a
  f: upsample like=b <- e
  out: [gap, fc 3]
"""


def outputs(net: Any, path: Path, inputs: dict[str, Any], **options: Any) -> tuple[Any, Any]:
    """Of the PyTorch module and of ONNX Runtime."""
    net.to_onnx(path, seed=3, force=True, **options)
    module = net.to_torch(seed=3)(*map(torch.from_numpy, inputs.values())).detach().numpy()
    return module, ort.InferenceSession(path).run(None, inputs)[0]


def test_a_unet_runs_at_each_size(tmp_path: Path) -> None:
    net = archdsl.loads(UNET)
    assert [str(size) for size in net.graph.sizes] == ["H >= 4", "W >= 4"]
    for size in ((45, 38), (4, 7), (33, 17), (46, 92)):
        x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
        module, onnx = outputs(net, tmp_path / "a.onnx", {"input": x}, free_sizes=True)
        assert np.abs(module - onnx).max() <= 1e-5 * np.abs(module).max()


def test_the_printed_source_and_the_texts_name_the_node(tmp_path: Path) -> None:
    net = archdsl.loads(UNET)
    assert 'F.interpolate(y, size=x.shape[2:], mode="bilinear")' in to_source(net.graph)
    (tmp_path / "unet.yaml").write_text(UNET)
    flat = expand(tmp_path / "unet.yaml", flat=True).text
    assert "up: {op: upsample, like: b, mode: linear}" in flat.replace("from: c, ", "")
    assert archdsl.diff(net, archdsl.loads(flat)).equal
    plain = archdsl.loads("input: 3x9x9\nnet: {a: 3x3 conv 4 /2, b: upsample like=input linear <- a}")
    (_, _, part) = split(plain.graph, plain.graph.root)
    assert part_written(plain.graph, part) == "upsample like=input linear"
    assert part_figure(plain.graph, part) == ("upsample, like input", "")


def test_equal_copies_stay_equal() -> None:
    text = "input: 3x9x9\nblocks: {f: {a: 3x3 conv 3 /2, b: upsample like=input}}\nnet: [3 * f]"
    assert "*[FBlock() for _ in range(3)]" in to_source(archdsl.loads(text).graph).replace("\n", "")


def test_the_node_gives_its_size_and_no_values() -> None:
    net = archdsl.loads("input: {x: 2x5x6, y: 4x12x6}\nnet: {a: 3x3 conv 3 <- y, b: upsample like=a <- x, c: relu}")
    graph = net.graph
    node = graph.by_path["b"]
    assert (node.inputs, node.sources) == ((0, 2), (0,))
    assert concrete(node.shape) == (2, 12, 6)
    assert last_reads(graph)[2] == 2
    fields = receptive_fields(graph)
    assert (fields[2], fields[3]) == ((3, 3), (1, 1))


def test_a_variant_changes_the_node_and_diff_names_it() -> None:
    text = (
        "name: n\ninput: 3x16x16\nnet: {a: 3x3 conv 4 /2, b: 3x3 conv 4 /2, c: upsample like=a}\n"
        "variants: {other: {net: {c: {like: input}}}, factor: {net: {c: {like: null, scale: 3}}}}\n"
    )
    shapes = {name: concrete(archdsl.loads(text, variant=name).graph.nodes[-1].shape) for name in ("other", "factor")}
    assert shapes == {"other": (4, 16, 16), "factor": (4, 12, 12)}
    report = archdsl.diff(archdsl.loads(text), archdsl.loads(text, variant="other")).text()
    assert "b, a -> b, input" in report


def test_a_name_that_when_leaves_out_is_not_resolved() -> None:
    text = "input: 3x9x9\nargs: {on: false}\nnet: {a: 3x3 conv 4 /2, b: relu <- input when on, c: upsample like=b <- a}"
    assert concrete(archdsl.loads(text).graph.nodes[-1].shape) == (4, 9, 9)
    text = "input: 3x9x9\nargs: {on: false}\nnet: {a: 3x3 conv 4 /2, c: upsample like=nowhere when on}"
    assert archdsl.loads(text).graph.nodes[-1].path == "a"


def test_a_network_for_images_becomes_one_for_volumes() -> None:
    text = "input: 1x9x9\nnet: {a: 3x3 conv 2 /2, b: upsample linear like=input}\n"
    text += "variants: {ct: {input: 1x7x9x8, axes: 3}, cubic: {net: {b: {mode: cubic}}},"
    text += " no: {net: {b: {mode: cubic}}, input: 1x7x9x8, axes: 3}}"
    assert concrete(archdsl.loads(text, variant="ct").graph.nodes[-1].shape) == (2, 7, 9, 8)
    assert archdsl.loads(text, variant="cubic").graph.nodes[-1].op.mode == "cubic"  # type: ignore[attr-defined]
    with pytest.raises(ArchError, match="cubic interpolation is for images"):
        archdsl.loads(text, variant="no")


def test_an_auxiliary_head_resizes_to_the_input() -> None:
    text = "input: 3x20x20\nnet: {a: 3x3 conv 4 /2, b: 3x3 conv 4 /3}\n"
    text += "aux: {h: {from: a, do: {c: 1x1 conv 2, u: upsample like=input linear}, weight: 0.5}}"
    net = archdsl.loads(text)
    assert concrete(net.graph.nodes[net.graph.aux["h"].node].shape) == (2, 20, 20)


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("upsample", "E0311"),
        ("upsample 2 like=a", "E0407"),
        ("upsample like=nowhere", "E0410"),
        ("upsample like=n", "E0411"),
        ("upsample like=parts", "E0421"),
        ("upsample like=flat", "E0405"),
        ("upsample like=a <- flat", "E0401"),
        ("upsample 2 align_corners", "E0407"),
        ("upsample like=a <- a, b", "E0414"),
        ("pad 1 like=a", "E0407"),
        ("pad before=0 like=a", "E0407"),
        ("pad like=gate", "E0409"),
        ("pad like=a reflect <- gate", "E0409"),
        ("pad like=flat <- a", "E0405"),
        ("pad 9 reflect", "E0409"),
        ("pad 10 wrap", "E0409"),
        ("pad -1 replicate", "E0407"),
        ("pad 1 reflect value=1", "E0407"),
        ("pad 1 wrap channels=[0,1]", "E0407"),
    ],
)
def test_wrong_fields(node: str, code: str) -> None:
    before = "a: 3x3 conv 4\n  parts: split 2\n  flat: flatten <- a\n  gate: gap <- a\n  b: relu <- a"
    text = f"input: 3x9x9\nnet:\n  {before}\n  n: {node}\n"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.help


@pytest.mark.parametrize(
    ("nodes", "sizes"),
    [
        ("a: 3x3 conv 2 /2 valid, b: upsample 2, c: pad like=input", ["H >= 3", "W >= 3"]),
        ("a: 2x2 maxpool, b: upsample 2, c: pad like=input reflect", ["H >= 2", "W >= 2"]),
        ("a: 3x3 maxpool /3, b: upsample 2, c: pad like=input replicate", ["H >= 3", "W >= 3"]),
        ("a: 3x3 maxpool /3, b: upsample 2, c: pad like=input reflect", ["H >= 9", "W >= 9"]),
        ("a: 3x3 maxpool /3, b: upsample 2, c: pad like=input wrap", ["H >= 6", "W >= 6"]),
        ("a: 2x2 maxpool /2 ceil, b: upsample 2, c: pad like=input", ["H = 20", "W = 24"]),  # larger at odd sizes
        ("a: pad 3 reflect", ["H >= 4", "W >= 4"]),
        ("a: 'pad [0,2,5,0] wrap'", ["H >= 5", "W >= 2"]),
    ],
)
def test_a_pad_is_valid_at_all_sizes_that_are_legal(nodes: str, sizes: list[str], tmp_path: Path) -> None:
    """At the smallest size and above, the module and the file run; one pixel less is no legal size."""
    net = archdsl.loads(f"input: 2x20x24\nnet: {{{nodes}}}")
    found = [str(size) for size in net.graph.sizes]
    assert found == sizes
    for more in range(9) if ">=" in sizes[0] else ():
        size = [s.minimum + more for s in net.graph.sizes]
        x = np.random.default_rng(0).standard_normal((1, 2, *size)).astype(np.float32)
        module, onnx = outputs(net, tmp_path / "a.onnx", {"input": x}, free_sizes=True)
        assert np.abs(module - onnx).max() <= 1e-5


PADS = {"constant": "constant", "reflect": "reflect", "replicate": "replicate", "wrap": "circular"}


@pytest.mark.parametrize("mode", list(PADS))
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pads_are_those_of_pytorch(axes: int, mode: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for _ in range(12):
        sizes = draw.integers(1, 6, axes)
        most = {"reflect": sizes - 1, "wrap": sizes}.get(mode, sizes * 0 + 7)
        begins, ends = draw.integers(0, most + 1), draw.integers(0, most + 1)
        x = draw.standard_normal((2, 2, *sizes)).astype(np.float32)
        pads = [int(side) for both in zip(begins[::-1], ends[::-1], strict=True) for side in both]
        sides = ",".join(map(str, [*begins, *ends]))
        text = f"input: [2, {', '.join(map(str, sizes))}]\nnet:\n  p: pad [{sides}] {mode}\n"
        module, onnx = outputs(archdsl.loads(text), tmp_path / "a.onnx", {"input": x})
        right = F.pad(torch.from_numpy(x), pads, mode=PADS[mode]).numpy()
        assert np.array_equal(module, right) and np.array_equal(onnx, right), text


MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("words", ["nearest", "linear", "linear align_corners", "cubic", "cubic align_corners"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_onnx_runtime_resizes_as_pytorch_at_all_pairs_of_sizes(axes: int, words: str, tmp_path: Path) -> None:
    """One file with free sizes; nearest selects the same pixels, also where a place is a whole number."""
    mode, *corners = words.split()
    if mode == "cubic" and axes != 2:
        return
    sizes = ", ".join(map(str, range(8, 8 + axes)))
    net = archdsl.loads(f"input: {{x: [1, {sizes}], y: [1, {sizes}]}}\nnet: {{u: upsample like=y {words} <- x}}")
    net.to_onnx(tmp_path / "a.onnx", free_sizes=True)
    session = ort.InferenceSession(tmp_path / "a.onnx")
    options: dict[str, Any] = {"mode": {"linear": MODES[axes], "cubic": "bicubic"}.get(mode, mode)}
    options |= {"align_corners": True} if corners else {}
    draw = np.random.default_rng(0)
    for old, new in product(range(1, 41), repeat=2) if axes < 3 else product(range(1, 12), repeat=2):
        before, after = (
            (old, old * 7 % 40 + 1, old * 3 % 9 + 1)[:axes],
            (new, new * 11 % 40 + 1, new * 5 % 9 + 1)[:axes],
        )
        x, y = draw.standard_normal((1, 1, *before)).astype(np.float32), np.zeros((1, 1, *after), np.float32)
        (ours,) = session.run(None, {"x": x, "y": y})
        right = F.interpolate(torch.from_numpy(x), size=after, **options).numpy()
        assert np.abs(ours - right).max() <= (0 if mode == "nearest" else 3e-5 * np.abs(x).max()), (before, after)


@pytest.mark.parametrize(("old", "new"), [(2, 82), (14, 2), (14, 46), (12, 74), (1, 41), (5, 205), (7, 7), (40, 9)])
def test_nearest_to_a_fixed_size_selects_the_pixels_of_pytorch(old: int, new: int, tmp_path: Path) -> None:
    net = archdsl.loads(f"input: {{x: 1x{old}x{new}, y: 1x{new}x{old}}}\nnet: {{u: upsample like=y <- x}}")
    inputs = {"x": np.arange(old * new, dtype=np.float32).reshape(1, 1, old, new), "y": np.zeros((1, 1, new, old), "f")}
    module, onnx = outputs(net, tmp_path / "a.onnx", inputs, free_sizes=False)
    assert np.array_equal(module, onnx)
    right = F.interpolate(torch.from_numpy(inputs["x"]), size=(new, old)).numpy()
    assert np.array_equal(module, right)
