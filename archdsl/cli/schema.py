"""`archdsl schema`: the language's JSON Schema."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, output_option


@click.command("schema")
@output_option
@force_option
@color_option
@click.pass_obj
def command(console: Console, output: str | None, force: bool) -> None:
    """The JSON Schema of the language (draft 2020-12), which completes and explains in an editor.

    With the YAML language server, put `# yaml-language-server: $schema=archdsl.schema.json` in a spec's first line.
    """
    from archdsl.language.schema.json_schema import schema_text

    console.give(schema_text(), output, force)
