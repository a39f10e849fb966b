"""Files with free sizes from both exporters of PyTorch: the spec computes what the module does, at any size.

Tests `frontends/onnx_ops/resizes.py`, `frontends/onnx_ops/shapes.py`, `frontends/onnx_ops/pixels.py` and
`frontends/state.py` on sizes that a file computes from the shapes of its values, and `frontends/parts.py`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import archdsl
from archdsl.diagnostics import ArchError
from tests.frontends.test_import_modules import Calls, conv

pytest.importorskip("onnxscript")


def exported(module: torch.nn.Module, path: Path, dynamo: bool) -> Path:
    """The file with free batch and sizes. Nothing is printed."""
    x = torch.randn(2, 3, 16, 16)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    free: dict[str, Any] = (
        {"dynamic_shapes": ({0: torch.export.Dim("N"), 2: torch.export.Dim("H"), 3: torch.export.Dim("W")},)}
        if dynamo
        else {"dynamic_axes": {"x": {0: "N", 2: "H", 3: "W"}}, "input_names": ["x"]}
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (x,), path, dynamo=dynamo, **({"verbose": False} if dynamo else {}), **free
            )
    finally:
        logging.disable(before)
    return path


def resized(y: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(y, size=(height, width), mode="bilinear")


def to_a_skip(m: Any, x: Tensor) -> Tensor:
    skip = F.max_pool2d(m.c(x), 2)
    return skip + F.interpolate(F.max_pool2d(skip, 3, 2, 1), size=skip.shape[2:])


FORWARDS: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "size of the input": (lambda m, x: resized(F.max_pool2d(m.c(x), 2), *x.shape[2:]), "like=input"),
    "size of a skip": (to_a_skip, "like=_maxpool"),
    "size of half the input": (lambda m, x: m.c(x) + resized(m.c(x[:, :, ::2, ::2]), *x.shape[2:]), "like="),
    "a whole factor": (lambda m, x: F.interpolate(m.c(x), scale_factor=2.0), "upsample 2"),
    "a computed size": (
        lambda m, x: resized(F.max_pool2d(m.c(x), 2), x.shape[2] // 2 * 2, x.shape[3] // 2 * 2),
        "upsample 2",
    ),
    "inside, every second": (lambda m, x: m.c(x)[:, :, 1:-1, ::2], ""),
    "every third": (lambda m, x: m.c(x)[:, :, 2::3, ::3], ""),
    "every second of a part": (lambda m, x: m.c(x)[:, :, 1:-2:2, :-3:2], ""),
    "square": (lambda m, x: m.c(x) ** 2, "mul"),
}


@pytest.mark.parametrize("dynamo", [False, True], ids=["older", "newer"])
@pytest.mark.parametrize("name", FORWARDS)
def test_files_with_free_sizes(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    forward, text = FORWARDS[name]
    module = Calls(forward, c=conv())
    imported = archdsl.import_model(exported(module, tmp_path / "a.onnx", dynamo), input="3x16x16")
    assert text in imported.text and not imported.check.warnings
    ours = imported.network.to_torch(imported.weights)
    for height, width in ((16, 16), (17, 22), (23, 18)):
        x = torch.randn(2, 3, height, width)
        with torch.no_grad():
            assert torch.allclose(ours(x), module(x), rtol=1e-5, atol=1e-6), (height, width)


PARTS: dict[str, tuple[Callable[[Any, Tensor], Tensor], list[str]]] = {
    "crop": (lambda m, x: m.c(x)[:, :, 1:-1, 2:], ["pad [-1,-2,-1,0]"]),
    "crop of a crop": (lambda m, x: m.c(x)[:, :, 1:, 2:][:, :, :-3, 1:], ["pad [-1,-3,-3,0]"]),
    "every second": (lambda m, x: m.c(x)[:, :, ::2, ::3], ["1x1 maxpool /2x3"]),
    "every second, moved": (lambda m, x: m.c(x)[:, :, 1::2, 1::2], ["pad [-1,-1,0,0]", "1x1 maxpool /2"]),
    "every second of a row": (lambda m, x: m.c(x)[:, :, ::2, 1:-1], ["pad [0,-1,0,-1]", "1x1 maxpool /2x1"]),
    "not apart": (lambda m, x: m.c(x)[:, :, ::2][:, :, 1:], ["1x1 maxpool /2x1", "pad [-1,0,0,0]"]),
    "pad of a crop": (lambda m, x: F.pad(m.c(x)[:, :, 2:, 2:], (1, 1, 1, 1)), ["pad [-2,-2,0,0]", "pad 1"]),
    "crop of a pad": (lambda m, x: F.pad(m.c(x), (1, 1, 1, 1))[:, :, 2:], ["pad 1", "pad [-2,0,0,0]"]),
    "crop read twice": (lambda m, x: (lambda y: y[..., :-1] * y[..., 1:])(m.c(x)[:, :, 1:]), ["-1", "pad", "pad"]),
}


@pytest.mark.parametrize("file", [False, True], ids=["module", "file"])
@pytest.mark.parametrize("name", PARTS)
def test_slices_along_several_axes_are_one_op(name: str, file: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    forward, texts = PARTS[name]
    module = Calls(forward, c=conv())
    imported = archdsl.import_model(exported(module, tmp_path / "a.onnx", False) if file else module, input="3x16x16")
    assert sum(node.op.name in ("pad", "maxpool") for node in imported.graph.nodes) == len(texts)
    assert all(text in imported.text for text in texts), imported.text
    ours, x = imported.network.to_torch(imported.weights), torch.randn(2, 3, 19, 22)
    with torch.no_grad():
        assert torch.allclose(ours(x), module(x), rtol=1e-5, atol=1e-6)


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "half precision": (lambda m, x: m.c(x).half().float(), "half precision"),
    "batch of 1": (lambda m, x: m.c(x).reshape(1, -1), "batch"),
    "cube": (lambda m, x: m.c(x) ** 3, "power other than 2"),
    "factor of a half": (lambda m, x: F.interpolate(m.c(x), scale_factor=0.5), "whole factors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    """As unsupported nodes, not as a bug."""
    forward, reason = REFUSED[name]
    path = exported(Calls(forward, c=conv()), tmp_path / "a.onnx", False)
    with pytest.raises(ArchError, match=reason) as caught:
        archdsl.import_model(path, input="3x16x16")
    assert {d.code for d in caught.value.diagnostics} == {"E0842"}


def test_outputs_that_are_one_value(tmp_path: Path) -> None:
    """Two outputs may be the same value, of a module, of a part of it, and of a file."""
    twice = Calls(lambda m, x: (m.c(x),) * 2, c=conv())
    model = onnx.load(exported(Calls(lambda m, x: m.c(x), c=conv()), tmp_path / "a.onnx", False))
    first = model.graph.output[0].name
    model.graph.output.append(onnx.helper.make_tensor_value_info("again", 1, None))
    model.graph.node.append(onnx.helper.make_node("Identity", [first], ["again"]))
    onnx.save(model, tmp_path / "b.onnx")
    part: dict[str, Any] = {"outputs": ["c", "c"]}
    for source, options in ((twice, {}), (twice, part), (tmp_path / "b.onnx", {})):
        imported = archdsl.import_model(source, input="3x16x16", **options)
        assert {node.op.name for node in imported.graph.nodes} == {"input", "conv"}
        assert [*imported.graph.outputs.values()] == [1, 1] and imported.check.sizes


def test_outputs_have_the_keys_of_the_module() -> None:
    """Those of dictionaries inside each other too; values without keys keep names of their own."""
    both = Calls(lambda m, x: {"out": m.c(x), "more": {"aux": m.d(x), "low": [x * 2, x * 3]}}, c=conv(), d=conv())
    imported = archdsl.import_model(both, input=(3, 8, 8))
    assert list(imported.graph.outputs) == ["out", "more_aux", "more_low", "more_low_3"]
    assert imported.check.sizes
