"""A model is cut to its backbone, and the summary of an import.

Tests `frontends/cut.py`, `frontends/summary.py` and the options of `cli/import_.py`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import archdsl
from archdsl.backends.spec import recover
from archdsl.cli import main
from archdsl.diagnostics import ArchError


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """Two layers of a backbone, then ops that no spec has: control flow, and one of another domain."""
    draw = np.random.default_rng(0)
    inner = helper.make_graph([], "inner", [], [])
    weights = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w1"], ["a"], name="/backbone/conv1/Conv", pads=[1] * 4),
            helper.make_node("Relu", ["a"], ["b"], name="/backbone/Relu"),
            helper.make_node("Conv", ["b", "w2"], ["c"], name="/neck/conv/Conv", pads=[1] * 4),
            helper.make_node("If", ["c"], ["d"], name="nms", then_branch=inner, else_branch=inner),
            helper.make_node("Boxes", ["c", "d"], ["y"], name="boxes", domain="com.example"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    path = tmp_path / "detector.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("until", "channels"), [("backbone", 8), ("/backbone/Relu", 8), ("b", 8), ("neck", 8), ("neck.conv", 8)]
)
def test_a_file_is_read_up_to_a_node(until: str, channels: int, detector: Path, tmp_path: Path) -> None:
    """The values are those of ONNX Runtime; what is behind is not refused."""
    assert cli("import", str(detector)).exit_code == 1
    done = cli("import", str(detector), "--until", until, "-o", str(tmp_path / "a.yaml"))
    assert done.exit_code == 0 and "outputs equal within" in done.stderr, done.output
    assert archdsl.load(tmp_path / "a.yaml").output == (channels, 16, 16)


def test_several_outputs_have_the_values_of_the_file(detector: Path, tmp_path: Path) -> None:
    imported = archdsl.import_model(detector, outputs=["/backbone/conv1/Conv", "c"])
    x = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    model = onnx.load(detector)
    del model.graph.node[3:], model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in "ac")
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    values = imported.network.to_torch(imported.weights)(torch.from_numpy(x))
    for theirs, ours in zip(expected, values, strict=True):
        assert np.allclose(theirs, ours.detach().numpy(), atol=1e-4)


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        boxes = self.head(self.backbone(x))
        return torch.sort(boxes.flatten(1)).values  # no op of a spec


def test_a_module_is_read_up_to_a_module_inside() -> None:
    module = Detector().eval()
    with pytest.raises(ArchError):
        archdsl.import_model(module, input=(3, 8, 8))
    imported = archdsl.import_model(module, input=(3, 8, 8), outputs=["backbone"])
    assert set(imported.weights) == {key for key in module.state_dict() if key.startswith("backbone")}
    assert imported.check.sizes and "forward" not in module.__dict__
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(imported.network.to_torch(imported.weights)(x), module.backbone(x), atol=1e-6)


class Changing(Detector):
    """What follows the backbone changes its value in place, and has ops in place and of other libraries."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.backbone(x)
        boxes = torch.relu_(torch.roll(features, 1, 0)[:, :, 0])
        torchvision.ops.nms(boxes.flatten()[:8].view(2, 4), boxes.flatten()[:2], 0.5)
        return features.add_(1)


def test_what_follows_the_end_is_not_read() -> None:
    module = Changing().eval()
    imported = archdsl.import_model(module, input=(3, 8, 8), outputs=["backbone"])
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(imported.network.to_torch(imported.weights)(x), module.backbone(x), atol=1e-6)


def test_a_forward_that_was_set_on_the_module_stays() -> None:
    module = Detector().eval()
    module.forward = own = partial(Detector.forward, module)
    archdsl.import_model(module, input=(3, 8, 8), outputs=["backbone"])
    assert module.forward is own


def test_wrong_names_are_answered_with_near_ones(detector: Path) -> None:
    done = cli("import", str(detector), "--until", "/backbone/relu")
    assert done.exit_code == 2 and "E0001" in done.stderr and "did you mean `/backbone/Relu`?" in done.stderr
    with pytest.raises(ArchError, match="did you mean `backbone`"):
        archdsl.import_model(Detector(), input=(3, 8, 8), outputs=["backbon"])
    assert cli("import", str(detector), "--until", "a", "--outputs", "b,c").exit_code == 2


def test_the_summary(detector: Path, tmp_path: Path) -> None:
    """In one line on standard error, as data on standard output; the spec is in a file, or in the data."""
    done = cli("import", str(detector), "--outputs", "b,c")
    assert done.stdout.startswith("name: detector\n")
    assert done.stderr.startswith("detector: 2 layers, 792 parameters, ")
    done = cli("import", str(detector), "--outputs", "b,c", "--format", "json", "-o", "-")
    data = json.loads(done.stdout)
    assert (data["layers"], data["parameters"], data["check"]["sizes"]) == (2, 792, ["1 x 3x16x16"])
    assert archdsl.loads(data["spec"]).params == 792
    done = cli("import", str(detector), "--until", "b", "--format", "json", "-o", str(tmp_path / "a.yaml"))
    assert "spec" not in json.loads(done.stdout) and (tmp_path / "a.yaml").exists()


class Names(nn.Module):
    """Keys that no path can have, a head for training, and a module that occurs twice."""

    def __init__(self) -> None:
        super().__init__()
        self._stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.Sequential(Sum(8), Sum(8))
        self.aux = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(self._stem(x))


class Sum(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.one(x)) + self.two(x)


def test_the_summary_counts_modules_and_lists_changed_names() -> None:
    module = Names().eval()
    summary = archdsl.import_model(module, input=(3, 8, 8)).summary
    assert (summary.blocks, summary.flat) == (2, 0)
    assert summary.renamed == {f"_stem.{key}": f"n_stem.{key}" for key in ("weight", "bias")}
    assert summary.left_out == ("aux.weight", "aux.bias")
    assert "2 modules as blocks and 0 flat" in summary.text()
    assert "2 tensors have other names, such as `_stem.weight` as `n_stem.weight`" in summary.text()
    assert "2 tensors are not in the spec, such as `aux.weight`" in summary.text()
    flat = archdsl.import_model(module, input=(3, 8, 8), flat=True).summary
    assert (flat.blocks, flat.flat) == (0, 3)


def test_a_form_that_is_another_network_counts_as_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "same_network", lambda one, two: False)
    summary = archdsl.import_model(Names().eval(), input=(3, 8, 8)).summary
    assert (summary.blocks, summary.flat) == (0, 3)


def test_blocks_that_were_left_out_count_as_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first form with blocks is taken to be another network; the next has none."""
    answers = iter([False, False])
    monkeypatch.setattr(recover, "same_network", lambda one, two: next(answers, True))
    graph = archdsl.import_model(Names().eval(), input=(3, 8, 8), flat=True).graph
    recovered = recover.recover(graph)
    assert recovered is not None and recovered.recovered + recovered.flat == 2


def test_refused_nodes_are_counted() -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.import_model(Detector(), input=(3, 8, 8))
    *_, last = caught.value.diagnostics
    assert "nodes are refused" in last.notes[0]


def test_norms_that_the_exporter_folded_are_mentioned(detector: Path) -> None:
    """Only where the name of a tensor shows it."""
    model = onnx.load(detector)
    bias = numpy_helper.from_array(np.ones(8, np.float32), "onnx::Conv_12")
    model.graph.initializer[0].name = "onnx::Conv_11"
    model.graph.initializer.append(bias)
    model.graph.node[0].input[:] = ["x", "onnx::Conv_11", "onnx::Conv_12"]
    onnx.save(model, detector)
    assert archdsl.import_model(detector, outputs=["c"]).lost == ("the exporter folded norms into 1 layer",)
