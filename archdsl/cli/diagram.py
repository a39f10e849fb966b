"""`archdsl diagram`: a drawing of a network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, input_option, spec_argument

FORMATS = ("svg", "png", "dot")
_ENDINGS = {".svg": "svg", ".png": "png", ".dot": "dot", ".gv": "dot"}


@click.command("diagram")
@spec_argument
@click.option("-o", "--output", metavar="FILE", help="x.svg, x.png or x.dot; default: NAME.svg here; - is stdout.")
@click.option("--format", "format", type=click.Choice(FORMATS), help="Where FILE's ending does not say: svg.")
@click.option("--depth", type=click.IntRange(0, 16), default=1, show_default=True, help="Levels of blocks to open.")
@click.option("--legend", is_flag=True, help="With a line that says what the colours mean.")
@arg_option
@input_option
@force_option
@color_option
@click.pass_obj
def command(console: Console, spec: str, output: str | None, format: str | None, depth: int, legend: bool,
            args: dict[str, str], size: str | None, force: bool) -> None:  # fmt: skip
    """A drawing of a network, equal blocks drawn once, shapes on the arrows.

    Drawn by Graphviz: the system's dot where there is one, else the one that pip installs along. As DOT it needs none.
    """
    ending = Path(output).suffix.lower() if output and output != "-" else ""
    kind = format or _ENDINGS.get(ending) or ("svg" if not ending else None)
    if kind is None:
        raise click.UsageError(f"{ending} is not one of .svg, .png, .dot; or choose with --format")
    if output == "-" and kind == "png" and sys.stdout.isatty():
        raise click.UsageError("a PNG does not belong on a terminal: name a file, or pipe it")
    from archdsl.network import open_network
    from archdsl.views.diagram import diagram

    net = open_network(spec, args, size)
    console.tell(net.graph.notes)
    path = Path(output or f"{net.name}.{kind}")
    if output != "-":
        from archdsl.cli.output import ours
        from archdsl.files import check_target

        check_target(path, inputs=net.files, force=force, mine=ours("drawing"))
    drawn = diagram(net.graph, kind, depth, legend)  # type: ignore[arg-type]
    if drawn.note:
        console.say(f"note: {drawn.note}")
    _write(console, drawn.data, kind, path if output != "-" else None, force, net.files)


def _write(console: Console, data: bytes, kind: str, path: Path | None, force: bool, inputs: tuple[str, ...]) -> None:
    from archdsl.cli.output import marked, ours

    data = marked(data, kind)
    if path is None:
        console.give_bytes(data, None)
        return
    from archdsl.diagnostics import escape_control
    from archdsl.files import atomic_write
    from archdsl.views.table import in_bytes

    with atomic_write(path, inputs=inputs, force=force, mine=ours("drawing")) as file:
        file.write(data)
    console.give(f"wrote {console.style().paint('name', escape_control(str(path)))}  {in_bytes(len(data))}\n")
