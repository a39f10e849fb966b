"""Labels of nodes and blocks (`language/labels.py`): their text, their errors, and that they change figures only."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.backends.spec.rewrite import expand
from archdsl.diagnostics import ArchError, Source
from archdsl.elaborate import elaborate
from archdsl.graph import Graph
from archdsl.language.format.format import format_source
from archdsl.spec.open import document_of, from_source

NET = """\
name: net
input: 3x16x16
args: {classes: 10, act: relu}
blocks:
  mb(e, k, c):
    residual: {a: 1x1 conv e*in, b: {op: dwconv, kernel: k, label: "dw {k}"}, c: 1x1 conv c}
    label: "MB{e}, {k}x{k}, {c} of {in}"
  two(c): {do: {a: 3x3 conv c, b: 3x3 conv c}, label: "two {c // 2} {act}"}
net:
  stem: {op: conv, kernel: 3, out: 2**3, norm: bn, act: relu, label: "stem {{{1/2}}} of {in}"}
  a: mb(2, 3, 8)
  b: {call: "mb(2, 5, 8)", label: special}
  c: {call: two(16), repeat: 2, label: "copy {i} of {[1, 2]}"}
  d: two(8)
  head: {do: [gap, fc classes], label: "{classes} classes"}
"""


def graph_of(text: str) -> Graph:
    return elaborate(document_of(from_source(Source("net.yaml", text))))


def labels(graph: Graph) -> dict[str, str]:
    scopes = {scope.path: scope.label for scope in graph.root.walk() if scope.label}
    return scopes | {node.path: node.label for node in graph.nodes if node.label}


def test_expressions_are_evaluated_where_the_label_is_written() -> None:
    assert labels(graph_of(NET)) == {
        "stem.conv": "stem {1/2} of 3",
        "a": "MB2, 3x3, 8 of 8",
        "a.b": "dw 3",
        "b": "special",
        "b.b": "dw 5",
        "c.0": "copy 0 of [1, 2]",
        "c.1": "copy 1 of [1, 2]",
        "d": "two 4 relu",
        "head": "10 classes",
    }


def test_a_node_that_is_left_out_has_no_label() -> None:
    text = "input: 3x4x4\nargs: {w: none}\nnet:\n  a: 1x1 conv 2\n  b: {op: relu, when: w, label: '{w * 2}'}\n"
    assert labels(graph_of(text)) == {}


@pytest.mark.parametrize(
    ("label", "code", "place", "words"),
    [
        ('"{nope}"', "E0304", "nope", "unknown name"),
        ('"a {"', "E0303", "{", "never closed"),
        ('"a } b"', "E0303", "}", "closes nothing"),
        ('"{}"', "E0303", "", "expected an expression"),
        ('"{c +}"', "E0303", "", "expected a value"),
        ('"{c.a}"', "E0303", ".", "no attributes"),
        ('"{1 // (c - 8)}"', "E0305", "//", "division by zero"),
        ('"{2**63}"', "E0306", "**", "too large"),
        ("3", "E0202", "3", "must be a string"),
        ("{c: 3}", "E0202", "{c: 3}", "must be a string"),
        ('""', "E0202", '""', "one line"),
        ('"  "', "E0202", '"  "', "one line"),
        ('"a\\nb"', "E0202", '"a\\nb"', "one line"),
        ('"a\\u202eb"', "E0202", '"a\\u202eb"', "printable"),
        (f'"{"x" * 201}"', "E0202", f'"{"x" * 201}"', "200"),
        (f'"{"x" * 81}"', "E0308", f'"{"x" * 81}"', "81 characters"),
        ('"{[c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, 1000000000000, 10000000000000]}"', "E0308", None, "80"),
    ],
)
def test_errors_have_the_place(label: str, code: str, place: str | None, words: str) -> None:
    block = f"blocks:\n  b(c):\n    op: conv\n    out: c\n    kernel: 1\n    label: {label}\n"
    text = f"input: 3x4x4\n{block}net: {{a: b(8)}}\n"
    with pytest.raises(ArchError) as caught:
        graph_of(text)
    (found,) = caught.value.diagnostics
    assert found.code == code and words in f"{found.message} {found.help}"
    assert found.span is not None and found.span.line == 7
    assert place is None or found.span.text == place


def test_a_split_has_no_label_and_a_mapping_needs_do() -> None:
    for body, code in (("{op: split, parts: 3, label: x}", "E0309"), ("{a: relu, label: x}", "E0201")):
        with pytest.raises(ArchError) as caught:
            graph_of(f"input: 3x4x4\nnet:\n  s: {body}\n  t: relu <- input\n")
        assert caught.value.diagnostics[0].code == code
    text = "input: 3x4x4\nnet: {.label: relu, b: {op: add, from: [label, input]}}\n"
    assert "label" in {node.path for node in graph_of(text).nodes}


def test_an_unknown_name_is_found_in_a_block_that_is_not_called() -> None:
    with pytest.raises(ArchError) as caught:
        graph_of("input: 3x4x4\nblocks:\n  b(c): {op: relu, label: '{d}'}\nnet: {a: relu}\n")
    assert [(d.code, d.span and d.span.text) for d in caught.value.diagnostics] == [("E0304", "d")]


def test_the_formatter_keeps_labels() -> None:
    formatted = format_source(Source("net.yaml", NET))
    assert labels(graph_of(formatted)) == labels(graph_of(NET))
    assert format_source(Source("net.yaml", formatted)) == formatted


def test_the_long_form_keeps_labels(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    assert labels(graph_of(expand(tmp_path / "net.yaml").text)) == labels(graph_of(NET))


def test_an_override_changes_adds_and_removes_labels(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    nodes = "net:\n  stem: {label: null}\n  a: relu\n  d: {label: own}\n"
    over = f"extends: net.yaml\nblocks:\n  two: {{label: pair}}\n{nodes}"
    (tmp_path / "over.yaml").write_text(over)
    found = labels(archdsl.load(tmp_path / "over.yaml").graph)
    assert (found["d"], "stem.conv" in found, "a" in found) == ("own", False, False)
    plain = over.replace("  d: {label: own}\n", "")
    (tmp_path / "over.yaml").write_text(plain)
    assert labels(archdsl.load(tmp_path / "over.yaml").graph)["d"] == "pair"


def test_labels_change_no_meaning(tmp_path: Path) -> None:
    """Networks with other labels have equal keys and source, and `diff` finds them equal."""
    other = NET.replace('label: "', 'label: "other ').replace("label: special", "label: other")
    plain = "\n".join(line for line in NET.replace(', label: "dw {k}"', "").splitlines() if "    label" not in line)
    (tmp_path / "a.yaml").write_text(NET)
    (tmp_path / "b.yaml").write_text(other)
    (tmp_path / "c.yaml").write_text(plain)
    nets = [archdsl.load(tmp_path / f"{name}.yaml") for name in "abc"]
    for net, name in zip(nets[1:], "bc", strict=True):
        assert [t.key for t in net.graph.tensors] == [t.key for t in nets[0].graph.tensors]
        assert archdsl.diff(tmp_path / "a.yaml", tmp_path / f"{name}.yaml").equal
        assert net.to_source() == nets[0].to_source()


@pytest.mark.parametrize(
    ("node", "code", "expected"),
    [
        ('{op: relu, label: "set {q}"}', "E0304", "for the text `{q}`, write `{{q}}`"),
        ("{dense: dense 4 * 3x3 conv 8}", "E0203", "a node of this name is written `.dense`"),
    ],
)
def test_a_word_that_means_something_else_here_has_a_help(node: str, code: str, expected: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"name: t\ninput: 3x8x8\nnet: {{a: {node}}}\n")
    (error,) = caught.value.diagnostics
    assert error.code == code and expected in error.help
