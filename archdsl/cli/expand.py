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
@output_option(".yaml", ".yml")
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
    from archdsl.backends.spec.rewrite import expanded
    from archdsl.network import open_network

    network = open_network(spec, args, size)
    result = expanded(network.document, network.graph, network.args, flat, network.files)
    console.print_diagnostics(result.notes)
    console.write_output(result.text, output, force, result.files)
