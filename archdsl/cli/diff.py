"""`archdsl diff`: what changed between two networks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    force_option,
    input_option,
    named_values,
    output_option,
)

if TYPE_CHECKING:
    from archdsl.differences.compare import Fact
    from archdsl.network import Network

FORMATS = ("text", "json", "svg", "html", "png", "pdf")
_ENDINGS = {
    ".json": "json",
    ".svg": "svg",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
    ".png": "png",
    ".pdf": "pdf",
}
_GIT = (7, 9)
"""What git calls an external diff with: path, old file, its hash and mode, new file, its hash and mode; for a renamed
file the new path and a line on it as well."""


@click.command("diff")
@click.argument("specs", metavar="A B", nargs=-1, required=True)
@arg_option
@named_values("--before", "Set an argument of A alone: --before g=1.")
@named_values("--after", "Set an argument of B alone: --after g=32.")
@input_option
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="What to write; by default what FILE's ending says, else text.",
)
@click.option(
    "--level",
    type=click.Choice(["network", "block", "layer"]),
    default="block",
    show_default=True,
    help="How much a picture shows.",
)
@click.option(
    "--theme",
    type=click.Choice(["auto", "light", "dark", "print"]),
    default="auto",
    show_default=True,
    help="Colours of a picture.",
)
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    args: dict[str, str],
    before: dict[str, str],
    after: dict[str, str],
    size: str | None,
    format: str | None,
    level: str,
    theme: str,
    output: str | None,
    force: bool,
) -> int:
    """What changed from network A to network B: blocks, costs, and which weights carry over.

    Exits with 0 where they are the same network, whatever their texts look like, and with 1 where not. Also understands
    the arguments with which git calls an external diff (docs/diff.md).
    """
    if len(specs) in _GIT:
        from archdsl.cli.git_diff import run

        return run(console, specs)
    if len(specs) != 2:
        raise click.UsageError(f"two networks are compared, not {len(specs)}")
    if specs == ("-", "-"):
        raise click.UsageError("only one of the two can come from standard input")
    ending = Path(output).suffix.lower() if output not in (None, "-") else ""
    kind = format or _ENDINGS.get(ending, "text")
    from archdsl.network import open_network

    a = open_network(specs[0], {**args, **before}, size)
    b = open_network(specs[1], {**args, **after}, size)
    names = (a.name, b.name) if a.name != b.name else (specs[0], specs[1])
    if names[0] == names[1]:
        names = (f"{a.name} (before)", f"{b.name} (after)")
    if kind in ("text", "json"):
        return give(console, a, b, names, kind, output, force)
    return draw(console, a, b, names, kind, (level, theme), output, force)


def draw(
    console: Console,
    a: Network,
    b: Network,
    names: tuple[str, str],
    kind: str,
    look: tuple[str, str],
    output: str | None,
    force: bool,
) -> int:
    """Writes the comparison as a picture, or a page with one; 1 where the networks differ."""
    if output in (None, "-") and kind in ("png", "pdf") and sys.stdout.isatty():
        raise click.UsageError(f"a {kind.upper()} does not belong on a terminal: name a file, or pipe it")
    from archdsl.differences import picture
    from archdsl.differences.compare import compare
    from archdsl.drawing.diagram import CONVERTED, load
    from archdsl.drawing.model.drawing import View
    from archdsl.drawing.request import Options
    from archdsl.files.atomic import check_target
    from archdsl.files.marks import marked, ours

    inputs = [*a.files, *b.files]
    if output not in (None, "-"):
        check_target(str(output), inputs=inputs, force=force, mine=ours("drawing"))
    found, facts = compare(a.graph, b.graph), settings(a, b)
    theme = "light" if kind in CONVERTED and look[1] == "auto" else look[1]
    options = Options(theme=theme)  # type: ignore[arg-type]
    made = picture.write(found, names, View(look[0]), options)  # type: ignore[arg-type]
    if made.note:
        console.say(f"note: {made.note}")
    data = load(CONVERTED[kind])(made.data, options) if kind in CONVERTED else made.data
    if kind == "html":
        from archdsl.differences.page import page
        from archdsl.differences.report import text

        data = page(f"{names[0]} -> {names[1]}", made.data.decode(), text(found, names, facts)).encode()
    data = marked(data, kind)
    if output in (None, "-"):
        console.give_bytes(data, None)
    else:
        from archdsl.diagnostics import escape_control
        from archdsl.files.atomic import atomic_write
        from archdsl.report.table import in_bytes

        with atomic_write(str(output), inputs=inputs, force=force, mine=ours("drawing")) as file:
            file.write(data)
        console.give(f"wrote {console.style().paint('name', escape_control(str(output)))}  {in_bytes(len(data))}\n")
    return int(not found.equal or bool(facts))


def give(
    console: Console, a: Network, b: Network, names: tuple[str, str], kind: str, output: str | None, force: bool = False
) -> int:
    """Writes the comparison; 1 where the networks differ."""
    from archdsl.differences.compare import compare

    found = compare(a.graph, b.graph)
    facts = settings(a, b)
    if kind == "json":
        import json

        from archdsl.differences.report import as_json

        text = json.dumps(as_json(found, names, facts), indent=2) + "\n"
    else:
        from archdsl.differences.report import text as told

        text = told(found, names, facts, console.style())
    console.give(text, output, force, inputs=[*a.files, *b.files])
    return int(not found.equal or bool(facts))


def settings(a: Network, b: Network) -> tuple[Fact, ...]:
    """What two specs say differently beside the network itself, and a compiled model carries: preprocessing and
    labels."""
    from archdsl.differences.compare import Fact

    was, now = ({} if net.recipe is None else _flat(net.recipe.to_json()) for net in (a, b))
    keys = dict.fromkeys((*was, *now))
    found = [Fact(f"preprocess {key}", was.get(key), now.get(key)) for key in keys if was.get(key) != now.get(key)]
    if a.labels != b.labels:
        found.append(
            Fact("labels", *(f"{len(net.labels)} ({net.labels[0]} ..)" if net.labels else None for net in (a, b)))
        )
    return tuple(found)


def _flat(recipe: str) -> dict[str, str]:
    import json

    return {key: str(value) for key, value in json.loads(recipe).items()}
