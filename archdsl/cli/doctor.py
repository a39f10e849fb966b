"""`archdsl doctor`: what is installed, and what of it works."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, format_option


@click.command("doctor")
@format_option("text", "json")
@color_option
@click.pass_obj
def command(console: Console, format: str) -> None:
    """What is installed, which of ONNX Runtime's providers really run, and how to get what is missing."""
    from archdsl.runtime.doctor import examine

    console.give(examine().text(format, console.style()))
