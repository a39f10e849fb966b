"""`--inflate`: the filters of a network for images in one for volumes (`backends/weights/inflate.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import archdsl
from archdsl.diagnostics import ArchError

torch = pytest.importorskip("torch")

NET = """\
input: 3x16x16
net:
  conv1: 3x3 conv 6 /2 bias=true
  deep: 4x4 deconv 5 /2
  fixed: scale 0.5
  point: 1x1 fc 4
  pool: gap
  fc: fc 2
variants:
  volume: {input: 3x8x16x16, axes: 3}
  signal: {input: 3x16, axes: 1}
"""


def pair(how: str) -> tuple[dict[str, np.ndarray], archdsl.Network, dict[str, np.ndarray]]:
    """Weights for images, the network for volumes, and the weights inflated for it."""
    flat = {key: np.array(value) for key, value in archdsl.loads(NET).weights(seed=3).items()}
    network = archdsl.loads(NET, variant="volume")
    return flat, network, dict(network.weights(flat, inflate=how))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["conv1.weight", "deep.weight"])
def test_mean_repeats_a_filter_and_keeps_its_sum(key: str) -> None:
    flat, _, volume = pair("mean")
    size = flat[key].shape[-1]
    for depth in range(size):
        np.testing.assert_array_equal(volume[key][:, :, depth], flat[key] / np.float32(size))


@pytest.mark.parametrize(("key", "middle"), [("conv1.weight", 1), ("deep.weight", 2)])
def test_the_centre_of_an_even_filter_is_the_begin_of_its_second_half(key: str, middle: int) -> None:
    flat, _, volume = pair("centre")
    np.testing.assert_array_equal(volume[key][:, :, middle], flat[key])
    assert np.count_nonzero(volume[key]) == np.count_nonzero(flat[key])


def test_other_tensors_stay() -> None:
    flat, _, volume = pair("mean")
    assert volume["fixed"].shape == (5, 1, 1, 1)
    np.testing.assert_array_equal(volume["fixed"].ravel(), flat["fixed"].ravel())
    for key in ("conv1.bias", "point.weight", "fc.weight", "fc.bias"):
        np.testing.assert_array_equal(volume[key], flat[key])


@pytest.mark.parametrize("how", ["mean", "centre"])
def test_equal_slices_give_the_values_of_one(how: str) -> None:
    """The definition of Carreira and Zisserman: away from the ends, a still video has the responses of its image."""
    text = "input: 3x12x12\nnet: {a: 3x3 conv 4 relu, b: 5x5 conv 4}\nvariants: {v: {input: 3x15x12x12, axes: 3}}\n"
    image, volume = archdsl.loads(text), archdsl.loads(text, variant="v")
    weights = image.weights(seed=1)
    x = torch.randn(1, 3, 12, 12)
    with torch.no_grad():
        flat = image.to_torch(weights)(x)
        deep = volume.to_torch(volume.weights(weights, inflate=how))(x[:, :, None].expand(-1, -1, 15, -1, -1))  # type: ignore[arg-type]
    torch.testing.assert_close(deep[:, :, 5], flat, rtol=1e-5, atol=1e-5)


def test_densenet121_of_torchvision_for_volumes(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model = torchvision.models.densenet121(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "densenet121.pth")
    spec = tmp_path / "volume.yaml"
    spec.write_text("extends: densenet121\ninput: 3x32x32x32\naxes: 3\npreprocess: null\n")
    network = archdsl.load(spec)
    weights = network.weights(tmp_path / "densenet121.pth", inflate="mean")
    filters = [key for key, value in model.state_dict().items() if value.ndim == 4]
    assert len(filters) == 120
    for key in filters:
        flat = model.state_dict()[key].numpy()
        np.testing.assert_array_equal(weights[key][:, :, 0], flat / np.float32(flat.shape[-1]))
    assert "120 tensors inflated to the axes of the network, by `mean`" in str(weights.notes[0])


def test_the_metadata_of_a_file_state_it(tmp_path: Path) -> None:
    network = archdsl.loads(NET, variant="volume")
    flat = archdsl.loads(NET).weights(seed=3)
    compiled = network.compile(tmp_path / "v.onnx", weights=flat, inflate="centre")
    stored = {entry.key: entry.value for entry in onnx.load(tmp_path / "v.onnx").metadata_props}
    assert stored["weights"].endswith("; inflated by centre")
    assert any("3 tensors inflated" in note.message for note in compiled.notes)


def problem(variant: str | None, weights: object, inflate: str | None) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(NET, variant=variant).weights(weights, inflate=inflate)  # type: ignore[arg-type]
    return caught.value.diagnostics[0]


def test_weights_for_images_without_the_option() -> None:
    found = problem("volume", archdsl.loads(NET).weights(), None)
    assert found.code == "E0603"
    assert "6 x 3 x 3 x 3 x 3 in the network, 6 x 3 x 3 x 3 in the file" in found.notes[0]
    assert "`--inflate mean`" in found.help


def test_weights_for_volumes_have_no_form_for_images_or_signals() -> None:
    for variant in (None, "signal"):
        found = problem(variant, archdsl.loads(NET, variant="volume").weights(), "mean")
        assert found.code == "E0603" and "inflate" not in found.help
    assert problem("signal", archdsl.loads(NET).weights(), "mean").code == "E0603"


def test_filters_of_other_sizes_are_not_inflated() -> None:
    weights = dict(archdsl.loads(NET.replace("3x3 conv 6", "5x5 conv 6")).weights())
    found = problem("volume", weights, "mean")
    assert found.code == "E0603" and "conv1.weight" in found.notes[0] and "deep.weight" not in found.notes[0]


def test_wrong_options() -> None:
    assert problem("volume", archdsl.loads(NET).weights(), "middle").code == "E0001"
    assert problem("volume", None, "mean").code == "E0003"


def test_weights_that_lack_nothing() -> None:
    network = archdsl.loads(NET)
    weights = network.weights(network.weights(seed=1), inflate="mean")
    assert "no tensors inflated" in weights.notes[0].message
    assert "inflated" not in weights.source
