"""`axes: N`: a network for images becomes one for signals or volumes (`elaborate/spread.py`)."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.shapes import concrete

NET = """\
name: small
input: 3x32x32
net:
  conv1: 7x7 conv 8 /2 bn relu
  pool: 3x3 maxpool /2 pad=1
  res:
    - residual: {a: 3x3 conv 16 /2, b: "3x3 conv 16 pad=[1, 1, 1, 1]"}
      shortcut: pad
  up: upsample 2 linear
  grid: 2x2 avgpool adaptive
  fc: fc 4
"""


def spread(over: str, net: str = NET) -> archdsl.Network:
    """The variant of a network with these overrides."""
    return archdsl.loads(f"{net}variants:\n  other: {{{over}}}\n", variant="other")


def problem(over: str, net: str = NET) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        spread(over, net)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(("axes", "size"), [(1, "3x64"), (2, "3x32x48"), (3, "3x16x24x32")])
def test_equal_numbers_are_repeated_for_each_axis(axes: int, size: str) -> None:
    network = spread(f"axes: {axes}, input: {size}")
    nodes = {node.path: node for node in network.graph.nodes}
    assert nodes["conv1.conv"].op.kernel == (7,) * axes
    assert nodes["conv1.conv"].op.stride == (2,) * axes
    assert nodes["conv1.conv"].params[0].shape == (8, 3, *(7,) * axes)
    assert concrete(nodes["grid"].shape) == (16, *(2,) * axes)
    sizes = [int(s) for s in size.split("x")[1:]]
    assert concrete(nodes["conv1.conv"].shape) == (8, *((s + 1) // 2 for s in sizes))
    assert concrete(nodes["up"].shape) == (16, *(s // 4 for s in sizes))


def test_the_same_network_as_one_that_is_written_for_volumes() -> None:
    written = (
        NET.replace("3x32x32", "3x16x16x16")
        .replace(" 7x7", " 7x7x7")
        .replace(" 3x3 ", " 3x3x3 ")
        .replace(" 2x2", " 2x2x2")
        .replace('"3x3', '"3x3x3')
        .replace("[1, 1, 1, 1]", "[1, 1, 1, 1, 1, 1]")
    )
    volume = archdsl.loads(written)
    inflated = spread("axes: 3, input: 3x16x16x16")
    assert [tensor.param.shape for tensor in volume.graph.tensors] == [
        tensor.param.shape for tensor in inflated.graph.tensors
    ]
    assert [concrete(node.shape) for node in volume.graph.nodes] == [
        concrete(node.shape) for node in inflated.graph.nodes
    ]
    assert volume.macs == inflated.macs


def test_a_number_for_each_axis_stays() -> None:
    network = spread("axes: 3, input: 3x16x16x16, net: {conv1: {kernel: [1, 7, 7], stride: [1, 2, 2]}}")
    conv = network.graph.nodes[1]
    assert (conv.op.kernel, conv.op.stride) == ((1, 7, 7), (1, 2, 2))


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ("1x7 conv 8", "1x7"),
        ("3x3 conv 8 pad=[0, 0, 1, 1]", "[0, 0, 1, 1]"),
        ("3x3 conv 8 /1x2", "1x2"),
        ("3x3 conv 8 stride=[1, 2]", "[1, 2]"),
        ("pad [1, 0, 1, 0]", "[1, 0, 1, 0]"),
        ("upsample [1, 2]", "[1, 2]"),
        ("3x3 conv 1 weight=[[1, 0, 1], [0, 1, 0], [1, 0, 1]]", "[[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
        ("3x3 conv 2 table=[[0], [1]]", "[[0], [1]]"),
    ],
)
def test_numbers_that_differ_are_an_error_at_their_place(node: str, place: str) -> None:
    found = problem("axes: 3, input: 3x16x16x16", f"input: 3x32x32\nnet:\n  a: {node}\n")
    assert found.code == "E0427"
    assert found.span is not None and found.span.text.replace(" ", "") == place.replace(" ", "")
    assert found.labels[0].span.text == "3"


def test_the_input_must_be_given() -> None:
    found = problem("axes: 3")
    assert found.code == "E0427" and found.span is not None and found.span.text == "3x32x32"
    assert "`input: 1x96x96x96`" in found.help


def test_a_vector_beside_a_volume() -> None:
    net = "input: {scan: 1x8x8, age: 4}\nnet:\n  a: [3x3 conv 4 <- scan, gap, flatten]\n  b: concat <- a, age\n"
    network = spread("axes: 3, input: {scan: 1x8x8x8}", net)
    assert concrete(network.graph.nodes[-1].shape) == (8,)


@pytest.mark.parametrize("axes", ["0", "4", "2.0", "yes", "[3]", "true"])
def test_another_value_is_an_error(axes: str) -> None:
    assert problem(f"axes: {axes}, input: 3x16x16x16").code == "E0202"


def test_preprocessing_is_left_out_with_a_note() -> None:
    net = NET + "preprocess: imagenet\n"
    network = spread("axes: 3, input: 3x16x16x16", net)
    assert [note.code for note in network.notes] == ["N0428"]
    assert network.recipe is None
    assert spread("axes: 3, input: 3x16x16x16, preprocess: null", net).notes == ()
    image = spread("axes: 2, input: 3x16x16", net)
    assert image.notes == () and image.recipe is not None


def test_densenet121_for_volumes() -> None:
    text = "extends: densenet121\ninput: 1x64x64x64\naxes: 3\nclasses: 3\npreprocess: null\n"
    network = archdsl.loads(text)
    # monai 1.6.1, DenseNet121(spatial_dims=3, in_channels=1, out_channels=3): parameters, and MACs at this size.
    assert sum(t.param.numel for t in network.graph.tensors if t.param.trained) == 11_245_699
    assert network.macs == 5_362_682_880


@pytest.mark.parametrize("size", ["3x64", "3x8x8x8"])
def test_a_signal_or_volume_has_no_preprocessing(size: str) -> None:
    text = f"input: {size}\nnet: [conv 4 kernel=3, gap, fc 2]\n"
    assert archdsl.loads(text).recipe is None
    assert "preprocess" not in archdsl.loads(text).metadata()
    with pytest.raises(ArchError, match="it is for images, the input is a"):
        archdsl.loads(text + "preprocess: imagenet\n").recipe  # noqa: B018
