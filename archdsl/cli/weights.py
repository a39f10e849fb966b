"""`archdsl weights`: inspect, convert and match weights files."""

from __future__ import annotations

import json

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.help_examples import epilog
from archdsl.cli.options import (
    arg_option,
    color_option,
    force_option,
    format_option,
    ignore_option,
    input_option,
    output_option,
    part_option,
    rename_option,
    spec_argument,
)

file_argument = click.argument("file", metavar="FILE", shell_complete=complete.files)
target_option = output_option(".safetensors", help="Write safetensors to FILE.", required=True)


@click.group("weights")
@color_option
def command() -> None:
    """Inspect, convert and match weights files: safetensors, torch's files, npz, or folders of shards.

    Nothing in a file is executed. `archdsl weights inspect FILE` is the first step with an unknown file.
    """


@command.command("inspect", epilog=epilog("weights inspect"))
@file_argument
@click.option("--networks/--no-networks", default=True, help="Search for the network in the library. Default: yes.")
@format_option("table", "json")
@color_option
@click.pass_obj
def inspect_command(console: Console, file: str, networks: bool, format: str) -> None:
    """List the tensors of FILE with statistics, where they are in it, and the likely network of the library."""
    from archdsl.diagnostics import json_visible
    from archdsl.weights import inspect

    found = inspect(file, networks=networks, progress=console.progress("counting the library"))
    console.print_diagnostics(found.notes)
    text = json_visible(json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n")
    console.write_output(text if format == "json" else found.text(console.style()))


@command.command("convert", epilog=epilog("weights convert"))
@file_argument
@target_option
@part_option
@rename_option
@ignore_option
@force_option
@color_option
@click.pass_obj
def convert_command(
    console: Console,
    file: str,
    output: str,
    part: str | None,
    rename: tuple[str, ...],
    ignore: tuple[str, ...],
    force: bool,
) -> None:
    """Write the tensors of FILE as safetensors, without the prefix of their names."""
    from archdsl.weights import convert

    done = convert(file, output, part=part, rename=rename, ignore=ignore, force=force)
    console.print_diagnostics(done.notes)
    console.print_written(done.file)


@command.command("match", epilog=epilog("weights match"))
@file_argument
@spec_argument
@output_option(".txt", help="Write the rules to FILE, for `--rename @FILE`.")
@part_option
@arg_option
@input_option
@format_option("text", "json")
@force_option
@color_option
@click.pass_obj
def match_command(
    console: Console,
    file: str,
    spec: str,
    output: str | None,
    part: str | None,
    args: dict[str, str],
    size: str | None,
    format: str,
    force: bool,
) -> int:
    """Pair the tensors of FILE with those of SPEC by order and shape, where their names differ.

    Prints rules `OLD=NEW`, and the groups of equal shapes whose order it relied on: only equal outputs prove them.
    Exit status 1 if a tensor of the network has no partner.
    """
    from archdsl.diagnostics import json_visible
    from archdsl.spec.open import parse_overrides
    from archdsl.weights import match

    found = match(file, spec, part=part, output=output, args=parse_overrides(args), input=size, force=force)
    console.print_diagnostics(found.diagnostics)
    if found.file is not None:
        console.print_written(found.file)
    text = json_visible(json.dumps(found.to_json(), indent=2) + "\n")
    console.write_output(text if format == "json" else found.text())
    return 0 if found.complete else 1


@command.command("reparameterise", epilog=epilog("weights reparameterise"))
@file_argument
@spec_argument
@target_option
@arg_option
@input_option
@force_option
@color_option
@click.pass_obj
def reparameterise_command(
    console: Console, file: str, spec: str, output: str, args: dict[str, str], size: str | None, force: bool
) -> None:
    """Write the weights of the deployed form of SPEC (`-a deploy=true`): FILE has those of its training form.

    Parallel branches of RepVGG and MobileOne become one convolution each. Both forms are compared in float64 first.
    """
    from archdsl.spec.open import parse_overrides
    from archdsl.weights import reparameterise

    done = reparameterise(file, spec, output, args=parse_overrides(args), input=size, force=force)
    console.print_diagnostics(done.notes)
    console.print_written(done.file)
    console.print_note(f"{done.convolutions} convolutions computed; outputs differ by {done.difference:.1e} in float64")
