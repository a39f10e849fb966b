"""`archdsl diagram`: a drawing of a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, force_option, input_option, spec_argument

FORMATS = ("svg", "png", "pdf", "dot", "mmd", "tex", "html")
ENDINGS = {f".{format}": format for format in FORMATS} | {
    ".gv": "dot",
    ".mermaid": "mmd",
    ".tikz": "tex",
    ".htm": "html",
}
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
@click.option("--format", "format", type=click.Choice(FORMATS), help="Where FILE's ending does not say: svg.")
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
    type=click.Choice(["auto", "light", "dark", "print"]),
    default="auto",
    show_default=True,
    help="auto: light, or dark where the reader prefers that; print: greys and patterns.",
)
@click.option(
    "--color",
    multiple=True,
    is_eager=True,
    callback=_set_colors,
    type=click.Choice(["kind", "params", "macs", "memory", *_TERMINAL]),
    help="What colours say: the kind of op, or the share of params, macs or memory. auto, always, never: in the terminal.",
)
@click.option("--shapes/--no-shapes", default=True, help="Shapes on the arrows.")
@click.option("--title", metavar="TEXT", help="Instead of the network's name; '': no heading.")
@click.option("--legend", is_flag=True, help="Say what the colours mean.")
@click.option(
    "--direction",
    type=click.Choice(["TB", "LR"], case_sensitive=False),
    default="TB",
    show_default=True,
    help="Top to bottom, or left to right.",
)
@click.option("--dpi", type=click.IntRange(10, 1200), default=144, show_default=True, help="Pixels per inch of a PNG.")
@click.option(
    "--width",
    "width_mm",
    type=click.IntRange(20, 2000),
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
    output: str | None,
    format: str | None,
    style: str,
    args: dict[str, str],
    size: str | None,
    force: bool,
    **asked: Any,
) -> None:
    """A drawing of a network, equal blocks drawn once, shapes on the arrows.

    Laid out by Graphviz: the system's dot where there is one, else the one that pip installs along.
    """
    kind = _format(output, format)
    if output == "-" and kind in ("png", "pdf") and sys.stdout.isatty():
        raise click.UsageError(f"a {kind.upper()} does not belong on a terminal: name a file, or pipe it")
    from archdsl.diagnostics import ArchError, error
    from archdsl.drawing.diagram import check, diagram
    from archdsl.drawing.model.drawing import View
    from archdsl.drawing.request import Options
    from archdsl.network import open_network

    view = View(asked["level"], asked["focus"], asked["unfold"])
    check(style, kind, view)
    names = ("theme", "color", "shapes", "title", "legend", "direction", "dpi", "width_mm")
    options = Options(**{name: asked[name] for name in names})
    net = open_network(spec, args, size)
    console.tell(net.graph.notes)
    path = Path(output or f"{net.name}.{kind}") if output != "-" else None
    _check_target(path, force, net.files)
    try:
        drawn = diagram(net.graph, kind, view, options, style)
    except ArchError as problem:
        if problem.diagnostics[0].code != "E0711" or style != "graph" or path is None or path.suffix == ".dot":
            raise
        as_text = path.with_suffix(".dot")
        _write(console, diagram(net.graph, "dot", view, options).data, "dot", as_text, force, net.files)
        raise error(
            "E0711",
            problem.diagnostics[0].message,
            status=2,
            help=f"{problem.diagnostics[0].help}; {as_text} holds it now, for `dot -T{kind}`",
        ) from None
    if drawn.note:
        console.say(f"note: {drawn.note}")
    _write(console, drawn.data, kind, path, force, net.files)


def _format(output: str | None, format: str | None) -> str:
    """The format that is asked for, or that the file's ending says."""
    ending = Path(output).suffix.lower() if output and output != "-" else ""
    if format is None and ending and ending not in ENDINGS:
        raise click.UsageError(
            f"{ending[:20]} is not one of {', '.join(f'.{f}' for f in FORMATS)}; or choose with --format"
        )
    return format or ENDINGS.get(ending, "svg")


def _check_target(path: Path | None, force: bool, inputs: tuple[str, ...]) -> None:
    if path is not None:
        from archdsl.files.atomic import check_target
        from archdsl.files.marks import has_mark

        check_target(path, inputs=inputs, force=force, replaceable=has_mark("drawing"))


def _write(console: Console, data: bytes, kind: str, path: Path | None, force: bool, inputs: tuple[str, ...]) -> None:
    from archdsl.files.marks import has_mark, marked

    data = marked(data, kind)
    if path is None:
        console.give_bytes(data, None)
        return
    from archdsl.diagnostics import escape_control
    from archdsl.files.atomic import atomic_write
    from archdsl.report.table import in_bytes

    with atomic_write(path, inputs=inputs, force=force, replaceable=has_mark("drawing")) as file:
        file.write(data)
    console.give(f"wrote {console.style().paint('name', escape_control(str(path)))}  {in_bytes(len(data))}\n")
