"""`axes: N`: a network for images becomes one for signals or volumes.

Tests `elaborate/spread.py` and `elaborate/override.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

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
    assert "`preprocess` is for images: `axes: 3` leaves it out" in network.notes[0].message
    assert "e.g. `preprocess: {intensity: [low, high]}`" in network.notes[0].help
    assert network.recipe is not None and network.recipe.mean == (0.0,)
    ranged = spread("axes: 3, input: 3x16x16x16, preprocess: {intensity: [0, 5]}", net)
    assert ranged.notes == () and ranged.recipe is not None and ranged.recipe.intensity == (0.0, 5.0)
    signal = spread("axes: 1, input: 3x16", net)
    assert signal.recipe is None and signal.notes[0].help.startswith("write `preprocess: null`, and scale a signal")
    assert spread("axes: 3, input: 3x16x16x16, preprocess: null", net).notes == ()
    image = spread("axes: 2, input: 3x16x16", net)
    assert image.notes == () and image.recipe is not None


def test_densenet121_for_volumes() -> None:
    text = "extends: densenet121\ninput: 1x64x64x64\naxes: 3\nclasses: 3\npreprocess: null\n"
    network = archdsl.loads(text)
    # monai 1.6.1, DenseNet121(spatial_dims=3, in_channels=1, out_channels=3): parameters, and MACs at this size.
    assert sum(t.param.numel for t in network.graph.tensors if t.param.trained) == 11_245_699
    assert network.macs == 5_362_682_880


@pytest.mark.parametrize(("size", "why"), [("3x64", "the input is a signal"), ("3x8x8x8", "a preset is for images")])
def test_a_signal_or_volume_has_no_preset(size: str, why: str) -> None:
    text = f"input: {size}\nnet: [conv 4 kernel=3, gap, fc 2]\n"
    assert ("preprocess" in archdsl.loads(text).metadata()) == (size == "3x8x8x8")
    with pytest.raises(ArchError, match=why):
        archdsl.loads(text + "preprocess: imagenet\n").recipe  # noqa: B018


def every(text: str, variant: str | None = None) -> list[archdsl.Diagnostic]:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text, variant=variant)
    return [d for d in caught.value.diagnostics if d.severity == "error"]


def proposals(help_: str) -> list[str]:
    return re.findall("`([^`]*)`", help_)


@pytest.mark.parametrize(
    ("axes", "size", "node", "choices"),
    [
        (3, "1x8x32x32", "|1x7| conv 8", ["1x1x7", "7x1x7"]),
        (3, "1x8x32x32", "3x3 maxpool /|1x2|", ["1x1x2", "2x1x2"]),
        (3, "1x8x32x32", "{op: conv, out: 8, kernel: |[1, 7]|}", ["[1, 1, 7]", "[7, 1, 7]"]),
        (1, "12x500", "|3x1| conv 8", ["3", "1"]),
        (1, "12x500", "|1x3x5| conv 8", ["1", "3", "5"]),
        (2, "3x32x32", "|1x3x3| conv 8", ["1x3", "3x3"]),
        (1, "12x500", "conv 8 kernel=|[3,1]|", ["[3]", "[1]"]),
    ],
)
@pytest.mark.parametrize("inside", ["net: {{a: {0}}}", "blocks: {{b: {{x: {0}}}}}\nnet: {{a: b}}", "net: [{0}]"])
def test_a_line_of_its_own_is_changed(axes: int, size: str, node: str, choices: list[str], inside: str) -> None:
    """Any number may be meant for the new axis, so the help lists them all."""
    text = f"axes: {axes}\ninput: {size}\n{inside.format(node)}\n"
    if node.startswith("conv") and "[" in node:
        text = text.replace(node, f'"{node}"')
    (found,) = every(text.replace("|", ""))
    assert found.code == "E0427" and found.help.startswith("write `")
    assert proposals(found.help) == choices
    before, _, after = text.split("|")
    for choice in choices:
        assert archdsl.loads(before + choice + after).graph.nodes


@pytest.mark.parametrize(
    ("net", "choices"),
    [
        ("net: {a: 1x7 conv 8}", ["net: {a: {kernel: [1, 1, 7]}}", "net: {a: {kernel: [7, 1, 7]}}"]),
        ("net: {a: 2 * 1x7 conv 8}", ["net: {a: {kernel: [1, 1, 7]}}", "net: {a: {kernel: [7, 1, 7]}}"]),
        (
            "net: {s: {a: {op: conv, out: 8, kernel: [1, 7]}}}",
            ["net: {s: {a: {kernel: [1, 1, 7]}}}", "net: {s: {a: {kernel: [7, 1, 7]}}}"],
        ),
        (
            "net: {a: 3x3 conv 8}\ndefaults: {conv: {stride: [1, 2]}}",
            ["defaults: {conv: {stride: [1, 1, 2]}}", "defaults: {conv: {stride: [2, 1, 2]}}"],
        ),
    ],
)
def test_a_node_of_a_base_is_overridden(net: str, choices: list[str]) -> None:
    base = f"input: 3x32x32\n{net}\nvariants:\n  v:\n    axes: 3\n    input: 3x8x32x32\n"
    (found,) = every(base, "v")
    assert found.help.startswith("override it: ") and proposals(found.help) == choices
    for choice in choices:
        assert archdsl.loads(f"{base}    {choice}\n", variant="v").graph.nodes


@pytest.mark.parametrize(
    ("net", "what"),
    [
        (
            "blocks: {b(w): {x: 1x7 conv w, y: 3x3 conv 8}}\nnet: {a: b(8)}",
            "blocks: {b(w): {x: @ conv w, y: 3x3 conv 8}}",
        ),
        ("net: {s: {a: [1x7 conv 8, relu]}}", "net: {s: {a: [@ conv 8, relu]}}"),
        ("net: {a: {residual: {x: 1x7 conv 3}}}", "net: {a: {residual: {x: @ conv 3}}}"),
        ('net: {a: "dense 2 * 1x7 conv 3 as layer{0}"}', 'net: {a: "dense 2 * @ conv 3 as layer{0}"}'),
        ("net: [1x7 conv 3]", "net: [@ conv 3]"),
        ('net: {a: "conv(8, kernel=[1, 7])"}', 'net: {a: "conv(8, kernel=@)"}'),
    ],
)
def test_blocks_lists_and_bodies_are_written_again(net: str, what: str) -> None:
    base = f"input: 3x32x32\n{net}\nvariants:\n  v:\n    axes: 3\n    input: 3x8x32x32\n"
    (found,) = every(base, "v")
    *names, first, second, old = proposals(found.help)
    assert names[0] in ("b", "a", "s.a", "net") and "again" in found.help
    assert old.replace(" ", "") in ("1x7", "[1,7]")
    for choice in (first, second):
        assert archdsl.loads(f"{base}    {what.replace('@', choice)}\n", variant="v").graph.nodes


def test_numbers_from_elsewhere_are_no_proposal() -> None:
    (found,) = every("axes: 3\ninput: 1x8x32x32\nargs: {k: [1, 7]}\nnet: {a: conv 8 kernel=k}")
    assert found.help == "write a number for each axis (depth, height and width), or one number for all axes"


def test_each_field_of_a_node_has_its_error() -> None:
    base = "input: 3x8x32x32\nnet: {a: 1x3x3 maxpool /1x2x2}\nvariants:\n  v:\n    axes: 2\n    input: 3x32x32\n"
    kernel, stride = every(base, "v")
    assert proposals(kernel.help)[1] == "net: {a: {kernel: [3, 3]}}"
    assert proposals(stride.help)[1] == "net: {a: {stride: [2, 2]}}"
    assert archdsl.loads(f"{base}    net: {{a: {{kernel: [3, 3], stride: [2, 2]}}}}\n", variant="v").graph.nodes


def test_fixed_weights_are_left_out() -> None:
    net = "input: 3x32x32\nnet: {a: '3x3 conv 1 weight=[[1, 0, 1], [0, 1, 0], [1, 0, 1]]'}\n"
    assert problem("axes: 3, input: 3x16x16x16", net).help.startswith("leave out `weight` (`null` in an override)")
    assert spread("axes: 3, input: 3x16x16x16, net: {a: {weight: null}}", net).graph.nodes


def test_axes_are_for_all_inputs() -> None:
    text = "axes: 1\ninput: {ecg: 12x500, img: 3x32x32}\nnet:\n  a: [conv 8 kernel=3 <- ecg, gap, flatten]\n"
    text += "  b: [conv 8 kernel=3 <- img, gap, flatten]\n  c: concat <- a, b\n"
    (found,) = every(text)
    assert (
        found.help == "`axes` is for all inputs: leave it out, and write windows for any number of axes, as `kernel=3`"
    )
    assert archdsl.loads(text.replace("axes: 1\n", "")).graph.nodes


def test_each_input_of_another_network_is_written() -> None:
    net = "input: {a: 1x32x32, b: 1x32x32}\nnet:\n  x: 3x3 conv 1 <- a\n  y: add <- b, x\n"
    assert "e.g. `a: 1x96x96x96`" in problem("axes: 3", net).help
    assert spread("axes: 3, input: {a: 1x96x96x96, b: 1x96x96x96}", net).graph.nodes


@pytest.mark.parametrize(
    ("base", "size", "given"),
    [
        ("resnet18", "12x5000", ["axes: 1", "input", "input: 1x12x5000"]),
        ("resnet18", "1x96x96x96", ["axes: 3", "input"]),
        ("resnet18", "28x28", ["axes: 1", "input", "input: 1x28x28"]),
        ("resnet18", "1x3x64x64", ["axes: 3", "input", "input: 3x64x64"]),
        ("mobilenet_v2", "12x5000", ["axes: 1", "input", "input: 1x12x5000"]),
    ],
)
def test_missing_axes_are_one_error_at_the_input(base: str, size: str, given: list[str]) -> None:
    text = f"extends: {base}\ninput: {size}\npreprocess: null\n"
    (found,) = every(text)
    assert found.code == "E0426" and found.span is not None and found.span.text == size
    assert proposals(found.help) == given
    for proposal in (given[0], *given[2:]):
        name = proposal.split(":")[0]
        changed = re.sub(f"(?m)^{name}: .*\n", "", text) + f"{proposal}\n"
        assert archdsl.loads(changed).graph.nodes


def test_missing_axes_of_a_variant_and_after_null(tmp_path: Path) -> None:
    (found,) = every(NET + "variants:\n  other:\n    input: 3x64\n", "other")
    assert found.code == "E0426" and found.help == "write `axes: 1` beside `input`"
    (tmp_path / "volume.yaml").write_text("extends: resnet18\naxes: 3\ninput: 1x32x32x32\npreprocess: null\n")
    path = tmp_path / "null.yaml"
    path.write_text("extends: volume.yaml\naxes: null\n")
    with pytest.raises(ArchError) as caught:
        archdsl.load(path)
    assert [d.help for d in caught.value.diagnostics] == ["write `axes: 3` beside `input`"]


def test_own_nodes_are_repaired_and_not_spread() -> None:
    """A node that the override itself writes for other axes."""
    (found,) = every("extends: ecg_resnet34\nnet: {extra: 3x3 conv 8}\n")
    assert found.code == "E0426" and "3 conv 8" in found.help


def test_a_base_for_other_axes_than_one_of_several_inputs_keeps_its_own_help() -> None:
    net = "input: {a: 1x32x32, b: 1x32x32}\nnet:\n  x: 3x3 conv 8 <- a\n  y: [3x3 conv 8 <- b, gap]\n"
    found = problem("input: {a: 1x96}", net)
    assert found.code == "E0426" and found.span is not None and found.span.text == "3x3"
