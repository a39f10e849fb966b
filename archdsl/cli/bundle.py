"""`archdsl bundle`: write the folder that a server or a web page needs."""

from __future__ import annotations

import json
from typing import Any

import click

from archdsl.backends.onnx.opsets import NEWEST, OLDEST
from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    force_option,
    format_option,
    half_option,
    input_option,
    reading_options,
    spec_argument,
    weights_option,
)


@click.command("bundle")
@spec_argument
@click.option("--to", "target", type=Choice(["triton", "web"]), required=True, help="Whom the folder is for.")
@weights_option
@reading_options
@click.option("--seed", type=Range(0, 2**63 - 1), default=0, show_default=True, help="Seed of random weights.")
@half_option
@click.option("--opset", type=Range(OLDEST, NEWEST), help="Version of ONNX's ops, for an older runtime.")
@click.option("--embed-preprocess", is_flag=True, help="The model reads raw pixels. Always for a web page.")
@click.option("--max-batch", type=Range(1, 1024), default=8, show_default=True, help="triton: the largest batch.")
@click.option("--instances", type=Range(1, 64), default=1, show_default=True, help="triton: copies on each device.")
@click.option(
    "--device", type=Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True, help="triton: where it runs."
)
@click.option("--tensorrt", is_flag=True, help="triton: run it with TensorRT, whose engines are cached.")
@click.option(
    "--runtime",
    metavar="DIR",
    shell_complete=complete.folders,
    help="web: the folder dist of the npm package onnxruntime-web.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    shell_complete=complete.folders,
    help="Model repository for triton [models], folder for web [NAME-web].",
)
@arg_option
@input_option
@force_option
@format_option("text", "json")
@color_option
@click.pass_obj
def command(
    console: Console, /, spec: str, args: dict[str, str], size: str | None, format: str, **options: Any
) -> None:
    """Write the folder of a server or a web page.

    triton: a model of a repository for NVIDIA's Triton and for KServe, with its configuration and a client.
    web: a page that classifies pictures in the browser and sends nothing anywhere.
    """
    from archdsl.diagnostics.machine import to_json
    from archdsl.report.table import in_bytes
    from archdsl.serving.bundle import bundle
    from archdsl.spec.open import parse_overrides

    result = bundle(spec, args=parse_overrides(args), input=size, progress=console.progress, **options)
    console.print_diagnostics(result.notes)
    if format == "json":
        files = [{"path": str(file.path), "bytes": file.size} for file in result.files]
        report = {"folder": str(result.folder), "target": result.target, "files": files, "weights": result.weights}
        console.write_output(json.dumps({**report, "notes": to_json(result.notes)}, indent=2) + "\n")
        return
    lines = [f"wrote {file.path}  {in_bytes(file.size)}" for file in result.files]
    lines.append(f"  weights  {result.weights}{': NOT trained' if result.random else ''}")
    console.print_note("\n".join(lines))
