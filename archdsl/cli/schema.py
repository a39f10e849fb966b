"""`archdsl schema`: the JSON Schema of the language."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, output_option


@click.command("schema")
@output_option(".json")
@force_option
@color_option
@click.pass_obj
def command(console: Console, output: str | None, force: bool) -> None:
    """Print the JSON Schema of the language (draft 2020-12), for completion and checks in an editor.

    The YAML language server reads it from a spec's first line: `# yaml-language-server: $schema=archdsl.schema.json`.
    """
    from archdsl.language.schema.json_schema import schema_text

    console.write_output(schema_text(), output, force)
