"""`archdsl expand`: a spec in long form, or unrolled."""

from __future__ import annotations

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, input_option, output_option, spec_argument


@click.command("expand")
@spec_argument
@click.option("--flat", is_flag=True, help="Unroll blocks and repeats, and write every inferred value.")
@arg_option
@input_option
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console, spec: str, flat: bool, args: dict[str, str], size: str | None, output: str | None, force: bool
) -> None:
    """Print the long form of a spec: every short string as a mapping, with its base and variant merged.

    Blocks and repeats stay, unless --flat unrolls them. The output is a spec of the same network. A note names an
    auxiliary head that --flat leaves out, because it needs a larger input.
    """
    from archdsl.backends.spec.rewrite import expand
    from archdsl.spec.open import parse_overrides

    expanded = expand(spec, flat=flat, input=size, args=parse_overrides(args))
    console.print_diagnostics(expanded.notes)
    console.write_output(expanded.text, output, force, expanded.files)
