"""What each pass changes in the ONNX file of a network: nodes, bytes of tensors, multiply-accumulates."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from archdsl.analysis.count import count
from archdsl.backends.onnx.plan import plan
from archdsl.diagnostics.arguments import check_choice
from archdsl.graph import Graph
from archdsl.passes.optimise import PASSES
from archdsl.report.grid import grid
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style

FORMATS = ("table", "json", "markdown")
_TITLES = ("pass", "nodes", "ONNX nodes", "bytes", "MACs")


class Effect(NamedTuple):
    """The network after a pass ("": before the first).

    `nodes` are those of the graph, `onnx_nodes` those of the file; `nbytes`: bytes of the file's initializers;
    `changed`: whether the pass changed the graph.
    """

    name: str
    about: str
    nodes: int
    onnx_nodes: int
    nbytes: int
    macs: int
    changed: bool


@dataclass(frozen=True, slots=True, repr=False)
class PassesReport(ShownAsText):
    """The effect of each pass on the network `name`, in the order of the passes."""

    name: str
    effects: tuple[Effect, ...]

    def to_json(self) -> dict[str, object]:
        """Return the data of `archdsl passes --format json`."""
        rows = [
            {"pass": effect.name or None, **{k: v for k, v in effect._asdict().items() if k != "name"}}
            for effect in self.effects
        ]
        return {"name": self.name, "passes": rows}

    def text(self, format: str = "table", style: Style = Style()) -> str:
        """Return the report as `table`, `json` or `markdown`; `style` applies to a table.

        Raises E0001 for another format.
        """
        check_choice("format", format, FORMATS)
        if format == "json":
            return json.dumps(self.to_json(), indent=2) + "\n"
        if format == "markdown":
            lines = [f"| {' | '.join(row)} |" for row in (_TITLES, ("---", *["---:"] * 4), *_cells(self.effects))]
            return "\n".join(lines) + "\n"
        about = "".join(f"  {effect.name:<16} {effect.about}\n" for effect in self.effects[1:])
        note = style.paint(
            "quiet", "nodes: those of the graph; bytes: of the weights, in float32; MACs: for one sample"
        )
        table = grid(_TITLES, _cells(self.effects), _TITLES[1:], style)
        return f"{style.paint('name', self.name)}\n\n{table}\n{note}\n\n{about}"


def passes_report(graph: Graph, passes: Collection[str] = tuple(PASSES)) -> PassesReport:
    """Return the report of these passes on a network."""
    return PassesReport(graph.name, effects(graph, passes))


def effects(graph: Graph, passes: Collection[str] = tuple(PASSES)) -> tuple[Effect, ...]:
    """Return the effect of each of the passes, each applied to the result of the previous one, after the plain
    network."""
    results = [_effect("", "", graph, False)]
    for name, function in PASSES.items():
        if name in passes:
            after = function(graph)
            about = (function.__doc__ or "").partition("\n\n")[0]
            results.append(_effect(name, " ".join(about.split()), after, after is not graph))
            graph = after
    return tuple(results)


def _effect(name: str, about: str, graph: Graph, changed: bool) -> Effect:
    planned = plan(graph)
    return Effect(name, about, len(graph.nodes), len(planned.nodes), planned.nbytes, count(graph).macs, changed)


def _cells(effects: tuple[Effect, ...]) -> list[tuple[str, ...]]:
    """Return a row for each pass, with a dash for each figure that it does not change."""
    rows = [("as written", *(f"{n:,}" for n in effects[0][2:6]))]
    for before, after in pairwise(effects):
        figures = zip(before[2:6], after[2:6], strict=True)
        rows.append((after.name, *("-" if was == now else f"{now:,}" for was, now in figures)))
    return [*rows, ("compiled", *(f"{n:,}" for n in effects[-1][2:6]))]
