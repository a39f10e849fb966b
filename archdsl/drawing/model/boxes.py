"""The boxes of a drawing, each made from a part of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from archdsl.analysis.parts import Part, head, is_block
from archdsl.drawing.model.drawing import Box, Cost
from archdsl.drawing.theme import Look
from archdsl.graph import Graph, Node
from archdsl.ops import Input
from archdsl.report.contents import contents
from archdsl.report.words import (
    TIMES,
    changed_lines,
    composite_words,
    kind_of,
    part_arguments,
    part_call,
    part_figure,
    part_label,
    run_name,
)
from archdsl.shapes import Shape, format_shape

_BETWEEN = f" {TIMES} "
_MAX_LINES = 4
_WIDEST = 32
"""The most characters of a call in one line."""


def node_box(graph: Graph, number: int, part: Part, cost: Cost, everywhere: Part | None = None) -> Box:
    """Return the box of a written node: its main op, the ops that follow in the same node, what differs in its copies.

    `everywhere`: the part with its copies in all copies of the frames around it.
    """
    main = head(graph, part)
    title, tail = part_figure(graph, everywhere or part)
    sign = "" if main.label else main.op.sign
    if isinstance(main.op, Input):
        title, tail = part.path, format_shape(main.shape, times=_BETWEEN)
    first = graph.nodes[part.ids.start]
    known = _known(graph, part.copies)
    return Box(
        number,
        look_of(main) if known else "unknown",
        sign or _marked(title, known),
        tail,
        "",
        changed_lines(graph, everywhere or part) if len(part.copies) > 1 else (),
        part.path,
        part.last,
        kind_of(main),
        "",
        part.copies,
        first.in_shapes,
        part.shape(graph),
        cost,
        main.origin,
        sign,
        part.training,
        everywhere=(everywhere or part).copies,
    )


def block_box(graph: Graph, number: int, part: Part, around: str, cost: Cost, everywhere: Part | None = None) -> Box:
    """Return the box of a block: its call above its path, and what differs in its copies; `everywhere` as above."""
    assert part.scope is not None
    name, title = block_words(graph, part, around, everywhere)
    title, detail = _in_lines(graph, everywhere or part, title)
    tail = f"training only, weight {graph.aux[part.path].weight:g}" if part.path in graph.aux else ""
    known = _known(graph, part.copies)
    return Box(
        number,
        "block" if known else "unknown",
        _marked(title, known),
        tail,
        name,
        (*detail, *changed_lines(graph, everywhere or part)),
        part.path,
        part.last,
        "block",
        part.scope.block or part.scope.kind,
        part.copies,
        _received(graph, part.copies[0]),
        part.shape(graph),
        cost,
        part.scope.origin,
        "",
        part.training,
        everywhere=(everywhere or part).copies,
    )


def block_words(graph: Graph, part: Part, around: str, everywhere: Part | None = None) -> tuple[str, str]:
    """Return a block's name within `around` and its title: its call, or a composite's path if that is a word."""
    assert part.scope is not None
    name = run_name(part, " … ", around)
    if part.scope.block is not None or part.scope.label:
        return name, part_call(graph, everywhere or part)
    if not is_block(part.scope):
        return "", name
    words, last = composite_words(graph, part.scope), part.path.rpartition(".")[2]
    return (name, words) if last.isdigit() or part.scope.kind == "dense" or len(part.copies) > 1 else (words, last)


def _in_lines(graph: Graph, part: Part, title: str) -> tuple[str, tuple[str, ...]]:
    """The title of a block and lines below it: its layers if they are few, else its arguments if they are long."""
    assert part.scope is not None
    if part.scope.block is None or part_label(graph, part):
        return title, ()
    name, arguments = part_arguments(graph, part)
    if layers := contents(graph, part.scope):
        return name, (layers,)
    if len(title) <= _WIDEST:
        return title, ()
    return name, tuple(wrap(", ".join(arguments), _WIDEST, break_long_words=False, break_on_hyphens=False))


def stage_box(graph: Graph, number: int, parts: Sequence[Part], title: str, cost: Cost) -> Box:
    """Return the box of a stage, with a line for each kind of part in it."""
    ids = range(parts[0].ids.start, parts[-1].ids.stop)
    looks = {look_of(head(graph, part)) if part.kind == "node" else "block" for part in parts}
    look: Look = next(look for look in ("block", "conv", *sorted(looks)) if look in looks)
    known = _known(graph, (ids,))
    return Box(
        number,
        look if known else "unknown",
        _marked(title, known),
        "",
        "",
        _contents(graph, parts),
        parts[0].path,
        parts[-1].last,
        "stage",
        "",
        (ids,),
        _received(graph, ids),
        graph.nodes[ids.stop - 1].shape,
        cost,
        head(graph, parts[0]).origin,
        everywhere=(ids,),
    )


def input_box(node: Node, number: int, alone: bool) -> Box:
    """Return the box of a node that a focused block reads."""
    name = "input" if alone else node.written_path
    return Box(
        number,
        "input",
        name,
        format_shape(node.shape, times=_BETWEEN),
        kind="input",
        path=node.path,
        shape=node.shape,
        in_shapes=(),
        origin=node.origin,
    )


def output_box(node: Node, number: int, name: str) -> Box:
    return Box(
        number,
        "output",
        name,
        format_shape(node.shape, times=_BETWEEN),
        kind="output",
        path=node.path,
        in_shapes=(node.shape,),
        shape=node.shape,
        origin=node.origin,
    )


def frame_title(graph: Graph, part: Part) -> str:
    """Return the call of an expanded block."""
    assert part.scope is not None
    named = (
        part_call(graph, part)
        if part.scope.block is not None or part.scope.label
        else composite_words(graph, part.scope)
        if is_block(part.scope)
        else ""
    )
    return "  ".join(filter(None, (named, "(training only)" if part.training else "")))


def look_of(node: Node) -> Look:
    """Return the category of a node, which selects its colour."""
    return node.op.look


def _known(graph: Graph, copies: Sequence[range]) -> bool:
    return all(graph.nodes[i].known for ids in copies for i in ids)


def _marked(title: str, known: bool) -> str:
    """The title of a box, which begins with `?` if it contains unknown nodes."""
    return title if known else f"? {title}".rstrip()


def _received(graph: Graph, ids: range) -> tuple[Shape, ...]:
    """Shapes of the inputs from outside, in the order of first use."""
    outside = dict.fromkeys(i for node in graph.nodes[ids.start : ids.stop] for i in node.inputs if i not in ids)
    return tuple(graph.nodes[i].shape for i in outside)


def _contents(graph: Graph, parts: Sequence[Part]) -> tuple[str, ...]:
    """Lines such as `bottleneck x 3` and `3x3 max pool, /2`: equal neighbours are counted in one line."""
    counted: list[tuple[str, int]] = []
    for part in parts:
        word = part_figure(graph, part)[0] if part.kind == "node" else block_words(graph, part, "")[1]
        if part.scope is not None and part.kind != "node" and not part.scope.label:
            word = contents(graph, part.scope, strides=False) or word.split("(")[0]
        if counted and counted[-1][0] == word:
            counted[-1] = (word, counted[-1][1] + len(part.copies))
        else:
            counted.append((word, len(part.copies)))
    lines = [f"{word} {TIMES}\u00a0{n}" if n > 1 else word for word, n in counted]
    return tuple(
        lines if len(lines) <= _MAX_LINES else [*lines[: _MAX_LINES - 1], f"and {len(lines) - _MAX_LINES + 1} more"]
    )
