"""`archdsl.diff` from Python: typed results, every format, and wrong arguments with their codes.

Tests `differences/page.py` and `differences/picture.py`.
"""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.differences.compare import Fact
from archdsl.differences.diff import SUFFIXES, Format, NetworkDifference, format_of


def lenets() -> NetworkDifference:
    return archdsl.diff("lenet5", "lenet5_1998")


def test_specs_paths_and_networks_are_the_same_networks(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a\ninput: 3x8x8\nargs: {n: 4}\nnet: {c: 3x3 conv n, p: gap, f: fc 2}\n")
    wide = archdsl.load(path, n=8)
    for a in (path, str(path), archdsl.load(path)):
        difference = archdsl.diff(a, wide)
        assert not difference.equal and difference.after is wide
        assert [change.side.part.path for change in difference.changes] == ["c", "f"]
        assert difference.changes[0].facts == (Fact("out", 4, 8),)
        assert difference.totals[1].params - difference.totals[0].params == 4 * (3 * 9 + 1) + 4 * 2
    assert archdsl.diff(wide, path, after={"n": 8}).equal
    assert archdsl.diff(path, path, args={"n": 6}, before={"n": 8}).before.graph.by_path["c"].op.explicit()["out"] == 8
    assert archdsl.diff(path, path, input=(3, 9, 9)).after.input == (3, 9, 9)


def test_equal_networks_have_no_changes() -> None:
    difference = archdsl.diff("vgg16", archdsl.load("vgg16"))
    assert difference.equal and difference.changes == () and difference.facts == ()
    assert difference.weights.fit == difference.weights.all
    assert "no difference" in difference.text() and difference.data()["equal"] is True


def test_facts_are_of_the_whole_and_of_the_settings() -> None:
    difference = archdsl.diff("densenet121", "chest_xray")
    facts = {fact.name: (fact.before, fact.after) for fact in difference.facts}
    assert facts["preprocess mean"] == ("[0.485, 0.456, 0.406]", "[0.449]") and "labels" in facts


def test_names_tell_the_two_apart() -> None:
    assert archdsl.diff("vgg16", "vgg11").names == ("vgg16", "vgg11")
    assert archdsl.diff("lenet5", "lenet5").names == ("lenet5 (before)", "lenet5 (after)")
    assert archdsl.diff("lenet5", "lenet5", names=("x", "y")).text().startswith("x -> y\n")


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        lenets().names = ("a", "b")  # type: ignore[misc]


@pytest.mark.parametrize("format", ["text", "json", "svg", "html"])
def test_a_file_holds_what_the_command_prints(format: Format, tmp_path: Path) -> None:
    saved = lenets().save(tmp_path / "x", format)
    assert (saved.format, saved.note, saved.size) == (format, "", (tmp_path / "x").stat().st_size)
    printed = CliRunner().invoke(main, ["diff", "lenet5", "lenet5_1998", "--format", format])
    assert printed.exit_code == 1 and saved.path.read_bytes() == printed.stdout_bytes


def test_pictures_are_svg_page_and_bitmap() -> None:
    difference = lenets()
    svg = difference.picture(level="layer", theme="print").data
    assert ET.fromstring(svg).tag.endswith("svg") and svg != difference.picture().data
    assert b"<svg" in difference.picture("html").data and difference.text().split("\n")[0].encode() not in svg
    assert difference.picture("png").data.startswith(b"\x89PNG")
    assert difference.picture("pdf").data.startswith(b"%PDF")


def test_json_data_is_plain() -> None:
    data = lenets().data()
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize(("suffix", "format"), [*SUFFIXES.items(), ("", "text"), (".SVG", "svg")])
def test_the_format_of_a_file_is_that_of_its_suffix(suffix: str, format: str) -> None:
    assert format_of(f"x{suffix}") == format == format_of(f"x{suffix}", format) and format_of("x", "json") == "json"
    if suffix and format != "json":
        with pytest.raises(ArchError, match="E0003"):
            format_of(f"x{suffix}", "json")


def test_a_file_is_replaced_only_if_archdsl_drew_it(tmp_path: Path) -> None:
    target = tmp_path / "x.svg"
    first = lenets().save(target)
    assert lenets().save(target).size == first.size
    target.write_text("notes")
    for path in (target, tmp_path / "x.txt"):
        path.write_text("notes")
        with pytest.raises(ArchError) as caught:
            lenets().save(path)
        assert caught.value.diagnostics[0].code == "E0703" and path.read_text() == "notes"
        lenets().save(path, force=True)
        assert path.read_text() != "notes"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: lenets().picture("text"), "E0001"),  # type: ignore[arg-type]
        (lambda: lenets().render("dot"), "E0001"),  # type: ignore[arg-type]
        (lambda: lenets().save("x.svg", level="everything"), "E0001"),  # type: ignore[arg-type]
        (lambda: lenets().save("x.svg", theme="drak"), "E0001"),  # type: ignore[arg-type]
        (lambda: lenets().save("no/such/folder/x.svg"), "E0701"),
        (lambda: archdsl.diff(archdsl.load("lenet5"), "lenet5", args={"n": 3}), "E0003"),
        (lambda: archdsl.diff("lenet5", archdsl.load("lenet5"), input="1x28x28"), "E0003"),
        (lambda: archdsl.diff("-", "-"), "E0003"),
        (lambda: archdsl.diff("lenet5", "nosuchnet"), "E0205"),
    ],
)
def test_wrong_arguments_raise_their_code(
    call: Callable[[], object], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchError) as caught:
        call()
    assert [problem.code for problem in caught.value.diagnostics] == [code]
    assert not list(tmp_path.iterdir())


def test_equal_networks_have_no_changes_whatever_their_scopes() -> None:
    """The blocks of a flat spec are plain sequences, and its implied nodes are written beside them."""
    residual = "input: 8x9x9\nnet: {a: {residual: {c: 3x3 conv 8 bn}, then: relu}, p: gap, f: fc 3}"
    plain = "input: 8x9x9\nnet: {a: {c: 3x3 conv 8 bn, _s: 'add <- c, input'}, _r: relu, p: gap, f: fc 3}"
    difference = archdsl.diff(archdsl.loads(residual), archdsl.loads(plain))
    assert difference.equal and difference.changes == () and "no difference" in difference.text()
    assert difference.weights.fit == difference.weights.all


def test_the_order_of_outputs_is_a_difference() -> None:
    text = "input: 3x8x8\noutputs: {x: c, y: d}\nnet: {c: 3x3 conv 8, d: relu}\n"
    difference = archdsl.diff(archdsl.loads(text), archdsl.loads(text.replace("x: c, y: d", "y: d, x: c")))
    assert [tuple(one) for one in difference.facts] == [("outputs", ("x: c", "y: d"), ("y: d", "x: c"))]


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ("weight: 0.3", "weight: 0.4", ("aux", ("h: h.1, weight 0.3",), ("h: h.1, weight 0.4",))),
        ("[a, b]", "[a, c]", ("labels", "class 1: b", "class 1: c")),
        ("[a, b]", "[b, a]", ("labels", "class 0: a and 1 more", "class 0: b and 1 more")),
        ("{y: fc}", "{y: fc, x: c}", ("outputs", ("y: fc",), ("y: fc", "x: c"))),
    ],
)
def test_networks_that_differ_only_as_a_whole_name_the_difference(old: str, new: str, fact: tuple[str, ...]) -> None:
    text = """
input: 3x32x32
labels: [a, b]
outputs: {y: fc}
net: {c: 3x3 conv 8, g: gap, fc: fc 2}
aux: {h: {from: c, do: [gap, fc 2], weight: 0.3}}
"""
    difference = archdsl.diff(archdsl.loads(text), archdsl.loads(text.replace(old, new)))
    assert not difference.equal
    assert [tuple(one) for one in difference.facts] == [fact]
