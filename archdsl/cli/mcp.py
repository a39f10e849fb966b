"""`archdsl mcp`: a server for coding agents."""

from __future__ import annotations

import click

from archdsl.cli import complete
from archdsl.cli.options import color_option


@click.command("mcp")
@click.option(
    "--root",
    metavar="FOLDER",
    shell_complete=complete.folders,
    help="Let agents name spec files below FOLDER. Default: no files.",
)
@color_option
def command(root: str | None) -> None:
    """Serve coding agents over the Model Context Protocol, on standard input and output.

    An agent starts this command itself; docs/guides/agents.md shows its configuration. The tools check, count, compare,
    expand and draw specs, which are texts, names of the library, or files below FOLDER. They write nothing.
    """
    from archdsl.agents.server import serve

    serve(root)
