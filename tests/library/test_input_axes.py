"""`--input` with other axes than those of the network: each proposed input is one that it takes.

Tests `resized` of `archdsl.spec.open`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import ArchError

SIGNAL = "input: 12x5000\nnet: [15 conv 8, gap, fc 3]\n"
VOLUME = "input: [3, D=32, H=64, W=64]\nnet: [3x3x3 conv 8, gap, fc 3]\n"

PROPOSED = [
    ("resnet18", "224", "3x224x224"),
    ("resnet18", "320x480", "3x320x480"),
    ("unet", "64", "1x64x64"),
    ("signal", "1000", "12x1000"),
    ("volume", "32", "3x32x32x32"),
    ("volume", "16x112x112", "3x16x112x112"),
]
EXAMPLES = [
    ("resnet18", "12x5000", "3x224x224", 1),
    ("resnet18", "3x16x64x64", "3x224x224", 3),
    ("signal", "3x64x64", "12x5000", 2),
    ("signal", "12x5000x1", "12x5000", 2),
    ("volume", "3x64x64", "3x32x64x64", 2),
    ("volume", "12x5000", "3x32x64x64", 1),
]


def spec_of(name: str, folder: Path) -> str:
    """A network of the library, or the path of a file with one of the networks above."""
    text = {"signal": SIGNAL, "volume": VOLUME}.get(name)
    if text is None:
        return name
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def help_for(spec: str, size: str) -> str:
    with pytest.raises(ArchError) as raised:
        archdsl.load(spec, input=size)
    (only,) = raised.value.diagnostics
    assert only.code == "E0202"
    return only.help


@pytest.mark.parametrize(("name", "size", "proposal"), PROPOSED)
def test_sizes_without_channels(name: str, size: str, proposal: str, tmp_path: Path) -> None:
    spec = spec_of(name, tmp_path)
    assert help_for(spec, size) == f"write `{proposal}`"
    assert archdsl.load(spec, input=proposal).graph.nodes


@pytest.mark.parametrize(("name", "size", "example", "axes"), EXAMPLES)
def test_an_input_of_another_kind(name: str, size: str, example: str, axes: int, tmp_path: Path) -> None:
    """What was meant is not certain: the size of the spec is the example, and `axes` is for a network of that kind."""
    spec = spec_of(name, tmp_path)
    help_ = help_for(spec, size)
    assert re.findall("`([^`]*)`", help_) == [example, f"axes: {axes}"]
    assert archdsl.load(spec, input=example).graph.nodes
    other = tmp_path / "other.yaml"
    other.write_text(f"extends: {Path(spec).name}\ninput: {size}\naxes: {axes}\n")
    shape = archdsl.load(other).graph.nodes[0].shape
    assert len(shape) == axes + 1


def test_a_network_with_pads_that_differ(tmp_path: Path) -> None:
    """Its `axes` need a further step, which E0427 explains."""
    assert "`1x5888`" in help_for("ecg_resnet34", "3x224x224")
    path = tmp_path / "images.yaml"
    path.write_text("extends: ecg_resnet34\ninput: 3x224x224\naxes: 2\n")
    with pytest.raises(ArchError) as raised:
        archdsl.load(path)
    assert {d.code for d in raised.value.diagnostics} == {"E0427"}


def test_the_sizes_of_an_expression_are_no_example(tmp_path: Path) -> None:
    path = tmp_path / "square.yaml"
    path.write_text("args: {n: 32}\ninput: [3, n, n]\nnet: [3x3 conv 8]\n")
    assert help_for(str(path), "3x8x8x8").startswith("write 3 sizes; for a volume")
