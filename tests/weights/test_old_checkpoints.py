"""Checkpoints as torchvision wrote them over the years: older names, counters and heads that are not there.

Tests `backends/weights/evaluate.py` and `backends/weights/resolve.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner
from torch import Tensor, nn

import archdsl
from archdsl.cli import main

State = dict[str, Tensor]


def uncounted(state: State) -> State:
    """Before torch 0.4.1 batch norm had no `num_batches_tracked`."""
    return {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


def dotted(state: State) -> State:
    """DenseNet's layers were once named `norm.1`, which is no longer a legal name of a module."""
    return {re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", key): t for key, t in uncounted(state).items()}


def headless(state: State) -> State:
    """Saved from a network that was made with `aux_logits=False`."""
    return {key: tensor for key, tensor in state.items() if not key.lower().startswith("aux")}


OLD: list[tuple[str, dict[str, Any], Callable[[State], State]]] = [
    ("densenet121", {}, dotted),
    ("resnet18", {}, uncounted),
    ("googlenet", {"init_weights": False}, uncounted),
    ("googlenet", {"init_weights": False}, headless),
    ("inception_v3", {"init_weights": False}, uncounted),
    ("inception_v3", {"init_weights": False}, headless),
]


@pytest.mark.parametrize(("name", "options", "aged"), OLD)
def test_an_old_file_loads(name: str, options: dict[str, Any], aged: Callable[[State], State], tmp_path: Path) -> None:
    theirs = unsettled(torchvision.models.get_model(name, **options))
    state = aged(theirs.state_dict())
    assert state.keys() != theirs.state_dict().keys()
    torch.save(state, tmp_path / "old.pth")
    ours = archdsl.load(name).to_torch(weights=tmp_path / "old.pth")
    x = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mine, other = ours(x), theirs(x)
    assert float((mine - other).abs().max() / other.abs().max()) <= 1e-6


def test_an_old_file_compiles(tmp_path: Path) -> None:
    model = unsettled(torchvision.models.densenet121())
    torch.save({"state_dict": {f"module.{k}": t for k, t in dotted(model.state_dict()).items()}}, tmp_path / "old.pth")
    told = CliRunner().invoke(
        main,
        [
            "compile",
            "densenet121",
            "--weights",
            str(tmp_path / "old.pth"),
            "--to",
            "onnx",
            "-o",
            str(tmp_path / "new.onnx"),
        ],
    )
    assert told.exit_code == 0, told.output
    assert (tmp_path / "new.onnx").is_file()
    assert "tensors that have the old names of torchvision's DenseNet" in told.output


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_transform_input_is_in_the_preprocessing(name: str) -> None:
    """The released GoogLeNet and Inception-v3 take ImageNet-normalised images and change them inside; ours come
    changed."""
    theirs = unsettled(torchvision.models.get_model(name, init_weights=False, transform_input=True))
    network = archdsl.load(name)
    ours = network.to_torch(weights=theirs.state_dict())
    recipe = network.recipe
    assert recipe is not None
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(1))

    def normalised(mean: Any, std: Any) -> Tensor:
        return (image - torch.tensor(np.broadcast_to(mean, 3).copy()).view(3, 1, 1)) / torch.tensor(
            np.broadcast_to(std, 3).copy()
        ).view(3, 1, 1)

    with torch.no_grad():
        mine = ours(normalised(recipe.mean, recipe.std).float())
        other = theirs(normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).float())
    assert float((mine - other).abs().max() / other.abs().max()) <= 1e-5  # the same number, rounded at other places


def test_a_file_of_another_network_leaves_nothing_behind(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    target = tmp_path / "out.onnx"
    arguments = ["compile", "resnet34", "--weights", str(tmp_path / "resnet18.pth"), "--to", "onnx", "-o", str(target)]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 1
    assert "error[E0603]: the weights do not fit `resnet34`: 80 missing" in told.output
    assert told.output.count("\n    missing ") + told.output.count("= missing ") == 10
    assert "... and 70 more" in told.output
    assert [p.name for p in tmp_path.iterdir()] == ["resnet18.pth"]


def unsettled(model: nn.Module) -> nn.Module:
    """In evaluation, with statistics of batch norm that are not those it starts with."""
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
    return model.eval()
