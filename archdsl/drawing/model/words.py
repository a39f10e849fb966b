"""What a drawing shows in words, from the facts of its network: for captions, alternative texts and screen readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.parts import Part, collapse_runs, head, inside, split
from archdsl.diagnostics import escape_control
from archdsl.drawing.model.boxes import block_words
from archdsl.drawing.model.heading import facts
from archdsl.drawing.scene import Scene, shorten
from archdsl.graph import Graph
from archdsl.ops import Input
from archdsl.report.words import TIMES, part_figure, run_name
from archdsl.shapes import format_shape

MOST_PARTS = 40
"""A description lists at most this many parts."""
LONGEST_ALT = 300

Described: TypeAlias = Callable[[Scene], Scene]
"""Gives a scene its caption and its description."""


def structure(graph: Graph, ids: range, around: str = "") -> str:
    """Return the parts of a range of nodes, of the block `around`, in written order; equal neighbours are one part.

    Each part has its path, its op or call, what it reads if that is not the part before it, and its output shape:
    `layer1.0: bottleneck(w=64), gives ...; layer1.1 to layer1.2: 2 x bottleneck(w=64), gives ...`.
    """
    pending = list(reversed(split(graph, graph.root)))
    flat: list[Part] = []
    while pending:
        part = pending.pop()
        if part.ids.start >= ids.stop or part.ids.stop <= ids.start:
            continue
        whole = part.ids.start >= ids.start and part.ids.stop <= ids.stop and part.ids != ids
        listed = part.kind == "node" or (whole and (part.kind == "block" or part.training))
        if part.scope is not None and not listed:
            pending += reversed(inside(graph, part))
        elif not isinstance(head(graph, part).op, Input):
            flat.append(part)
    parts = collapse_runs(graph, flat, signatures(graph, fields=False))
    more = f"; and {len(parts) - MOST_PARTS} more parts" if len(parts) > MOST_PARTS else ""
    return "; ".join(_sentences(graph, parts[:MOST_PARTS], around)) + more


def _sentences(graph: Graph, parts: Sequence[Part], around: str) -> Iterator[str]:
    names = [escape_control(run_name(part, " to ", around)) for part in parts]
    owner = {node: number for number, part in enumerate(parts) for node in part.ids}
    several = not around and len(graph.inputs) > 1
    for number, part in enumerate(parts):
        if part.scope is None or part.kind == "node":
            words = " ".join(filter(None, part_figure(graph, part)))
        else:
            name, title = block_words(graph, part, around)
            words = title if name else ""
        count = f"{len(part.copies)} {TIMES} " if len(part.copies) > 1 else ""
        read = {owner.get(i, -1) for n in part.nodes(graph) for i in n.sources if i not in part.ids}
        plain = read in (set(), {number - 1}) and not (several and -1 in read)
        others = [] if plain else sorted(read)
        outside = [i for n in part.nodes(graph) for i in n.sources if i not in owner]
        own = dict.fromkeys(escape_control(graph.nodes[i].path) for i in outside)
        inputs = f"the input{'s' * (len(own) > 1)} {', '.join(own)}" if several else "the input"
        sources = " and ".join(inputs if other < 0 else names[other] for other in others)
        last = graph.nodes[part.ids.stop - 1]
        shape = f", gives {format_shape(last.shape, times=f' {TIMES} ')}" if last.known else ", unknown"
        called = f"{count}{words}" if words or count else ""
        yield (
            (names[number] if called in (names[number], "") else f"{names[number]}: {called}")
            + (f", reads {sources}" if sources else "")
            + shape
        )


def describe(graph: Graph, part: Part | None = None) -> Described:
    """Return a function that gives a scene its caption and its description, which is for readers who do not see it.

    Both are of `part`, or of the whole network. A style sets in `signs` how its scenes are drawn.
    """
    counts = ", ".join((*facts(graph, part), *(_ends(graph) if part is None else ())))
    ids, around = (range(len(graph.nodes)), "") if part is None else (part.ids, part.path)
    parts = structure(graph, ids, around)

    def described(scene: Scene) -> Scene:
        description = f"{counts}. {parts}."
        shows, short = f"{scene.title}: {counts}", alt(scene.title, description)
        return replace(scene, shows=shows, description=description, alt=short)

    return described


def _ends(graph: Graph) -> Iterator[str]:
    """Yield several inputs, and several outputs, with their sizes."""
    inputs = {graph.nodes[i].path: i for i in graph.inputs}
    for word, ends in (("inputs", inputs), ("outputs", graph.outputs)):
        if len(ends) > 1:
            sizes = (
                f"{escape_control(name)} {format_shape(graph.nodes[i].shape, times=f' {TIMES} ')}"
                for name, i in ends.items()
            )
            yield f"{word} {' and '.join(sizes)}"


def alt(title: str, description: str, most: int = LONGEST_ALT) -> str:
    """Return the alternative text of a picture: its title and its description, cut after a part or a sentence."""
    text = f"{title}: {description}" if title else description
    if len(text) <= most:
        return text
    start = text[: most - 1]
    at = max(start.rfind("; "), start.rfind(". "))
    return f"{start[:at]}; \u2026" if at > 0 else shorten(title or text, most)
