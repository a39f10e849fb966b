"""torchvision's networks for segmentation give its maps at every size of the image, in PyTorch and in one ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torchvision.models import segmentation

import archdsl
from tests.support.drawn_weights import random_weights

SIZES = ((65, 97), (128, 128), (111, 70))
"""The first is the size of the spec, the others are those of the images that follow."""
ALWAYS = "lraspp_mobilenet_v3_large"
NAMES = [
    pytest.param(name, marks=() if name == ALWAYS else pytest.mark.slow)
    for name in (ALWAYS, "fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large")
]


@pytest.mark.parametrize("name", NAMES)
def test_maps_have_the_size_of_the_image(name: str, tmp_path: Path) -> None:
    aux = {} if name == ALWAYS else {"aux_loss": True}
    theirs = getattr(segmentation, name)(weights=None, weights_backbone=None, **aux).eval()
    weights = random_weights(theirs, torch.float32)
    theirs.load_state_dict(weights)
    theirs.double()
    torch.save(weights, tmp_path / "weights.pth")
    network = archdsl.load(name, input=(3, *SIZES[0]))
    ours = network.to_torch(weights=tmp_path / "weights.pth").double()
    file = network.to_onnx(tmp_path / "a.onnx", weights=tmp_path / "weights.pth", free_sizes=True).path
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for size in SIZES:
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        with torch.no_grad():
            expected, made = theirs(x), ours(x)
        ran = session.run(None, {"input": x.float().numpy()})
        made = [made] if isinstance(made, torch.Tensor) else [*made]
        for one, mine, files in zip(expected.values(), made, ran, strict=True):
            assert one.shape == mine.shape == files.shape == (2, 21, *size)
            assert float((mine - one).abs().max() / one.abs().max()) < 1e-12
            assert np.abs(files - one.numpy()).max() / float(one.abs().max()) < 1e-3  # PyTorch in float32: 3e-4
