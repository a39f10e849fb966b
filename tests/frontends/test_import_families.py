"""Several models as one spec: each variant has the keys, the parameters and the outputs of its PyTorch module.

Tests `frontends/families.py`.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner
from safetensors.numpy import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

import archdsl
from archdsl import ArchError
from archdsl.cli import main
from tests.support.drawn_weights import scattered


def small(layers: list[int], block: Any = BasicBlock) -> nn.Module:
    return scattered(ResNet(block, layers, num_classes=5).eval())


FAMILY = {"a": small([1, 1, 1, 1]), "b": small([2, 1, 3, 1]), "c": small([1, 2, 1, 2], Bottleneck)}


def check(text: str, name: str, module: nn.Module, size: tuple[int, ...]) -> None:
    """Compare a network of a family with its module: keys, shapes, parameters, outputs."""
    net = archdsl.loads(text, variant=name)
    state = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    assert {t.key: t.param.shape for t in net.graph.tensors} == {key: value.shape for key, value in state.items()}
    assert net.params == sum(p.numel() for p in module.parameters())
    x = torch.randn(2, *size)
    with torch.no_grad():
        assert torch.allclose(net.to_torch(state)(x), module(x), rtol=1e-4, atol=1e-5)


def test_modules() -> None:
    family = archdsl.import_family(FAMILY, input=(3, 32, 32))
    lines = family.text.splitlines()
    assert len(lines) <= 25
    assert "args: {block: basic_block, n: [1, 1, 1, 1]}" in lines
    assert "  b: {n: [2, 1, 3, 1]}" in lines
    assert "  c: {block: bottleneck, n: [1, 2, 1, 2]}" in lines
    assert [*family.graphs] == [summary.name for summary in family.summaries] == ["a", "b", "c"]
    for name, module in FAMILY.items():
        check(family.text, name, module, (3, 32, 32))
        assert all(np.array_equal(v, module.state_dict()[k]) for k, v in family.model(name).weights.items())
        assert family.model(name).network.name == name
    assert all(summary.check.sizes for summary in family.summaries)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ("resnet18 resnet34 resnet50 resnet101 resnet152", 45),
        ("densenet121 densenet161 densenet169 densenet201", 32),
        ("vgg11_bn vgg13_bn vgg16_bn vgg19_bn", 30),
        ("mobilenet_v3_small mobilenet_v3_large", 55),
        ("efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3", 40),
        ("regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf", 30),
        ("convnext_tiny convnext_small convnext_base", 30),
        ("squeezenet1_0 squeezenet1_1", 35),
        ("shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0", 35),
        ("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3", 35),
    ],
)
def test_torchvision(names: str, lines: int) -> None:
    family = archdsl.import_family([f"torchvision.models:{name}" for name in names.split()], input=(3, 64, 64))
    assert len(family.text.splitlines()) <= lines, family.text
    for name in names.split():
        module = scattered(torchvision.models.get_model(name, weights=None).eval())
        check(family.text, name, module, (3, 64, 64))


def export(module: nn.Module, path: Path, size: int) -> None:
    """Write an ONNX file that keeps the norms, with a fixed size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode = torch.onnx.TrainingMode.PRESERVE
        x = torch.zeros(1, 3, size, size)
        torch.onnx.export(module, (x,), str(path), dynamo=False, training=mode, do_constant_folding=False)


def test_files(tmp_path: Path) -> None:
    """Names are those of the files; each may have its own size; the weights go to a folder."""
    sizes = {"a": 64, "b": 96}
    for name, size in sizes.items():
        export(FAMILY[name], tmp_path / f"my-{name}.onnx", size)
    (tmp_path / "weights").mkdir()
    files = [str(tmp_path / f"my-{name}.onnx") for name in sizes]
    arguments = ["-o", str(tmp_path / "net.yaml"), "--weights", str(tmp_path / "weights"), "--format", "json"]
    done = CliRunner().invoke(main, ["import", *files, *arguments])
    assert done.exit_code == 0, done.output
    networks = json.loads(done.stdout)["networks"]
    assert [one["name"] for one in networks] == ["my_a", "my_b"]
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["my_a", "my_b"]
    text = (tmp_path / "net.yaml").read_text()
    assert "  my_b: {n: [2, 3], input: 3x96x96}" in text.splitlines()
    for name, size in sizes.items():
        check(text, f"my_{name}", FAMILY[name], (3, size, size))
        weights = load_file(tmp_path / "weights" / f"my_{name}.safetensors")
        x = torch.randn(1, 3, size, size)
        with torch.no_grad():
            outputs = archdsl.loads(text, variant=f"my_{name}").to_torch(weights)(x)
            assert torch.allclose(outputs, FAMILY[name](x), rtol=1e-4, atol=1e-5)


SMALL = {"one": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "two": nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())}


@pytest.mark.parametrize(
    ("code", "words", "models", "fields"),
    [
        ("E0004", "models", "a.onnx", {}),
        ("E0002", "two", [], {}),
        ("E0002", "two", ["a.onnx"], {}),
        ("E0002", "my net", {"my net": SMALL["one"]}, {}),
        ("E0003", "the same model", ["torchvision.models:resnet18"] * 2, {}),
        ("E0003", "another model", ["a/x.onnx", "b/x.onnx"], {}),
        ("E0003", "`Sequential`", [*SMALL.values()], {}),
        ("E0003", "args", SMALL, {"args": {"n": 1}}),
        ("E0844", "`bad`", {**SMALL, "bad": nn.Sequential(nn.Conv2d(5, 6, 3))}, {}),
        ("E0842", "`bad`", {**SMALL, "bad": nn.Sequential(nn.Conv2d(3, 6, 3), nn.LogSigmoid())}, {}),
        ("E0805", "missing.onnx", ["missing.onnx", "other.onnx"], {}),
        ("E0849", "`other` is no variant of `one`", {**SMALL, "other": FAMILY["a"]}, {}),
        ("E0846", "input", SMALL, {"input": None}),
    ],
)
def test_errors(code: str, words: str, models: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.import_family(models, **{"input": (3, 16, 16), **fields})
    first = caught.value.diagnostics[0]
    assert first.code == code
    assert words in first.message


def test_models_with_other_inputs(tmp_path: Path) -> None:
    """A second input is a difference like any other."""
    specs = {
        "one": "input: 3x8x8\nnet: {a: 3x3 conv 4, b: tanh, c: 'add <- a, b'}\n",
        "two": "input: {x: 3x8x8, y: 4x8x8}\nnet: {a: 3x3 conv 4 <- x, b: tanh, c: 'add <- b, y'}\n",
    }
    for name, text in specs.items():
        archdsl.loads(text).to_onnx(tmp_path / f"{name}.onnx")
    with pytest.raises(ArchError) as caught:
        archdsl.import_family([tmp_path / "one.onnx", tmp_path / "two.onnx"])
    assert [d.code for d in caught.value.diagnostics] == ["E0849"]
    assert "input" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--flat"], "--flat"),
        (["--name", "x"], "--name"),
        (["--until", "nowhere"], "nowhere"),
    ],
)
def test_nothing_is_written(tmp_path: Path, arguments: list[str], words: str) -> None:
    for name in ("resnet20", "resnet32"):
        archdsl.load(name).to_onnx(tmp_path / f"{name}.onnx")
    files = [str(tmp_path / f"{name}.onnx") for name in ("resnet20", "resnet32")]
    done = CliRunner().invoke(main, ["import", *files, "-o", str(tmp_path / "net.yaml"), *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "net.yaml").exists()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    family = archdsl.import_family(SMALL, input=(3, 8, 8))
    with pytest.raises(ArchError) as caught:
        family.save(tmp_path / "net.yaml", tmp_path / "none")
    assert caught.value.diagnostics[0].code == "E0701"
    assert not [*tmp_path.iterdir()]
