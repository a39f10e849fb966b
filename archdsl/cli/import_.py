"""`archdsl import`: convert a model of another tool to a spec."""

from __future__ import annotations

import json

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, format_option, input_option, named_values, output_option


@click.command("import")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete.files)
@output_option(".yaml", ".yml")
@click.option(
    "--weights",
    metavar="FILE",
    shell_complete=complete.files,
    help="Write the weights there: .safetensors; of several models, a folder.",
)
@click.option("--name", help="The network's name; by default that of the file or the factory.")
@click.option("--flat", is_flag=True, help="Write node after node, without blocks; of a file by archdsl too.")
@named_values(("-a", "--arg", "args"), "Pass an argument to the factory: -a classes=3. May be repeated.")
@click.option("--until", metavar="NODE", help="Read only up to NODE: a node or value of a file, or a module's path.")
@click.option("--outputs", metavar="NAME,NAME", help="Read only up to these nodes, which are then the outputs.")
@input_option
@format_option("text", "json")
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    models: tuple[str, ...],
    output: str | None,
    weights: str | None,
    name: str | None,
    flat: bool,
    args: dict[str, str],
    until: str | None,
    outputs: str | None,
    size: str | None,
    format: str,
    force: bool,
) -> None:
    """Convert MODEL to a spec: an ONNX file, or package.module:factory, a function that returns a PyTorch module.
    Several models give one spec, in which each but the first is a variant.

    A file by archdsl gives back the spec that it was compiled from. Any other model gives a new spec, with the blocks
    and repeats that its modules show, and the names of its tensors kept where possible. The factory is called with
    -a NAME=VALUE; this runs its code. The model and the spec run on random input: a spec with other outputs is
    not written. A line on standard error sums up the result; with --format json it is data on standard output.
    """
    import archdsl
    from archdsl.frontends.models import literals

    if until is not None and outputs is not None:
        raise click.UsageError("--until names one output, --outputs all of them: use one of the two")
    ends = [until] if until is not None else [] if outputs is None else outputs.split(",")
    path = None if output == "-" else output
    if len(models) > 1:
        if flat or name is not None:
            raise click.UsageError(
                f"{'--flat' if flat else '--name'} is for one model: the names of several are their own"
            )
        family = archdsl.import_family(models, input=size, args=literals(args), outputs=ends)
        for summary in family.summaries:
            console.print_diagnostics(summary.check.warnings)
        family.save(path, weights, force=force)
        _print(console, {"networks": [one.data() for one in family.summaries]}, family.text, path, format)
        for summary in family.summaries:
            console.print_note(summary.text())
        return
    imported = archdsl.import_model(models[0], name=name, input=size, args=literals(args), flat=flat, outputs=ends)
    console.print_diagnostics(imported.check.warnings)
    imported.save(path, weights, force=force)
    if weights is not None:
        console.print_diagnostics(imported.weights.notes)
    _print(console, imported.summary.data(), imported.text, path, format)
    console.print_note(imported.summary.text())


def _print(console: Console, data: dict[str, object], spec: str, path: str | None, format: str) -> None:
    """Print the summary as data, with the spec unless it was written to a file, or the spec alone."""
    if format == "json":
        console.write_output(json.dumps(data if path is not None else {**data, "spec": spec}, indent=2) + "\n")
    elif path is None:
        console.write_output(spec)
