"""`archdsl lsp`: the language server."""

from __future__ import annotations

import click

from archdsl.cli.options import color_option


@click.command("lsp")
@click.option("--stdio", is_flag=True, expose_value=False, help="Has no effect: many editors pass it to every server.")
@color_option
def command() -> None:
    """Serve an editor: errors while you type, shapes, completion, renaming.

    An editor starts this command and speaks the Language Server Protocol with it, on standard input and output. To
    connect an editor, set `archdsl lsp` as the command of a language server for YAML files. The setup of Neovim, Helix,
    Emacs, Zed, PyCharm and VS Code is in docs/guides/editor.md. Needs the extra `lsp`.
    """
    from archdsl.packages import require_package

    require_package("pygls")
    from archdsl.editor.server import serve

    serve()
