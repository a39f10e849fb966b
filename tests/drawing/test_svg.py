"""Drawings read back from their SVG, and held against the graph by code that knows nothing of how they are made.

Tests `drawing/graph/positions.py`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.drawing.diagram import diagram
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import LEVELS, Box, Drawing, Frame, View
from archdsl.graph import Graph, Scope
from archdsl.ops import Affine
from archdsl.shapes import concrete
from archdsl.spec.find import library_networks
from tests.support.random_specs import texts

SPACE = "{http://www.w3.org/2000/svg}"
SAMPLE = (
    "vgg16",
    "resnet50",
    "googlenet",
    "densenet121",
    "inception_resnet_v2",
    "nasnetamobile",
    "unet",
    "lenet5_1998",
    "dpn68",
)
VIEWS = [*map(View, LEVELS), View("block", expand=("*",))]  # type: ignore[arg-type]


NETWORKS = [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.slow) for name in library_networks()]


@cache
def graph_of(name: str) -> Graph:
    return archdsl.load(name).graph


class Read:
    """What an SVG says: boxes by number with (kind, path, copies) and their words; arrows; frames' (path, copies)."""

    def __init__(self, svg: bytes) -> None:
        root = ET.fromstring(svg)
        self.boxes: dict[int, tuple[str, str, int]] = {}
        self.words: dict[int, str] = {}
        self.arrows: list[tuple[int, int]] = []
        self.frames: list[tuple[str, int, str]] = []
        for group in root.iter(f"{SPACE}g"):
            words = " ".join("".join(text.itertext()) for text in group.findall(f"{SPACE}text"))
            copies, path = int(group.get("data-copies", "0")), group.get("data-path", "")
            if (number := group.get("data-box")) is not None:
                self.boxes[int(number)] = (group.get("data-kind", ""), path, copies)
                self.words[int(number)] = words
            elif group.get("data-from") is not None:
                self.arrows.append((int(group.get("data-from", "")), int(group.get("data-to", ""))))
            elif group.get("data-frame") is not None:
                self.frames.append((path, copies, words))


def box_of_node(drawing: Drawing) -> dict[int, int]:
    """The box that stands for each node. Fails where a node has two."""
    found: dict[int, int] = {}
    for box in drawing.boxes():
        for ids in box.copies:
            for node in ids:
                assert node not in found, f"node {node} is drawn twice"
                found[node] = box.number
    return found


def with_frames(graph: Graph, drawing: Drawing) -> dict[int, int]:
    """The same, with the nodes of the copies that an opened frame does not draw: they lie as far in as their like."""
    found = box_of_node(drawing)
    for frame in reversed(list(drawing.frames())):  # the inner ones first
        first = frame.copies[0] if frame.copies else range(0)
        for copy in frame.copies[1:]:
            for a, b in zip(first, copy, strict=True):
                found.setdefault(b, found[a])
    return found


def runs_of(members: tuple[Box | Frame, ...], moved: tuple[int, ...] = (0,)) -> list[tuple[range, ...]]:
    """Every run as the ids of its copies; one within a frame that stands for several is there in each of those."""
    found = []
    dense: dict[str, tuple[range, ...]] = {}  # a layer, and the concat behind it, which are copied together
    for thing in members:
        copies = thing.copies
        if isinstance(thing, Box) and thing.path in dense and len(dense[thing.path]) == len(copies):
            copies = tuple(range(a.start, b.stop) for a, b in zip(dense[thing.path], copies, strict=True))
        dense[thing.path] = copies
        if len(copies) > 1:
            found += [tuple(range(ids.start + by, ids.stop + by) for ids in copies) for by in moved]
        if isinstance(thing, Frame):
            starts = [ids.start - copies[0].start for ids in copies] or [0]
            found += runs_of(thing.members, tuple(by + start for by in moved for start in starts))
    return found


def expected_arrows(graph: Graph, drawing: Drawing, boxes: Mapping[int, int]) -> set[tuple[int, int]]:
    """Every edge of the graph whose ends lie in different boxes and not in different copies of one run."""
    lies: dict[int, dict[int, int]] = {node.id: {} for node in graph.nodes}
    for run, copies in enumerate(runs_of(drawing.members)):
        for number, ids in enumerate(copies):
            for node in ids:
                lies[node][run] = number
    found = set()
    for node in graph.nodes:
        for source in node.sources:
            mine, other = lies[node.id], lies[source]
            same = all(mine[run] == other[run] for run in mine.keys() & other.keys())
            if same and boxes[source] != boxes[node.id]:
                found.add((boxes[source], boxes[node.id]))
    return found


def output_arrows(graph: Graph, drawing: Drawing, boxes: Mapping[int, int]) -> set[tuple[int, int]]:
    ends = [box for box in drawing.boxes() if box.kind == "output"]
    paths = {graph.nodes[node].path: node for node in graph.outputs.values()}
    return {(boxes[paths[box.path]], box.number) for box in ends}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.level + "*" * bool(view.expand))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_svg_holds_exactly_the_collapsed_graph(name: str, view: View) -> None:
    graph = graph_of(name)
    drawing, made = compose(graph, view), diagram(graph, view=view)
    assert made.note == ""
    read = Read(made.data)
    assert read.boxes == {box.number: (box.kind, box.path, box.count) for box in drawing.boxes()}
    assert read.arrows == [(arrow.source, arrow.target) for arrow in drawing.arrows]
    assert [frame[:2] for frame in read.frames] == [(frame.path, frame.count) for frame in drawing.frames()]
    for number, (_, _, copies) in read.boxes.items():
        if read.boxes[number][0] != "stage":  # whose lines have numbers of their own
            assert (f"\u00d7\u00a0{copies}" in read.words[number]) == (copies > 1)

    boxes = with_frames(graph, drawing)
    assert sorted(boxes) == list(range(len(graph.nodes))), "every node is drawn"
    assert set(read.arrows) == expected_arrows(graph, drawing, boxes) | output_arrows(graph, drawing, boxes)
    assert len(read.arrows) == len(set(read.arrows))


def expanded_ops(members: tuple[Box | Frame, ...], graph: Graph) -> Counter[str]:
    """The ops of a drawing, each box and frame times its copies, by what stands in the first copy alone."""
    found: Counter[str] = Counter()
    for member in members:
        if isinstance(member, Box):
            first = member.copies[0] if member.copies else range(0)
            inside = Counter(graph.nodes[i].op.name for i in first)
        else:
            inside = expanded_ops(member.members, graph)
        for kind, number in inside.items():
            found[kind] += number * member.count
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NETWORKS)
def test_expanded_again_it_has_the_graphs_ops(name: str, level: str) -> None:
    graph = graph_of(name)
    drawing = compose(graph, View(level))  # type: ignore[arg-type]
    assert expanded_ops(drawing.members, graph) == Counter(node.op.name for node in graph.nodes)


def test_a_branch_of_one_node_or_none_is_counted() -> None:
    graph = archdsl.loads(
        "input: 8x8x8\nnet:\n  - branches: {a: 3x3 conv 8, b: [1x1 conv 8, relu], c: identity}\n  - gap\n"
    ).graph
    assert ">3 branches<" in diagram(graph, "svg").data.decode()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_collapsed_is_equal(name: str) -> None:
    """In fields and shapes. Factors may differ; so may channels, if the copies are the same call or layers of a dense
    block, and the spatial sizes are equal. The picture says so."""
    graph = graph_of(name)
    for thing in compose(graph, View("layer")).walk():
        growing = any(" channels" in line for line in thing.lines)
        for copy in thing.copies[1:]:
            for a, b in zip(thing.copies[0], copy, strict=True):
                one, other = graph.nodes[a], graph.nodes[b]
                assert type(one.op) is type(other.op)
                if one.op != other.op and one.op.inference:
                    assert not one.params and (isinstance(one.op, Affine) or growing), one.path
                assert concrete(one.shape)[growing:] == concrete(other.shape)[growing:]
                calls = [each.origin.call.text for each in (one, other) if each.origin.call is not None]
                dense = "dense" in kinds(one.scope)
                assert concrete(one.shape) == concrete(other.shape) or dense or len(set(calls)) == 1, one.path


def kinds(scope: Scope | None) -> list[str]:
    return [scope.kind, *kinds(scope.parent)] if scope is not None else []


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts(), number=st.integers(0, 10_000))
def test_random_networks_are_drawn_exactly(text: str, number: int) -> None:
    graph = archdsl.loads(text).graph
    paths = [scope.path for scope in graph.root.walk() if scope.path] or ["*"]
    expanded = [View(level, expand=(path,)) for level in LEVELS for path in ("*", paths[number % len(paths)])]  # type: ignore[arg-type]
    for view in [*VIEWS, *expanded]:
        drawing = compose(graph, view)
        boxes = with_frames(graph, drawing)
        assert sorted(boxes) == list(range(len(graph.nodes)))
        found = {(arrow.source, arrow.target) for arrow in drawing.arrows}
        assert found == expected_arrows(graph, drawing, boxes) | output_arrows(graph, drawing, boxes)
        assert expanded_ops(drawing.members, graph) == Counter(node.op.name for node in graph.nodes)


def test_it_can_be_read_by_who_cannot_see_it() -> None:
    root = ET.fromstring(diagram(graph_of("resnet50")).data)
    title, desc = (root.find(f"{SPACE}{tag}") for tag in ("title", "desc"))
    assert root.get("role") == "img"
    assert title is not None and desc is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == "resnet50"
    assert "25.56 M params" in str(desc.text)
    boxes = [group for group in root.iter(f"{SPACE}g") if group.get("data-box")]
    assert all(group.findtext(f"{SPACE}title") for group in boxes)
    assert (
        boxes[4].findtext(f"{SPACE}title")
        == "layer1.1: bottleneck, [1\u00d71, 64; 3\u00d73, 64; 1\u00d71, 256], 2 times, "
        "gives 256 \u00d7 56 \u00d7 56, 140.8 k params, 436.7 MMACs"
    )
