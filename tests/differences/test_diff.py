"""`archdsl diff`: what is told of two networks, by people and programs, and to git.

Tests `differences/align.py`, `cli/diff.py`, `differences/git.py`, `differences/report.py` and
`differences/settings.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.differences.compare import Change, GraphDifference, compare_graphs
from archdsl.differences.picture import painter
from archdsl.differences.report import text
from archdsl.drawing.scene import Text
from archdsl.drawing.theme import LIGHT
from archdsl.language.format.format import format_source
from archdsl.source import read
from tests.support.places import ROOT

BLOCKS = """
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w linear}
    then: relu
"""


def run(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def compared(a: str, b: str) -> GraphDifference:
    return compare_graphs(archdsl.load(a).graph, archdsl.load(b).graph)


def told(row: Change) -> tuple[str, str | None, str | None, int]:
    return row.mark, row.before and row.before.part.path, row.after and row.after.part.path, len(row.all)


def facts(row: Change) -> dict[str, tuple[Any, Any]]:
    return {fact.name: (fact.before, fact.after) for fact in row.facts}


def test_a_deeper_resnet_has_seventeen_blocks_more() -> None:
    (row,) = compared("resnet50", "resnet101").changes
    assert told(row) == ("added", None, "layer3.6", 17)
    assert sum(r.costs[1].params for r in row.all if r.costs[1]) == 44_549_160 - 25_557_032


def test_resnext_differs_in_widths_and_groups_of_every_block() -> None:
    found = compared("resnet50", "resnext50_32x4d")
    assert [told(row) for row in found.changes] == [
        ("changed", f"layer{n}.0", f"layer{n}.0", c) for n, c in enumerate((3, 4, 6, 3), 1)
    ]
    inside = {row.side.name: facts(row) for row in found.changes[0].changes}
    assert inside == {
        "conv1": {"out": (64, 128)},
        "conv2": {"out": (64, 128), "groups": (1, 32), "receives": ((64,), (128,))},
        "conv3": {"receives": ((64,), (128,))},
    }


def test_norms_put_into_a_list_renumber_what_follows() -> None:
    found = compared("vgg16", "vgg16_bn")
    assert [told(row) for row in found.changes] == [
        ("changed", "features.0", "features.0", 13),
        ("moved", "features.4", "features.6", 5),
    ]
    assert list(facts(found.changes[0])) == ["norm"]


@pytest.mark.parametrize(("a", "b"), [("vgg16", "vgg16_bn"), ("resnet18", "resnet50"), ("densenet121", "densenet169")])
def test_the_weights_that_carry_over_are_those_of_torchvision(a: str, b: str) -> None:
    import torch

    with torch.device("meta"):
        old, new = (getattr(torchvision.models, name)().state_dict() for name in (a, b))
    fit = [new[key].numel() for key in new if key in old and old[key].shape == new[key].shape]
    weights = compared(a, b).weights
    assert (weights.fit.tensors, weights.fit.values) == (len(fit), sum(fit))
    assert weights.all.values == sum(value.numel() for value in new.values())
    assert weights.all.tensors == sum(getattr(weights, name).tensors for name in ("fit", "renamed", "reshaped", "new"))


def test_a_name_that_now_means_another_node_is_told() -> None:
    """`features.28.bias` of vgg16 is a convolution's, of vgg16_bn a norm's, both of 512 numbers."""
    assert compared("vgg16", "vgg16_bn").weights.unrelated.tensors == 4


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "unet", "lenet5_1998", "mobilenet_v3_large"])
def test_the_long_form_and_a_formatted_text_are_the_same_network(name: str, tmp_path: Path) -> None:
    from archdsl.backends.spec.rewrite import long_text
    from archdsl.spec.open import open_spec

    long = tmp_path / "long.yaml"
    long.write_text(long_text(open_spec(name), None, {}))
    short = tmp_path / "short.yaml"
    short.write_text(format_source(read(long)))
    one, other, whole = (archdsl.load(spec) for spec in (long, short, name))
    assert compare_graphs(whole.graph, one.graph).equal and compare_graphs(one.graph, other.graph).equal
    assert not compare_graphs(whole.graph, other.graph).changes


def test_what_is_written_out_is_no_difference(net: Callable[..., Any]) -> None:
    short = net("net: {c: 3x3 conv 4, p: 2x2 maxpool, d: 2x2 deconv 4 /2}")
    long = net("net: {c: 3x3 conv 4 pad=1 bias, p: 2x2 maxpool /2 pad=0, d: 2x2 deconv 4 /2 pad=0}")
    found = compare_graphs(short.graph, long.graph)
    assert found.equal and not found.changes


def test_a_wrapped_network_is_moved_not_rewritten(net: Callable[..., Any]) -> None:
    a = net(BLOCKS + "net: {stem: 3x3 conv 8, body: [basic(8), 'basic(16, 2)'], fc: fc 10}")
    b = net(BLOCKS + "net: {trunk: {stem: 3x3 conv 8, body: [basic(8), 'basic(16, 2)']}, fc: fc 10}")
    found = compare_graphs(a.graph, b.graph)
    assert {told(row)[:3] for row in found.changes} == {
        ("moved", "stem", "trunk.stem"),
        ("moved", "body", "trunk.body"),
    }
    assert not found.equal and found.weights.new.tensors == 0 and found.weights.renamed.tensors > 0


def test_blocks_of_another_make_are_replaced(net: Callable[..., Any]) -> None:
    found = compared("resnet18", "resnet50")
    assert [told(row) for row in found.changes[:3]] == [
        ("removed", "layer1.0", None, 2),
        ("added", None, "layer1.0", 1),
        ("added", None, "layer1.1", 2),
    ]


def test_a_renamed_block_is_told_as_renamed_with_what_changed(net: Callable[..., Any]) -> None:
    a = net(BLOCKS + "net: {one: basic(8), two: basic(16), fc: fc 10}")
    b = net(BLOCKS + "net: {one: basic(8), second: basic(16), fc: fc 10}")
    (row,) = compare_graphs(a.graph, b.graph).changes
    assert told(row) == ("moved", "two", "second", 1)


def test_other_wiring_alone_is_a_difference(net: Callable[..., Any]) -> None:
    text = "net: {a: 3x3 conv 4, b: 3x3 conv 4, out: 'concat <- %s'}"
    (row,) = compare_graphs(net(text % "a, b").graph, net(text % "b, a").graph).changes
    assert facts(row) == {"reads": (("a", "b"), ("b", "a"))}


def test_another_size_is_one_line() -> None:
    a, b = archdsl.load("resnet20"), archdsl.load("resnet20", input="3x64x64")
    found = compare_graphs(a.graph, b.graph)
    assert [told(row)[0] for row in found.changes] == ["changed"] and found.changes[0].side.name == "input"
    assert not found.equal and len(found.resized) > 60


OF_AXES = """
input: {size}
defaults: {{conv: bn relu}}
blocks: {{basic(w): {{residual: [{three} conv w, {three} conv w linear], then: relu}}}}
net:
  stem: {seven} conv 16 /{stride}
  p: {three} maxpool /2 pad=1
  b: 2 * basic(16)
  u: upsample 2 linear
  fc: [gap, fc 3]
"""
FLAT = OF_AXES.format(size="1x32x32", three="3x3", seven="7x7", stride=2)


def of_texts(before: str, after: str) -> GraphDifference:
    return compare_graphs(archdsl.loads(before).graph, archdsl.loads(after).graph)


def test_a_network_for_images_and_one_for_volumes_differ_in_their_windows() -> None:
    """What is written in the same way, `/2`, `pad=1`, `upsample 2`, is no difference; what differs is shown whole."""
    deep = OF_AXES.format(size="1x32x32x32", three="3x3x3", seven="7x7x7", stride="1x2x2")
    found = of_texts(FLAT, deep)
    changed = {row.side.part.path: facts(row) for change in found.changes for row in (change, *change.changes)}
    wider = {"kernel": ((3, 3), (3, 3, 3))}
    assert changed == {
        "input": {"shape": ((1, 32, 32), (1, 32, 32, 32))},
        "stem": {"kernel": ((7, 7), (7, 7, 7)), "stride": (2, (1, 2, 2))},
        "p": wider,
        "b.0": {},
        "b.0.0": wider,
    }
    words = text(found, ("flat", "deep"))
    assert "~ stem  kernel 7x7 -> 7x7x7, stride 2 -> 1x2x2" in words
    assert "~ p  kernel 3x3 -> 3x3x3" in words and "receptive field 11 -> 9 x 11 x 11" in words
    same_ops = [n for n in archdsl.loads(deep).graph.nodes if n.op.name not in ("conv", "maxpool", "flatten", "fc")]
    assert f"{len(same_ops)} nodes differ only in size: input 32 x 32 -> 32 x 32 x 32, ..." in words


def test_sides_are_a_list_and_axes_are_not() -> None:
    """`pad=[7,8]` of a signal is no `pad=7x8`; numbers that are equal are one."""
    spec = "input: 2x64x64\nnet:\n  - 3x3 conv 4 pad=%s\n  - 2x2 maxpool %s\n  - pad %s channels=%s"
    found = text(
        of_texts(spec % ("[1,0,1,0]", "/[1,2]", "1", "[1,2]"), spec % ("1", "/2", "[1,2,1,2]", "[2,2]")), ("a", "b")
    )
    for words in ("pad [1,0,1,0] -> 1", "stride 1x2 -> 2", "pixels 1 -> [1,2,1,2], channels [1,2] -> 2"):
        assert words in found
    signal = "input: 2x64\nnet:\n  a: 15 conv 4 pad={}"
    assert "pad [7,8] -> [14,0]" in text(of_texts(signal.format("[7,8]"), signal.format("[14,0]")), ("a", "b"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("2x500", "2x600", "differ only in length: input 500 -> 600, ..."),
        ("2x50x50", "2x50x60", "differ only in height and width: input 50 x 50 -> 50 x 60, ..."),
        ("2x50x50x50", "2x50x50x60", "differ only in depth, height and width: input 50 x 50 x 50 -> 50 x 50 x 60, ..."),
    ],
)
def test_the_sizes_that_differ_have_their_names(before: str, after: str, words: str) -> None:
    spec = "input: {}\nnet: {{a: conv 4 kernel=3, b: relu, g: gap}}"
    assert words in text(of_texts(spec.format(before), spec.format(after)), ("a", "b"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("3 conv 4", "5 conv 4", "kernel 3 -> 5, pad 1 -> 2"),
        ("3 conv 4", "3 conv 4 /2 dilation=2", "stride 1 -> 2, pad 1 -> 2, dilation 1 -> 2"),
        ("3x3x3 conv 4", "5x5x5 conv 4", "kernel 3 -> 5, pad 1 -> 2"),
        ("3x3x3 conv 4", "1x3x3 conv 4", "kernel 3x3x3 -> 1x3x3, pad 1 -> [0,1,1,0,1,1]"),
        ("1x1x1 conv 4 /1x2x2", "1x1x1 conv 4 /2x1x1", "stride 1x2x2 -> 2x1x1"),
        ("3x3x3 conv 4", "2x2x2 maxpool", "conv"),
        ("upsample 2", "upsample [1,2,2]", "scale 2 -> 1x2x2"),
        ("2x2x2 deconv 4 /2", "1x2x2 deconv 4 /1x2x2", "kernel 2x2x2 -> 1x2x2, stride 2 -> 1x2x2"),
    ],
)
def test_fields_of_signals_and_volumes_in_words(before: str, after: str, words: str) -> None:
    size = "2x64" if before.startswith("3 ") else "2x8x8x8"
    spec = "input: {}\nnet: {{a: '{}'}}"
    assert words in text(of_texts(spec.format(size, before), spec.format(size, after)), ("a", "b"))


def test_a_changed_node_is_not_counted_as_only_resized() -> None:
    spec = "input: 1x8x8\nnet: {{a: {} conv 4 valid, b: relu}}"
    assert len(of_texts(spec.format("3x3"), spec.format("5x5")).resized) == 1  # the relu


def test_every_pair_of_families_is_compared_and_a_network_equals_itself() -> None:
    names = [
        "lenet5",
        "alexnet",
        "googlenet",
        "squeezenet1_0",
        "densenet121",
        "unet",
        "shufflenet_v2_x1_0",
        "nasnetalarge",
    ]
    graphs = [archdsl.load(name).graph for name in names]
    for a in graphs:
        assert (
            compare_graphs(a, a).equal
            and not compare_graphs(a, a).changes
            and compare_graphs(a, a).same == len(a.nodes)
        )
    for a, b in zip(graphs, graphs[1:] + graphs[:1], strict=True):
        found = compare_graphs(a, b)
        gained = sum(side.params if side else 0 for row in found.changes for r in row.all for side in r.costs[1:])
        lost = sum(side.params if side else 0 for row in found.changes for r in row.all for side in r.costs[:1])
        moved = (
            found.totals[1].params + found.totals[1].aux_params - found.totals[0].params - found.totals[0].aux_params
        )
        assert gained - lost == moved, (a.name, b.name)


# --- the command ----------------------------------------------------------------------------------------------


def test_text_and_status() -> None:
    same = run("diff", "vgg16", "vgg16")
    assert same.exit_code == 0 and "no difference" in same.output
    other = run("diff", "resnet50", "resnet50", "--after", "g=32", "--after", "base=4")
    assert other.exit_code == 1
    assert "~ layer1.0 .. layer1.2  x3  bottleneck(64)" in other.output
    assert "    ~ conv2  out 64 -> 128, groups 1 -> 32, receives 64 -> 128 channels" in other.output
    assert "-528,128 (-2.1 %)" in other.output
    assert run("diff", "vgg16", "nosuch").exit_code == 2
    assert run("diff", "vgg16").exit_code == run("diff", "-", "-").exit_code == 2


FIRES = """
defaults: {conv: relu}
blocks: {fire(s): {squeeze: 1x1 conv s, wide: {inception: {e1: 1x1 conv 2*s, e3: 3x3 conv 2*s}}}}
net: {f2: fire(8), f3: fire(8), pool: 2x2 maxpool, f5: fire(8), end: gap}
"""


def test_only_neighbours_are_a_range(net: Callable[..., Any]) -> None:
    before, after = net(FIRES), net(FIRES.replace("1x1 conv s,", "1x1 conv s gelu,"))
    lines = text(compare_graphs(before.graph, after.graph), ("a", "b")).splitlines()
    assert "~ f2 .. f3, f5  x3  fire(8)" in lines


def test_a_block_that_became_a_residual_is_listed_as_one(net: Callable[..., Any]) -> None:
    before, after = net(FIRES), net(FIRES.replace("f3: fire(8)", "f3: {residual: [fire(8)]}"))
    difference = compare_graphs(before.graph, after.graph)
    assert "    + add" in text(difference, ("a", "b")).splitlines()
    drawn = [item.text for item in painter(difference, ("a", "b"))(LIGHT).items() if isinstance(item, Text)]
    assert "f3: fire(8) -> residual; + add" in drawn


def test_preprocessing_is_a_difference_too() -> None:
    found = run("diff", "densenet121", "chest_xray")
    assert "~ preprocess mean  [0.485, 0.456, 0.406] -> [0.449]" in found.output and found.exit_code == 1
    assert "out 1000 -> 14, + sigmoid" in found.output


def test_a_field_that_neither_network_sets_is_no_difference(tmp_path: Path) -> None:
    """A vector has a recipe without sizes, a signal none; one that `axes` makes is the one written by hand."""
    net = "net: {a: conv 4 kernel=3, g: gap, f: fc 2}\n"
    for name, spec in (
        ("vector", "input: 12\nnet: {f: fc 2}\npreprocess: {mean: 0.5, std: 0.5}\n"),
        ("signal", f"input: 12x50\n{net}"),
        ("axes", f"input: 12x50\naxes: 1\n{net}"),
        ("dropped", f"input: 12x50\naxes: 1\n{net}preprocess: imagenet\n"),
    ):
        (tmp_path / f"{name}.yaml").write_text(spec)
    paths = {name: str(tmp_path / f"{name}.yaml") for name in ("vector", "signal", "axes", "dropped")}
    found = run("diff", paths["vector"], paths["signal"])
    assert "preprocess mean" in found.output and "None" not in found.output and "resize" not in found.output
    assert run("diff", paths["signal"], paths["axes"]).exit_code == 0
    assert run("diff", paths["signal"], paths["dropped"]).exit_code == 0


def test_json_says_the_same() -> None:
    found = run("diff", "vgg16", "vgg16_bn", "--format", "json")
    report = json.loads(found.output)
    assert found.exit_code == 1 and report["equal"] is False
    first = report["changes"][0]
    assert first["change"] == "changed" and len(first["after"]) == 13 and first["facts"][0]["after"] == "bn"
    assert first["params"] == [14_714_688, 14_723_136]
    assert report["weights"]["fit"] == {"tensors": 12, "values": 123_646_056}


def drawn(a: str, b: str, *options: str) -> ET.Element:
    result = run("diff", a, b, "--format", "svg", *options)
    assert result.exit_code == 1
    return ET.fromstring(result.stdout_bytes)


def words(root: ET.Element, kind: str) -> list[tuple[str, str]]:
    """What is marked so: path, and the sign on it."""
    marks = [g for g in root.findall(".//{*}g") if g.get("class") == f"mark {kind}"]
    return [(g.get("data-path", ""), next(t.text or "" for t in g.findall(".//{*}text"))) for g in marks]


def test_a_picture_marks_what_changed_by_sign_and_line() -> None:
    root = drawn("resnet50", "resnet101")
    assert words(root, "added") == [("layer3.1", "+17")] and not words(root, "changed") and not words(root, "removed")
    root = drawn("resnet50", "se_resnet50", "--theme", "print")
    assert words(root, "removed") == [("maxpool", "\u2013")] and words(root, "added") == [("pool0", "+")]
    assert [path for path, _ in words(root, "moved")] == [
        "conv1",
        "avgpool",
        "fc",
        "layer0.conv1",
        "pool",
        "last_linear",
    ]
    dashes = dict(re.findall(r"\.(c\d+)\{[^}]*stroke-dasharray:([\d ]+)", root.findtext("{*}style", "")))
    lines = {
        g.get("class"): dashes.get(g.findall(".//{*}rect")[0].get("class"))
        for g in root.findall(".//{*}g")
        if g.get("class", "").startswith("mark ")
    }
    assert len(set(lines.values())) == len(lines) == 4


def test_boxes_of_changed_blocks_say_what_changed_and_the_list_is_not_cut() -> None:
    root = drawn("resnet50", "resnext50_32x4d")
    boxes = [g for g in root.findall(".//{*}g") if g.get("data-path") == "layer2.0" and g.get("data-box") is not None]
    texts = [["".join(t.itertext()) for t in box.findall(".//{*}text")] for box in boxes]
    assert len(texts) == 2 and all(
        {"conv1 out 128 \u2192 256", "conv2 out 128 \u2192 256, groups 1 \u2192 32"} <= set(own) for own in texts
    )
    listed = [g.findtext(".//{*}text[last()]") or "" for g in root.findall(".//{*}g") if g.get("class") == "change"]
    assert len(listed) == 4 and not any("\u2026" in text for text in listed)
    changed = [t for t in root.findall(".//{*}text") if "\u2192" in (t.text or "")]
    assert changed and all(t.get("textLength") for t in changed)  # no font makes them wider than their boxes


def test_a_picture_shows_both_networks_whole() -> None:
    root = drawn("vgg16", "vgg16_bn", "--level", "layer")
    paths = [g.get("data-path") for g in root.findall(".//{*}g") if g.get("data-box") is not None]
    assert paths.count("features.0") == 2 and "features.43" in paths


def test_a_page_holds_picture_and_words_and_no_script(tmp_path: Path) -> None:
    target = tmp_path / "x.html"
    spec = tmp_path / "a.yaml"
    spec.write_text("name: a\ninput: 3x8x8\nnet: {f: fc 2}\nlabels: ['<script>alert(1)</script>', b]\n")
    result = run("diff", "lenet5", spec, "-o", target)
    text = target.read_text()
    assert result.exit_code == 1 and "<script" not in text and "default-src 'none'" in text
    assert '<span class="removed">- ' in text and "<svg" in text
    assert run("diff", "lenet5", spec, "-o", target).exit_code == 1, "our own is replaced"
    target.write_text("notes")
    assert run("diff", "lenet5", spec, "-o", target).exit_code == 2 and target.read_text() == "notes"


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_pictures_for_documents(ending: str, tmp_path: Path) -> None:
    target = tmp_path / f"x.{ending}"
    result = run("diff", "lenet5", "lenet5_1998", "-o", target)
    assert result.exit_code == 1 and "wrote" in result.stderr
    assert target.read_bytes().startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[ending])


def test_standard_input_and_markup_in_names(tmp_path: Path) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_text("name: a\ninput: 3x8x8\nnet: {c: 3x3 conv 4}\n")
    found = run("diff", "-", spec, stdin='name: "x\\e[31m"\ninput: 3x8x8\nnet: {c: 3x3 conv 8}\n')
    assert "\x1b" not in found.output


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_git_shows_changed_specs(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    spec, child = tmp_path / "nets" / "a.yaml", tmp_path / "nets" / "b.yaml"
    text = "name: a\ninput: 3x8x8\nargs: {w: 4}\nnet: {c: 3x3 conv w, p: gap, f: fc 10}\nvariants: {wide: {w: 8}}\n"
    spec.write_text(text)
    child.write_text("extends: a.yaml\nname: b\nargs: {w: 6}\n")
    (tmp_path / ".gitattributes").write_text("*.yaml diff=archdsl\n")
    git(tmp_path, "init", "-q")
    git(
        tmp_path,
        "config",
        "diff.archdsl.command",
        f"PYTHONPATH={ROOT} {sys.executable} -m archdsl diff",
    )
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    spec.write_text(text.replace("w: 8", "w: 16").replace("3x3", "5x5"))
    child.write_text("extends: a.yaml\nname: b\nargs: {w: [\n")
    shown = git(tmp_path, "--no-pager", "diff")
    assert "~ c  kernel 3 -> 5, pad 1 -> 2" in shown and "~ variant wide: params" in shown
    assert "error[E0" in shown and "archdsl diff nets/b.yaml" in shown
    spec.rename(tmp_path / "nets" / "renamed.yaml")
    child.unlink()
    git(tmp_path, "add", "-A")
    staged = git(tmp_path, "--no-pager", "diff", "--cached", "-M10")
    assert "archdsl diff nets/a.yaml -> nets/renamed.yaml" in staged and "- spec removed" in staged


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("c: 'concat <- a, b'", "n: relu <- a, c: 'concat <- a, n'"),  # `b` is lost, and nothing that was known gained
        ("n: relu <- a, c: 'concat <- a, n'", "c: 'concat <- a, b'"),  # the other way round
    ],
)
def test_a_node_that_reads_another_is_told_beside_one_put_in_or_taken_out(
    before: str, after: str, net: Callable[..., Any]
) -> None:
    start = "net: {a: 3x3 conv 4, b: 3x3 conv 4 <- a, "
    old, new = (net(f"{start}{end}, end: 'add <- b, b', out: 'concat <- c, end'}}") for end in (before, after))
    told = {row.side.part.path: facts(row) for row in compare_graphs(old.graph, new.graph).changes}
    assert "reads" in told["c"]


def test_a_layer_is_not_rewired_by_what_is_put_in_or_taken_out_before_it(net: Callable[..., Any]) -> None:
    old, new = net("net: {a: 3x3 conv 4, c: 3x3 conv 4}"), net("net: {a: 3x3 conv 4, n: relu, c: 3x3 conv 4}")
    for one, other in ((old, new), (new, old)):
        assert [row.side.part.path for row in compare_graphs(one.graph, other.graph).changes] == ["n"]


def test_a_renamed_layer_of_another_shape_fits_no_weights(net: Callable[..., Any]) -> None:
    old, new = net("net: {a: 3x3 conv 4, b: 3x3 conv 8, e: gap}"), net("net: {a: 3x3 conv 4, b2: 3x3 conv 6, e: gap}")
    weights = compare_graphs(old.graph, new.graph).weights
    assert (weights.fit.tensors, weights.renamed.tensors, weights.new.tensors) == (2, 0, 2)


_BEFORE = """\
name: t
input: 3x8x8
defaults: {conv: bn relu}
blocks:
  two(w): {c: 1x1 conv w, p: 3x3 maxpool /1 pad=1}
  res(k): {residual: {a: conv 4 kernel=k, b: conv 4 kernel=k linear}, then: relu}
net: {stem: 3x3 conv 4, body: 2 * two(4), r: res(3), pool: 2x2 maxpool, last: 3x3 conv 4}
"""


@pytest.mark.parametrize(
    ("old", "new", "level", "left", "right"),
    [
        ("res(3)", "res(5)", "layer", "r.a~ r.b~", "r.a~ r.b~"),
        ("2 * two", "4 * two", "layer", "", "body.0.c+2 body.0.p+2"),
        ("last: 3x3 conv 4", "last: 3x3 conv 4, x: 1x1 conv 8", "network", "last~", "last~"),
    ],
)
def test_exactly_the_boxes_that_changed_are_marked(
    old: str, new: str, level: str, left: str, right: str, tmp_path: Path
) -> None:
    for name, spec in (("a", _BEFORE), ("b", _BEFORE.replace(old, new))):
        (tmp_path / f"{name}.yaml").write_text(spec)
    root = drawn(str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "--level", level)
    panels = [g for g in root.findall(".//{*}g") if g.get("class") == "panel"]
    marked = [
        " ".join(path + sign for kind in ("changed", "added", "removed") for path, sign in words(panel, kind))
        for panel in panels
    ]
    assert marked == [left, right]
