"""`--inflate`: the filters of a network for images in one for volumes (`backends/weights/inflate.py`)."""

from __future__ import annotations

import itertools
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


@pytest.mark.parametrize(("key", "meeting"), [("conv1.weight", 3), ("deep.weight", 2)])
def test_mean_repeats_a_filter_and_divides_it(key: str, meeting: int) -> None:
    """Of a 4x4 deconv with stride 2, two copies meet in each output slice."""
    flat, _, volume = pair("mean")
    for depth in range(flat[key].shape[-1]):
        np.testing.assert_array_equal(volume[key][:, :, depth], flat[key] / np.float32(meeting))


@pytest.mark.parametrize(("key", "middle"), [("conv1.weight", [1]), ("deep.weight", [1, 2])])
def test_centre_keeps_as_many_copies_as_there_are_phases(key: str, middle: list[int]) -> None:
    flat, _, volume = pair("centre")
    for depth in range(flat[key].shape[-1]):
        np.testing.assert_array_equal(volume[key][:, :, depth], flat[key] * (depth in middle))


def test_the_centre_of_an_even_filter_is_the_begin_of_its_second_half() -> None:
    text = "input: 2x8x8\nnet: {a: 4x4 conv 3}\nvariants: {v: {input: 2x8x8x8, axes: 3}}\n"
    flat = archdsl.loads(text).weights()
    volume = archdsl.loads(text, variant="v").weights(flat, inflate="centre")["a.weight"]
    np.testing.assert_array_equal(volume[:, :, 2], flat["a.weight"])
    assert np.count_nonzero(volume) == np.count_nonzero(flat["a.weight"])


def test_standardized_filters_are_refused_except_those_of_one_slice() -> None:
    """Three equal slices, standardized together, give three times the response of one."""
    text = (
        "input: 4x8x8\nnet: {{a: conv 3 kernel={} standardized gain=1.5}}\n"
        "variants: {{v: {{input: 4x8x8x8, axes: 3}}}}\n"
    )
    problem = refused(archdsl.loads(text.format(3), variant="v"), archdsl.loads(text.format(3)).weights(), "mean")
    assert problem.code == "E0603" and "standardized together" in problem.message and "--reinit 'a.*'" in problem.help
    flat, volume = archdsl.loads(text.format(1)), archdsl.loads(text.format(1), variant="v")
    weights = volume.weights(flat.weights(seed=1), inflate="mean")
    x = torch.rand(2, 4, 8, 8)
    deep = volume.to_torch(weights)(x[:, :, None].expand(-1, -1, 8, -1, -1))
    for depth in range(8):
        torch.testing.assert_close(deep[:, :, depth], flat.to_torch(seed=1)(x))


DECONVS = list(itertools.product(range(1, 6), range(1, 5), (1, 2)))
"""Window, stride and dilation of transposed convolutions."""


@pytest.mark.parametrize("how", ["mean", "centre"])
@pytest.mark.parametrize(("k", "s", "d"), DECONVS)
def test_equal_slices_of_every_deconv_give_the_values_of_one(k: int, s: int, d: int, how: str) -> None:
    """From images to volumes and from signals to volumes, with every crop; torch computes both."""
    for pad, (axes, small, large) in itertools.product((0, 1), [(1, "5", "20x20x5"), (2, "4x5", "20x4x5")]):
        reach = d * (k - 1) + 1
        node = f"deconv 3 kernel={k} /{s} dilation={d} pad={pad}"
        small_net = archdsl.loads(f"input: 2x{small}\nnet: {{a: {node} bias=true}}\n")
        large_net = archdsl.loads(f"input: 2x{large}\nnet: {{a: {node} bias=true}}\n")
        weights = {key: np.array(value) for key, value in small_net.weights(seed=k).items()}
        weights["a.bias"] = np.array([0.5, -1, 2], np.float32)
        if len({tap * d % s for tap in range(k)}) < s:
            found = refused(large_net, weights, how)
            assert "reach only some of the output slices" in found.message and "--reinit 'a.*'" in found.help
            fresh = dict(large_net.weights(weights, reinit=["a"], inflate=how))  # type: ignore[arg-type]
            assert fresh["a.weight"].shape == (2, 3, k, k, k)
            continue
        x = torch.randn(1, 2, *map(int, small.split("x")))
        new = 3 - axes
        with torch.no_grad():
            flat = small_net.to_torch(weights)(x)
            deep = large_net.to_torch(
                large_net.weights(weights, inflate=how)
            )(  # type: ignore[arg-type]
                x.reshape(1, 2, *[1] * new, *x.shape[2:]).expand(1, 2, *[20] * new, *x.shape[2:])
            )
        far = slice(reach, deep.shape[2] - reach)
        inner = deep[:, :, far] if new == 1 else deep[:, :, far, far].flatten(2, 3)
        assert inner.shape[2] >= s
        for number in range(inner.shape[2]):
            torch.testing.assert_close(inner[:, :, number], flat, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", ["mean", "centre"])
def test_the_window_of_a_subsample_holds_more_values(how: str) -> None:
    text = (
        "input: 2x12x12\nnet: {c: 3x3 conv 4, s: 2x2 subsample /3, p: prelu, d: 3x3 conv 4, t: 3x3 subsample /1}\n"
        "variants: {v: {input: 2x27x12x12, axes: 3}}\n"
    )
    image, volume = archdsl.loads(text), archdsl.loads(text, variant="v")
    weights = {key: np.array(value) + np.float32(0.1) for key, value in image.weights(seed=2).items()}
    given = volume.weights(weights, inflate=how)  # type: ignore[arg-type]
    assert "4 tensors inflated" in given.notes[0].message
    x = torch.randn(1, 2, 12, 12)
    with torch.no_grad():
        flat = image.to_torch(weights)(x)
        deep = volume.to_torch(given)(x[:, :, None].expand(-1, -1, 27, -1, -1))
    assert flat.shape[2:] == (2, 2) and deep.shape[2:] == (7, 2, 2)
    torch.testing.assert_close(deep[:, :, 3], flat, rtol=1e-5, atol=1e-5)
    fresh = volume.weights(weights, reinit=["s", "c"], inflate=how)  # type: ignore[arg-type]
    assert set(np.unique(fresh["s.weight"])) == {1.0}, "initialised, not divided"
    again = volume.weights(dict(given), inflate=how)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again["s.weight"], given["s.weight"])


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
    assert any("120 tensors inflated to the axes of the network, by `mean`" in str(note) for note in weights.notes)


def test_the_metadata_of_a_file_state_it(tmp_path: Path) -> None:
    network = archdsl.loads(NET, variant="volume")
    flat = archdsl.loads(NET).weights(seed=3)
    compiled = network.compile(tmp_path / "v.onnx", weights=flat, inflate="centre")
    stored = {entry.key: entry.value for entry in onnx.load(tmp_path / "v.onnx").metadata_props}
    assert stored["weights"].endswith("; inflated by centre")
    assert any("3 tensors inflated" in note.message for note in compiled.notes)


def refused(network: archdsl.Network, weights: object, inflate: str | None = None) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        network.weights(weights, inflate=inflate)  # type: ignore[arg-type]
    return caught.value.diagnostics[0]


def problem(variant: str | None, weights: object, inflate: str | None) -> archdsl.Diagnostic:
    return refused(archdsl.loads(NET, variant=variant), weights, inflate)


def test_weights_for_images_without_the_option() -> None:
    found = problem("volume", archdsl.loads(NET).weights(), None)
    assert found.code == "E0603"
    assert "6 x 3 x 3 x 3 x 3 in the network, 6 x 3 x 3 x 3 in the file" in found.notes[0]
    assert "`--inflate mean`" in found.help


def test_weights_with_more_axes_than_the_network() -> None:
    """The channels may differ as well, as those of photographs and of an ECG."""
    volume, image = archdsl.loads(NET, variant="volume").weights(), archdsl.loads(NET).weights()
    ecg = archdsl.loads(NET.replace("input: 3x16,", "input: 12x16,"), variant="signal")
    for network, noun in ((archdsl.loads(NET), "an image"), (archdsl.loads(NET, variant="signal"), "a signal")):
        for inflate in (None, "mean"):
            found = refused(network, volume, inflate)
            assert "the file is for inputs with more axes: inflating only adds axes" in found.help
            assert found.help.endswith(noun) and "--inflate" not in found.help
    assert ecg.input == (12, 16)
    assert "inputs with more axes" in refused(ecg, image).help


def test_filters_of_other_sizes_are_not_inflated() -> None:
    weights = dict(archdsl.loads(NET.replace("3x3 conv 6", "5x5 conv 6")).weights())
    found = problem("volume", weights, "mean")
    assert found.code == "E0603" and "conv1.weight" in found.notes[0] and "deep.weight" not in found.notes[0]


RESNET = "extends: resnet18\ninput: 1x32x32x32\naxes: 3\nclasses: 3\npreprocess: null\nlabels: null\n"


def test_the_help_names_every_repair() -> None:
    """Filters that lack an axis, other input channels and other outputs need an option each."""
    image, volume = archdsl.load("resnet18").weights(), archdsl.loads(RESNET)
    found = refused(volume, image)
    for words in ("`archdsl compile`", "inflates 20 of these", "adapts `conv1.weight`", "--to weights"):
        assert words in found.help
    assert "differ also in the outputs: `--reinit 'fc.*'`" in found.help and "-a classes" not in found.help
    with pytest.raises(ArchError) as caught:
        volume.weights(image, reinit=["fc"], inflate="mean")
    assert "`--adapt-input` adapts `conv1.weight`" in caught.value.diagnostics[0].help
    assert "reinit" not in caught.value.diagnostics[0].help
    volume.weights(image, reinit=["fc", "conv1"], inflate="mean")
    grey = volume.weights(image, reinit=["fc"], inflate="mean", adapt_input=True)["conv1.weight"]
    summed = image["conv1.weight"].sum(1, keepdims=True)[:, :, None] / 7
    np.testing.assert_allclose(grey, np.broadcast_to(summed, (64, 1, 7, 7, 7)), rtol=1e-6)


def test_the_argument_classes_is_proposed_where_it_sets_the_width() -> None:
    network = archdsl.load("resnet18", classes=3)
    found = refused(network, archdsl.load("resnet18").weights())
    assert found.help.startswith("the outputs differ: `-a classes=1000` matches the file; ")
    assert "--reinit 'fc.*'" in found.help


def test_filters_of_other_channels_are_adapted_and_the_other_tensors_initialised() -> None:
    network, image = archdsl.load("resnet18", input="1x64x64", classes=3), archdsl.load("resnet18").weights()
    found = refused(network, image)
    assert found.help.endswith(
        "adapts filters with `--adapt-input`, and initialises the other tensors with `--reinit 'fc.*'`"
    )
    assert network.weights(image, adapt_input=True, reinit=["fc.*"])["conv1.weight"].shape == (64, 1, 7, 7)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("a: 3x3 conv 3", "a: 5x5 conv 3", "the window differs"),
        ("a: 3x3 conv 3", "a: 3x3 conv 4", "the outputs differ"),
        ("a: 3x3 conv 3", "a: 5x3 conv 4", "the outputs and window differ"),
        ("a: 3x3 conv 4", "a: 3x3 conv 4 groups=2", "the input channels differ"),
        ("a: 2x2 deconv 3 /2", "a: 2x2 deconv 4 /2", "the outputs differ"),
        ("f: fc 3", "f: fc 5", "the outputs differ"),
        ("p: 2x2 maxpool, f: fc 3", "p: 1x1 maxpool, f: fc 3", "the input channels differ"),
    ],
)
def test_the_help_says_what_differs(ours: str, theirs: str, words: str) -> None:
    one, other = (archdsl.loads(f"input: 2x8x8\nnet: {{{net}}}\n") for net in (ours, theirs))
    found = refused(one, other.weights())
    adapts = "adapts these filters with `--adapt-input`, or initialises them with"
    makes = adapts if "groups" in theirs else "initialises these tensors with"
    assert found.help.startswith(f"{words}: `archdsl compile` {makes} `--reinit")
    assert "classes" not in found.help


def test_wrong_options() -> None:
    assert problem("volume", archdsl.loads(NET).weights(), "middle").code == "E0001"
    assert problem("volume", None, "mean").code == "E0003"


def test_weights_that_lack_nothing() -> None:
    network = archdsl.loads(NET)
    weights = network.weights(network.weights(seed=1), inflate="mean")
    assert "no tensors inflated" in weights.notes[0].message
    assert "inflated" not in weights.source
