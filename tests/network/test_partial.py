"""Networks loaded with `partial`: what is known of a spec with errors, and of every prefix of a spec.

Tests `network/open.py`, `network/network.py` and `network/checks.py`; `spec/open.py` and `source/events.py`, which
read a spec up to an error of YAML.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl import ArchError, Network
from archdsl.graph import Node
from archdsl.shapes import concrete
from archdsl.spec.find import library_folder

TYPED = {"lenet5": 1, "resnet20": 0, "googlenet": 0, "se_resnet50": 0, "densenet121": 0}
"""Networks of the library that are typed, by the character (1) or by the line (0)."""
LIMIT_S = 5.0
WRONG = "input: 3x32x32\nnet: {stem: 3x3 conv 16, body: 3x3 co, head: [gap, fc 10]}\n"


def facts(node: Node) -> tuple[object, ...]:
    return node.op, [concrete(shape) for shape in node.in_shapes], concrete(node.shape), node.params


def prefixes(text: str, step: int) -> list[str]:
    lines = text.splitlines(keepends=True)
    return [text[:n] for n in range(0, len(text), step)] if step else ["".join(lines[:n]) for n in range(len(lines))]


def strict_error(text: str) -> str:
    try:
        archdsl.loads(text)
    except ArchError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("name", TYPED)
def test_every_prefix_of_a_spec_gives_its_errors_and_all_nodes_before_the_cut(name: str) -> None:
    text = (library_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    before: dict[str, object] = {}
    for prefix in prefixes(text, TYPED[name]):
        start = time.perf_counter()
        network = archdsl.loads(prefix, partial=True)
        assert time.perf_counter() - start < LIMIT_S
        assert str(network.problem or "") == strict_error(prefix)
        known = {node.path: facts(node) for node in network.nodes if node.known}
        assert before.items() <= known.items(), prefix[-80:]
        if prefix.endswith("\n"):  # a section of blocks or defaults changes the nodes that follow it only
            before = known
    assert len(before) > 10


HALF = [
    ("  c: 3x3 co", ["a", "b"], ["c"]),
    ("  c:", ["a", "b"], ["c"]),
    ("  c", ["a", "b"], ["?"]),
    ("  c: 3x3 conv 8 <-", ["a", "b"], ["c"]),
    ("  c: 3x3 conv 8 <- a.", ["a", "b"], ["c"]),
    ("  c: [3x3 conv 8", ["a", "b", "c.0"], ["c.1", "?"]),
    ("  c: {residual: {x: 3x3 conv 8", ["a", "b"], ["c", "?"]),
    ('  c: "3x3 conv', ["a", "b"], ["c", "?"]),
    ("  a: 3x3 conv 8", ["a", "b"], ["?"]),
    ("\tc: relu", ["a"], ["b", "?"]),
    ("  c: {op: conv, out: 8", ["a", "b"], ["c", "?"]),
    ("  c: 2 * 3x3 conv", ["a", "b"], ["c.0", "c.1"]),
]


@pytest.mark.parametrize(("last", "known", "unknown"), HALF, ids=[last for last, _, _ in HALF])
def test_half_a_line_leaves_the_lines_before_it_known(last: str, known: list[str], unknown: list[str]) -> None:
    network = archdsl.loads(f"input: 3x8x8\nnet:\n  a: 1x1 conv 8\n  b: relu\n{last}", partial=True)
    assert [node.path for node in network.nodes[1:] if node.known] == known
    assert [node.path for node in network.graph.unknown] == unknown
    assert len(network.errors) == 1 and not network.complete


@pytest.mark.parametrize(
    "text",
    [
        "input: 3x8x8\nnet:\n  a: 3x3 conv 8\n  b\ndefaults: {conv: bn relu}",
        "input: 3x8x8\ndefaults: {conv: bn relu, x: 1}\nnet:\n  a: 3x3 conv 8",
        "input: 3x8x8\ndefault: {conv: bn relu}\nnet:\n  a: 3x3 conv 8",
        "input: 3x8x8\ndefaults: {conv: bn relu\nnet:\n  a: 3x3 conv 8",
        "input: 3x8x8\nnet:\n  a: do 2\n  b: [\nextends: lenet5",
        "input: 3x8\nnet:\n  a: 3x3 conv 8",
        "net:\n  a: 3x3 conv 8",
        "input: 3x8x8\nargs: {n: [1}\nnet:\n  a: 3x3 conv n",
        "extends: lenet\nnet:\n  a: 3x3 conv 8",
        "extends: lenet5\nnet:\n  conv1: 3x3 conv 8\n  b",
    ],
)
def test_what_an_error_may_change_is_not_known(text: str) -> None:
    network = archdsl.loads(text, partial=True)
    assert not network.complete
    assert [node.path for node in network.nodes if node.known and node.inputs] == []


def test_a_cut_composite_is_not_known_since_further_keys_of_it_may_follow() -> None:
    text = "input: 3x8x8\nnet:\n  a: 1x1 conv 8\n  b:\n    do: {x: 3x3 conv 8}\n    x\n    repeat: 3"
    network = archdsl.loads(text, partial=True)
    assert [(node.path, node.known) for node in network.nodes[1:]] == [("a", True), ("b", False), ("?", False)]


def test_a_variant_with_an_error_of_yaml_is_not_known() -> None:
    text = "input: 3x8x8\nargs: {n: 1}\nnet: {a: 1x1 conv n}\nvariants:\n  v: {n: 2}\n  w"
    assert archdsl.loads(text, variant="v", partial=True).nodes == ()
    assert [node.path for node in archdsl.loads(text, partial=True).nodes] == ["input", "a"]


def test_nothing_is_known_of_a_text_that_is_too_large() -> None:
    text = "input: 3x8x8\nnet:\n" + "".join(f"  n{i}: [relu, relu]\n" for i in range(100_001))
    start = time.perf_counter()
    network = archdsl.loads(text, partial=True)
    assert [d.code for d in network.errors] == ["E0107"] and network.nodes == ()
    assert time.perf_counter() - start < 60


def test_an_unknown_key_of_the_top_level_changes_no_node() -> None:
    network = archdsl.loads("input: 3x8x8\nthing: 1\nnet: {a: 1x1 conv 4}", partial=True)
    assert [d.code for d in network.errors] == ["E0201"]
    assert network.params == 16 and not network.graph.unknown


def test_a_complete_network_is_the_same_with_partial() -> None:
    network = archdsl.load("lenet5", partial=True, classes=3)
    assert network.complete and network.errors == ()
    assert network.fingerprint == archdsl.load("lenet5", classes=3).fingerprint


def test_the_totals_count_the_known_nodes() -> None:
    network = archdsl.loads(WRONG, partial=True)
    assert (network.complete, [d.code for d in network.errors]) == (False, ["E0301"])
    assert network.params == 3 * 9 * 16 + 16
    assert network.macs == 3 * 9 * 16 * 32 * 32
    assert repr(network) == "<Network network: 3x32x32, incomplete>"
    assert network.notes == ()


@pytest.mark.parametrize("wrong", [{"klasses": 3}, {"input": "5"}], ids=str)
def test_wrong_arguments_are_raised(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArchError):
        archdsl.load("resnet20", partial=True, **wrong)


def test_a_file_that_does_not_exist_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ArchError):
        archdsl.load(tmp_path / "none.yaml", partial=True)


ARTEFACTS: list[Callable[[Network, Path], object]] = [
    lambda net, _: net.to_torch(),
    lambda net, _: net.to_torch(device="meta"),
    lambda net, _: net.to_source(),
    lambda net, path: net.to_onnx(path / "net.onnx"),
    lambda net, path: net.compile(path / "net.onnx"),
    lambda net, path: net.compile(path / "net.py", "torch"),
    lambda net, path: net.compile(path / "net.safetensors", "weights"),
    lambda net, _: net.weights(),
    lambda net, _: net.optimised(),
    lambda net, _: net.metadata(),
    lambda net, _: net.fingerprint,
    lambda net, _: net.output,
    lambda net, _: net.classes,
    lambda net, _: net.output_kind,
    lambda net, _: net.recipe,
    lambda net, _: net.starts_at_random,
    lambda net, _: archdsl.verify(net),
    lambda net, _: archdsl.predict(net, "cat.jpg"),
    lambda net, _: archdsl.bench(net),
    lambda net, _: archdsl.diff(net, "lenet5"),
    lambda net, _: archdsl.compare(net),
]


@pytest.mark.parametrize("make", ARTEFACTS, ids=range(len(ARTEFACTS)))
@pytest.mark.parametrize("text", [WRONG, "input: 3x32x32\nnet: {a: gap}\nclaims: {parms: 3}", "net"])
def test_nothing_is_made_of_an_incomplete_network(
    make: Callable[[Network, Path], object], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchError) as caught:
        make(archdsl.loads(text, partial=True), tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["E0005"]
    assert ("`body` is unknown" in str(caught.value)) == (text is WRONG)
    assert list(tmp_path.iterdir()) == []
