"""`archdsl import`: convert a model of another tool to a spec."""

from __future__ import annotations

import json

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, force_option, format_option, input_option, named_values, output_option


@click.command("import")
@click.argument("model", metavar="MODEL")
@output_option
@click.option("--weights", metavar="FILE", help="Write the model's weights there: .safetensors.")
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
    model: str,
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

    A file by archdsl gives back the spec that it was compiled from. Any other model gives a new spec, with the blocks
    and repeats that its modules show, and the names of its tensors kept where possible. The factory is called with
    -a NAME=VALUE; this runs its code. The model and the spec run on random input: a spec with other outputs is not
    written. A line on standard error sums up the result; with --format json it is data on standard output.
    """
    import archdsl
    from archdsl.frontends.models import literals

    if until is not None and outputs is not None:
        raise click.UsageError("--until names one output, --outputs all of them: use one of the two")
    ends = [until] if until is not None else [] if outputs is None else outputs.split(",")
    imported = archdsl.import_model(model, name=name, input=size, args=literals(args), flat=flat, outputs=ends)
    console.print_diagnostics(imported.check.warnings)
    path = None if output == "-" else output
    imported.save(path, weights, force=force)
    if weights is not None:
        console.print_diagnostics(imported.notes)
    if format == "json":
        spec = {} if path is not None else {"spec": imported.text}
        console.write_output(json.dumps({**imported.summary.data(), **spec}, indent=2) + "\n")
    elif path is None:
        console.write_output(imported.text)
    console.print_note(imported.summary.text())
