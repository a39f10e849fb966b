"""`archdsl verify`: compare the module, the source and the ONNX file of a network with a float64 reference."""

from __future__ import annotations

import json

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, format_option, input_option, weights_option


@click.command("verify")
@click.argument("source", metavar="[SPEC]", shell_complete=complete.specs)
@click.argument("model", metavar="[MODEL.onnx]", required=False, shell_complete=complete.files)
@weights_option
@click.option("--seed", type=int, help="Seed of the input and of random weights. Default: 0.")
@click.option("--batch", type=int, help="Batch size of the input. Default: 1.")
@click.option("--no-write", is_flag=True, help="Do not write a certificate to the file.")
@click.option("--renew", is_flag=True, help="Replace the certificate of the file.")
@click.option("--all", "every", is_flag=True, help="Print a line for every node.")
@arg_option
@input_option
@format_option("text", "json")
@color_option
@click.pass_obj
def command(
    console: Console,
    source: str,
    model: str | None,
    weights: str | None,
    seed: int | None,
    batch: int | None,
    no_write: bool,
    renew: bool,
    every: bool,
    args: dict[str, str],
    size: str | None,
    format: str,
) -> int:
    """Compare the PyTorch module, the generated source and the ONNX file with a float64 reference, node by node.

    Then run the ONNX file unchanged, at several batch and input sizes, and compare its outputs. Exits with 1 if the
    difference of a node or an output exceeds its tolerance (docs/verify.md). If a file passes, the result is written
    into it as a certificate, which `archdsl verify MODEL.onnx` checks again.
    """
    import archdsl
    from archdsl.spec.open import parse_overrides

    result = archdsl.verify(
        source,
        model,
        weights=weights,
        seed=seed,
        batch=batch,
        args=parse_overrides(args),
        input=size,
        write=not no_write,
        renew=renew,
        progress=console.progress("verifying"),
    )
    if format == "json":
        console.write_output(json.dumps(result.data(), indent=2) + "\n")
    else:
        console.write_output(result.text(every, console.style()))
    console.print_diagnostics(result.problems)
    return int(not result.passed)
