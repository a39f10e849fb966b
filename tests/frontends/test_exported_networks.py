"""Networks of torchvision through both exporters of PyTorch: the imported file computes what the module does.

Tests `frontends/onnx_model.py` and `frontends/onnx_ops/__init__.py` on files with the exporters' own settings: the
older one folds norms into layers, and the newer one, which optimises the graph, has other forms of many ops.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import archdsl
from tests.frontends.test_import_networks import TOO_LARGE, TORCHVISION, side
from tests.support.drawn_weights import scattered

pytest.importorskip("onnxscript")

FAMILIES = {
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1",
}  # fmt: skip
"""One of each family, which the older exporter writes fast; the newer one takes up to a minute for a network."""
LONG = ("alexnet", "convnext_tiny", "inception_v3")
QUICK = {(name, False) for name in FAMILIES if name not in LONG} | {("resnet18", True)}
CASES = [(name, dynamo) for name in TORCHVISION if name not in TOO_LARGE for dynamo in (False, True)]


def exported(module: nn.Module, x: torch.Tensor, path: Path, dynamo: bool) -> Path:
    """The file that `torch.onnx.export` writes with its default settings. Nothing is printed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (x,), path, dynamo=dynamo, **({"verbose": False} if dynamo else {}))
    finally:
        logging.disable(before)
    return path


@pytest.mark.parametrize(
    ("name", "dynamo"), [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_exported(name: str, dynamo: bool, tmp_path: Path) -> None:
    extra = {"init_weights": False} if name.startswith(("googlenet", "inception", "vgg")) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = scattered(torchvision.models.get_model(name, weights=None, **extra))
    size = 224 if name.startswith(("alexnet", "vgg")) else side(name)  # no exporter has a pool that repeats pixels
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    imported = archdsl.import_model(exported(module, x, tmp_path / f"{name}.onnx", dynamo))
    assert not imported.check.warnings
    with torch.no_grad():
        expected, ours = module(x).numpy(), imported.network.to_torch()(x).numpy()
    assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()
