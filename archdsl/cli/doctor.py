"""`archdsl doctor`: what is installed, and what works."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, format_option


@click.command("doctor")
@format_option("text", "json")
@color_option
@click.pass_obj
def command(console: Console, format: str) -> None:
    """Report what is installed, which providers of ONNX Runtime work, and how to install what is missing."""
    from archdsl.runtime.doctor import examine

    console.write_output(examine().text(format, console.style()))
