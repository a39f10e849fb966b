"""`archdsl watch`: show the drawing of a spec while it is edited."""

from __future__ import annotations

from contextlib import suppress

import click

from archdsl.cli.console import Console
from archdsl.cli.options import Range, arg_option, color_option, input_option, spec_argument


@click.command("watch")
@spec_argument
@click.option("--port", type=Range(0, 65_535), default=0, help="Port. Default: a free one.")
@click.option("--open", "browse", is_flag=True, help="Open the page in the browser.")
@arg_option
@input_option
@color_option
@click.pass_obj
def command(console: Console, spec: str, args: dict[str, str], size: str | None, port: int, browse: bool) -> None:
    """Serve the interactive page of a spec, which follows the file and those that it extends.

    Prints the address of the page, which only this machine can open. Errors appear over the last valid drawing. Ctrl-C
    ends it.
    """
    from archdsl.watching.server import watch

    def ready(address: str) -> None:
        console.write_output(f"{address}\n")
        if browse:
            import webbrowser

            webbrowser.open(address)

    with suppress(KeyboardInterrupt):  # the way to end it
        watch(spec, args=args, input=size, port=port, ready=ready)
