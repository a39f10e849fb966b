"""`archdsl help`: the help of a command."""

from __future__ import annotations

import click

from archdsl.cli.complete import commands
from archdsl.cli.console import Console
from archdsl.cli.options import color_option


@click.command("help")
@click.argument("names", metavar="[COMMAND]...", nargs=-1, shell_complete=commands)
@color_option
@click.pass_obj
def command(console: Console, names: tuple[str, ...]) -> None:
    """Print the help of archdsl, or that of COMMAND, as --help does: `archdsl help weights inspect`."""
    from archdsl.diagnostics import did_you_mean

    ctx = click.get_current_context().find_root()
    for name in names:
        group = ctx.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{ctx.command_path} has no commands; got {name[:60]!r}")
        found = group.get_command(ctx, name)
        if found is None:
            raise click.UsageError(
                f"there is no command {name[:60]!r}; {did_you_mean(name, group.list_commands(ctx))}", ctx
            )
        ctx = found.make_context(name, [], parent=ctx, resilient_parsing=True)
    console.write_output(ctx.get_help() + "\n")
