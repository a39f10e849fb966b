"""`archdsl completion`: the script that completes command lines in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from archdsl.cli.complete import VARIABLE
from archdsl.cli.console import Console
from archdsl.cli.options import Choice, color_option

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=Choice(SHELLS))
@color_option
@click.pass_obj
def command(console: Console, shell: str) -> None:
    """Print a script with which SHELL (bash, zsh or fish) completes archdsl's commands at the Tab key.

    It proposes commands, options, networks of the library, files, codes of `explain`, passes, and paths of blocks.

    \b
    bash: echo 'eval "$(archdsl completion bash)"' >> ~/.bashrc
    zsh:  echo 'autoload -Uz compinit && compinit' >> ~/.zshrc
          echo 'eval "$(archdsl completion zsh)"' >> ~/.zshrc
    fish: archdsl completion fish > ~/.config/fish/completions/archdsl.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None
    program = click.get_current_context().find_root().command
    script = complete(program, {}, "archdsl", VARIABLE).source()
    # fish: click cuts a description at its first comma (no effect on the other scripts)
    console.write_output(script.replace('string split ","', 'string split -m 1 ","') + "\n")
