"""`archdsl diagram`: draw a network."""

from __future__ import annotations

import sys
from typing import Any

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import Choice, Range, arg_option, force_option, input_option, specs_argument, weights_option
from archdsl.drawing.diagram import STYLES
from archdsl.drawing.paper import PAPERS

_OF_FILES = ("dpi", "fragment", "steps", "force")
"""Options of a file that the drawing itself does not have."""
_TERMINAL = ("auto", "always", "never")


def _set_colors(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str:
    """`--color` also selects what the colours of the drawing mean."""
    console = ctx.find_object(Console)
    for value in values:
        if value in _TERMINAL and console is not None:
            console.color = value  # type: ignore[assignment]
    return next((value for value in reversed(values) if value not in _TERMINAL), "kind")


@click.command("diagram")
@specs_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete.files,
    help="FILE.svg, .png, .pdf, .pptx, .drawio, .tex, .dot, .mmd or .html. Default: NAME.svg; - is standard output.",
)
@click.option("--format", "format", metavar="FORMAT", help="Format. Default: by FILE's ending, else svg.")
@click.option(
    "--style",
    default="graph",
    show_default=True,
    metavar="STYLE",
    shell_complete=complete.one_of(*STYLES),
    help=", ".join(STYLES) + ".",
)
@click.option(
    "--level",
    default="block",
    show_default=True,
    metavar="LEVEL",
    shell_complete=complete.one_of("network", "block", "layer"),
    help="network: stages; block: blocks, equal ones collapsed; layer: every layer, with its norm and activation.",
)
@click.option(
    "--focus",
    multiple=True,
    metavar="PATH",
    shell_complete=complete.blocks,
    help="Draw only the block PATH: layer2.0. May be repeated: one for each SPEC, or several of one SPEC.",
)
@click.option(
    "--expand",
    multiple=True,
    metavar="PATH",
    shell_complete=complete.blocks,
    help="Expand the block PATH; '*': every block. May be repeated.",
)
@click.option(
    "--theme",
    type=Choice(["auto", "light", "dark", "print"]),
    default="auto",
    show_default=True,
    help="auto: light, or dark if the reader prefers it; print: greys and patterns.",
)
@click.option(
    "--color",
    multiple=True,
    is_eager=True,
    callback=_set_colors,
    type=Choice(["kind", "params", "macs", "memory", *_TERMINAL]),
    help="Colour by op, or by share of params, macs or memory. auto, always, never: colours in the terminal.",
)
@click.option("--shapes/--no-shapes", default=True, help="Print shapes on the arrows.")
@click.option("--title", metavar="TEXT", help="Replace the network's name; '': no heading.")
@click.option("--legend", is_flag=True, help="Explain the colours.")
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
    help="Width on paper: 85 for a column, 170 for a page.",
)
@click.option(
    "--height", "height_mm", type=Range(20, 2000), metavar="MM", help="Largest height on paper. Default: a page, 240."
)
@click.option("--paper", metavar="NAME", help=f"Set size, font and theme for {', '.join(PAPERS)}.")
@click.option(
    "--min-font",
    type=float,
    metavar="POINTS",
    help="Smallest text on paper. Default with a size: 6. Breaks lines, uses columns, leaves words out, or fails.",
)
@click.option("--font", metavar="FONT", help="sans (Helvetica) or serif (Times). Default: sans.")
@click.option("--font-size", type=float, metavar="POINTS", help="Largest size of the main labels on paper.")
@click.option("--true-scale", is_flag=True, help="Draw maps in proportion, not their square roots (--style sheets).")
@click.option("--fragment", is_flag=True, help="Of .tex, only the picture: for \\input in another document.")
@click.option(
    "--image",
    metavar="FILE",
    shell_complete=complete.files,
    help="Draw what each --focus sees of a photograph, and what it answers (--style article).",
)
@weights_option
@click.option("--steps", is_flag=True, help="Pictures that build the drawing up, one block in each: slides or files.")
@click.option("--caption", is_flag=True, help="Also print a caption and an alternative text.")
@click.option("--partial", is_flag=True, help="If the spec has errors, draw what is known. Exits with 1 anyway.")
@arg_option
@input_option
@force_option
@click.pass_obj
def command(
    console: Console,
    /,
    specs: tuple[str, ...],
    args: dict[str, str],
    size: str | None,
    output: str | None,
    format: str | None,
    partial: bool,
    caption: bool,
    **options: Any,
) -> int:
    """Draw a network, with equal blocks drawn once and shapes on the arrows; several SPECs or --focus side by side.

    The layout is by Graphviz: the dot program of the system, or else the one that pip installs with archdsl.
    """
    if output == "-" and options["steps"] and format not in ("pptx", "drawio"):
        raise click.UsageError("--steps writes several files: name the first part of their names with -o")
    if output == "-" and format in ("png", "pdf", "pptx") and sys.stdout.isatty():
        raise click.UsageError(
            f"cannot write a {format.upper()} file to a terminal: name a file with -o, or use a pipe"
        )
    from archdsl.diagnostics import escape_control
    from archdsl.network import open_network
    from archdsl.network.figure import Figure
    from archdsl.report.table import in_bytes
    from archdsl.spec.patterns import expanded

    nets = [open_network(spec, args, size, partial=True) for spec in expanded(specs)]
    for net in nets:
        console.print_diagnostics(net.graph.notes if net.problem is None else net.problem.diagnostics)
        if not net.complete and not (partial and net.nodes):
            hint = "`--partial` draws what is known" if net.nodes else "nothing is known of this network to draw"
            console.print_note(hint)
            return 1
    drawn = nets[0] if len(nets) == 1 else Figure(nets)
    status = int(not all(net.complete for net in nets))
    if output == "-":
        format = format or "svg"
        saved = console.stream_file(lambda path: drawn.save_diagram(path, format, **options))  # type: ignore[arg-type]
        console.print_diagnostics(saved.notes)
        return status
    saved = drawn.save_diagram(output, format, **options)  # type: ignore[arg-type]
    console.print_diagnostics(saved.notes)
    letters = "" if saved.smallest_pt is None else f"  smallest label {saved.smallest_pt:.1f} pt"
    letters += "" if saved.width_mm is None else f" at {saved.width_mm:.0f} mm"
    count = f"{len(saved.paths)} files to " if len(saved.paths) > 1 else ""
    console.print_note(f"wrote {count}{escape_control(str(saved.path))}  {in_bytes(saved.size)}{letters}")
    if caption:
        picture = drawn.diagram(**{name: value for name, value in options.items() if name not in _OF_FILES})
        console.write_output(f"caption: {picture.caption}\nalternative text: {picture.alt}\n")
    return status
