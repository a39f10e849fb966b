"""`verify` of a file with its preprocessing inside: the network, and the preprocessing by itself.

Tests `verification/embedded.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import archdsl

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

SPEC = "name: n\ninput: 3x32x32\npreprocess: {preprocess}\nnet:\n  c: 3x3 conv 4 bn relu\n  p: gap\n  fc: fc 10\n"
BICUBIC = "{resize: 37, crop: 32, std: [0.2, 0.2, 0.2], interpolation: bicubic}"


def constant(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[onnx.ModelProto], None]:
    def tamper(model: onnx.ModelProto) -> None:
        item = next(item for item in model.graph.initializer if item.name == name)
        item.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(item)), name))

    return tamper


def recipe(model: onnx.ModelProto) -> None:
    entry = next(item for item in model.metadata_props if item.key == "embedded_preprocess")
    entry.value = entry.value.replace("bilinear", "bicubic")


def swapped(model: onnx.ModelProto) -> None:
    transpose = next(node for node in model.graph.node if node.op_type == "Transpose")
    transpose.attribute[0].ints[:] = [0, 3, 2, 1]


def weights(model: onnx.ModelProto) -> None:
    constant("fc.bias", lambda value: value + np.float32(0.1))(model)


@pytest.mark.parametrize("preprocess", ["imagenet", BICUBIC, "{scale: 255}"])
def test_a_file_as_it_was_written(preprocess: str, tmp_path: Path) -> None:
    net = archdsl.loads(SPEC.replace("{preprocess}", preprocess))
    net.compile(tmp_path / "n.onnx", embed_preprocess=True)
    assert archdsl.verify(tmp_path / "n.onnx").passed


@pytest.mark.parametrize(
    "tamper, code",
    [
        (constant("/preprocess/mean", lambda value: value + np.float32(0.03)), "E0872"),
        (constant("/preprocess/crop_size", lambda value: value - 1), "E0872"),
        (recipe, "E0872"),
        (swapped, "E0872"),
        (weights, "E0821"),
    ],
    ids=["mean", "crop", "recipe", "axes", "weights"],
)
def test_a_file_that_was_changed(tamper: Callable[[onnx.ModelProto], None], code: str, tmp_path: Path) -> None:
    archdsl.loads(SPEC.replace("{preprocess}", "imagenet")).compile(tmp_path / "n.onnx", embed_preprocess=True)
    model = onnx.load(tmp_path / "n.onnx")
    tamper(model)
    onnx.save(model, tmp_path / "n.onnx")
    result = archdsl.verify(tmp_path / "n.onnx")
    assert not result.passed and code in {problem.code for problem in result.problems}
