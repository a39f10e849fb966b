"""`net(x)` runs a module on a value in memory (`archdsl.network.trial`)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import archdsl
from archdsl.diagnostics import ArchError
from tests.support.places import CAT

RANDOM = pytest.mark.filterwarnings("ignore:the weights of")
NET = "input: 3x32x32\nnet: [3x3 conv 4 relu, gap, fc 5]\npreprocess: imagenet"


@RANDOM
def test_values_of_every_kind() -> None:
    net = archdsl.loads(NET)
    x = torch.rand(2, 3, 32, 32)
    expected = net.to_torch()(x).detach()
    for value in (x, x.numpy(), x.numpy().astype(np.float64), x.double()):
        assert torch.equal(net(value), expected)
    assert torch.equal(net(x[0]), net(x[:1]))
    assert not net(x).requires_grad


@RANDOM
def test_images_are_preprocessed_as_in_predict() -> None:
    net = archdsl.loads(NET)
    image = Image.open(CAT)
    (row,) = archdsl.predict(net, CAT, top=5).images
    expected = {score.index: score.value for score in row.classes}
    for value in (image, np.asarray(image.convert("RGB")), CAT, str(CAT)):
        result = net(value).softmax(1)[0]
        assert all(abs(float(result[index]) - expected[index]) < 1e-5 for index in expected)


def test_random_weights_are_reported(tmp_path: Path) -> None:
    archdsl.load("lenet5").to_onnx(tmp_path / "m.onnx")
    for source in ("lenet5", tmp_path / "m.onnx"):
        with pytest.warns(UserWarning, match="the weights of `lenet5` are random"):
            archdsl.load(source)(torch.zeros(1, 32, 32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        archdsl.load("edge_filter")(torch.zeros(1, 3, 16, 16))


@RANDOM
def test_the_module_is_built_once() -> None:
    net = archdsl.loads(NET)
    net(torch.zeros(3, 32, 32))
    module = net._module
    net(torch.zeros(3, 32, 32))
    assert net._module is module


@RANDOM
@pytest.mark.parametrize(
    ("spec", "value", "code"),
    [
        ("lenet5", np.zeros((3, 32, 32), np.float32), "E0806"),
        ("lenet5", np.zeros((4, 4), np.float32), "E0806"),
        ("lenet5", 3, "E0004"),
        ("lenet5", [[1.0]], "E0004"),
        ("lenet5", np.zeros((2, 2, 2, 2), np.uint8), "E0004"),
        ("lenet5", np.zeros((4, 4, 7), np.uint8), "E0806"),
        ("lenet5", "no/such/file.png", "E0804"),
        ("siamese", np.zeros((3, 32, 32), np.float32), "E0806"),
        ("unet3d", np.zeros((8, 8), np.uint8), "E0806"),
    ],
)
def test_values_that_do_not_fit(spec: str, value: Any, code: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.load(spec)(value)
    assert caught.value.diagnostics[0].code == code
