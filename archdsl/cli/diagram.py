"""`archdsl diagram`: a drawing of a network."""

from __future__ import annotations

import sys
from typing import Any

import click

from archdsl.cli.console import Console
from archdsl.cli.options import Choice, Range, arg_option, force_option, input_option, spec_argument

_TERMINAL = ("auto", "always", "never")


def _set_colors(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str:
    """`--color` of every command is for the terminal; here it also says what the colours of the drawing mean."""
    console = ctx.find_object(Console)
    for value in values:
        if value in _TERMINAL and console is not None:
            console.color = value  # type: ignore[assignment]
    return next((value for value in reversed(values) if value not in _TERMINAL), "kind")


@click.command("diagram")
@spec_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="x.svg, .png, .pdf, .dot, .mmd, .tex or .html; default: NAME.svg here; - is stdout.",
)
@click.option("--format", "format", metavar="FORMAT", help="Where FILE's ending does not say: svg.")
@click.option("--style", default="graph", show_default=True, metavar="STYLE", help="graph, volumes or article.")
@click.option(
    "--level",
    default="block",
    show_default=True,
    metavar="LEVEL",
    help="network: stages; block: blocks, equal ones folded; layer: every op.",
)
@click.option("--focus", default="", metavar="PATH", help="Draw only the block PATH: layer2.0.")
@click.option(
    "--unfold",
    multiple=True,
    metavar="PATH",
    help="Open the block PATH, out of its run of equals; '*': fold nothing. May be repeated.",
)
@click.option(
    "--theme",
    type=Choice(["auto", "light", "dark", "print"]),
    default="auto",
    show_default=True,
    help="auto: light, or dark where the reader prefers that; print: greys and patterns.",
)
@click.option(
    "--color",
    multiple=True,
    is_eager=True,
    callback=_set_colors,
    type=Choice(["kind", "params", "macs", "memory", *_TERMINAL]),
    help="What colours say: the kind of op, or the share of params, macs or memory. auto, always, never: in the terminal.",
)
@click.option("--shapes/--no-shapes", default=True, help="Shapes on the arrows.")
@click.option("--title", metavar="TEXT", help="Instead of the network's name; '': no heading.")
@click.option("--legend", is_flag=True, help="Say what the colours mean.")
@click.option(
    "--direction",
    type=Choice(["TB", "LR"]),
    default="TB",
    show_default=True,
    help="Top to bottom, or left to right.",
)
@click.option("--dpi", type=Range(10, 1200), default=144, show_default=True, help="Pixels per inch of a PNG.")
@click.option(
    "--width",
    "width_mm",
    type=Range(20, 2000),
    metavar="MM",
    help="Width on paper: 85 for a column, 170 for a page; volumes break their lines by it.",
)
@arg_option
@input_option
@force_option
@click.pass_obj
def command(
    console: Console,
    /,
    spec: str,
    args: dict[str, str],
    size: str | None,
    output: str | None,
    format: str | None,
    **options: Any,
) -> None:
    """A drawing of a network, equal blocks drawn once, shapes on the arrows.

    Laid out by Graphviz: the system's dot where there is one, else the one that pip installs along.
    """
    if output == "-" and format in ("png", "pdf") and sys.stdout.isatty():
        raise click.UsageError(f"a {format.upper()} does not belong on a terminal: name a file, or pipe it")
    from archdsl.diagnostics import escape_control
    from archdsl.network import open_network
    from archdsl.report.table import in_bytes

    net = open_network(spec, args, size)
    console.tell(net.graph.notes)
    if output == "-":
        saved = console.give_file(lambda path: net.save_diagram(path, format or "svg", **options))  # type: ignore[arg-type]
        console.tell(saved.notes)
        return
    saved = net.save_diagram(output, format, **options)  # type: ignore[arg-type]
    console.tell(saved.notes)
    path = console.style().paint("name", escape_control(str(saved.path)))
    console.give(f"wrote {path}  {in_bytes(saved.size)}\n")
