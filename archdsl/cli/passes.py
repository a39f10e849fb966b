"""`archdsl passes`: what each pass does to the network that is compiled."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    disable_option,
    force_option,
    format_option,
    input_option,
    output_option,
    spec_argument,
)

if TYPE_CHECKING:
    from archdsl.backends.onnx.effects import Effect

_TITLES = ("pass", "nodes", "ONNX nodes", "bytes", "MACs")


@click.command("passes")
@spec_argument
@disable_option
@arg_option
@input_option
@format_option("table", "json", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    spec: str,
    disable: tuple[str, ...],
    args: dict[str, str],
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> None:
    """What each pass of `compile` does to a network's ONNX file: its nodes, the bytes of its numbers, its MACs.

    Passes build on one another, in the order shown; each can be left out with --disable, all with `compile -O0`. No
    weights are needed.
    """
    from archdsl.backends.onnx.effects import effects
    from archdsl.network import open_network
    from archdsl.passes.optimise import PASSES

    net = open_network(spec, args, size)
    console.tell(net.graph.notes)
    found = effects(net.graph, [name for name in PASSES if name not in disable])
    made = {"json": _json, "markdown": _markdown}.get(format)
    text = made(net.name, found) if made is not None else _table(console, net.name, found)
    console.give(text, output, force, inputs=net.files)


def _cells(found: tuple[Effect, ...]) -> list[tuple[str, ...]]:
    """A row for each pass; where it did not change a figure, a dash."""
    rows = [("as written", *(f"{n:,}" for n in found[0][2:6]))]
    for before, after in pairwise(found):
        figures = zip(before[2:6], after[2:6], strict=True)
        rows.append((after.name, *("-" if was == now else f"{now:,}" for was, now in figures)))
    return [*rows, ("compiled", *(f"{n:,}" for n in found[-1][2:6]))]


def _table(console: Console, name: str, found: tuple[Effect, ...]) -> str:
    from archdsl.report.grid import grid

    style = console.style()
    about = "".join(f"  {one.name:<16} {one.about}\n" for one in found[1:])
    told = style.paint("quiet", "nodes: the graph's own; bytes: of the numbers, in float32; MACs: of one sample")
    return f"{style.paint('name', name)}\n\n{grid(_TITLES, _cells(found), _TITLES[1:], style)}\n{told}\n\n{about}"


def _markdown(name: str, found: tuple[Effect, ...]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (_TITLES, ("---", *["---:"] * 4), *_cells(found))]
    return "\n".join(lines) + "\n"


def _json(name: str, found: tuple[Effect, ...]) -> str:
    import json

    rows = [{"pass": one.name or None, **{k: v for k, v in one._asdict().items() if k != "name"}} for one in found]
    return json.dumps({"name": name, "passes": rows}, indent=2) + "\n"
